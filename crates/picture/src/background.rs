//! The background's gray level, which may change smoothly over the picture, and the foreground: what differs from it.
//!
//! The background is a quadratic surface, a + b x + c y + d x^2 + e x y + f y^2, that minimizes the sum of absolute differences to the
//! picture. It is found by iteratively reweighted least squares with the weights 1 / |difference|. Foreground pixels differ much but are
//! few, so that they count as little as outliers count for a median.

use std::ops::RangeInclusive;

use crate::PictureError;
use crate::gray::Gray;

/// The number of cells of the longer side that the surface is fitted to.
const CELLS: usize = 64;
/// The weight of cells at the border, which have less foreground.
const BORDER: f64 = 4.0;
/// The fraction of the border that has the background's level if the background is even, and how much such a level may differ.
const EVEN_FRACTION: f64 = 0.5;
const EVEN_LEVELS: u8 = 4;
/// The fraction of the border that has exactly the same level if the background is clean.
const CLEAN_FRACTION: f64 = 0.2;
/// Iterations of reweighting.
const ROUNDS: usize = 30;
/// One pixel of so many, and at least four pixels, reach the contrast: a digit may be small on its page.
const STRONGEST: usize = 5000;
/// The smallest contrast of a foreground, of 255, and its smallest ratio to the background's standard deviation.
const MIN_CONTRAST: u8 = 16;
const MIN_DEVIATIONS: f64 = 5.0;

/// The foreground: how much each pixel differs from the background, 0 to 255, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Foreground {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<u8>,
    /// The value that the strongest pixels reach.
    pub(crate) contrast: u8,
    /// The standard deviation of the background.
    pub(crate) noise: f64,
}

impl Foreground {
    /// The pixels that are darker than the background or those that are lighter, whichever have the larger sum of squares.
    pub(crate) fn of(gray: &Gray) -> Result<Self, PictureError> {
        let (width, height) = (gray.width, gray.height);
        let surface = match even(gray) {
            Some(level) => Surface::even(level),
            None => Surface::fit(gray),
        };
        let mut differences = Vec::with_capacity(gray.levels.len());
        for (row, levels) in gray.levels.chunks(width).enumerate() {
            let y = position(row, height);
            for (column, &level) in levels.iter().enumerate() {
                differences.push(f64::from(level) - surface.at(position(column, width), y));
            }
        }
        let energy = |sign: f64| differences.iter().map(|d| (sign * d).max(0.0)).map(|d| d * d).sum::<f64>();
        let sign = if energy(-1.0) >= energy(1.0) { -1.0 } else { 1.0 };
        // Differences of the other sign are noise alone. The median of a normal distribution's absolute values is 0.6745 standard
        // deviations.
        let mut sizes = [0_usize; 256];
        for difference in differences.iter().map(|difference| -sign * difference).filter(|d| *d >= 0.0) {
            sizes[(difference + 0.5) as usize & 255] += 1;
        }
        let noise = quantile(&sizes, sizes.iter().sum::<usize>() / 2) as f64 / 0.6745;
        let values: Vec<u8> = differences.iter().map(|difference| (sign * difference + 0.5) as u8).collect();
        let mut sizes = [0; 256];
        for &value in &values {
            sizes[usize::from(value)] += 1;
        }
        let strongest = (values.len() / STRONGEST).max(4);
        let contrast = quantile(&sizes, values.len().saturating_sub(strongest)) as u8;
        if contrast < MIN_CONTRAST || f64::from(contrast) < MIN_DEVIATIONS * noise {
            return Err(PictureError::EmptyPage);
        }
        Ok(Self { width, height, values, contrast, noise })
    }
}

/// The gray level of the border, if most of the border has nearly the same level.
fn even(gray: &Gray) -> Option<u8> {
    let band = (gray.width.min(gray.height) / 28).max(1);
    let (inner_rows, inner_columns) =
        (band..gray.height.saturating_sub(band), band..gray.width.saturating_sub(band));
    let mut levels = [0; 256];
    let mut count = 0;
    for (row, line) in gray.levels.chunks(gray.width).enumerate() {
        for (column, &level) in line.iter().enumerate() {
            if !(inner_rows.contains(&row) && inner_columns.contains(&column)) {
                levels[usize::from(level)] += 1;
                count += 1;
            }
        }
    }
    let median = quantile(&levels, count / 2) as u8;
    let near =
        usize::from(median.saturating_sub(EVEN_LEVELS))..=usize::from(median.saturating_add(EVEN_LEVELS));
    let fraction = |range: RangeInclusive<usize>| levels[range].iter().sum::<usize>() as f64 / count as f64;
    if fraction(near) >= EVEN_FRACTION {
        return Some(median);
    }
    // Large digits cover much of the border. No other level is as frequent as that of a clean background.
    let common = (0..256).max_by_key(|&level| levels[level])?;
    (fraction(common..=common) >= CLEAN_FRACTION).then_some(common as u8)
}

/// The value at an index of sorted values, given the count of each value.
fn quantile(counts: &[usize; 256], index: usize) -> usize {
    let mut before = 0;
    counts
        .iter()
        .position(|count| {
            before += count;
            before > index
        })
        .unwrap_or(0)
}

/// The position of a pixel, -1 to 1 over a side of `side` pixels.
fn position(pixel: usize, side: usize) -> f64 {
    (2 * pixel + 1) as f64 / side as f64 - 1.0
}

/// The background as a function of x and y, by its coefficients.
struct Surface([f64; 6]);

impl Surface {
    fn even(level: u8) -> Self {
        Self([f64::from(level), 0.0, 0.0, 0.0, 0.0, 0.0])
    }

    fn at(&self, x: f64, y: f64) -> f64 {
        let level: f64 = self.0.iter().zip(terms(x, y)).map(|(factor, term)| factor * term).sum();
        level.clamp(0.0, 255.0)
    }

    /// The surface that fits the picture's means over cells best.
    fn fit(gray: &Gray) -> Self {
        let factor = gray.width.max(gray.height).div_ceil(CELLS);
        let (columns, rows) = (gray.width.div_ceil(factor), gray.height.div_ceil(factor));
        let mut sums = vec![(0.0, 0.0); rows * columns];
        for (row, line) in gray.levels.chunks(gray.width).enumerate() {
            for (column, &level) in line.iter().enumerate() {
                let sum = &mut sums[row / factor * columns + column / factor];
                *sum = (sum.0 + f64::from(level), sum.1 + 1.0);
            }
        }
        let cells: Vec<_> = sums
            .iter()
            .enumerate()
            .map(|(cell, (sum, count))| {
                let (row, column) = (cell / columns, cell % columns);
                let is_border = row == 0 || column == 0 || row + 1 == rows || column + 1 == columns;
                let weight = if is_border { BORDER } else { 1.0 };
                (terms(position(column, columns), position(row, rows)), sum / count, weight)
            })
            .collect();
        let mut surface = Self::even(128);
        for round in 0..ROUNDS {
            // Normal equations. A side of one pixel determines no slope. The small number keeps that slope 0.
            let mut equations = [[0.0; 7]; 6];
            for (diagonal, equation) in equations.iter_mut().enumerate() {
                equation[diagonal] = 1e-6;
            }
            for (terms, level, weight) in &cells {
                let difference: f64 =
                    level - surface.0.iter().zip(terms).map(|(factor, term)| factor * term).sum::<f64>();
                let weight = if round == 0 { *weight } else { weight / difference.abs().max(0.5) };
                for (equation, left) in equations.iter_mut().zip(terms) {
                    for (sum, right) in equation.iter_mut().zip(terms) {
                        *sum += weight * left * right;
                    }
                    equation[6] += weight * left * level;
                }
            }
            surface.0 = solve(equations);
        }
        surface
    }
}

fn terms(x: f64, y: f64) -> [f64; 6] {
    [1.0, x, y, x * x, x * y, y * y]
}

/// The solution of a positive definite system, whose right side is the last column, by Gaussian elimination.
fn solve(mut equations: [[f64; 7]; 6]) -> [f64; 6] {
    for pivot in 0..6 {
        let line = equations[pivot];
        for equation in &mut equations[pivot + 1..] {
            let factor = equation[pivot] / line[pivot];
            for (value, pivots) in equation.iter_mut().zip(line) {
                *value -= factor * pivots;
            }
        }
    }
    let mut solution = [0.0; 6];
    for row in (0..6).rev() {
        let known: f64 = (row + 1..6).map(|column| equations[row][column] * solution[column]).sum();
        solution[row] = (equations[row][6] - known) / equations[row][row];
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page with this background, and a bar over a fifth of its width.
    fn page(width: usize, height: usize, bar: u8, background: impl Fn(usize, usize) -> f64) -> Gray {
        let pixel = |index: usize| {
            let (row, column) = (index / width, index % width);
            let is_bar = (2 * width..3 * width).contains(&(5 * column)) && (row > 2 && row + 3 < height);
            if is_bar { bar } else { background(row, column) as u8 }
        };
        Gray { width, height, levels: (0..width * height).map(pixel).collect() }
    }

    #[test]
    fn the_foreground_differs_from_an_even_background() {
        for (background, bar) in [(255, 0), (0, 255), (200, 90), (30, 80)] {
            let page = page(30, 20, bar, |_, _| f64::from(background));
            let found = Foreground::of(&page).unwrap();
            let values: Vec<u8> = page.levels.iter().map(|level| level.abs_diff(background)).collect();
            assert_eq!((found.values, found.contrast), (values, background.abs_diff(bar)));
        }
    }

    /// The surface is exact to the rounding of pixels in spite of the bar.
    #[test]
    fn the_background_may_change_over_the_page() {
        for bar in [10, 250] {
            let page = page(100, 80, bar, |row, column| {
                let (x, y) = (column as f64 / 100.0 - 0.5, row as f64 / 80.0 - 0.5);
                130.0 + 60.0 * x - 40.0 * y - 80.0 * (x * x + x * y)
            });
            let found = Foreground::of(&page).unwrap();
            for (value, level) in found.values.iter().zip(&page.levels) {
                assert_eq!(*value > 2, *level == bar, "{bar}: {value} at {level}");
            }
        }
    }

    #[test]
    fn pages_without_a_foreground_are_empty() {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // The sum of three uniform numbers is nearly normal, with a standard deviation of 10.
            f64::from((state >> 24) % 20 + (state >> 16) % 20 + (state >> 8) % 20)
        };
        let levels = (0..10_000).map(|_| (noise() + 150.0) as u8).collect();
        for page in [
            page(50, 50, 255, |_, _| 255.0),
            page(1, 1, 0, |_, _| 7.0),
            page(300, 200, 12, |_, _| 20.0),
            Gray { width: 100, height: 100, levels },
        ] {
            assert!(
                matches!(Foreground::of(&page), Err(PictureError::EmptyPage)),
                "{}x{}",
                page.width,
                page.height
            );
        }
    }
}
