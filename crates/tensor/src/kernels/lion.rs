//! Lion.

use crate::float::Float;
use crate::isa::{Isa, Kernel};

use super::decay::flushed;

/// The constants of a step of [`lion`](crate::update::lion).
#[derive(Clone, Copy, Debug)]
pub struct Lion<T> {
    /// r, the learning rate.
    pub learning_rate: T,
    /// The weight of m in the direction of the step. The gradient has the weight 1 - beta1.
    pub beta_1: T,
    /// The decay rate of m.
    pub beta_2: T,
    /// r times the weight decay: the fraction of each parameter that is subtracted before the step.
    pub decay: T,
}

/// One step of Lion, without weight decay.
pub(crate) struct LionUpdate<'a, T> {
    pub(crate) w: &'a mut [T],
    pub(crate) m: &'a mut [T],
    pub(crate) g: &'a [T],
    pub(crate) constants: Lion<T>,
}

impl<T: Float> Kernel for LionUpdate<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Lion { learning_rate, beta_1, beta_2, decay: _ } = self.constants;
        let (share_1, share_2) = (T::one() - beta_1, T::one() - beta_2);
        for ((w, m), &g) in self.w.iter_mut().zip(self.m).zip(self.g) {
            let direction = I::fma(beta_1, *m, share_1 * g);
            // The sign of the direction. It is 0 for 0 and NaN for NaN.
            *w -= if direction > T::zero() {
                learning_rate
            } else if direction < T::zero() {
                -learning_rate
            } else {
                direction
            };
            *m = flushed(I::fma(beta_2, *m, share_2 * g));
        }
    }
}
