//! The exponential moving average of parameters.

use crate::Scalar;
use crate::kernels::moving_average::MovingAverage;

/// Updates the exponential moving average `average` of parameters (`use_ema` of Keras's optimizers):
/// average = momentum average + (1 - momentum) w.
///
/// # Panics
/// If the lengths differ.
pub fn moving_average<T: Scalar>(average: &mut [T], w: &[T], momentum: T) {
    assert_eq!(average.len(), w.len(), "average and parameters");
    T::moving_average(MovingAverage { average, w, momentum });
}
