//! Small pictures inside a page: shrunk where they are large, as PNG in a `data:` address.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Rows and columns of a picture of any shape: the last axis are columns, all before it rows.
pub(crate) fn sides(shape: &[usize]) -> (usize, usize) {
    match shape {
        [rows @ .., columns] => (rows.iter().product(), *columns),
        [] => (1, 1),
    }
}

/// Numbers in rows and columns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Picture {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) values: Vec<f32>,
}

impl Picture {
    /// The picture with at most `limit` rows and columns: each number is the mean of a square of as many as needed.
    pub(crate) fn shrunk(shape: &[usize], limit: usize, value: impl Fn(usize) -> f32) -> Self {
        let (rows, columns) = sides(shape);
        let step = rows.max(columns).div_ceil(limit).max(1);
        let mut picture =
            Self { rows: rows.div_ceil(step), columns: columns.div_ceil(step), values: Vec::new() };
        for top in (0..rows).step_by(step) {
            for left in (0..columns).step_by(step) {
                let (bottom, right) = (rows.min(top + step), columns.min(left + step));
                let square =
                    (top..bottom).flat_map(|row| (left..right).map(move |column| row * columns + column));
                let sum: f32 = square.map(&value).sum();
                picture.values.push(sum / ((bottom - top) * (right - left)) as f32);
            }
        }
        picture
    }

    /// The picture as bytes, 0 to 255.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.values.iter().map(|value| value.round() as u8).collect()
    }
}

/// What the bytes of a picture mean.
pub(crate) enum Colours {
    /// Greys, 0 for black.
    Grey,
    /// Places in a palette: red, green, blue of each, and how opaque it is.
    Palette(Vec<u8>, Vec<u8>),
}

/// A PNG.
///
/// # Panics
/// If the bytes are not as many as the sides say.
pub(crate) fn png(width: usize, height: usize, colours: Colours, bytes: &[u8]) -> Vec<u8> {
    let side = |length: usize| u32::try_from(length).expect("a small picture");
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, side(width), side(height));
    encoder.set_depth(png::BitDepth::Eight);
    match colours {
        Colours::Grey => encoder.set_color(png::ColorType::Grayscale),
        Colours::Palette(colours, opacities) => {
            encoder.set_color(png::ColorType::Indexed);
            encoder.set_palette(colours);
            encoder.set_trns(opacities);
            // Filters are for neighbouring greys, not for places in a palette.
            encoder.set_filter(png::Filter::NoFilter);
        }
    }
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(bytes)?;
        writer.finish()
    });
    written.expect("memory can be written, and the bytes are as many as the sides say");
    out
}

/// The address that holds a PNG itself.
pub(crate) fn data_address(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pictures_shrink_by_whole_squares() {
        // 3 x 5 into at most 3 a side: squares of 2, those at the edges of what is left.
        let picture = Picture::shrunk(&[3, 5], 3, |i| i as f32);
        assert_eq!((picture.rows, picture.columns), (2, 3));
        assert_eq!(picture.values, [3.0, 5.0, 6.5, 10.5, 12.5, 14.0]);
        let same = Picture::shrunk(&[2, 2], 96, |i| i as f32);
        assert_eq!(same.values, [0.0, 1.0, 2.0, 3.0]);
        assert_eq!((sides(&[3, 4, 5]), sides(&[7]), sides(&[])), ((12, 5), (1, 7), (1, 1)));
    }

    #[test]
    fn a_png_comes_back() {
        let file = png(3, 2, Colours::Grey, &[0, 50, 100, 150, 200, 255]);
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
        let mut bytes = [0; 6];
        let info = reader.next_frame(&mut bytes).unwrap();
        assert_eq!((info.width, info.height, bytes), (3, 2, [0, 50, 100, 150, 200, 255]));
        assert!(data_address(&file).starts_with("data:image/png;base64,iVBORw0KGgo"));
    }
}
