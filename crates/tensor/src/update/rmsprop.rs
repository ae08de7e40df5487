//! RMSprop.

use super::decay::decay_weights;
use crate::Scalar;
use crate::kernels::rmsprop::RmsPropUpdate;

pub use crate::kernels::rmsprop::RmsProp;

/// The state of [`rmsprop`].
#[derive(Debug)]
pub struct RmsPropState<'a, T> {
    /// v, the moving average of the squared gradients.
    pub velocity: &'a mut [T],
    /// m, the momentum of the steps, for an update with momentum.
    pub momentum: Option<&'a mut [T]>,
    /// a, the moving average of the gradients, for a centered update.
    pub average_gradient: Option<&'a mut [T]>,
}

/// Updates parameters by one step of RMSprop (as in `keras/src/optimizers/rmsprop.py`):
/// w -= decay w; v = rho v + (1 - rho) g^2; w -= s with s = r g / sqrt(v + epsilon).
///
/// A centered update also computes a = rho a + (1 - rho) g, and uses v - a^2 instead of v under the root. If rounding makes this
/// difference negative, it uses 0. An update with momentum computes m = mu m + s and w -= m.
///
/// # Panics
/// If the lengths differ, or `state` has an average of the gradients without `constants.centered` or the reverse.
pub fn rmsprop<T: Scalar>(w: &mut [T], state: RmsPropState<'_, T>, g: &[T], constants: RmsProp<T>) {
    let RmsPropState { velocity: v, momentum: m, average_gradient: a } = state;
    let fits = |state: &Option<&mut [T]>| state.as_ref().is_none_or(|state| state.len() == g.len());
    assert!(
        w.len() == g.len() && v.len() == g.len() && fits(&m) && fits(&a) && a.is_some() == constants.centered,
        "parameters, state and gradient"
    );
    decay_weights(w, constants.decay);
    T::rmsprop(RmsPropUpdate { w, v, m, a, g, constants });
}
