//! The digit among the ink: connected strokes, without specks and noise, cropped.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage};

use crate::paper::Ink;

/// The share of the contrast that ink fades to at the edge of a stroke, and how many deviations of the paper it is at least.
const EDGE: f64 = 0.08;
const EDGE_DEVIATIONS: f64 = 3.0;
/// The share that is taken for the stroke's outline, where the digit is cropped: soft ends lie outside.
const OUTLINE: f64 = 0.3;
/// The share that a stroke's ink reaches somewhere, and how many deviations of the paper it is at least.
const CORE: f64 = 0.5;
const CORE_DEVIATIONS: f64 = 4.5;
/// What has a smaller share of the largest stroke's ink is a speck.
const SPECK: u64 = 33;

/// A cropped digit, 0 to 255 row by row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Digit {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) amounts: Vec<u8>,
}

impl Digit {
    /// Cut out of its page; none if there are but faint traces.
    pub(crate) fn of(ink: &Ink) -> Option<Self> {
        let contrast = f64::from(ink.contrast);
        let edge = (EDGE * contrast).max(EDGE_DEVIATIONS * ink.noise).max(1.0);
        let outline = (OUTLINE * contrast).max(edge);
        let core = (CORE * contrast).max(CORE_DEVIATIONS * ink.noise).min(contrast);
        let strokes = strokes(ink, edge.ceil() as u8, core as u8);
        let largest = strokes.iter().map(|stroke| stroke.amount).max()?;
        let mut digit = vec![0; ink.amounts.len()];
        let [mut top, mut left, mut bottom, mut right] = [usize::MAX, usize::MAX, 0, 0];
        for stroke in strokes.iter().filter(|stroke| stroke.amount * SPECK >= largest) {
            for &pixel in &stroke.pixels {
                digit[pixel] = ink.amounts[pixel];
                if f64::from(ink.amounts[pixel]) < outline {
                    continue;
                }
                let (row, column) = (pixel / ink.width, pixel % ink.width);
                (top, bottom) = (top.min(row), bottom.max(row + 1));
                (left, right) = (left.min(column), right.max(column + 1));
            }
        }
        let lines = digit.chunks(ink.width).take(bottom).skip(top);
        let amounts = lines.flat_map(|line| &line[left..right]).copied().collect();
        Some(Self { width: right - left, height: bottom - top, amounts })
    }

    /// The digit as it stands when the camera was held upright.
    pub(crate) fn turned(self, orientation: Orientation) -> Self {
        let image = GrayImage::from_raw(self.width as u32, self.height as u32, self.amounts);
        let mut image = DynamicImage::ImageLuma8(image.expect("as many pixels as the sides say"));
        image.apply_orientation(orientation);
        let (width, height) = (image.width() as usize, image.height() as usize);
        Self { width, height, amounts: image.into_bytes() }
    }
}

/// Pixels that touch each other, and their ink in all.
struct Stroke {
    pixels: Vec<usize>,
    amount: u64,
}

/// What is connected by ink of at least `edge`, if it has ink of at least `core`.
fn strokes(ink: &Ink, edge: u8, core: u8) -> Vec<Stroke> {
    let (width, height) = (ink.width, ink.height);
    let mut is_seen = vec![false; ink.amounts.len()];
    let mut strokes = Vec::new();
    for start in 0..ink.amounts.len() {
        if is_seen[start] || ink.amounts[start] < core.max(edge) {
            continue;
        }
        is_seen[start] = true;
        let mut pixels = vec![start];
        let (mut next, mut amount) = (0, 0);
        while let Some(&pixel) = pixels.get(next) {
            next += 1;
            amount += u64::from(ink.amounts[pixel]);
            let (row, column) = (pixel / width, pixel % width);
            for row in row.saturating_sub(1)..(row + 2).min(height) {
                for column in column.saturating_sub(1)..(column + 2).min(width) {
                    let neighbour = row * width + column;
                    if !is_seen[neighbour] && ink.amounts[neighbour] >= edge {
                        is_seen[neighbour] = true;
                        pixels.push(neighbour);
                    }
                }
            }
        }
        strokes.push(Stroke { pixels, amount });
    }
    strokes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ink by rows of text: `#` full, `+` a stroke's inside or edge, `.` faint.
    fn ink(rows: &[&str], noise: f64) -> Ink {
        let amount = |c| match c {
            '#' => 200,
            '+' => 40,
            '.' => 10,
            _ => 0,
        };
        let amounts = rows.iter().flat_map(|row| row.chars().map(amount)).collect();
        Ink { width: rows[0].len(), height: rows.len(), amounts, contrast: 200, noise }
    }

    #[test]
    fn strokes_are_cropped_with_their_outline() {
        let found =
            Digit::of(&ink(&["        ", "  .##.  ", "  +##+  ", "     #  ", "        "], 0.0)).unwrap();
        // 60 is the outline: what is paler may be cut off, but is kept inside.
        let amounts = vec![200, 200, 0, 200, 200, 40, 0, 0, 200];
        assert_eq!(found, Digit { width: 3, height: 3, amounts });
    }

    #[test]
    fn parts_stay_and_specks_go() {
        let bar = "#".repeat(40);
        let rows = [
            &*format!("{bar}  #"),
            &*format!("{bar}   "),
            &*" ".repeat(43),
            &*format!("###{}", " ".repeat(40)),
        ];
        let found = Digit::of(&ink(&rows, 0.0)).unwrap();
        assert_eq!((found.width, found.height), (40, 4), "3 of 80 is a part, 1 of 80 a speck");
    }

    #[test]
    fn noise_is_no_stroke() {
        let rows = ["+      ", " ##    ", " ##   +", "+  +   "];
        let found = Digit::of(&ink(&rows, 15.0)).unwrap();
        assert_eq!(found, Digit { width: 2, height: 2, amounts: vec![200; 4] });
    }

    #[test]
    fn turned_as_the_camera_says() {
        let digit = Digit { width: 2, height: 1, amounts: vec![1, 2] };
        let turned = digit.turned(Orientation::Rotate90);
        assert_eq!(turned, Digit { width: 1, height: 2, amounts: vec![1, 2] });
        assert_eq!(turned.turned(Orientation::Rotate180).amounts, [2, 1]);
    }
}
