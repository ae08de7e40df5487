//! Weight decay, and flushing small numbers of an optimizer's state to zero.

use crate::float::Float;
use crate::isa::{Isa, Kernel};

/// w -= decay w.
pub(crate) struct Decay<'a, T> {
    pub(crate) w: &'a mut [T],
    pub(crate) decay: T,
}

impl<T: Float> Kernel for Decay<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for w in self.w {
            *w = I::fma(-self.decay, *w, *w);
        }
    }
}

/// Returns zero if the magnitude of `x` is below [`Float::TINY`], otherwise `x`. NaN stays NaN.
#[inline(always)]
pub(crate) fn flushed<T: Float>(x: T) -> T {
    if x.abs() < T::TINY { T::zero() } else { x }
}
