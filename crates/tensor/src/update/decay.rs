//! Weight decay, which most updates begin with.

use crate::Scalar;
use crate::kernels::decay::Decay;

/// Applies decoupled weight decay (`_apply_weight_decay` in `keras/src/optimizers/base_optimizer.py`): w -= decay w. If decay
/// is 0, it does nothing.
pub(super) fn decay_weights<T: Scalar>(w: &mut [T], decay: T) {
    if decay != T::zero() {
        T::decay(Decay { w, decay });
    }
}
