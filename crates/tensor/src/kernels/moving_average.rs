//! The exponential moving average of parameters.

use crate::float::Float;
use crate::isa::{Isa, Kernel};

/// average = momentum average + (1 - momentum) w.
pub(crate) struct MovingAverage<'a, T> {
    pub(crate) average: &'a mut [T],
    pub(crate) w: &'a [T],
    pub(crate) momentum: T,
}

impl<T: Float> Kernel for MovingAverage<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let share = T::one() - self.momentum;
        for (average, &w) in self.average.iter_mut().zip(self.w) {
            *average = I::fma(self.momentum, *average, share * w);
        }
    }
}
