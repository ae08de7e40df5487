//! The activations of a dense layer and their derivatives, applied.

use super::Activation;
use crate::Scalar;
use crate::kernels::activation::{Apply, Backward};
use crate::softmax;

impl Activation {
    /// Replaces z by f(z), in rows of `columns` numbers.
    pub fn apply<T: Scalar>(self, z: &mut [T], columns: usize) {
        match self {
            Self::Linear => {}
            Self::Softmax => softmax::softmax(z, columns),
            _ => T::activation(Apply { activation: self, z }),
        }
    }

    /// Replaces the gradient by y = f(z) by the gradient by z, in rows of `columns` numbers. `of` is y, or z for an activation
    /// that [needs it](Self::needs_input).
    ///
    /// relu' = \[y > 0\], sigmoid' = y (1 - y), tanh' = 1 - y^2, and for softmax d_z = y (d_y - sum(d_y y)).
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn backward<T: Scalar>(self, of: &[T], d: &mut [T], columns: usize) {
        assert_eq!(of.len(), d.len(), "outputs and their gradients");
        match self {
            Self::Linear => {}
            Self::Softmax => softmax::softmax_backward(of, d, columns),
            _ => T::activation_backward(Backward { activation: self, of, d }),
        }
    }
}
