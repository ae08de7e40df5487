//! Stochastic gradient descent, without and with momentum.

use crate::float::Float;
use crate::isa::{Isa, Kernel};

use super::decay::flushed;

/// w -= r g.
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

/// The constants of a step of [`momentum`](crate::update::momentum).
#[derive(Clone, Copy, Debug)]
pub struct Momentum<T> {
    /// r, the learning rate.
    pub learning_rate: T,
    /// mu, the fraction of the previous step that is added to the next one.
    pub momentum: T,
    /// Whether the step is that of Nesterov's momentum.
    pub nesterov: bool,
    /// r times the weight decay: the fraction of each parameter that is subtracted before the step.
    pub decay: T,
}

/// One step with momentum, without weight decay.
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
