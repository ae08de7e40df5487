//! One picture and its changed copy.

use ziffer_tensor::random::Stream;

use crate::AugmentError;
use crate::lattice::Lattice;

/// How far pictures are changed: each change is drawn uniformly between the bound and its opposite.
///
/// | setting | meaning | range | default |
/// |---|---|---|---|
/// | rotation_degrees | turned about the centre, either way | 0 to 90 | 12 |
/// | scale | made larger or smaller by this share, rows and columns each by their own | 0 to 0.9 | 0.12 |
/// | shear | columns moved by this share of their distance from the centre row | 0 to 1 | 0.15 |
/// | shift_pixels | moved along rows and along columns | 0 to 1000 | 1.5 |
/// | elastic_pixels | root mean square of a smooth displacement along rows, and of one along columns | 0 to 1000 | 0.9 |
/// | elastic_spacing_pixels | how far apart independent displacements are | 1 to 1000 | 7 |
///
/// With a spacing of 7 pixels the displacements are as smooth as with the Gaussian of standard deviation 4 that Simard and
/// others (2003) found best: a cubic B-spline of spacing h has the standard deviation h / sqrt(3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distortion {
    /// Turned about the centre, either way.
    pub rotation_degrees: f32,
    /// Made larger or smaller by this share.
    pub scale: f32,
    /// Slanted.
    pub shear: f32,
    /// Moved.
    pub shift_pixels: f32,
    /// Displaced smoothly, from place to place otherwise.
    pub elastic_pixels: f32,
    /// How far apart independent displacements are.
    pub elastic_spacing_pixels: f32,
}

impl Default for Distortion {
    fn default() -> Self {
        Self {
            rotation_degrees: 12.0,
            scale: 0.12,
            shear: 0.15,
            shift_pixels: 1.5,
            elastic_pixels: 0.9,
            elastic_spacing_pixels: 7.0,
        }
    }
}

impl Distortion {
    /// All changes this many times as far; the spacing stays.
    pub fn times(self, factor: f32) -> Self {
        Self {
            rotation_degrees: factor * self.rotation_degrees,
            scale: factor * self.scale,
            shear: factor * self.shear,
            shift_pixels: factor * self.shift_pixels,
            elastic_pixels: factor * self.elastic_pixels,
            ..self
        }
    }

    /// Checks each setting against its range; NaN lies in none.
    ///
    /// # Errors
    /// [`AugmentError::Setting`] names the one that is out of it.
    pub fn validate(&self) -> Result<(), AugmentError> {
        for (setting, value, range, expected) in [
            ("rotation_degrees", self.rotation_degrees, 0.0..=90.0, "a number from 0 to 90"),
            ("scale", self.scale, 0.0..=0.9, "a number from 0 to 0.9"),
            ("shear", self.shear, 0.0..=1.0, "a number from 0 to 1"),
            ("shift_pixels", self.shift_pixels, 0.0..=1000.0, "a number from 0 to 1000"),
            ("elastic_pixels", self.elastic_pixels, 0.0..=1000.0, "a number from 0 to 1000"),
            ("elastic_spacing_pixels", self.elastic_spacing_pixels, 1.0..=1000.0, "a number from 1 to 1000"),
        ] {
            if !range.contains(&value) {
                return Err(AugmentError::Setting { setting, value: value.to_string(), expected });
            }
        }
        Ok(())
    }
}

/// Changes pictures of one shape, with the memory that it takes.
#[derive(Clone, Debug)]
pub struct Distorter {
    distortion: Distortion,
    rows: usize,
    columns: usize,
    lattice: Lattice,
    /// Displacements along the rows' axis and the columns'.
    fields: [Vec<f32>; 2],
}

impl Distorter {
    /// For pictures of this many rows and columns.
    ///
    /// # Errors
    /// [`AugmentError::Setting`] for a setting out of its range.
    pub fn new(distortion: Distortion, shape: [usize; 2]) -> Result<Self, AugmentError> {
        distortion.validate()?;
        let [rows, columns] = shape;
        let lattice = Lattice::new(shape, distortion.elastic_spacing_pixels, distortion.elastic_pixels);
        let field = vec![0.0; rows * columns];
        Ok(Self { distortion, rows, columns, lattice, fields: [field.clone(), field] })
    }

    /// Draws a change from `stream` and writes the changed picture to `out`, both row by row.
    ///
    /// Each pixel of `out` is looked up where the change takes it from, between four pixels (bilinear interpolation), and
    /// rounded; outside the picture all is 0.
    ///
    /// # Panics
    /// If `picture` or `out` has not rows * columns pixels.
    pub fn distort(&mut self, stream: &mut Stream, picture: &[u8], out: &mut [u8]) {
        let (rows, columns) = (self.rows, self.columns);
        assert_eq!(picture.len(), rows * columns, "pixels of the picture");
        assert_eq!(out.len(), rows * columns, "pixels of the changed picture");
        let Distortion { rotation_degrees, scale, shear, shift_pixels, .. } = self.distortion;
        let mut draw = |bound: f32| bound * (2.0 * stream.uniform() as f32 - 1.0);

        // From a place in the changed picture to one in the picture, both from the centre. A turn by an angle a by
        // t = tan(a / 2), which cos a = (1 - t^2) / (1 + t^2) and sin a = 2 t / (1 + t^2) make exact for any t; that t
        // itself is drawn uniformly, and its bound by two terms of the series, make a turn of at most 90 degrees some
        // percent less than asked for, and nothing else.
        let half = rotation_degrees.to_radians() / 2.0;
        let t = draw(half + half * half * half / 3.0);
        let (cos, sin) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
        let (scale_rows, scale_columns, shear) = (1.0 + draw(scale), 1.0 + draw(scale), draw(shear));
        let (shift_rows, shift_columns) = (draw(shift_pixels), draw(shift_pixels));
        let row_of_row = cos / scale_rows;
        let row_of_column = -sin / scale_columns;
        let column_of_row = (sin + shear * cos) / scale_rows;
        let column_of_column = (cos - shear * sin) / scale_columns;

        for field in &mut self.fields {
            self.lattice.draw(stream, field);
        }
        let centre = [(rows as f32 - 1.0) / 2.0, (columns as f32 - 1.0) / 2.0];
        let lines = out.chunks_exact_mut(columns);
        let fields = self.fields[0].chunks_exact(columns).zip(self.fields[1].chunks_exact(columns));
        for ((row, out), (along_rows, along_columns)) in lines.enumerate().zip(fields) {
            let y = row as f32 - centre[0] - shift_rows;
            for (column, out) in out.iter_mut().enumerate() {
                let x = column as f32 - centre[1] - shift_columns;
                let from_row = centre[0] + row_of_row * y + row_of_column * x + along_rows[column];
                let from_column =
                    centre[1] + column_of_row * y + column_of_column * x + along_columns[column];
                *out = between(picture, [rows, columns], from_row, from_column);
            }
        }
    }
}

/// The picture between four pixels.
fn between(picture: &[u8], [rows, columns]: [usize; 2], row: f32, column: f32) -> u8 {
    // One step outside, all is 0. NaN would be outside as well.
    if !(row > -1.0 && column > -1.0 && row < rows as f32 && column < columns as f32) {
        return 0;
    }
    let (top, left) = (row.floor(), column.floor());
    let (down, right) = (row - top, column - left);
    let (top, left) = (top as isize, left as isize);
    let at = |row: isize, column: isize| {
        let is_inside = (0..rows as isize).contains(&row) && (0..columns as isize).contains(&column);
        if is_inside { f32::from(picture[row as usize * columns + column as usize]) } else { 0.0 }
    };
    let upper = at(top, left) + right * (at(top, left + 1) - at(top, left));
    let lower = at(top + 1, left) + right * (at(top + 1, left + 1) - at(top + 1, left));
    // Between 0 and 255 but for a rounding error, which the conversion takes care of.
    (upper + down * (lower - upper) + 0.5) as u8
}
