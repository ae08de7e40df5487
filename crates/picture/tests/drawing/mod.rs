//! Draws digits on pages, and writes pages as PNG.

#![allow(dead_code, reason = "each test uses its part")]

use ziffer_tensor::random::Stream;

/// How to draw a digit of 28 x 28 pixels on a square page.
#[derive(Debug)]
pub(crate) struct Drawing {
    pub(crate) side: usize,
    pub(crate) is_dark: bool,
    /// The digit's size relative to the page.
    pub(crate) scale: f64,
    /// The digit's position between the page's edges, 0 to 1.
    pub(crate) position: [f64; 2],
}

impl Drawing {
    /// A random scale of 0.5 to 1.5, and a random position where the digit fits.
    pub(crate) fn random(side: usize, is_dark: bool, stream: &mut Stream) -> Self {
        let scale = 0.5 + stream.uniform();
        Self { side, is_dark, scale, position: [stream.uniform(), stream.uniform()] }
    }

    /// The page, row by row, resampled by means or by linear interpolation.
    pub(crate) fn draw(&self, digit: &[u8]) -> Vec<u8> {
        let nonzero: Vec<usize> = (0..784).filter(|&pixel| digit[pixel] > 0).collect();
        let unit = self.side as f64 / 28.0 * self.scale;
        let bounds = |coordinate: fn(usize) -> usize| {
            let coordinates = || nonzero.iter().map(|&pixel| coordinate(pixel));
            (coordinates().min().unwrap() as f64 * unit, (coordinates().max().unwrap() + 1) as f64 * unit)
        };
        // The position is relative to the room on the page; without room, the digit is in the middle.
        let start = |(first, last): (f64, f64), position: f64| {
            let room = self.side as f64 - (last - first);
            room * (if room > 0.0 { position } else { 0.5 }) - first
        };
        let top = start(bounds(|pixel| pixel / 28), self.position[0]);
        let left = start(bounds(|pixel| pixel % 28), self.position[1]);
        let (rows, columns) = (weights(self.side, top, unit), weights(self.side, left, unit));
        // First along the rows of the digit, then along its columns.
        let lines: Vec<Vec<f64>> = digit
            .chunks(28)
            .map(|line| columns.iter().map(|tap| mean(tap, |pixel| f64::from(line[pixel]))).collect())
            .collect();
        let mut page = Vec::with_capacity(self.side * self.side);
        let mut line = vec![0.0; self.side];
        for tap in &rows {
            line.fill(0.5);
            for &(row, weight) in tap {
                for (sum, value) in line.iter_mut().zip(&lines[row]) {
                    *sum += weight * value;
                }
            }
            page.extend(line.iter().map(|&value| if self.is_dark { 255 - value as u8 } else { value as u8 }));
        }
        page
    }
}

/// For each pixel of the page, the pixels of the digit in it, and their weights.
fn weights(side: usize, start: f64, unit: f64) -> Vec<Vec<(usize, f64)>> {
    let reach = (1.0 / unit).max(1.0);
    let tap = |pixel: usize| {
        let center = (pixel as f64 + 0.5 - start) / unit;
        (0..28)
            .map(|digit| (digit, (1.0 - (digit as f64 + 0.5 - center).abs() / reach).max(0.0) / reach))
            .filter(|(_, weight)| *weight > 0.0)
            .collect()
    };
    (0..side).map(tap).collect()
}

fn mean(tap: &[(usize, f64)], value: impl Fn(usize) -> f64) -> f64 {
    tap.iter().map(|&(pixel, weight)| weight * value(pixel)).sum()
}

/// A gray picture as the bytes of a PNG file.
pub(crate) fn png(width: usize, height: usize, levels: &[u8]) -> Vec<u8> {
    use image::codecs::png::{CompressionType, FilterType, PngEncoder};
    use image::{ExtendedColorType, ImageEncoder};
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::NoFilter)
        .write_image(levels, width as u32, height as u32, ExtendedColorType::L8)
        .unwrap();
    bytes
}

/// A page with a slanted stroke, dark on white.
pub(crate) fn page(width: usize, height: usize) -> Vec<u8> {
    let is_stroke = |row: usize, column: usize| {
        let along = (height / 5..4 * height / 5).contains(&row);
        along && (0..4).contains(&(column as isize - (width / 4 + row / 3) as isize))
    };
    (0..width * height).map(|pixel| if is_stroke(pixel / width, pixel % width) { 20 } else { 255 }).collect()
}

/// A chunk of a PNG file: length, kind, content, and the CRC-32 of kind and content.
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
