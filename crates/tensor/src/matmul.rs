//! Matrix products in the three orientations that a dense layer needs.
//!
//! | function | product | shapes | used for |
//! |---|---|---|---|
//! | [`affine`] | y = f(x W + b) | x \[B, I\], W \[I, O\], b \[O\], y \[B, O\] | forward pass |
//! | [`matmul_nt`] | c = a Wᵀ | a \[B, O\], W \[I, O\], c \[B, I\] | gradient with respect to the input |
//! | [`matmul_tn`] | c = xᵀ d | x \[B, I\], d \[B, O\], c \[I, O\] | gradient with respect to the kernel |
//!
//! These functions divide large products among rayon's threads. The functions of [`serial`] compute the same products on the
//! calling thread, for callers that have divided the work already. Both give the same bits.

use ndarray::parallel::prelude::*;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Axis};

use crate::{Activation, Scalar};

pub mod serial;

/// The number of floating-point operations from which a product is divided among threads.
///
/// Waking a sleeping thread of rayon takes 20 to 40 microseconds. A core does about 4 million operations in this time.
const PARALLEL_FLOP: usize = 8_000_000;

/// The number of rows of the result in a rayon task: whole tiles of every instruction set.
const TASK_ROWS: usize = 48;

/// Whether a product \[rows, depth\] \[depth, columns\] is divided among threads.
fn is_worth_splitting(rows: usize, depth: usize, columns: usize) -> bool {
    rows > TASK_ROWS && 2 * rows * depth * columns >= PARALLEL_FLOP
}

/// Computes y = f(x W + b), where f is elementwise or a softmax by row. Shapes: x \[B, I\], W \[I, O\], b \[O\], y \[B, O\].
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
    y.axis_chunks_iter_mut(Axis(0), TASK_ROWS)
        .into_par_iter()
        .zip(x.axis_chunks_iter(Axis(0), TASK_ROWS))
        .for_each(|(y, x)| serial::affine(x, kernel, bias, activation, y));
}

/// Computes c = a Wᵀ. Shapes: a \[B, O\], W \[I, O\], c \[B, I\].
///
/// # Panics
/// If the shapes do not fit together.
pub fn matmul_nt<T: Scalar>(a: ArrayView2<'_, T>, kernel: ArrayView2<'_, T>, mut c: ArrayViewMut2<'_, T>) {
    if !is_worth_splitting(a.nrows(), a.ncols(), kernel.nrows()) {
        return serial::matmul_nt(a, kernel, c);
    }
    c.axis_chunks_iter_mut(Axis(0), TASK_ROWS)
        .into_par_iter()
        .zip(a.axis_chunks_iter(Axis(0), TASK_ROWS))
        .for_each(|(c, a)| serial::matmul_nt(a, kernel, c));
}

/// Computes c = xᵀ d. Shapes: x \[B, I\], d \[B, O\], c \[I, O\].
///
/// # Panics
/// If the shapes do not fit together.
pub fn matmul_tn<T: Scalar>(x: ArrayView2<'_, T>, d: ArrayView2<'_, T>, mut c: ArrayViewMut2<'_, T>) {
    assert_eq!(c.dim(), (x.ncols(), d.ncols()), "the result's shape");
    if !is_worth_splitting(x.ncols(), x.nrows(), d.ncols()) {
        serial::matmul_tn(x, d, 0..x.ncols(), &mut |row, values: &[T]| fill_rows(&mut c, row, values));
        return;
    }
    c.axis_chunks_iter_mut(Axis(0), TASK_ROWS).into_par_iter().enumerate().for_each(|(task, mut c)| {
        let first = task * TASK_ROWS;
        let rows = first..first + c.nrows();
        serial::matmul_tn(x, d, rows, &mut |row, values: &[T]| fill_rows(&mut c, row - first, values));
    });
}

/// Copies `values` to the rows of `c` from `first` on.
fn fill_rows<T: Scalar>(c: &mut ArrayViewMut2<'_, T>, first: usize, values: &[T]) {
    let columns = c.ncols();
    for (row, values) in values.chunks_exact(columns).enumerate() {
        c.row_mut(first + row).iter_mut().zip(values).for_each(|(c, &value)| *c = value);
    }
}
