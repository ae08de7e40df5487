//! Lion.

use super::decay::{decay_weights, flushed};
use crate::Scalar;
use crate::isa::{Isa, Kernel};

/// What [`lion`] needs beside the arrays.
#[derive(Clone, Copy, Debug)]
pub struct Lion<T> {
    /// r, the learning rate.
    pub learning_rate: T,
    /// How much of m is in a step's direction.
    pub beta_1: T,
    /// How much of m is kept.
    pub beta_2: T,
    /// What is taken off a parameter first, as a share of it: r times the weight decay.
    pub decay: T,
}

/// Lion (Chen and others 2023, as `keras/src/optimizers/lion.py`):
/// w -= decay w; w -= r sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g. The sign of 0 is 0.
pub fn lion<T: Scalar>(w: &mut [T], m: &mut [T], g: &[T], constants: Lion<T>) {
    assert!(w.len() == g.len() && m.len() == g.len(), "parameters, state and gradient");
    decay_weights(w, constants.decay);
    T::lion(LionUpdate { w, m, g, constants });
}

pub(crate) struct LionUpdate<'a, T> {
    w: &'a mut [T],
    m: &'a mut [T],
    g: &'a [T],
    constants: Lion<T>,
}

impl<T: Scalar> Kernel for LionUpdate<'_, T> {
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
