//! One picture and its changed copy.

use ziffer_tensor::interpolate::{MAX_SIDE, SplineWarp};
use ziffer_tensor::random::Stream;

use super::control_points::{Affine, ControlPoints, two_uniform};
use super::error::AugmentError;

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

    fn changes_nothing(&self) -> bool {
        self.times(0.0) == *self
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
    shape: [usize; 2],
    control_points: ControlPoints,
    warp: SplineWarp,
}

impl Distorter {
    /// For pictures of this many rows and columns.
    ///
    /// # Errors
    /// [`AugmentError::Setting`] for a setting out of its range, [`AugmentError::TooLarge`] for more than 32766 rows or columns.
    pub fn new(distortion: Distortion, shape: [usize; 2]) -> Result<Self, AugmentError> {
        distortion.validate()?;
        if shape.iter().any(|size| *size > MAX_SIDE) {
            return Err(AugmentError::TooLarge { shape, expected: MAX_SIDE });
        }
        let spacing = if distortion.elastic_pixels > 0.0 {
            distortion.elastic_spacing_pixels
        } else {
            // The fewest control points, four along each axis, carry an affine map.
            shape[0].max(shape[1]).max(1) as f32
        };
        let warp = SplineWarp::new(shape, spacing);
        let control_points = ControlPoints::new(&warp, shape, spacing, distortion.elastic_pixels);
        Ok(Self { distortion, shape, control_points, warp })
    }

    /// Draws a change from `stream` and writes the changed picture to `out`, both row by row.
    ///
    /// Each pixel of `out` is looked up where the change takes it from, to 1/256 of a pixel, between four pixels (bilinear
    /// interpolation), and rounded; outside the picture all is 0.
    ///
    /// Three draws of 64 bits, the lower 32 bits first, are the rotation, the scale of rows, that of columns, the shear, the
    /// shift along rows and that along columns. Unless `elastic_pixels` is 0, all further draws, the lowest 16 bits first, are
    /// the displacements of the control points along rows, row by row, and behind them those along columns. If no setting
    /// changes anything, nothing is drawn.
    ///
    /// # Panics
    /// If `picture` or `out` has not rows * columns pixels.
    pub fn distort(&mut self, stream: &mut Stream, picture: &[u8], out: &mut [u8]) {
        let [rows, columns] = self.shape;
        assert_eq!(picture.len(), rows * columns, "pixels of the picture");
        assert_eq!(out.len(), rows * columns, "pixels of the changed picture");
        if self.distortion.changes_nothing() {
            out.copy_from_slice(picture);
            return;
        }
        let affine = self.draw_affine(stream);
        let points = self.control_points.draw(stream, affine);
        self.warp.resample(points, picture, out);
    }

    /// From a place in the changed picture to one in the picture, both from the centre.
    fn draw_affine(&self, stream: &mut Stream) -> Affine {
        let Distortion { rotation_degrees, scale, shear, shift_pixels, .. } = self.distortion;
        let [rotation, scale_rows] = two_uniform(stream);
        let [scale_columns, sheared] = two_uniform(stream);
        let [shift_rows, shift_columns] = two_uniform(stream);

        // A turn by an angle a by t = tan(a / 2), which cos a = (1 - t^2) / (1 + t^2) and sin a = 2 t / (1 + t^2) make exact for
        // any t; that t itself is drawn uniformly, and its bound by two terms of the series, make a turn of at most 90 degrees
        // some percent less than asked for, and nothing else.
        let half = rotation_degrees.to_radians() / 2.0;
        let t = (half + half * half * half / 3.0) * rotation;
        let (cos, sin) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
        let (scale_rows, scale_columns) = (1.0 + scale * scale_rows, 1.0 + scale * scale_columns);
        let shear = shear * sheared;
        Affine {
            matrix: [
                [cos / scale_rows, -sin / scale_columns],
                [(sin + shear * cos) / scale_rows, (cos - shear * sin) / scale_columns],
            ],
            shift: [shift_pixels * shift_rows, shift_pixels * shift_columns],
        }
    }
}
