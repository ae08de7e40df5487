//! The products of [`super`], on the calling thread.

mod forward;
mod outer;
mod transposed;

use std::ops::Range;

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, CowArray, Ix2};

use crate::kernels::destination::To;
use crate::scratch;
use crate::tile::RightOperand;
use crate::update::Parameters;
use crate::{Activation, Scalar};

use forward::{Layer, forward};

/// Returns the matrix in C order. It is copied only if it is not in C order.
fn in_c_order<'a, T: Scalar>(matrix: &'a ArrayView2<'a, T>) -> CowArray<'a, T, Ix2> {
    matrix.as_standard_layout()
}

/// Computes y = f(x W + b), as [`super::affine`].
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
    assert_eq!(x.ncols(), kernel.nrows(), "columns of x and rows of the kernel");
    assert_eq!(y.dim(), (x.nrows(), kernel.ncols()), "the result's shape");
    assert!(bias.is_none_or(|bias| bias.len() == kernel.ncols()), "the bias's length");
    let (x, kernel) = (in_c_order(&x), in_c_order(&kernel));
    let bias = bias.as_ref().map(|bias| bias.as_standard_layout());
    let (rows, columns) = y.dim();
    let layer = Layer {
        samples: rows,
        inputs: x.ncols(),
        outputs: columns,
        x: x.as_slice().expect("C order"),
        kernel: RightOperand::Rows(kernel.as_slice().expect("C order")),
        bias: bias.as_ref().map(|bias| bias.as_slice().expect("C order")),
        activation,
    };
    match y.as_slice_mut() {
        Some(y) => scratch::with(|scratch| forward(layer, y, scratch)),
        None => {
            let mut result = vec![T::zero(); rows * columns];
            scratch::with(|scratch| forward(layer, &mut result, scratch));
            y.iter_mut().zip(result).for_each(|(y, value)| *y = value);
        }
    }
}

/// Computes c = a Wᵀ, as [`super::matmul_nt`].
///
/// # Panics
/// If the shapes do not fit together.
pub fn matmul_nt<T: Scalar>(a: ArrayView2<'_, T>, kernel: ArrayView2<'_, T>, mut c: ArrayViewMut2<'_, T>) {
    assert_eq!(a.ncols(), kernel.ncols(), "columns of a and of the kernel");
    assert_eq!(c.dim(), (a.nrows(), kernel.nrows()), "the result's shape");
    let (a, kernel) = (in_c_order(&a), in_c_order(&kernel));
    let (a, kernel) = (a.as_slice().expect("C order"), kernel.as_slice().expect("C order"));
    let (batch, inputs) = c.dim();
    match c.as_slice_mut() {
        Some(c) => transposed::transposed(batch, inputs, a, kernel, c),
        None => {
            let mut result = vec![T::zero(); batch * inputs];
            transposed::transposed(batch, inputs, a, kernel, &mut result);
            c.iter_mut().zip(result).for_each(|(c, value)| *c = value);
        }
    }
}

/// Computes the rows `rows` of c = xᵀ d, \[I, O\], and passes them to `sink` in ascending order.
///
/// Each call of `sink` gets the index of a row, and the elements of this row and possibly of following rows, in C order.
///
/// # Panics
/// If the shapes do not fit together or `rows` exceeds the columns of `x`.
pub fn matmul_tn<T: Scalar>(
    x: ArrayView2<'_, T>,
    d: ArrayView2<'_, T>,
    rows: Range<usize>,
    sink: &mut dyn FnMut(usize, &[T]),
) {
    product_tn(x, d, rows, To::Sink(sink));
}

/// Computes the rows `rows` of the gradient xᵀ d and updates `parameters` by them with Adam, without storing the whole
/// gradient.
///
/// `parameters` are the rows `rows` of the matrix of parameters, \[rows.len(), O\].
///
/// # Panics
/// Under the conditions of [`matmul_tn`], and if the parameters have a different shape or rows that are not contiguous.
pub fn matmul_tn_adam<T: Scalar>(
    x: ArrayView2<'_, T>,
    d: ArrayView2<'_, T>,
    rows: Range<usize>,
    parameters: Parameters<'_, T>,
) {
    parameters.check(rows.len(), d.ncols());
    product_tn(x, d, rows, To::Adam(parameters));
}

fn product_tn<T: Scalar>(x: ArrayView2<'_, T>, d: ArrayView2<'_, T>, rows: Range<usize>, to: To<'_, T>) {
    assert_eq!(x.nrows(), d.nrows(), "samples of both operands");
    assert!(rows.start <= rows.end && rows.end <= x.ncols(), "rows {rows:?} of {}", x.ncols());
    let (x, d) = (in_c_order(&x), in_c_order(&d));
    let (batch, outputs) = d.dim();
    let (x, d) = (x.as_slice().expect("C order"), d.as_slice().expect("C order"));
    outer::outer_products(x, d, batch, outputs, rows, to);
}
