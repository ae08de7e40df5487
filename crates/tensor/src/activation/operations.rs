//! The application of activations and of their derivatives.

use super::Activation;
use crate::Scalar;
use crate::kernels::activation::{Apply, Backward};
use crate::softmax;

impl Activation {
    /// Replaces z by f(z). `z` consists of rows of `columns` numbers, which only softmax distinguishes.
    ///
    /// # Panics
    /// For softmax, if the length of `z` is not a multiple of `columns`.
    pub fn apply<T: Scalar>(self, z: &mut [T], columns: usize) {
        match self {
            Self::Linear => {}
            Self::Softmax => softmax::softmax(z, columns),
            _ => T::activation(Apply { activation: self, z }),
        }
    }

    /// Replaces the gradient `d` with respect to y = f(z) by the gradient with respect to z: d_z = d_y f'(z), and for softmax
    /// d_z = y (d_y - sum(d_y y)) by row.
    ///
    /// `of` is z for an activation that [needs it](Self::needs_input), and y for all others. For example, relu' = \[y > 0\],
    /// sigmoid' = y (1 - y) and tanh' = 1 - y^2. Both slices consist of rows of `columns` numbers, which only softmax
    /// distinguishes.
    ///
    /// # Panics
    /// If the lengths differ, or, for softmax, are not a multiple of `columns`.
    pub fn backward<T: Scalar>(self, of: &[T], d: &mut [T], columns: usize) {
        assert_eq!(of.len(), d.len(), "outputs and their gradients");
        match self {
            Self::Linear => {}
            Self::Softmax => softmax::softmax_backward(of, d, columns),
            _ => T::activation_backward(Backward { activation: self, of, d }),
        }
    }
}
