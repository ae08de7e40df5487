//! Softmax by row, its logarithm, and its cross-entropy.
//!
//! Let z be the logits of a row and M the largest of them. Then softmax(z)_o = e^(z_o - M) / S with S = sum_p e^(z_p - M), and
//! log softmax(z)_o = z_o - M - ln S. Mathematically, M cancels. Subtracting it makes every exponent at most zero, so that
//! nothing overflows and S is in \[1, O\] (Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and softmax
//! functions", IMA Journal of Numerical Analysis 41, 2021). The sums run over the row in order.

use crate::Scalar;
use crate::elementary::ln;
use crate::kernels::softmax::{CrossEntropy, Exponentials, Row, Softmax};

/// Replaces each row of `columns` logits by its softmax.
///
/// # Panics
/// If the length is not a multiple of `columns`.
pub fn softmax<T: Scalar>(z: &mut [T], columns: usize) {
    assert!(columns > 0 && z.len().is_multiple_of(columns), "{} numbers in rows of {columns}", z.len());
    T::softmax(Softmax { z, columns });
}

/// Replaces each row of `columns` logits by the logarithm of its softmax.
///
/// # Panics
/// If the length is not a multiple of `columns`.
pub fn log_softmax<T: Scalar>(z: &mut [T], columns: usize) {
    assert!(columns > 0 && z.len().is_multiple_of(columns), "{} numbers in rows of {columns}", z.len());
    let mut powers = vec![T::zero(); columns];
    for row in z.chunks_exact_mut(columns) {
        powers.copy_from_slice(row);
        let Exponentials { largest, sum } = T::exponentials(Row { z: &mut powers });
        let log_sum = T::from_f64(ln(sum.to_f64()));
        row.iter_mut().for_each(|z| *z = *z - largest - log_sum);
    }
}

/// Replaces the gradient `d` with respect to the softmax `y` by the gradient with respect to its logits, row by row:
/// d_z = y (d_y - sum(d_y y)).
///
/// # Panics
/// If the lengths differ or are not a multiple of `columns`.
pub fn softmax_backward<T: Scalar>(y: &[T], d: &mut [T], columns: usize) {
    assert!(columns > 0 && y.len() == d.len() && y.len().is_multiple_of(columns), "rows of {columns}");
    for (y, d) in y.chunks_exact(columns).zip(d.chunks_exact_mut(columns)) {
        let mut mean = T::zero();
        for (&y, &d) in y.iter().zip(&*d) {
            mean += y * d;
        }
        d.iter_mut().zip(y).for_each(|(d, &y)| *d = y * (*d - mean));
    }
}

/// Returns the cross-entropy of the softmax of `z` with the class `label`, -log softmax(z)_label, in nats.
///
/// `z` are the logits of one sample, \[O\]. They are replaced by `scale` times the gradient with respect to them:
/// d_z = (softmax(z) - onehot(label)) scale.
///
/// The probability of a class counts as 0 if it is less than epsilon^2 (2^-46 for `f32`) times that of the most probable class.
/// The rounding error in the gradient of the most probable class is larger than that. Without this rule, a network that is
/// certain of its classes would multiply subnormal numbers, which are slow on many processors.
///
/// # Panics
/// If `label` is not less than the length of `z`.
pub fn cross_entropy<T: Scalar>(z: &mut [T], label: usize, scale: T) -> T {
    let of_label = z[label];
    let Exponentials { largest, sum } = T::cross_entropy(CrossEntropy { z, scale });
    z[label] -= scale;
    T::from_f64(ln(sum.to_f64()) + (largest.to_f64() - of_label.to_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    /// The definition of softmax, in f64.
    fn reference(z: &[f32]) -> Vec<f64> {
        let sum: f64 = z.iter().map(|&z| f64::from(z).exp()).sum();
        z.iter().map(|&z| f64::from(z).exp() / sum).collect()
    }

    #[test]
    fn by_hand() {
        // e^0 : e^ln 3 = 1 : 3
        let mut z = [0.0_f64, 3.0_f64.ln()];
        softmax(&mut z, 2);
        assert!((z[0] - 0.25).abs() < 1e-15 && (z[1] - 0.75).abs() < 1e-15);
        let mut z = [0.0_f64, 3.0_f64.ln()];
        let loss = cross_entropy(&mut z, 0, 2.0);
        assert!((loss - 4.0_f64.ln()).abs() < 1e-15);
        assert!((z[0] + 1.5).abs() < 1e-15 && (z[1] - 1.5).abs() < 1e-15);
    }

    #[test]
    fn extreme_logits() {
        let mut z = [1e30_f32, -1e30, 0.0];
        softmax(&mut z, 3);
        assert_eq!(z, [1.0, 0.0, 0.0]);
        let mut z = [1e4_f32, 0.0];
        assert_eq!(cross_entropy(&mut z, 1, 1.0), 1e4);
        let mut z = [f32::NAN, 0.0];
        assert!(cross_entropy(&mut z, 1, 1.0).is_nan());
        let mut z = [f32::INFINITY, 0.0];
        assert!(!cross_entropy(&mut z, 1, 1.0).is_finite());
        let mut z = [0.0, f32::NEG_INFINITY];
        assert!(!cross_entropy(&mut z, 1, 1.0).is_finite());
    }

    fn check_gradients_of_impossible_classes<T: Scalar>(limit: f64) {
        let classes = 400;
        let logits = |c: usize| T::from_f64(-0.5 * c as f64);
        for label in [0, 7, classes - 1] {
            let mut d: Vec<T> = (0..classes).map(logits).collect();
            let loss = cross_entropy(&mut d, label, T::one());
            let expected = 0.5 * label as f64 + (1.0 / (1.0 - (-0.5_f64).exp())).ln();
            assert!((loss.to_f64() - expected).abs() <= 1e-6 * (1.0 + expected), "{loss} for class {label}");
            for (c, &d) in d.iter().enumerate().filter(|&(c, _)| c != label) {
                let possible = logits(c).to_f64() >= limit;
                assert_eq!(d > T::zero(), possible, "{d} of class {c}");
                assert!(!possible || d >= T::from_f64(limit.exp() / 4.0), "{d} of class {c}");
            }
        }
    }

    #[test]
    fn gradients_of_impossible_classes_are_zero() {
        check_gradients_of_impossible_classes::<f32>(2.0 * f64::from(f32::EPSILON).ln());
        check_gradients_of_impossible_classes::<f64>(2.0 * f64::EPSILON.ln());
    }

    proptest! {
    #![proptest_config(ProptestConfig { cases: 256, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        #[cfg_attr(miri, ignore = "takes minutes under Miri, and has no unsafe code")]
        fn follows_the_definition(z in prop::collection::vec(-30.0_f32..30.0, 1..40), label: prop::sample::Index) {
            let label = label.index(z.len());
            let expected = reference(&z);
            // The rounding error of z - M, whose magnitude is at most 60, is a relative error of e^(z - M).
            let tolerance = |o: usize| 1e-6 * (2.0 + f64::from(z[o]).abs()) * expected[o];
            let columns = z.len();
            let mut p = z.clone();
            softmax(&mut p, columns);
            let mut log = z.clone();
            log_softmax(&mut log, columns);
            let mut d = z.clone();
            let loss = cross_entropy(&mut d, label, 0.5);
            for o in 0..columns {
                prop_assert!((f64::from(p[o]) - expected[o]).abs() <= tolerance(o));
                let exact = expected[o].ln();
                prop_assert!((f64::from(log[o]) - exact).abs() <= 1e-5);
                let one = f64::from(u8::from(o == label));
                let gradient = 0.5 * (expected[o] - one);
                // The rounding error of softmax(z) - 1 is added to it.
                let epsilon = f64::from(f32::EPSILON);
                prop_assert!((f64::from(d[o]) - gradient).abs() <= tolerance(o) + one * epsilon + epsilon * epsilon);
            }
            prop_assert!((f64::from(loss) + expected[label].ln()).abs() <= 1e-5);
        }
    }
}
