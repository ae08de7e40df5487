//! The random numbers of a distortion, and the control points that they determine.

use ziffer_tensor::interpolate::SplineWarp;
use ziffer_tensor::random::Stream;

/// An affine map of positions along rows and columns, relative to the image's center: `matrix` times (position - `shift`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affine {
    pub(crate) matrix: [[f32; 2]; 2],
    pub(crate) shift: [f32; 2],
}

/// The grid of control points for images of one shape.
///
/// Control points have independent displacements, with cubic B-splines between them. The spline reproduces affine maps.
#[derive(Clone, Debug)]
pub(crate) struct ControlPoints {
    /// The image's center, relative to the center of the first pixel.
    center: [f32; 2],
    /// The positions of the control points along rows and along columns, relative to the image's center.
    grid: [Vec<f32>; 2],
    /// A control point is displaced by at most 2^15 steps along either axis.
    step: f32,
    /// The drawn displacements along rows, then those along columns.
    drawn: Vec<[i16; 4]>,
    /// The positions of the control points along rows, then those along columns.
    points: Vec<f32>,
}

impl ControlPoints {
    /// For the grid of `warp` and images of this shape. The root mean square of displacements over pixels and draws is `pixels`.
    pub(crate) fn new(warp: &SplineWarp, shape: [usize; 2], spacing: f32, pixels: f32) -> Self {
        let [rows, columns] = warp.grid();
        let center = shape.map(|size| (size as f32 - 1.0) / 2.0);
        // Control point 1 is on the first pixel.
        let from_center = |axis: usize, number: usize| (number as f32 - 1.0) * spacing - center[axis];
        let along_rows = (0..rows * columns).map(|i| from_center(0, i / columns)).collect();
        let along_columns = (0..rows * columns).map(|i| from_center(1, i % columns)).collect();
        // Uniform in -1..1 has the variance 1/3.
        let reach = pixels * (3.0 / warp.variance_factor()).sqrt();
        let points = vec![0.0; 2 * rows * columns];
        let drawn = vec![[0; 4]; points.len().div_ceil(4)];
        Self { center, grid: [along_rows, along_columns], step: reach / 32_768.0, drawn, points }
    }

    /// The control points of `affine` and of displacements drawn from `stream`, as [`SplineWarp::resample`] takes them.
    ///
    /// A displacement is drawn from 16 bits: uniform in -1..1 times the maximum, in odd multiples of 2^-16 of it. At the default of 0.9
    /// pixels such a step is a fortieth of the rounding of positions, so more bits would only take time.
    pub(crate) fn draw(&mut self, stream: &mut Stream, affine: Affine) -> &[f32] {
        let Affine { matrix, shift } = affine;
        if self.step > 0.0 {
            for drawn in &mut self.drawn {
                let bits = stream.bits();
                *drawn = [0, 16, 32, 48].map(|shift| (bits >> shift) as i16);
            }
        }
        let [rows, columns] = &self.grid;
        let (along_rows, along_columns) = self.points.split_at_mut(rows.len());
        let (drawn_rows, drawn_columns) = self.drawn.as_flattened().split_at(rows.len());
        let axes = [(along_rows, drawn_rows), (along_columns, drawn_columns)];
        for ((points, drawn), (center, [a, b])) in axes.into_iter().zip(self.center.into_iter().zip(matrix)) {
            let origin = center - (a * shift[0] + b * shift[1]);
            for ((point, drawn), (row, column)) in points.iter_mut().zip(drawn).zip(rows.iter().zip(columns))
            {
                *point = (origin + a * row + b * column) + self.step * (f32::from(*drawn) + 0.5);
            }
        }
        &self.points
    }
}

/// Two numbers uniform in \[-1, 1\], from 32 bits each.
pub(crate) fn two_uniform(stream: &mut Stream) -> [f32; 2] {
    let bits = stream.bits();
    [bits as u32, (bits >> 32) as u32].map(|bits| bits as i32 as f32 / 2_f32.powi(31))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ziffer_tensor::random::Purpose;

    const NONE: Affine = Affine { matrix: [[1.0, 0.0], [0.0, 1.0]], shift: [0.0; 2] };

    #[test]
    fn displacements_have_the_root_mean_square_of_the_setting() {
        let warp = SplineWarp::new([28, 28], 7.0);
        let mut control_points = ControlPoints::new(&warp, [28, 28], 7.0, 1.2);
        let mut squares = [0.0; 2];
        for number in 0..2000 {
            let points = control_points.draw(&mut Stream::new(0, Purpose::Augment, number), NONE);
            for (row, column) in (0..784).map(|i| (i / 28, i % 28)) {
                let place = warp.place(points, [row, column]);
                squares[0] += f64::from(place[0] - row as f32).powi(2) / 784.0;
                squares[1] += f64::from(place[1] - column as f32).powi(2) / 784.0;
            }
        }
        // Some 16 independent positions in each of 2,000 fields: within 1% of the mean square with near certainty.
        for root in squares.map(|sum| (sum / 2000.0).sqrt()) {
            assert!((root - 1.2).abs() < 0.012, "{root}");
        }
    }

    #[test]
    fn without_displacements_an_affine_map_is_reproduced() {
        let affine = Affine { matrix: [[0.9, -0.2], [0.3, 1.2]], shift: [1.0, -2.0] };
        for spacing in [1.0, 7.0, 41.0] {
            let warp = SplineWarp::new([28, 41], spacing);
            let mut control_points = ControlPoints::new(&warp, [28, 41], spacing, 0.0);
            let points = control_points.draw(&mut Stream::new(0, Purpose::Augment, 0), affine);
            for (row, column) in [(0, 0), (5, 40), (27, 13), (27, 40)] {
                let (y, x) = (row as f32 - 14.5, column as f32 - 18.0);
                let expected = [13.5 + 0.9 * y - 0.2 * x, 20.0 + 0.3 * y + 1.2 * x];
                let place = warp.place(points, [row, column]);
                assert!((place[0] - expected[0]).abs() < 1e-4 && (place[1] - expected[1]).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn draws_have_their_moments_and_use_all_bits() {
        let warp = SplineWarp::new([1, 1], 1.0);
        // Control points with displacements of up to 1, and their positions without.
        let pixels = (warp.variance_factor() / 3.0).sqrt();
        let mut control_points = ControlPoints::new(&warp, [1, 1], 1.0, pixels);
        let still = ControlPoints::new(&warp, [1, 1], 1.0, 0.0)
            .draw(&mut Stream::new(0, Purpose::Augment, 0), NONE)
            .to_vec();
        let mut stream = Stream::new(7, Purpose::Other(0), 0);
        let draws: Vec<Vec<f64>> = (0..20_000)
            .map(|_| {
                let two = two_uniform(&mut stream);
                let points = control_points.draw(&mut stream, NONE);
                let displacements = points.iter().zip(&still).map(|(point, still)| point - still);
                two.into_iter().chain(displacements).map(f64::from).collect()
            })
            .collect();
        let mean = |of: &dyn Fn(&[f64]) -> f64| draws.iter().map(|draw| of(draw)).sum::<f64>() / 20_000.0;
        for i in 0..2 + 2 * 16 {
            assert!(draws.iter().all(|draw| draw[i].abs() < 1.0 + 1e-5));
            // The standard deviations of these are 0.0041, 0.0021 and 0.0024.
            assert!(mean(&|draw| draw[i]).abs() < 0.02, "{i}");
            assert!((mean(&|draw| draw[i] * draw[i]) - 1.0 / 3.0).abs() < 0.01, "{i}");
            for j in 0..i {
                assert!(mean(&|draw| draw[i] * draw[j]).abs() < 0.012, "{i} and {j}");
            }
        }
    }
}
