//! Smooth displacement fields: random displacements on a coarse lattice, and cubic B-splines between them.
//!
//! This is the free-form deformation of Rueckert and others, "Nonrigid Registration Using Free-Form Deformations", 1999. Along
//! each axis, the four lattice points around a place at a share t of the way from the second to the third have the weights
//! B0 = (1 - t)^3 / 6, B1 = (3 t^3 - 6 t^2 + 4) / 6, B2 = (-3 t^3 + 3 t^2 + 3 t + 1) / 6, B3 = t^3 / 6.

use ziffer_tensor::random::Stream;

/// The lattice along one axis: for each pixel, the first of its four lattice points, and their weights.
#[derive(Clone, Debug)]
struct Axis {
    weights: Vec<(usize, [f32; 4])>,
    points: usize,
}

impl Axis {
    /// For `pixels` pixels, with a lattice point every `spacing` of them. There is a point before the first pixel, and there
    /// are two behind the last.
    fn new(pixels: usize, spacing: f32) -> Self {
        let weights: Vec<_> = (0..pixels)
            .map(|pixel| {
                let place = pixel as f32 / spacing;
                let t = place - place.floor();
                let (t2, t3, s) = (t * t, t * t * t, 1.0 - t);
                let b = [
                    s * s * s / 6.0,
                    (3.0 * t3 - 6.0 * t2 + 4.0) / 6.0,
                    (-3.0 * t3 + 3.0 * t2 + 3.0 * t + 1.0) / 6.0,
                    t3 / 6.0,
                ];
                (place as usize, b)
            })
            .collect();
        let points = weights.last().map_or(0, |(first, _)| first + 4);
        Self { weights, points }
    }

    /// The mean over the pixels of the sum of the weights' squares: what becomes of the variance of independent points.
    fn variance(&self) -> f32 {
        let sums = self.weights.iter().map(|(_, b)| b.iter().map(|b| b * b).sum::<f32>());
        sums.sum::<f32>() / self.weights.len() as f32
    }
}

/// Fields of displacements, one number for each pixel.
#[derive(Clone, Debug)]
pub(crate) struct Lattice {
    rows: Axis,
    columns: Axis,
    /// The bound of a point's displacement.
    reach: f32,
    points: Vec<f32>,
    /// The field at each lattice row and each column of pixels.
    at_columns: Vec<f32>,
}

impl Lattice {
    /// For pictures of this shape, with displacements of this root mean square.
    pub(crate) fn new([rows, columns]: [usize; 2], spacing: f32, pixels: f32) -> Self {
        let (rows, columns) = (Axis::new(rows, spacing), Axis::new(columns, spacing));
        // Uniform in -1..1 has the variance 1/3.
        let reach = pixels * (3.0 / (rows.variance() * columns.variance())).sqrt();
        let points = vec![0.0; rows.points * columns.points];
        let at_columns = vec![0.0; rows.points * columns.weights.len()];
        Self { rows, columns, reach, points, at_columns }
    }

    /// Draws a field into `out`, row by row.
    pub(crate) fn draw(&mut self, stream: &mut Stream, out: &mut [f32]) {
        let width = self.columns.weights.len();
        for point in &mut self.points {
            *point = self.reach * (2.0 * stream.uniform() as f32 - 1.0);
        }
        let lattice_rows = self.points.chunks_exact(self.columns.points);
        for (points, out) in lattice_rows.zip(self.at_columns.chunks_exact_mut(width)) {
            for (out, (first, b)) in out.iter_mut().zip(&self.columns.weights) {
                let p = &points[*first..][..4];
                *out = (b[0] * p[0] + b[1] * p[1]) + (b[2] * p[2] + b[3] * p[3]);
            }
        }
        for (out, (first, b)) in out.chunks_exact_mut(width).zip(&self.rows.weights) {
            let rows = &self.at_columns[first * width..][..4 * width];
            let (upper, lower) = rows.split_at(2 * width);
            let (p0, p1) = upper.split_at(width);
            let (p2, p3) = lower.split_at(width);
            for (((out, p0), p1), (p2, p3)) in out.iter_mut().zip(p0).zip(p1).zip(p2.iter().zip(p3)) {
                *out = (b[0] * p0 + b[1] * p1) + (b[2] * p2 + b[3] * p3);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ziffer_tensor::random::Purpose;

    #[test]
    fn weights_are_a_partition_of_one() {
        for (pixels, spacing) in [(28, 7.0), (1, 7.0), (100, 0.5), (5, 30.0)] {
            let axis = Axis::new(pixels, spacing);
            for (first, b) in &axis.weights {
                assert!((b.iter().sum::<f32>() - 1.0).abs() < 1e-6 && b.iter().all(|b| *b >= 0.0));
                assert!(first + 4 <= axis.points);
            }
        }
        // Rueckert's basis at a lattice point and half-way.
        let axis = Axis::new(2, 2.0);
        assert_eq!(axis.weights[0].1, [1.0 / 6.0, 4.0 / 6.0, 1.0 / 6.0, 0.0]);
        assert_eq!(axis.weights[1].1.map(|b| 48.0 * b), [1.0, 23.0, 23.0, 1.0]);
    }

    /// Against the definition, a double sum over the lattice.
    #[test]
    fn a_field_is_the_double_sum() {
        let mut lattice = Lattice::new([9, 14], 4.0, 1.5);
        let mut field = vec![0.0; 9 * 14];
        lattice.draw(&mut Stream::new(1, Purpose::Augment, 2), &mut field);
        for (row, (i, b)) in lattice.rows.weights.iter().enumerate() {
            for (column, (j, c)) in lattice.columns.weights.iter().enumerate() {
                let mut sum = 0.0;
                for (k, b) in b.iter().enumerate() {
                    for (l, c) in c.iter().enumerate() {
                        sum += f64::from(b * c)
                            * f64::from(lattice.points[(i + k) * lattice.columns.points + j + l]);
                    }
                }
                assert!((sum - f64::from(field[row * 14 + column])).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn displacements_have_the_root_mean_square_that_was_asked_for() {
        let mut lattice = Lattice::new([28, 28], 7.0, 1.2);
        let mut field = vec![0.0; 28 * 28];
        let mut squares = 0.0;
        for number in 0..2000 {
            lattice.draw(&mut Stream::new(0, Purpose::Augment, number), &mut field);
            squares += field.iter().map(|u| f64::from(u * u)).sum::<f64>() / 784.0;
        }
        // Some 16 independent places in each of 2,000 fields: within 1 % of the mean square with near certainty.
        let root = (squares / 2000.0).sqrt();
        assert!((root - 1.2).abs() < 0.012, "{root}");
    }
}
