//! The gradient with respect to the input, c = a Wᵀ, on slices.

use crate::Scalar;
use crate::kernels::transposed::Transposed;
use crate::scratch;

/// Computes [`super::matmul_nt`] on slices in C order: a \[B, O\], the kernel \[I, O\], c \[B, I\].
pub(super) fn transposed<T: Scalar>(batch: usize, inputs: usize, a: &[T], kernel: &[T], c: &mut [T]) {
    if batch == 0 || inputs == 0 {
        return;
    }
    scratch::with(|scratch| T::transposed(Transposed { batch, inputs, a, kernel, c, scratch }));
}
