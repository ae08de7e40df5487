//! Adam with Nesterov momentum.

use crate::float::Float;
use crate::isa::{Isa, Kernel};

use super::decay::flushed;

/// The constants of a step of [`nadam`](crate::update::nadam).
#[derive(Clone, Copy, Debug)]
pub struct Nadam<T> {
    /// The coefficient of m in the step. It includes the learning rate and the bias corrections of m and v.
    pub of_momentum: T,
    /// The coefficient of g in the step, which includes the same.
    pub of_gradient: T,
    /// 1 - beta1.
    pub one_minus_beta_1: T,
    /// 1 - beta2.
    pub one_minus_beta_2: T,
    /// Added to the square root of v. It includes the bias correction of the root.
    pub epsilon: T,
    /// The learning rate times the weight decay: the fraction of each parameter that is subtracted before the step.
    pub decay: T,
}

/// One step of Nadam, without weight decay.
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
