//! Stochastic gradient descent, without and with momentum.

use super::decay::decay_weights;
use crate::Scalar;
use crate::kernels::sgd::{MomentumUpdate, SgdUpdate};

pub use crate::kernels::sgd::Momentum;

/// Updates parameters by one step of stochastic gradient descent (as in `keras/src/optimizers/sgd.py`): w -= decay w; w -= r g.
///
/// # Panics
/// If the lengths differ.
pub fn sgd<T: Scalar>(w: &mut [T], g: &[T], learning_rate: T, decay: T) {
    assert_eq!(w.len(), g.len(), "parameters and gradient");
    decay_weights(w, decay);
    T::sgd(SgdUpdate { w, g, learning_rate });
}

/// Updates parameters by one step of gradient descent with momentum: w -= decay w; m = mu m - r g; then w += m, or with Nesterov
/// momentum w += mu m - r g.
///
/// # Panics
/// If the lengths differ.
pub fn momentum<T: Scalar>(w: &mut [T], m: &mut [T], g: &[T], constants: Momentum<T>) {
    assert!(w.len() == g.len() && m.len() == g.len(), "parameters, state and gradient");
    decay_weights(w, constants.decay);
    T::momentum(MomentumUpdate { w, m, g, constants });
}
