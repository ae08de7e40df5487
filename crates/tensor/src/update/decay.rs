//! Weight decay, which the updates share.

use crate::Scalar;
use crate::kernels::decay::Decay;

/// Weight decay apart from the gradient (`_apply_weight_decay` in `keras/src/optimizers/base_optimizer.py`): w -= decay w,
/// nothing if decay is 0. The updates below begin with it.
pub(super) fn decay_weights<T: Scalar>(w: &mut [T], decay: T) {
    if decay != T::zero() {
        T::decay(Decay { w, decay });
    }
}
