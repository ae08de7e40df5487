//! Digits drawn on pages, and pages written as PNG.

#![allow(dead_code, reason = "each test uses its part")]

use ziffer_tensor::random::Stream;

/// How a digit of 28x28 pixels is drawn on a square page.
#[derive(Debug)]
pub(crate) struct Drawing {
    pub(crate) side: usize,
    pub(crate) is_dark: bool,
    /// The digit's size, of the page's.
    pub(crate) scale: f64,
    /// Where the digit is between the page's edges, 0 to 1.
    pub(crate) place: [f64; 2],
}

impl Drawing {
    /// A scale of 0.5 to 1.5, and a place anywhere on the page, as far as the digit fits.
    pub(crate) fn random(side: usize, is_dark: bool, stream: &mut Stream) -> Self {
        let scale = 0.5 + stream.uniform();
        Self { side, is_dark, scale, place: [stream.uniform(), stream.uniform()] }
    }

    /// The page, row by row: means over squares of the digit where it shrinks, straight lines between its pixels where it
    /// grows.
    pub(crate) fn draw(&self, digit: &[u8]) -> Vec<u8> {
        let inked: Vec<usize> = (0..784).filter(|&pixel| digit[pixel] > 0).collect();
        let unit = self.side as f64 / 28.0 * self.scale;
        let bounds = |coordinate: fn(usize) -> usize| {
            let places = || inked.iter().map(|&pixel| coordinate(pixel));
            (places().min().unwrap() as f64 * unit, (places().max().unwrap() + 1) as f64 * unit)
        };
        // The first and the last place that keep all ink on the page; its middle if it has no room.
        let start = |(first, last): (f64, f64), place: f64| {
            let room = self.side as f64 - (last - first);
            room * (if room > 0.0 { place } else { 0.5 }) - first
        };
        let top = start(bounds(|pixel| pixel / 28), self.place[0]);
        let left = start(bounds(|pixel| pixel % 28), self.place[1]);
        let (rows, columns) = (weights(self.side, top, unit), weights(self.side, left, unit));
        // First along the rows of the digit, then along its columns.
        let lines: Vec<Vec<f64>> = digit
            .chunks(28)
            .map(|line| columns.iter().map(|tap| mean(tap, |pixel| f64::from(line[pixel]))).collect())
            .collect();
        let mut page = Vec::with_capacity(self.side * self.side);
        let mut inks = vec![0.0; self.side];
        for tap in &rows {
            inks.fill(0.5);
            for &(row, weight) in tap {
                for (ink, value) in inks.iter_mut().zip(&lines[row]) {
                    *ink += weight * value;
                }
            }
            page.extend(inks.iter().map(|&ink| if self.is_dark { 255 - ink as u8 } else { ink as u8 }));
        }
        page
    }
}

/// For each pixel of the page, those of the digit that it shows, and their weights.
fn weights(side: usize, start: f64, unit: f64) -> Vec<Vec<(usize, f64)>> {
    let reach = (1.0 / unit).max(1.0);
    let tap = |pixel: usize| {
        let centre = (pixel as f64 + 0.5 - start) / unit;
        (0..28)
            .map(|digit| (digit, (1.0 - (digit as f64 + 0.5 - centre).abs() / reach).max(0.0) / reach))
            .filter(|(_, weight)| *weight > 0.0)
            .collect()
    };
    (0..side).map(tap).collect()
}

fn mean(tap: &[(usize, f64)], value: impl Fn(usize) -> f64) -> f64 {
    tap.iter().map(|&(pixel, weight)| weight * value(pixel)).sum()
}

/// A grey picture as the bytes of a PNG file.
pub(crate) fn png(width: usize, height: usize, tones: &[u8]) -> Vec<u8> {
    use image::codecs::png::{CompressionType, FilterType, PngEncoder};
    use image::{ExtendedColorType, ImageEncoder};
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::NoFilter)
        .write_image(tones, width as u32, height as u32, ExtendedColorType::L8)
        .unwrap();
    bytes
}

/// A page with a slanting stroke, dark on white.
pub(crate) fn page(width: usize, height: usize) -> Vec<u8> {
    let is_ink = |row: usize, column: usize| {
        let along = (height / 5..4 * height / 5).contains(&row);
        along && (0..4).contains(&(column as isize - (width / 4 + row / 3) as isize))
    };
    (0..width * height).map(|pixel| if is_ink(pixel / width, pixel % width) { 20 } else { 255 }).collect()
}

/// A chunk of a PNG file: length, kind, content, and the CRC-32 of the latter two, bit by bit.
pub(crate) fn png_chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut crc = u32::MAX;
    for byte in kind.iter().chain(content) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let len = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&len, &kind[..], content, &(!crc).to_be_bytes()].concat()
}
