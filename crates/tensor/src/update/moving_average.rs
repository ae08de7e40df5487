//! The exponential moving average of parameters.

use crate::Scalar;
use crate::isa::{Isa, Kernel};

/// The exponential moving average of parameters (`use_ema` of Keras's optimizers): a = momentum a + (1 - momentum) w.
pub fn moving_average<T: Scalar>(average: &mut [T], w: &[T], momentum: T) {
    assert_eq!(average.len(), w.len(), "average and parameters");
    T::moving_average(MovingAverage { average, w, momentum });
}

pub(crate) struct MovingAverage<'a, T> {
    average: &'a mut [T],
    w: &'a [T],
    momentum: T,
}

impl<T: Scalar> Kernel for MovingAverage<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let share = T::one() - self.momentum;
        for (average, &w) in self.average.iter_mut().zip(self.w) {
            *average = I::fma(self.momentum, *average, share * w);
        }
    }
}
