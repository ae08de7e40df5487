//! Matrix products whose left operand consists of pixel bytes, most of which are zero.
//!
//! A byte p stands for the number p / 255. Four fifths of the pixels of MNIST are zero. The sparse kernels find the nonzero
//! pixels by bit masks and multiply only these. Skipping a zero changes no bit: `fma(0, w, sum)` is `sum` for every finite w,
//! except for the sign of a zero sum, which every kernel of the crate removes at the end. So the result is that of
//! [`crate::matmul`] on p / 255. If too few pixels are zero for the sparse kernels to be faster, the bytes are converted to
//! numbers and multiplied by the dense kernels, with the same result.

use std::ops::Range;

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};

use crate::isa;
use crate::kernels::destination::To;
use crate::kernels::pixels_forward::Forward;
use crate::kernels::pixels_mask::{self, ByColumn};
use crate::kernels::pixels_outer::Outer;
use crate::matmul::serial;
use crate::scratch::{self, Scratch, at_least};
use crate::update::Parameters;
use crate::{Activation, Scalar};

/// The fraction of nonzero pixels above which a product uses the dense kernels.
///
/// Measured with 32 samples of 784 random pixels and 128 outputs, both kernels take the same time at these fractions: with
/// AVX-512 about 0.77 for both products (49 us and 48 us), with AVX2 on the same processor about 0.8 for [`affine`] and 0.57
/// for [`matmul_tn`] (80 us and 77 us), on Zen 3 about 0.77. At 0.19, the fraction of MNIST, the sparse kernels take 15 us with
/// AVX-512 and 22 to 26 us with AVX2.
const MAX_SPARSE_FRACTION: f64 = 0.75;

/// Converts pixel bytes to numbers, p / 255.
///
/// # Panics
/// If the lengths differ.
pub fn to_real<T: Scalar>(pixels: &[u8], real: &mut [T]) {
    assert_eq!(pixels.len(), real.len(), "pixels and numbers");
    let table = T::pixels();
    real.iter_mut().zip(pixels).for_each(|(x, &pixel)| *x = table[usize::from(pixel)]);
}

/// Whether the elements of each row are contiguous.
pub(crate) fn has_contiguous_rows<T>(matrix: ArrayView2<'_, T>) -> bool {
    matrix.is_empty() || matrix.ncols() == 1 || matrix.strides()[1] == 1
}

/// Whether so many of `pixels` pixels are nonzero that the dense kernels are faster.
fn is_dense(masks: &[u64], pixels: usize) -> bool {
    let nonzero: usize = masks.iter().map(|mask| mask.count_ones() as usize).sum();
    nonzero as f64 > MAX_SPARSE_FRACTION * pixels as f64
}

/// Computes y = f(x W + b) with x = pixels / 255, on the calling thread.
///
/// Shapes: pixels \[B, I\], W \[I, O\], b \[O\], y \[B, O\]. W, b and y may be some columns of larger arrays, unless f is a
/// softmax, which needs all columns.
///
/// # Panics
/// If the shapes do not fit together, the pixels are not in C order, or the rows of W or y or the bias are not contiguous.
pub fn affine<T: Scalar>(
    pixels: ArrayView2<'_, u8>,
    kernel: ArrayView2<'_, T>,
    bias: ArrayView1<'_, T>,
    activation: Activation,
    mut y: ArrayViewMut2<'_, T>,
) {
    let (samples, inputs) = pixels.dim();
    let outputs = kernel.ncols();
    assert_eq!(kernel.nrows(), inputs, "pixels of a sample and rows of the kernel");
    assert_eq!(y.dim(), (samples, outputs), "the result's shape");
    assert_eq!(bias.len(), outputs, "the bias's length");
    assert!(has_contiguous_rows(kernel) && has_contiguous_rows(y.view()), "rows that are not in order");
    let bytes = pixels.to_slice().expect("pixels in C order");
    let bias = bias.to_slice().expect("a contiguous bias");
    if samples == 0 || outputs == 0 {
        return;
    }
    scratch::with(|scratch: &mut Scratch<T>| {
        pixels_mask::by_sample(bytes, inputs, &mut scratch.masks);
        if is_dense(&scratch.masks, bytes.len()) {
            let mut real = scratch.real.take();
            let x = at_least(&mut real, bytes.len());
            to_real(bytes, x);
            let x = ArrayView2::from_shape((samples, inputs), &*x).expect("as many numbers as pixels");
            serial::affine(x, kernel, Some(ArrayView1::from(bias)), activation, y);
            scratch.real = real;
        } else {
            let relu = activation == Activation::Relu;
            T::pixels_forward(Forward {
                pixels: bytes,
                inputs,
                kernel,
                bias,
                relu,
                y: y.view_mut(),
                scratch,
            });
            if !relu {
                for row in y.rows_mut() {
                    activation.apply(row.into_slice().expect("contiguous rows"), outputs);
                }
            }
        }
    });
}

/// Computes the rows `rows` of xᵀ d, \[I, O\], with x = pixels / 255, and passes them to `sink` in ascending order, on the
/// calling thread. Shapes: pixels \[B, I\], d \[B, O\].
///
/// Each call of `sink` gets the index of a row, and the elements of this row and possibly of following rows, in C order.
///
/// # Panics
/// If the shapes do not fit together, the pixels are not in C order, the rows of `d` are not contiguous, or `rows` exceeds the
/// pixels of a sample.
pub fn matmul_tn<T: Scalar>(
    pixels: ArrayView2<'_, u8>,
    d: ArrayView2<'_, T>,
    rows: Range<usize>,
    sink: &mut dyn FnMut(usize, &[T]),
) {
    product(pixels, d, rows, To::Sink(sink));
}

/// Computes the rows `rows` of the gradient xᵀ d and updates `parameters` by them with Adam, without storing the whole
/// gradient.
///
/// `parameters` are the rows `rows` of the matrix of parameters, \[rows.len(), O\].
///
/// # Panics
/// Under the conditions of [`matmul_tn`], and if the parameters have a different shape or rows that are not contiguous.
pub fn matmul_tn_adam<T: Scalar>(
    pixels: ArrayView2<'_, u8>,
    d: ArrayView2<'_, T>,
    rows: Range<usize>,
    parameters: Parameters<'_, T>,
) {
    parameters.check(rows.len(), d.ncols());
    product(pixels, d, rows, To::Adam(parameters));
}

fn product<T: Scalar>(pixels: ArrayView2<'_, u8>, d: ArrayView2<'_, T>, rows: Range<usize>, to: To<'_, T>) {
    let (samples, inputs) = pixels.dim();
    let outputs = d.ncols();
    assert_eq!(d.nrows(), samples, "samples of both operands");
    assert!(rows.start <= rows.end && rows.end <= inputs, "rows {rows:?} of {inputs}");
    assert!(has_contiguous_rows(d), "rows that are not in order");
    let pixels = pixels.to_slice().expect("pixels in C order");
    if rows.is_empty() || outputs == 0 {
        return;
    }
    scratch::with(|scratch: &mut Scratch<T>| {
        let Scratch { masks, bits, .. } = &mut *scratch;
        isa::run(ByColumn { pixels, inputs, rows: rows.clone(), masks, bits });
        if is_dense(&scratch.masks, samples * rows.len()) {
            // Converts only the pixels of `rows`.
            let mut real = scratch.real.take();
            let x = at_least(&mut real, samples * rows.len());
            for (x, sample) in x.chunks_exact_mut(rows.len()).zip(pixels.chunks_exact(inputs)) {
                to_real(&sample[rows.clone()], x);
            }
            let x = ArrayView2::from_shape((samples, rows.len()), &*x).expect("as many numbers as pixels");
            match to {
                To::Sink(sink) => {
                    serial::matmul_tn(x, d, 0..rows.len(), &mut |row, values| sink(rows.start + row, values));
                }
                To::Adam(parameters) => serial::matmul_tn_adam(x, d, 0..rows.len(), parameters),
            }
            scratch.real = real;
        } else {
            T::pixels_outer(Outer { pixels, inputs, d, rows, scratch, to });
        }
    });
}
