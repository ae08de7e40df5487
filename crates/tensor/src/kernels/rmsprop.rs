//! RMSprop.

use crate::float::Float;
use crate::isa::{Isa, Kernel};

use super::decay::flushed;

/// The constants of a step of [`rmsprop`](crate::update::rmsprop).
#[derive(Clone, Copy, Debug)]
pub struct RmsProp<T> {
    /// r, the learning rate.
    pub learning_rate: T,
    /// The decay rate of the moving averages.
    pub rho: T,
    /// mu, the fraction of the previous step that is added to the next one. It has no effect without a momentum state.
    pub momentum: T,
    /// Added under the square root.
    pub epsilon: T,
    /// Whether the step is divided by the root of the gradient's variance instead of its mean square.
    pub centered: bool,
    /// r times the weight decay: the fraction of each parameter that is subtracted before the step.
    pub decay: T,
}

/// One step of RMSprop, without weight decay.
pub(crate) struct RmsPropUpdate<'a, T> {
    pub(crate) w: &'a mut [T],
    pub(crate) v: &'a mut [T],
    pub(crate) m: Option<&'a mut [T]>,
    pub(crate) a: Option<&'a mut [T]>,
    pub(crate) g: &'a [T],
    pub(crate) constants: RmsProp<T>,
}

impl<T: Float> RmsProp<T> {
    /// Updates the moving average v of the squared gradients with g and returns it.
    #[inline(always)]
    fn mean_square<I: Isa>(&self, v: &mut T, g: T) -> T {
        *v = flushed(I::fma(self.rho, *v, (T::one() - self.rho) * (g * g)));
        *v
    }

    /// Updates the moving averages v and a with g and returns the variance of the gradient, at least 0.
    #[inline(always)]
    fn variance<I: Isa>(&self, v: &mut T, a: &mut T, g: T) -> T {
        let square = self.mean_square::<I>(v, g);
        *a = flushed(I::fma(self.rho, *a, (T::one() - self.rho) * g));
        let variance = I::fma(-*a, *a, square);
        if variance < T::zero() { T::zero() } else { variance }
    }

    /// Returns r g / sqrt(under_root + epsilon).
    #[inline(always)]
    fn step(&self, under_root: T, g: T) -> T {
        self.learning_rate * g / (under_root + self.epsilon).sqrt()
    }

    /// Updates the momentum m with a step and returns it.
    #[inline(always)]
    fn with_momentum<I: Isa>(&self, m: &mut T, step: T) -> T {
        *m = flushed(I::fma(self.momentum, *m, step));
        *m
    }
}

impl<T: Float> Kernel for RmsPropUpdate<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { w, v, m, a, g, constants } = self;
        let all = w.iter_mut().zip(v).zip(g);
        match (m, a) {
            (None, None) => {
                for ((w, v), &g) in all {
                    *w -= constants.step(constants.mean_square::<I>(v, g), g);
                }
            }
            (Some(m), None) => {
                for (((w, v), &g), m) in all.zip(m) {
                    let step = constants.step(constants.mean_square::<I>(v, g), g);
                    *w -= constants.with_momentum::<I>(m, step);
                }
            }
            (None, Some(a)) => {
                for (((w, v), &g), a) in all.zip(a) {
                    *w -= constants.step(constants.variance::<I>(v, a, g), g);
                }
            }
            (Some(m), Some(a)) => {
                for ((((w, v), &g), m), a) in all.zip(m).zip(a) {
                    let step = constants.step(constants.variance::<I>(v, a, g), g);
                    *w -= constants.with_momentum::<I>(m, step);
                }
            }
        }
    }
}
