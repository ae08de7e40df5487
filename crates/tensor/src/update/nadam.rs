//! Adam with Nesterov momentum.

use super::decay::{decay_weights, flushed};
use crate::Scalar;
use crate::isa::{Isa, Kernel};

/// What [`nadam`] needs beside the arrays.
#[derive(Clone, Copy, Debug)]
pub struct Nadam<T> {
    /// What m is multiplied by in a step, the learning rate and the corrections of m and v among it.
    pub of_momentum: T,
    /// What g is multiplied by in a step.
    pub of_gradient: T,
    /// 1 - beta1.
    pub one_minus_beta_1: T,
    /// 1 - beta2.
    pub one_minus_beta_2: T,
    /// Added to the root, multiplied by the correction of the root.
    pub epsilon: T,
    /// What is taken off a parameter first, as a share of it: r times the weight decay.
    pub decay: T,
}

/// Adam with Nesterov's look ahead (Dozat 2016, as `keras/src/optimizers/nadam.py`):
/// w -= decay w; m += (g - m)(1 - beta1); v += (g^2 - v)(1 - beta2);
/// w -= (of_momentum m + of_gradient g) / (sqrt(v) + epsilon).
pub fn nadam<T: Scalar>(w: &mut [T], m: &mut [T], v: &mut [T], g: &[T], constants: Nadam<T>) {
    assert!(w.len() == g.len() && m.len() == g.len() && v.len() == g.len(), "parameters, state and gradient");
    decay_weights(w, constants.decay);
    T::nadam(NadamUpdate { w, m, v, g, constants });
}

pub(crate) struct NadamUpdate<'a, T> {
    w: &'a mut [T],
    m: &'a mut [T],
    v: &'a mut [T],
    g: &'a [T],
    constants: Nadam<T>,
}

impl<T: Scalar> Kernel for NadamUpdate<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Nadam { of_momentum, of_gradient, one_minus_beta_1, one_minus_beta_2, epsilon, decay: _ } =
            self.constants;
        for (((w, m), v), &g) in self.w.iter_mut().zip(self.m).zip(self.v).zip(self.g) {
            let mean = flushed(I::fma(g - *m, one_minus_beta_1, *m));
            let square = flushed(I::fma(I::fma(g, g, -*v), one_minus_beta_2, *v));
            *m = mean;
            *v = square;
            *w -= I::fma(of_momentum, mean, of_gradient * g) / (square.sqrt() + epsilon);
        }
    }
}
