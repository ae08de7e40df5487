//! Stochastic gradient descent, plain and with momentum.

use crate::float::Float;
use crate::isa::{Isa, Kernel};

use super::decay::flushed;

pub(crate) struct SgdUpdate<'a, T> {
    pub(crate) w: &'a mut [T],
    pub(crate) g: &'a [T],
    pub(crate) learning_rate: T,
}

impl<T: Float> Kernel for SgdUpdate<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for (w, &g) in self.w.iter_mut().zip(self.g) {
            *w = I::fma(-self.learning_rate, g, *w);
        }
    }
}

/// The constants of [`momentum`](crate::update::momentum).
#[derive(Clone, Copy, Debug)]
pub struct Momentum<T> {
    /// r, the learning rate.
    pub learning_rate: T,
    /// mu, the share of the last step that stays in the next one.
    pub momentum: T,
    /// Whether the step looks ahead as Nesterov's does.
    pub nesterov: bool,
    /// The share of a parameter that the update subtracts first: r times the weight decay.
    pub decay: T,
}

pub(crate) struct MomentumUpdate<'a, T> {
    pub(crate) w: &'a mut [T],
    pub(crate) m: &'a mut [T],
    pub(crate) g: &'a [T],
    pub(crate) constants: Momentum<T>,
}

impl<T: Float> Kernel for MomentumUpdate<'_, T> {
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
