//! Lion.

use crate::float::Float;
use crate::isa::{Isa, Kernel};

use super::decay::flushed;

/// The constants of [`lion`](crate::update::lion).
#[derive(Clone, Copy, Debug)]
pub struct Lion<T> {
    /// r, the learning rate.
    pub learning_rate: T,
    /// The share of m in a step's direction.
    pub beta_1: T,
    /// The share of m that stays.
    pub beta_2: T,
    /// The share of a parameter that the update subtracts first: r times the weight decay.
    pub decay: T,
}

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
            // Of zero it is zero, and of NaN it is NaN.
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
