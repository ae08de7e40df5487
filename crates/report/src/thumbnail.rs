//! Small images inside a page, as PNG in a `data:` URL.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Rows and columns of an image of any shape: the last axis is the columns, all others are rows.
pub(crate) fn rows_and_columns(shape: &[usize]) -> (usize, usize) {
    match shape {
        [rows @ .., columns] => (rows.iter().product(), *columns),
        [] => (1, 1),
    }
}

/// Numbers in rows and columns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Thumbnail {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) values: Vec<f32>,
}

impl Thumbnail {
    /// The image with at most `limit` rows and columns. Each number is the mean of a square of pixels.
    pub(crate) fn shrunk(shape: &[usize], limit: usize, value: impl Fn(usize) -> f32) -> Self {
        let (rows, columns) = rows_and_columns(shape);
        let step = rows.max(columns).div_ceil(limit).max(1);
        let mut thumbnail =
            Self { rows: rows.div_ceil(step), columns: columns.div_ceil(step), values: Vec::new() };
        for top in (0..rows).step_by(step) {
            for left in (0..columns).step_by(step) {
                let (bottom, right) = (rows.min(top + step), columns.min(left + step));
                let square =
                    (top..bottom).flat_map(|row| (left..right).map(move |column| row * columns + column));
                let sum: f32 = square.map(&value).sum();
                thumbnail.values.push(sum / ((bottom - top) * (right - left)) as f32);
            }
        }
        thumbnail
    }

    /// The numbers as bytes, 0 to 255.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.values.iter().map(|value| value.round() as u8).collect()
    }
}

/// The meaning of a PNG's bytes.
pub(crate) enum PngColor {
    /// Gray levels, 0 for black.
    Gray,
    /// Indexes of a palette: red, green and blue of each entry, and the opacity of each entry.
    Palette(Vec<u8>, Vec<u8>),
}

/// The bytes of a PNG file.
///
/// # Panics
/// If the number of bytes is not `width * height`.
pub(crate) fn png(width: usize, height: usize, color: PngColor, bytes: &[u8]) -> Vec<u8> {
    let side = |length: usize| u32::try_from(length).expect("a small image");
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, side(width), side(height));
    encoder.set_depth(png::BitDepth::Eight);
    match color {
        PngColor::Gray => encoder.set_color(png::ColorType::Grayscale),
        PngColor::Palette(colors, opacities) => {
            encoder.set_color(png::ColorType::Indexed);
            encoder.set_palette(colors);
            encoder.set_trns(opacities);
            // Filters help with neighboring gray levels, not with indexes of a palette.
            encoder.set_filter(png::Filter::NoFilter);
        }
    }
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(bytes)?;
        writer.finish()
    });
    written.expect("writing to memory does not fail, and the number of bytes is checked by the caller");
    out
}

/// The `data:` URL of a PNG.
pub(crate) fn data_url(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_images_shrink_by_whole_squares() {
        // 3 x 5 pixels into at most 3 a side: squares of 2, smaller ones at the edges.
        let shrunk = Thumbnail::shrunk(&[3, 5], 3, |i| i as f32);
        assert_eq!((shrunk.rows, shrunk.columns), (2, 3));
        assert_eq!(shrunk.values, [3.0, 5.0, 6.5, 10.5, 12.5, 14.0]);
        let same = Thumbnail::shrunk(&[2, 2], 96, |i| i as f32);
        assert_eq!(same.values, [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(([&[3, 4, 5][..], &[7], &[]].map(rows_and_columns)), [(12, 5), (1, 7), (1, 1)]);
    }

    #[test]
    fn a_png_decodes_to_its_pixels() {
        let file = png(3, 2, PngColor::Gray, &[0, 50, 100, 150, 200, 255]);
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
        let mut bytes = [0; 6];
        let info = reader.next_frame(&mut bytes).unwrap();
        assert_eq!((info.width, info.height, bytes), (3, 2, [0, 50, 100, 150, 200, 255]));
        assert!(data_url(&file).starts_with("data:image/png;base64,iVBORw0KGgo"));
    }
}
