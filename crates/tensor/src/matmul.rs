//! Matrix products in the three orientations that a dense layer needs.
//!
//! | function | product | shapes | used for |
//! |---|---|---|---|
//! | [`affine`] | y = f(x W + b) | x \[B, I\], W \[I, O\], b \[O\], y \[B, O\] | forward |
//! | [`matmul_nt`] | c = a Wᵀ | a \[B, O\], W \[I, O\], c \[B, I\] | gradient by the input |
//! | [`matmul_tn`] | c = xᵀ d | x \[B, I\], d \[B, O\], c \[I, O\] | gradient by the kernel |
//!
//! These split their work over rayon's threads when there is enough of it. [`serial`] has the same on the calling
//! thread alone, for a caller that has split the work already. Both give the same bits.

use ndarray::parallel::prelude::*;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Axis};

use crate::{Activation, Scalar};

pub mod serial;

/// Floating-point operations below which a product stays on one thread.
///
/// Waking a sleeping worker of rayon takes some 20 to 40 microseconds, in which a core does about 4 million operations.
const PARALLEL_FLOP: usize = 8_000_000;

/// Rows of the result in one piece of parallel work: some tiles of every instruction set.
const PIECE: usize = 48;

fn is_worth_splitting(rows: usize, depth: usize, columns: usize) -> bool {
    rows > PIECE && 2 * rows * depth * columns >= PARALLEL_FLOP
}

/// y = f(x W + b), with f elementwise or a softmax by row.
///
/// # Panics
/// If the shapes do not fit together.
pub fn affine<T: Scalar>(
    x: ArrayView2<'_, T>,
    kernel: ArrayView2<'_, T>,
    bias: Option<ArrayView1<'_, T>>,
    activation: Activation,
    mut y: ArrayViewMut2<'_, T>,
) {
    if !is_worth_splitting(x.nrows(), x.ncols(), kernel.ncols()) {
        return serial::affine(x, kernel, bias, activation, y);
    }
    y.axis_chunks_iter_mut(Axis(0), PIECE)
        .into_par_iter()
        .zip(x.axis_chunks_iter(Axis(0), PIECE))
        .for_each(|(y, x)| serial::affine(x, kernel, bias, activation, y));
}

/// c = a Wᵀ.
///
/// # Panics
/// If the shapes do not fit together.
pub fn matmul_nt<T: Scalar>(a: ArrayView2<'_, T>, kernel: ArrayView2<'_, T>, mut c: ArrayViewMut2<'_, T>) {
    if !is_worth_splitting(a.nrows(), a.ncols(), kernel.nrows()) {
        return serial::matmul_nt(a, kernel, c);
    }
    c.axis_chunks_iter_mut(Axis(0), PIECE)
        .into_par_iter()
        .zip(a.axis_chunks_iter(Axis(0), PIECE))
        .for_each(|(c, a)| serial::matmul_nt(a, kernel, c));
}

/// c = xᵀ d.
///
/// # Panics
/// If the shapes do not fit together.
pub fn matmul_tn<T: Scalar>(x: ArrayView2<'_, T>, d: ArrayView2<'_, T>, mut c: ArrayViewMut2<'_, T>) {
    assert_eq!(c.dim(), (x.ncols(), d.ncols()), "the result's shape");
    if !is_worth_splitting(x.ncols(), x.nrows(), d.ncols()) {
        serial::matmul_tn(x, d, 0..x.ncols(), &mut |row, values: &[T]| fill_rows(&mut c, row, values));
        return;
    }
    c.axis_chunks_iter_mut(Axis(0), PIECE).into_par_iter().enumerate().for_each(|(piece, mut c)| {
        let first = piece * PIECE;
        let rows = first..first + c.nrows();
        serial::matmul_tn(x, d, rows, &mut |row, values: &[T]| fill_rows(&mut c, row - first, values));
    });
}

fn fill_rows<T: Scalar>(c: &mut ArrayViewMut2<'_, T>, first: usize, values: &[T]) {
    let columns = c.ncols();
    for (row, values) in values.chunks_exact(columns).enumerate() {
        c.row_mut(first + row).iter_mut().zip(values).for_each(|(c, &value)| *c = value);
    }
}
