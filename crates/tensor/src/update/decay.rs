//! What the updates share: weight decay, and setting a decayed state to zero.

use crate::Scalar;
use crate::isa::{Isa, Kernel};

/// Weight decay apart from the gradient (`_apply_weight_decay` in `keras/src/optimizers/base_optimizer.py`): w -= decay w,
/// nothing if decay is 0. The updates below begin with it.
pub(super) fn decay_weights<T: Scalar>(w: &mut [T], decay: T) {
    if decay != T::zero() {
        T::decay(Decay { w, decay });
    }
}

pub(crate) struct Decay<'a, T> {
    w: &'a mut [T],
    decay: T,
}

impl<T: Scalar> Kernel for Decay<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for w in self.w {
            *w = I::fma(-self.decay, *w, *w);
        }
    }
}

/// Zero for a number below [`Scalar::TINY`]; NaN stays.
#[inline(always)]
pub(super) fn flushed<T: Scalar>(x: T) -> T {
    if x.abs() < T::TINY { T::zero() } else { x }
}
