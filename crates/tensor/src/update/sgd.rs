//! Stochastic gradient descent, plain and with momentum.

use super::decay::{decay_weights, flushed};
use crate::Scalar;
use crate::isa::{Isa, Kernel};

/// Stochastic gradient descent (`keras/src/optimizers/sgd.py`): w -= decay w; w -= r g.
///
/// # Panics
/// If the lengths differ.
pub fn sgd<T: Scalar>(w: &mut [T], g: &[T], learning_rate: T, decay: T) {
    assert_eq!(w.len(), g.len(), "parameters and gradient");
    decay_weights(w, decay);
    T::sgd(SgdUpdate { w, g, learning_rate });
}

pub(crate) struct SgdUpdate<'a, T> {
    w: &'a mut [T],
    g: &'a [T],
    learning_rate: T,
}

impl<T: Scalar> Kernel for SgdUpdate<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for (w, &g) in self.w.iter_mut().zip(self.g) {
            *w = I::fma(-self.learning_rate, g, *w);
        }
    }
}

/// What [`momentum`] needs beside the arrays.
#[derive(Clone, Copy, Debug)]
pub struct Momentum<T> {
    /// r, the learning rate.
    pub learning_rate: T,
    /// mu, how much of the last step is kept.
    pub momentum: T,
    /// Whether the step looks ahead as Nesterov's does.
    pub nesterov: bool,
    /// What is taken off a parameter first, as a share of it: r times the weight decay.
    pub decay: T,
}

/// Gradient descent with momentum: w -= decay w; m = mu m - r g, then w += m, or with Nesterov's look ahead w += mu m - r g.
pub fn momentum<T: Scalar>(w: &mut [T], m: &mut [T], g: &[T], constants: Momentum<T>) {
    assert!(w.len() == g.len() && m.len() == g.len(), "parameters, state and gradient");
    decay_weights(w, constants.decay);
    T::momentum(MomentumUpdate { w, m, g, constants });
}

pub(crate) struct MomentumUpdate<'a, T> {
    w: &'a mut [T],
    m: &'a mut [T],
    g: &'a [T],
    constants: Momentum<T>,
}

impl<T: Scalar> Kernel for MomentumUpdate<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Momentum { learning_rate, momentum, nesterov, decay: _ } = self.constants;
        for ((w, m), &g) in self.w.iter_mut().zip(self.m).zip(self.g) {
            let down = -(learning_rate * g);
            let next = flushed(I::fma(momentum, *m, down));
            *m = next;
            *w += if nesterov { I::fma(momentum, next, down) } else { next };
        }
    }
}
