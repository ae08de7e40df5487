//! RMSprop.

use super::decay::decay_weights;
use crate::Scalar;
use crate::kernels::rmsprop::RmsPropUpdate;

pub use crate::kernels::rmsprop::RmsProp;

/// The state of [`rmsprop`].
#[derive(Debug)]
pub struct RmsPropState<'a, T> {
    /// v, the average of the gradients' squares.
    pub velocity: &'a mut [T],
    /// m, the average of the last steps, for an update with momentum.
    pub momentum: Option<&'a mut [T]>,
    /// a, the average of the gradients, for a centered update.
    pub average_gradient: Option<&'a mut [T]>,
}

/// RMSprop (`keras/src/optimizers/rmsprop.py`):
/// w -= decay w; v = rho v + (1 - rho) g^2; w -= s with s = r g / sqrt(v + epsilon).
///
/// Centered, a = rho a + (1 - rho) g and v - a^2 is in the root in the place of v; where rounding makes it negative, it is 0.
/// With momentum, m = mu m + s and w -= m.
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
