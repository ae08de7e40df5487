//! The first layer's weights as images: one per unit, in the shape of the model's input, side by side in strips.

use ndarray::ArrayView2;

use crate::palette::Color;
use crate::thumbnail::{PngColor, Thumbnail, png, rows_and_columns};

/// The largest number of rows and columns of a unit's image.
const SIDE: usize = 48;

/// The largest number of pixels of all units together. These images are most of a report's bytes.
const PIXELS: usize = 110_000;

/// The largest number of units that are shown.
const UNITS: usize = 256;

/// The width of a strip in pixels, about: 8 units of 28 columns, which a phone shows without scrolling.
const WIDTH: usize = 232;

/// Color steps from the smallest weight to 0, and from 0 to the largest. So few halve the size of the file.
const STEPS: usize = 24;

/// The quantile of the weights' absolute values that has the full color.
const STRONGEST: f64 = 0.995;

/// Strips of units' images.
pub(crate) struct Strips {
    pub(crate) pngs: Vec<Vec<u8>>,
    /// Pixels of each strip.
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// The number of units that are shown, and of units in a strip.
    pub(crate) units: usize,
    pub(crate) across: usize,
    /// The absolute value that has the full color.
    pub(crate) strongest: f32,
}

/// Images of a kernel \[I, O\] whose I inputs have that shape. Negative weights have one color, positive ones another, and 0 is
/// transparent, so that they suit any background.
pub(crate) fn strips(kernel: ArrayView2<'_, f32>, shape: &[usize]) -> Strips {
    let (rows, columns) = rows_and_columns(shape);
    let step = rows.max(columns).div_ceil(SIDE).max(1);
    let (rows, columns) = (rows.div_ceil(step), columns.div_ceil(step));
    let units = kernel.ncols().min(UNITS).min((PIXELS / (rows * columns)).max(1));
    let image = |unit: usize| Thumbnail::shrunk(shape, SIDE, |input| kernel[[input, unit]]);
    let images: Vec<Thumbnail> = (0..units).map(image).collect();
    let strongest = strongest(&images);
    let across = (WIDTH / (columns + 1)).clamp(1, units.max(1));
    let (width, height) = (across * (columns + 1) - 1, rows);
    let strip = |images: &[Thumbnail]| {
        let mut indexes = vec![STEPS as u8; width * height];
        for (position, image) in images.iter().enumerate() {
            let left = position * (columns + 1);
            for (row, values) in image.values.chunks(columns).enumerate() {
                for (column, &value) in values.iter().enumerate() {
                    indexes[row * width + left + column] = palette_index(value, strongest);
                }
            }
        }
        png(width, height, palette(), &indexes)
    };
    Strips { pngs: images.chunks(across).map(strip).collect(), width, height, units, across, strongest }
}

/// The quantile of the absolute values. Values that are not finite do not count.
fn strongest(images: &[Thumbnail]) -> f32 {
    let mut sizes: Vec<f32> = images
        .iter()
        .flat_map(|image| &image.values)
        .map(|value| value.abs())
        .filter(|size| size.is_finite())
        .collect();
    if sizes.is_empty() {
        return 0.0;
    }
    let at = ((sizes.len() - 1) as f64 * STRONGEST) as usize;
    *sizes.select_nth_unstable_by(at, f32::total_cmp).1
}

/// The palette's index of a weight.
fn palette_index(value: f32, strongest: f32) -> u8 {
    let ratio = if strongest > 0.0 { value / strongest } else { 0.0 };
    // The cast turns NaN into 0.
    let steps = (ratio.clamp(-1.0, 1.0) * STEPS as f32).round() as i32;
    (STEPS as i32 + steps) as u8
}

fn palette() -> PngColor {
    let [negative, positive] = [Color::Series(0), Color::Series(1)].map(|color| color.rgb()[0].to_be_bytes());
    let colors = (0..=2 * STEPS).flat_map(|index| {
        let [_, rgb @ ..] = if index < STEPS { negative } else { positive };
        rgb
    });
    let opacities = (0..=2 * STEPS).map(|index| (index.abs_diff(STEPS) * 255 / STEPS) as u8);
    PngColor::Palette(colors.collect(), opacities.collect())
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn indexes(png: &[u8]) -> Vec<u8> {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
        decoder.set_transformations(png::Transformations::IDENTITY);
        let mut reader = decoder.read_info().unwrap();
        let mut indexes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut indexes).unwrap();
        indexes
    }

    #[test]
    fn units_are_side_by_side() {
        // Three units with 2 x 2 inputs: the weight of input i and unit u is (i + 1) (u - 1).
        let kernel = Array2::from_shape_fn((4, 3), |(i, u)| (i as f32 + 1.0) * (u as f32 - 1.0));
        let strips = strips(kernel.view(), &[2, 2]);
        assert_eq!((strips.width, strips.height, strips.units, strips.across), (8, 2, 3, 3));
        assert_eq!((strips.strongest, strips.pngs.len()), (4.0, 1));
        let zero = STEPS as u8;
        let expected = [18, 12, zero, zero, zero, zero, 30, 36, 6, 0, zero, zero, zero, zero, 42, 48];
        assert_eq!(indexes(&strips.pngs[0]), expected);
    }

    #[test]
    fn the_last_strip_is_as_wide_as_the_others() {
        let kernel = Array2::from_shape_fn((784, 20), |(i, u)| (i + u) as f32);
        let strips = strips(kernel.view(), &[28, 28]);
        assert_eq!((strips.width, strips.height, strips.across, strips.pngs.len()), (231, 28, 8, 3));
        let last = indexes(&strips.pngs[2]);
        assert_eq!(last.len(), 231 * 28);
        // Units 16 to 19 are there, and nothing after them.
        for row in last.chunks(231) {
            assert!(row[3 * 29] > STEPS as u8 && row[4 * 29 - 1..].iter().all(|&index| index == STEPS as u8));
        }
    }

    #[test]
    fn large_layers_and_large_images_stay_small() {
        let kernel = Array2::from_shape_fn((784, 2000), |(i, u)| ((i * 31 + u * 17) % 97) as f32 - 48.0);
        let many = strips(kernel.view(), &[28, 28]);
        assert_eq!(many.units, 140);
        let bytes: usize = many.pngs.iter().map(Vec::len).sum();
        assert!(bytes < 120_000, "{bytes}");
        let large = strips(Array2::ones((300 * 200, 5)).view(), &[300, 200]);
        assert_eq!((large.units, large.height), (5, 43));
        let broken = strips(Array2::from_elem((4, 2), f32::NAN).view(), &[4]);
        assert_eq!((broken.strongest, broken.height), (0.0, 1));
    }
}
