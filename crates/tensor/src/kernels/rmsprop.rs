//! RMSprop.

use crate::float::Float;
use crate::isa::{Isa, Kernel};

use super::decay::flushed;

/// The constants of [`rmsprop`](crate::update::rmsprop).
#[derive(Clone, Copy, Debug)]
pub struct RmsProp<T> {
    /// r, the learning rate.
    pub learning_rate: T,
    /// The share of the averages that stays.
    pub rho: T,
    /// mu, the share of the last step that stays in the next one. It has no effect without a state for it.
    pub momentum: T,
    /// Added under the root.
    pub epsilon: T,
    /// Whether the root is that of the variance instead of the mean square.
    pub centered: bool,
    /// The share of a parameter that the update subtracts first: r times the weight decay.
    pub decay: T,
}

pub(crate) struct RmsPropUpdate<'a, T> {
    pub(crate) w: &'a mut [T],
    pub(crate) v: &'a mut [T],
    pub(crate) m: Option<&'a mut [T]>,
    pub(crate) a: Option<&'a mut [T]>,
    pub(crate) g: &'a [T],
    pub(crate) constants: RmsProp<T>,
}

impl<T: Float> RmsProp<T> {
    /// The average of the squares after g, which is also stored.
    #[inline(always)]
    fn square<I: Isa>(&self, v: &mut T, g: T) -> T {
        *v = flushed(I::fma(self.rho, *v, (T::one() - self.rho) * (g * g)));
        *v
    }

    /// The variance after g.
    #[inline(always)]
    fn variance<I: Isa>(&self, v: &mut T, a: &mut T, g: T) -> T {
        let square = self.square::<I>(v, g);
        *a = flushed(I::fma(self.rho, *a, (T::one() - self.rho) * g));
        let variance = I::fma(-*a, *a, square);
        if variance < T::zero() { T::zero() } else { variance }
    }

    #[inline(always)]
    fn step(&self, under_root: T, g: T) -> T {
        self.learning_rate * g / (under_root + self.epsilon).sqrt()
    }

    /// The step plus the share of the last ones that stays, which is also stored.
    #[inline(always)]
    fn kept<I: Isa>(&self, m: &mut T, step: T) -> T {
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
                    *w -= constants.step(constants.square::<I>(v, g), g);
                }
            }
            (Some(m), None) => {
                for (((w, v), &g), m) in all.zip(m) {
                    let step = constants.step(constants.square::<I>(v, g), g);
                    *w -= constants.kept::<I>(m, step);
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
                    *w -= constants.kept::<I>(m, step);
                }
            }
        }
    }
}
