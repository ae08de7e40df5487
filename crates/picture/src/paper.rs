//! The paper's tone, which may change smoothly over the picture, and what stands out from it: the ink.
//!
//! The tone is a quadratic surface, a + b x + c y + d x^2 + e x y + f y^2, that minimises the sum of absolute differences to
//! the picture, found by least squares that are reweighted by 1 / |difference|. Ink is far away, but in the minority, so
//! that it counts as little as outliers do for a median.

use std::ops::RangeInclusive;

use crate::PictureError;
use crate::grey::Grey;

/// Cells of the longer side that the surface is fitted to.
const CELLS: usize = 64;
/// Weight of the cells at the border, where there is less ink.
const BORDER: f64 = 4.0;
/// The share of the border that has the paper's tone where the paper is even, and by how much a tone may be off.
const EVEN_SHARE: f64 = 0.5;
const EVEN_TONES: u8 = 4;
/// The share that has the very same tone where the paper is clean.
const CLEAN_SHARE: f64 = 0.2;
/// Rounds of reweighting.
const ROUNDS: usize = 30;
/// One pixel of so many, and four at least, reaches the contrast: a digit may be small on its page.
const STRONGEST: usize = 5000;
/// The least contrast of ink, of 255, and how many times the paper's deviation it has to be.
const LEAST_CONTRAST: u8 = 16;
const LEAST_DEVIATIONS: f64 = 5.0;

/// How much ink is where, 0 to 255, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Ink {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) amounts: Vec<u8>,
    /// The amount that the strongest ink reaches.
    pub(crate) contrast: u8,
    /// The standard deviation of the paper's tone, without the ink.
    pub(crate) noise: f64,
}

impl Ink {
    /// What stands out from the paper, dark or light, whichever is more.
    pub(crate) fn on(grey: &Grey) -> Result<Self, PictureError> {
        let (width, height) = (grey.width, grey.height);
        let surface = match even(grey) {
            Some(tone) => Surface::even(tone),
            None => Surface::fit(grey),
        };
        let mut differences = Vec::with_capacity(grey.tones.len());
        for (row, tones) in grey.tones.chunks(width).enumerate() {
            let y = position(row, height);
            for (column, &tone) in tones.iter().enumerate() {
                differences.push(f64::from(tone) - surface.at(position(column, width), y));
            }
        }
        let energy = |sign: f64| differences.iter().map(|d| (sign * d).max(0.0)).map(|d| d * d).sum::<f64>();
        let sign = if energy(-1.0) >= energy(1.0) { -1.0 } else { 1.0 };
        // On the side where there is no ink, the paper's noise is alone. The median of a normal distribution's absolute values is
        // 0.6745 standard deviations.
        let mut sizes = [0_usize; 256];
        for difference in differences.iter().map(|difference| -sign * difference).filter(|d| *d >= 0.0) {
            sizes[(difference + 0.5) as usize & 255] += 1;
        }
        let noise = quantile(&sizes, sizes.iter().sum::<usize>() / 2) as f64 / 0.6745;
        let amounts: Vec<u8> = differences.iter().map(|difference| (sign * difference + 0.5) as u8).collect();
        let mut sizes = [0; 256];
        for &amount in &amounts {
            sizes[usize::from(amount)] += 1;
        }
        let strongest = (amounts.len() / STRONGEST).max(4);
        let contrast = quantile(&sizes, amounts.len().saturating_sub(strongest)) as u8;
        if contrast < LEAST_CONTRAST || f64::from(contrast) < LEAST_DEVIATIONS * noise {
            return Err(PictureError::EmptyPage);
        }
        Ok(Self { width, height, amounts, contrast, noise })
    }
}

/// The tone that most of the border has, if it is nearly the same everywhere there.
fn even(grey: &Grey) -> Option<u8> {
    let band = (grey.width.min(grey.height) / 28).max(1);
    let (inner_rows, inner_columns) =
        (band..grey.height.saturating_sub(band), band..grey.width.saturating_sub(band));
    let mut tones = [0; 256];
    let mut count = 0;
    for (row, line) in grey.tones.chunks(grey.width).enumerate() {
        for (column, &tone) in line.iter().enumerate() {
            if !(inner_rows.contains(&row) && inner_columns.contains(&column)) {
                tones[usize::from(tone)] += 1;
                count += 1;
            }
        }
    }
    let median = quantile(&tones, count / 2) as u8;
    let near =
        usize::from(median.saturating_sub(EVEN_TONES))..=usize::from(median.saturating_add(EVEN_TONES));
    let share = |range: RangeInclusive<usize>| tones[range].iter().sum::<usize>() as f64 / count as f64;
    if share(near) >= EVEN_SHARE {
        return Some(median);
    }
    // Large digits cover much of the border; no other tone is as common as that of clean paper.
    let common = (0..256).max_by_key(|&tone| tones[tone])?;
    (share(common..=common) >= CLEAN_SHARE).then_some(common as u8)
}

/// The value at a place among sorted ones, given how many there are of each.
fn quantile(counts: &[usize; 256], place: usize) -> usize {
    let mut before = 0;
    counts
        .iter()
        .position(|count| {
            before += count;
            before > place
        })
        .unwrap_or(0)
}

/// -1 to 1 over a side of `side` pixels.
fn position(pixel: usize, side: usize) -> f64 {
    (2 * pixel + 1) as f64 / side as f64 - 1.0
}

/// The tone at x and y.
struct Surface([f64; 6]);

impl Surface {
    fn even(tone: u8) -> Self {
        Self([f64::from(tone), 0.0, 0.0, 0.0, 0.0, 0.0])
    }

    fn at(&self, x: f64, y: f64) -> f64 {
        let tone: f64 = self.0.iter().zip(terms(x, y)).map(|(factor, term)| factor * term).sum();
        tone.clamp(0.0, 255.0)
    }

    /// The surface nearest to the picture's means over cells.
    fn fit(grey: &Grey) -> Self {
        let factor = grey.width.max(grey.height).div_ceil(CELLS);
        let (columns, rows) = (grey.width.div_ceil(factor), grey.height.div_ceil(factor));
        let mut sums = vec![(0.0, 0.0); rows * columns];
        for (row, line) in grey.tones.chunks(grey.width).enumerate() {
            for (column, &tone) in line.iter().enumerate() {
                let sum = &mut sums[row / factor * columns + column / factor];
                *sum = (sum.0 + f64::from(tone), sum.1 + 1.0);
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
            // Normal equations. A side of one pixel determines no slope; the small number keeps it 0.
            let mut equations = [[0.0; 7]; 6];
            for (diagonal, equation) in equations.iter_mut().enumerate() {
                equation[diagonal] = 1e-6;
            }
            for (terms, tone, weight) in &cells {
                let difference: f64 =
                    tone - surface.0.iter().zip(terms).map(|(factor, term)| factor * term).sum::<f64>();
                let weight = if round == 0 { *weight } else { weight / difference.abs().max(0.5) };
                for (equation, left) in equations.iter_mut().zip(terms) {
                    for (sum, right) in equation.iter_mut().zip(terms) {
                        *sum += weight * left * right;
                    }
                    equation[6] += weight * left * tone;
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

/// The solution of a positive definite system with its right side in the last column, by Gauss's elimination.
fn solve(mut equations: [[f64; 7]; 6]) -> [f64; 6] {
    for pivot in 0..6 {
        let line = equations[pivot];
        for equation in &mut equations[pivot + 1..] {
            let share = equation[pivot] / line[pivot];
            for (value, pivots) in equation.iter_mut().zip(line) {
                *value -= share * pivots;
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

    /// A page of this tone by place, with a bar of ink over a fifth of its width.
    fn page(width: usize, height: usize, ink: u8, tone: impl Fn(usize, usize) -> f64) -> Grey {
        let pixel = |place: usize| {
            let (row, column) = (place / width, place % width);
            let is_ink = (2 * width..3 * width).contains(&(5 * column)) && (row > 2 && row + 3 < height);
            if is_ink { ink } else { tone(row, column) as u8 }
        };
        Grey { width, height, tones: (0..width * height).map(pixel).collect() }
    }

    #[test]
    fn ink_is_what_differs_from_even_paper() {
        for (paper, ink) in [(255, 0), (0, 255), (200, 90), (30, 80)] {
            let page = page(30, 20, ink, |_, _| f64::from(paper));
            let found = Ink::on(&page).unwrap();
            let amounts: Vec<u8> = page.tones.iter().map(|tone| tone.abs_diff(paper)).collect();
            assert_eq!((found.amounts, found.contrast), (amounts, paper.abs_diff(ink)));
        }
    }

    /// The surface is found in spite of the ink, to within the pixels' rounding.
    #[test]
    fn paper_may_change_over_the_page() {
        for (ink, is_ink_dark) in [(10, true), (250, false)] {
            let page = page(100, 80, ink, |row, column| {
                let (x, y) = (column as f64 / 100.0 - 0.5, row as f64 / 80.0 - 0.5);
                130.0 + 60.0 * x - 40.0 * y - 80.0 * (x * x + x * y)
            });
            let found = Ink::on(&page).unwrap();
            for (amount, tone) in found.amounts.iter().zip(&page.tones) {
                assert_eq!(*amount > 2, *tone == ink, "{is_ink_dark}: {amount} at {tone}");
            }
        }
    }

    #[test]
    fn pages_without_ink() {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // A sum of three uniform numbers is nearly normal; the deviation is 10.
            f64::from((state >> 24) % 20 + (state >> 16) % 20 + (state >> 8) % 20)
        };
        let tones = (0..10_000).map(|_| (noise() + 150.0) as u8).collect();
        for page in [
            page(50, 50, 255, |_, _| 255.0),
            page(1, 1, 0, |_, _| 7.0),
            page(300, 200, 12, |_, _| 20.0),
            Grey { width: 100, height: 100, tones },
        ] {
            assert!(matches!(Ink::on(&page), Err(PictureError::EmptyPage)), "{}x{}", page.width, page.height);
        }
    }
}
