//! Losses for regression.

use ziffer_tensor::Scalar;

use super::{Loss, Target};

/// Mean squared error over the outputs of a sample: loss = 1/O sum_o (y_o - t_o)^2, d_y = 2/O (y - t).
///
/// A class as target stands for its one-hot vector, or for 0 or 1 with a single output.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MeanSquaredError;

impl<T: Scalar> Loss<T> for MeanSquaredError {
    fn name(&self) -> &'static str {
        "mean_squared_error"
    }

    fn value(&self, output: &[T], target: Target<'_, T>) -> T {
        mean(output, target, |error| error * error)
    }

    fn backward(&self, output: &[T], target: Target<'_, T>, scale: T, d: &mut [T]) -> T {
        let factor = scale * T::from_f64(2.0 / output.len() as f64);
        for (o, (d, &y)) in d.iter_mut().zip(output).enumerate() {
            *d = (y - target.value(o, output.len())) * factor;
        }
        self.value(output, target)
    }
}

/// Mean absolute error over the outputs of a sample: loss = 1/O sum_o |y_o - t_o|, d_y = 1/O sign(y - t), 0 where y and
/// t are equal.
///
/// A class as target stands for its one-hot vector, or for 0 or 1 with a single output.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MeanAbsoluteError;

impl<T: Scalar> Loss<T> for MeanAbsoluteError {
    fn name(&self) -> &'static str {
        "mean_absolute_error"
    }

    fn value(&self, output: &[T], target: Target<'_, T>) -> T {
        mean(output, target, |error| if error < T::zero() { -error } else { error })
    }

    fn backward(&self, output: &[T], target: Target<'_, T>, scale: T, d: &mut [T]) -> T {
        let size = scale * T::from_f64(1.0 / output.len() as f64);
        for (o, (d, &y)) in d.iter_mut().zip(output).enumerate() {
            let error = y - target.value(o, output.len());
            *d = if error > T::zero() {
                size
            } else if error < T::zero() {
                -size
            } else {
                // 0, or NaN.
                error
            };
        }
        self.value(output, target)
    }
}

/// The mean of a function of the outputs' errors.
fn mean<T: Scalar>(output: &[T], target: Target<'_, T>, of: impl Fn(T) -> T) -> T {
    let mut sum = T::zero();
    for (o, &y) in output.iter().enumerate() {
        sum += of(y - target.value(o, output.len()));
    }
    sum / T::from_f64(output.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_squared_error_by_hand() {
        let mut d = [0.0; 2];
        let value = MeanSquaredError.backward(&[1.0_f64, 3.0], Target::Values(&[0.0, 1.0]), 0.5, &mut d);
        assert_eq!((value, d), (2.5, [0.5, 1.0]));
        assert_eq!(MeanSquaredError.value(&[0.0_f64, 1.0], Target::Class(1)), 0.0);
        assert_eq!(MeanSquaredError.value(&[0.25_f64], Target::Class(1)), 0.5625);
    }

    #[test]
    fn mean_absolute_error_by_hand() {
        let mut d = [9.0; 4];
        let target = Target::Values(&[0.0, 5.0, 2.0, 1.0]);
        let value = MeanAbsoluteError.backward(&[1.0_f64, 3.0, 2.0, 1.5], target, 2.0, &mut d);
        assert_eq!((value, d), (0.875, [0.5, -0.5, 0.0, 0.5]));
        MeanAbsoluteError.backward(&[f64::NAN], Target::Values(&[0.0]), 1.0, &mut d[..1]);
        assert!(d[0].is_nan());
    }
}
