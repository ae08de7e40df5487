//! The digit in the foreground: connected strokes, without specks and noise, cropped.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage};

use crate::background::Foreground;

/// The fraction of the contrast at the edge of a stroke, and its smallest ratio to the background's standard deviation.
const EDGE: f64 = 0.08;
const EDGE_DEVIATIONS: f64 = 3.0;
/// The fraction of the contrast at a stroke's outline, where the digit is cropped. Soft ends are outside.
const OUTLINE: f64 = 0.3;
/// The fraction of the contrast that some pixel of a stroke reaches, and its smallest ratio to the background's standard deviation.
const CORE: f64 = 0.5;
const CORE_DEVIATIONS: f64 = 4.5;
/// A stroke whose sum is smaller than that of the largest stroke, divided by this number, is a speck.
const SPECK: u64 = 33;

/// A cropped digit, 0 to 255 row by row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Digit {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<u8>,
}

impl Digit {
    /// The digit, cropped; `None` if there are only faint traces.
    pub(crate) fn of(foreground: &Foreground) -> Option<Self> {
        let contrast = f64::from(foreground.contrast);
        let edge = (EDGE * contrast).max(EDGE_DEVIATIONS * foreground.noise).max(1.0);
        let outline = (OUTLINE * contrast).max(edge);
        let core = (CORE * contrast).max(CORE_DEVIATIONS * foreground.noise).min(contrast);
        let strokes = strokes(foreground, edge.ceil() as u8, core as u8);
        let largest = strokes.iter().map(|stroke| stroke.sum).max()?;
        let mut digit = vec![0; foreground.values.len()];
        let [mut top, mut left, mut bottom, mut right] = [usize::MAX, usize::MAX, 0, 0];
        for stroke in strokes.iter().filter(|stroke| stroke.sum * SPECK >= largest) {
            for &pixel in &stroke.pixels {
                digit[pixel] = foreground.values[pixel];
                if f64::from(foreground.values[pixel]) < outline {
                    continue;
                }
                let (row, column) = (pixel / foreground.width, pixel % foreground.width);
                (top, bottom) = (top.min(row), bottom.max(row + 1));
                (left, right) = (left.min(column), right.max(column + 1));
            }
        }
        let lines = digit.chunks(foreground.width).take(bottom).skip(top);
        let values = lines.flat_map(|line| &line[left..right]).copied().collect();
        Some(Self { width: right - left, height: bottom - top, values })
    }

    /// The digit, turned as the camera's orientation says.
    pub(crate) fn turned(self, orientation: Orientation) -> Self {
        let image = GrayImage::from_raw(self.width as u32, self.height as u32, self.values);
        let mut image = DynamicImage::ImageLuma8(image.expect("as many pixels as the sides say"));
        image.apply_orientation(orientation);
        let (width, height) = (image.width() as usize, image.height() as usize);
        Self { width, height, values: image.into_bytes() }
    }
}

/// Connected pixels, and the sum of their values.
struct Stroke {
    pixels: Vec<usize>,
    sum: u64,
}

/// The sets of pixels that are connected by values of at least `edge` and contain a value of at least `core`.
fn strokes(foreground: &Foreground, edge: u8, core: u8) -> Vec<Stroke> {
    let (width, height) = (foreground.width, foreground.height);
    let mut is_seen = vec![false; foreground.values.len()];
    let mut strokes = Vec::new();
    for start in 0..foreground.values.len() {
        if is_seen[start] || foreground.values[start] < core.max(edge) {
            continue;
        }
        is_seen[start] = true;
        let mut pixels = vec![start];
        let (mut next, mut sum) = (0, 0);
        while let Some(&pixel) = pixels.get(next) {
            next += 1;
            sum += u64::from(foreground.values[pixel]);
            let (row, column) = (pixel / width, pixel % width);
            for row in row.saturating_sub(1)..(row + 2).min(height) {
                for column in column.saturating_sub(1)..(column + 2).min(width) {
                    let neighbor = row * width + column;
                    if !is_seen[neighbor] && foreground.values[neighbor] >= edge {
                        is_seen[neighbor] = true;
                        pixels.push(neighbor);
                    }
                }
            }
        }
        strokes.push(Stroke { pixels, sum });
    }
    strokes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A foreground from rows of text: `#` is full, `+` the inside or the edge of a stroke, `.` faint.
    fn foreground(rows: &[&str], noise: f64) -> Foreground {
        let value = |c| match c {
            '#' => 200,
            '+' => 40,
            '.' => 10,
            _ => 0,
        };
        let values = rows.iter().flat_map(|row| row.chars().map(value)).collect();
        Foreground { width: rows[0].len(), height: rows.len(), values, contrast: 200, noise }
    }

    #[test]
    fn strokes_are_cropped_with_their_outline() {
        let found =
            Digit::of(&foreground(&["        ", "  .##.  ", "  +##+  ", "     #  ", "        "], 0.0))
                .unwrap();
        // The outline is at 60. Paler pixels may be cropped, but stay inside the digit.
        let values = vec![200, 200, 0, 200, 200, 40, 0, 0, 200];
        assert_eq!(found, Digit { width: 3, height: 3, values });
    }

    #[test]
    fn specks_are_removed_and_larger_parts_kept() {
        let bar = "#".repeat(40);
        let rows = [
            &*format!("{bar}  #"),
            &*format!("{bar}   "),
            &*" ".repeat(43),
            &*format!("###{}", " ".repeat(40)),
        ];
        let found = Digit::of(&foreground(&rows, 0.0)).unwrap();
        assert_eq!((found.width, found.height), (40, 4), "3 of 80 is a part of the digit, 1 of 80 a speck");
    }

    #[test]
    fn noise_is_not_a_stroke() {
        let rows = ["+      ", " ##    ", " ##   +", "+  +   "];
        let found = Digit::of(&foreground(&rows, 15.0)).unwrap();
        assert_eq!(found, Digit { width: 2, height: 2, values: vec![200; 4] });
    }

    #[test]
    fn turning_by_the_camera_s_orientation() {
        let digit = Digit { width: 2, height: 1, values: vec![1, 2] };
        let turned = digit.turned(Orientation::Rotate90);
        assert_eq!(turned, Digit { width: 1, height: 2, values: vec![1, 2] });
        assert_eq!(turned.turned(Orientation::Rotate180).values, [2, 1]);
    }
}
