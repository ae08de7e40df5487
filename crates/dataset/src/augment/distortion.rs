//! Distorts one image at random.

use ziffer_tensor::interpolate::{MAX_SIDE, SplineWarp};
use ziffer_tensor::random::Stream;

use super::control_points::{Affine, ControlPoints, two_uniform};
use super::error::AugmentError;

/// The bounds of random distortions. Each distortion is drawn uniformly between minus and plus its bound.
///
/// | setting | meaning | range | default |
/// |---|---|---|---|
/// | rotation_degrees | rotation about the center, in both directions | 0 to 90 | 12 |
/// | scale | enlargement or reduction by this share, independent for rows and columns | 0 to 0.9 | 0.12 |
/// | shear | horizontal shift of a row by this share of its distance from the center row | 0 to 1 | 0.15 |
/// | shift_pixels | shift along rows and along columns | 0 to 1000 | 1.5 |
/// | elastic_pixels | root mean square of a smooth displacement, along rows and along columns | 0 to 1000 | 0.9 |
/// | elastic_spacing_pixels | distance of independent displacements | 1 to 1000 | 7 |
///
/// With a spacing of 7 pixels the displacements are as smooth as with the Gaussian of standard deviation 4 that Simard and
/// others (2003) found best: a cubic B-spline of spacing h has the standard deviation h / sqrt(3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distortion {
    /// Rotation about the center, in both directions.
    pub rotation_degrees: f32,
    /// Enlargement or reduction by this share.
    pub scale: f32,
    /// Shear.
    pub shear: f32,
    /// Shift.
    pub shift_pixels: f32,
    /// Smooth displacement that varies across the image.
    pub elastic_pixels: f32,
    /// Distance of independent displacements.
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
    /// All bounds times `factor`, except for the spacing.
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

    fn is_identity(&self) -> bool {
        self.times(0.0) == *self
    }

    /// Checks that each setting is in its range. NaN is in none.
    ///
    /// # Errors
    /// [`AugmentError::Setting`], which names the setting.
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

/// Distorts images of one shape. It holds the working memory.
#[derive(Clone, Debug)]
pub struct Distorter {
    distortion: Distortion,
    shape: [usize; 2],
    control_points: ControlPoints,
    warp: SplineWarp,
}

impl Distorter {
    /// For images with this number of rows and columns.
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
            // Four control points along each axis, the minimum, represent an affine map.
            shape[0].max(shape[1]).max(1) as f32
        };
        let warp = SplineWarp::new(shape, spacing);
        let control_points = ControlPoints::new(&warp, shape, spacing, distortion.elastic_pixels);
        Ok(Self { distortion, shape, control_points, warp })
    }

    /// Draws a distortion from `stream`, and writes the distorted image to `out`, row by row.
    ///
    /// Each pixel of `out` is interpolated bilinearly between four pixels at its source position, which is rounded to 1/256 of a pixel.
    /// The result is rounded. Pixels outside the image are 0.
    ///
    /// Three draws of 64 bits, the lower 32 bits first, are the rotation, the scale of rows, the scale of columns, the shear, the shift
    /// along rows and the shift along columns. Unless `elastic_pixels` is 0, all further draws, the lowest 16 bits first, are the
    /// displacements of the control points along rows, row by row, followed by those along columns. If all bounds are 0, nothing is
    /// drawn.
    ///
    /// # Panics
    /// If `image` or `out` does not have rows * columns pixels.
    pub fn distort(&mut self, stream: &mut Stream, image: &[u8], out: &mut [u8]) {
        let [rows, columns] = self.shape;
        assert_eq!(image.len(), rows * columns, "pixels of the image");
        assert_eq!(out.len(), rows * columns, "pixels of the distorted image");
        if self.distortion.is_identity() {
            out.copy_from_slice(image);
            return;
        }
        let affine = self.draw_affine(stream);
        let points = self.control_points.draw(stream, affine);
        self.warp.resample(points, image, out);
    }

    /// The map from positions in the distorted image to positions in the image, both relative to the center.
    fn draw_affine(&self, stream: &mut Stream) -> Affine {
        let Distortion { rotation_degrees, scale, shear, shift_pixels, .. } = self.distortion;
        let [rotation, scale_rows] = two_uniform(stream);
        let [scale_columns, sheared] = two_uniform(stream);
        let [shift_rows, shift_columns] = two_uniform(stream);

        // A rotation by the angle a from t = tan(a / 2): cos a = (1 - t^2) / (1 + t^2) and sin a = 2 t / (1 + t^2) are exact for
        // any t. t itself is drawn uniformly, and its bound is two terms of the series, so a rotation of up to 90 degrees is some
        // percent smaller than the setting.
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
