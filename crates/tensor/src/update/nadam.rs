//! Adam with Nesterov momentum.

use super::decay::decay_weights;
use crate::Scalar;
use crate::kernels::nadam::NadamUpdate;

pub use crate::kernels::nadam::Nadam;

/// Updates parameters by one step of Adam with Nesterov momentum (Dozat 2016, as in `keras/src/optimizers/nadam.py`):
/// w -= decay w; m += (g - m)(1 - beta1); v += (g^2 - v)(1 - beta2);
/// w -= (of_momentum m + of_gradient g) / (sqrt(v) + epsilon).
///
/// # Panics
/// If the lengths differ.
pub fn nadam<T: Scalar>(w: &mut [T], m: &mut [T], v: &mut [T], g: &[T], constants: Nadam<T>) {
    assert!(w.len() == g.len() && m.len() == g.len() && v.len() == g.len(), "parameters, state and gradient");
    decay_weights(w, constants.decay);
    T::nadam(NadamUpdate { w, m, v, g, constants });
}
