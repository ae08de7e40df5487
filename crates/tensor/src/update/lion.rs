//! Lion.

use super::decay::decay_weights;
use crate::Scalar;
use crate::kernels::lion::LionUpdate;

pub use crate::kernels::lion::Lion;

/// Updates parameters by one step of Lion (Chen and others 2023, as in `keras/src/optimizers/lion.py`):
/// w -= decay w; w -= r sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g. The sign of 0 is 0.
///
/// # Panics
/// If the lengths differ.
pub fn lion<T: Scalar>(w: &mut [T], m: &mut [T], g: &[T], constants: Lion<T>) {
    assert!(w.len() == g.len() && m.len() == g.len(), "parameters, state and gradient");
    decay_weights(w, constants.decay);
    T::lion(LionUpdate { w, m, g, constants });
}
