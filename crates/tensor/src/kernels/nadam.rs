//! Adam with Nesterov momentum.

use crate::float::Float;
use crate::isa::{Isa, Kernel};

use super::decay::flushed;

/// The constants of [`nadam`](crate::update::nadam).
#[derive(Clone, Copy, Debug)]
pub struct Nadam<T> {
    /// The factor of m in a step. It includes the learning rate and the bias corrections of m and v.
    pub of_momentum: T,
    /// The factor of g in a step.
    pub of_gradient: T,
    /// 1 - beta1.
    pub one_minus_beta_1: T,
    /// 1 - beta2.
    pub one_minus_beta_2: T,
    /// Added to the root, multiplied by the correction of the root.
    pub epsilon: T,
    /// The share of a parameter that the update subtracts first: r times the weight decay.
    pub decay: T,
}

pub(crate) struct NadamUpdate<'a, T> {
    pub(crate) w: &'a mut [T],
    pub(crate) m: &'a mut [T],
    pub(crate) v: &'a mut [T],
    pub(crate) g: &'a [T],
    pub(crate) constants: Nadam<T>,
}

impl<T: Float> Kernel for NadamUpdate<'_, T> {
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
