//! The first layer's weights as pictures: one for each unit, in the shape of what it looks at.

use ndarray::ArrayView2;

use crate::ink::Ink;
use crate::picture::{Colours, Picture, png, sides};

/// Rows and columns that a unit's picture has at most.
const SIDE: usize = 48;

/// Pixels of all units together, at most: the pictures are most of a report.
const PIXELS: usize = 110_000;

/// Units that are shown at most.
const UNITS: usize = 256;

/// Pixels of a row of pictures, about.
const WIDTH: usize = 464;

/// Steps from the least weight to none, and from there to the greatest; few enough for a file half the size that a byte for
/// each weight takes.
const STEPS: usize = 24;

/// The share of weights that the strongest colour begins at.
const STRONGEST: f64 = 0.995;

/// The pictures of units beside each other, as one.
pub(crate) struct Atlas {
    pub(crate) png: Vec<u8>,
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Units shown, from the first, and beside each other.
    pub(crate) units: usize,
    pub(crate) across: usize,
    /// The weight that has the strongest colour.
    pub(crate) strongest: f32,
}

/// Pictures of a kernel \[I, O\] of I inputs of that shape: what is below zero in one colour, what is above in another, the more
/// opaque the farther it is away, so that they stand on any paper.
pub(crate) fn atlas(kernel: ArrayView2<'_, f32>, shape: &[usize]) -> Atlas {
    let unit = |unit: usize| Picture::shrunk(shape, SIDE, |input| kernel[[input, unit]]);
    let (rows, columns) = sides(shape);
    let step = rows.max(columns).div_ceil(SIDE).max(1);
    let (rows, columns) = (rows.div_ceil(step), columns.div_ceil(step));
    let units = kernel.ncols().min(UNITS).min((PIXELS / (rows * columns)).max(1));
    let pictures: Vec<Picture> = (0..units).map(unit).collect();
    let strongest = strongest(&pictures);
    let across = (WIDTH / (columns + 1)).clamp(1, units.max(1));
    let (width, height) = (across * (columns + 1) - 1, units.div_ceil(across).max(1) * (rows + 1) - 1);
    let mut places = vec![STEPS as u8; width * height];
    for (index, picture) in pictures.iter().enumerate() {
        let (top, left) = (index / across * (rows + 1), index % across * (columns + 1));
        for (row, values) in picture.values.chunks(columns).enumerate() {
            for (column, &value) in values.iter().enumerate() {
                places[(top + row) * width + left + column] = place(value, strongest);
            }
        }
    }
    let png = png(width, height, palette(), &places);
    Atlas { png, width, height, units, across, strongest }
}

/// What only a few of the weights are beyond; those that are no number count as none.
fn strongest(pictures: &[Picture]) -> f32 {
    let mut sizes: Vec<f32> = pictures
        .iter()
        .flat_map(|picture| &picture.values)
        .map(|value| value.abs())
        .filter(|size| size.is_finite())
        .collect();
    if sizes.is_empty() {
        return 0.0;
    }
    let at = ((sizes.len() - 1) as f64 * STRONGEST) as usize;
    *sizes.select_nth_unstable_by(at, f32::total_cmp).1
}

/// A weight's place in the palette.
fn place(value: f32, strongest: f32) -> u8 {
    let share = if strongest > 0.0 { value / strongest } else { 0.0 };
    // A cast takes what is no number for 0.
    let steps = (share.clamp(-1.0, 1.0) * STEPS as f32).round() as i32;
    (STEPS as i32 + steps) as u8
}

fn palette() -> Colours {
    let [below, above] = [Ink::Series(0), Ink::Series(1)].map(|ink| ink.colours()[0].to_be_bytes());
    let colours = (0..=2 * STEPS).flat_map(|place| {
        let [_, rgb @ ..] = if place < STEPS { below } else { above };
        rgb
    });
    let opacities = (0..=2 * STEPS).map(|place| (place.abs_diff(STEPS) * 255 / STEPS) as u8);
    Colours::Palette(colours.collect(), opacities.collect())
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn each_unit_has_its_place() {
        // Three units that look at 2 x 2 pixels: pixel i of unit u weighs (i + 1) (u - 1).
        let kernel = Array2::from_shape_fn((4, 3), |(i, u)| (i as f32 + 1.0) * (u as f32 - 1.0));
        let atlas = atlas(kernel.view(), &[2, 2]);
        assert_eq!((atlas.width, atlas.height, atlas.units, atlas.across), (8, 2, 3, 3));
        assert_eq!(atlas.strongest, 4.0);
        let mut decoder = png::Decoder::new(std::io::Cursor::new(&atlas.png));
        decoder.set_transformations(png::Transformations::IDENTITY);
        let mut reader = decoder.read_info().unwrap();
        let mut places = [0; 16];
        reader.next_frame(&mut places).unwrap();
        let none = STEPS as u8;
        assert_eq!(places, [18, 12, none, none, none, none, 30, 36, 6, 0, none, none, none, none, 42, 48]);
    }

    #[test]
    fn large_layers_and_large_pictures_stay_small() {
        let kernel = Array2::from_shape_fn((784, 2000), |(i, u)| ((i * 31 + u * 17) % 97) as f32 - 48.0);
        let many = atlas(kernel.view(), &[28, 28]);
        assert_eq!(many.units, 140);
        assert!(many.png.len() < 120_000, "{}", many.png.len());
        let large = atlas(Array2::ones((300 * 200, 5)).view(), &[300, 200]);
        assert_eq!((large.units, large.height), (5, 43));
        let broken = atlas(Array2::from_elem((4, 2), f32::NAN).view(), &[4]);
        assert_eq!((broken.strongest, broken.height), (0.0, 1));
    }
}
