//! Batch normalization, which gives each column of a batch a fixed mean and variance, and its gradients.
//!
//! Let x \[N, C\] be a batch of N samples with C columns, and e a small number that keeps the root from being zero. For each
//! column, mean = sum(x) / N, variance = sum((x - mean)^2) / N, and y = gamma (x - mean) / sqrt(variance + e) + beta (Ioffe and
//! Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift", ICML 2015,
//! algorithm 1). The variance is the biased one, as in `keras.ops.moments`.
//!
//! The sums of a column run over the rows in order. Kernels vectorize over columns, never along the batch. So the result of a
//! column depends neither on the instruction set nor on the other columns of the call, and threads may divide the columns.
//!
//! Every matrix may consist of some columns of a larger one: the elements of a row must be contiguous, the rows need not be.
//!
//! ```
//! use ndarray::{Array2, arr2};
//! use ziffer_tensor::batch_norm;
//!
//! let x = arr2(&[[1.0_f64, 5.0], [3.0, 5.0]]);
//! let (mut mean, mut variance) = ([0.0; 2], [0.0; 2]);
//! batch_norm::moments(x.view(), &mut mean, &mut variance);
//! assert_eq!((mean, variance), ([2.0, 5.0], [1.0, 0.0]));
//!
//! let (gamma, beta, epsilon) = ([4.0, 1.0], [0.5, 0.5], 3.0);
//! let scale = [0, 1].map(|c| gamma[c] / f64::sqrt(variance[c] + epsilon));
//! let mut y = Array2::zeros((2, 2));
//! batch_norm::normalize(x.view(), &mean, &scale, &beta, y.view_mut());
//! assert_eq!(y, arr2(&[[-1.5, 0.5], [2.5, 0.5]]));
//! ```

#[cfg(test)]
mod tests;

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::Scalar;
use crate::kernels::batch_norm::{GradientSums, InputGradient, Moments, Normalize, ScaleColumns};
use crate::pixels::has_contiguous_rows;

/// Computes the mean and the variance of each column of x \[N, C\], both \[C\].
///
/// # Panics
/// If there are no rows, the lengths do not fit, or the elements of a row are not contiguous.
pub fn moments<T: Scalar>(x: ArrayView2<'_, T>, mean: &mut [T], variance: &mut [T]) {
    assert!(x.nrows() > 0, "moments of no rows");
    assert!(mean.len() == x.ncols() && variance.len() == x.ncols(), "a mean and a variance of each column");
    assert!(has_contiguous_rows(x), "rows that are not in order");
    T::batch_moments(Moments { x, mean, variance });
}

/// Computes y = (x - mean) scale + shift by column, with fused multiply-adds. x and y are \[N, C\], the others \[C\].
///
/// With scale = gamma / sqrt(variance + e) and shift = beta, this is the normalization.
///
/// # Panics
/// If the shapes do not fit together, or the elements of a row are not contiguous.
pub fn normalize<T: Scalar>(
    x: ArrayView2<'_, T>,
    mean: &[T],
    scale: &[T],
    shift: &[T],
    y: ArrayViewMut2<'_, T>,
) {
    assert_eq!(y.dim(), x.dim(), "the result's shape");
    assert!([mean, scale, shift].iter().all(|values| values.len() == x.ncols()), "a number for each column");
    assert!(has_contiguous_rows(x) && has_contiguous_rows(y.view()), "rows that are not in order");
    T::batch_normalize(Normalize { x, mean, scale, shift, y });
}

/// Computes the gradients with respect to gamma and beta, by column: d_scale = sum(d (x - mean)) inverse_deviation and
/// d_shift = sum(d).
///
/// x and the gradient d with respect to the output are \[N, C\], the others \[C\]. inverse_deviation is 1 / sqrt(variance + e).
/// Both results are zero if there are no rows.
///
/// # Panics
/// If the shapes do not fit together, or the elements of a row are not contiguous.
pub fn gradient_sums<T: Scalar>(
    x: ArrayView2<'_, T>,
    d: ArrayView2<'_, T>,
    mean: &[T],
    inverse_deviation: &[T],
    d_scale: &mut [T],
    d_shift: &mut [T],
) {
    assert_eq!(d.dim(), x.dim(), "the gradient's shape");
    assert!(
        [mean, inverse_deviation, d_scale, d_shift].iter().all(|values| values.len() == x.ncols()),
        "a number for each column"
    );
    assert!(has_contiguous_rows(x) && has_contiguous_rows(d), "rows that are not in order");
    T::batch_gradient_sums(GradientSums { x, d, mean, inverse_deviation, d_scale, d_shift });
}

/// Computes the gradient with respect to the input, if mean and variance are those of x, by column:
/// d_x = gamma inverse_deviation (d - d_shift / N - (x - mean) inverse_deviation d_scale / N).
///
/// The formula follows from the chain rule in section 3 of Ioffe and Szegedy 2015. It combines the gradients with respect to the
/// normalized x, the variance and the mean, and uses the sums of [`gradient_sums`]. x, the gradient d with respect to the output
/// and d_x are \[N, C\], the others \[C\].
///
/// # Panics
/// If the shapes do not fit together, or the elements of a row are not contiguous.
#[expect(clippy::too_many_arguments, reason = "the formula has as many operands")]
pub fn input_gradient<T: Scalar>(
    x: ArrayView2<'_, T>,
    d: ArrayView2<'_, T>,
    mean: &[T],
    inverse_deviation: &[T],
    gamma: &[T],
    d_scale: &[T],
    d_shift: &[T],
    d_x: ArrayViewMut2<'_, T>,
) {
    assert_eq!(d.dim(), x.dim(), "the gradient's shape");
    assert_eq!(d_x.dim(), x.dim(), "the result's shape");
    assert!(
        [mean, inverse_deviation, gamma, d_scale, d_shift].iter().all(|values| values.len() == x.ncols()),
        "a number for each column"
    );
    assert!(
        has_contiguous_rows(x) && has_contiguous_rows(d) && has_contiguous_rows(d_x.view()),
        "rows that are not in order"
    );
    T::batch_input_gradient(InputGradient { x, d, mean, inverse_deviation, gamma, d_scale, d_shift, d_x });
}

/// Computes the gradient with respect to the input, if mean and variance are constants as in a frozen layer, by column:
/// d_x = d scale, with the scale of [`normalize`].
///
/// d and d_x are \[N, C\], scale is \[C\].
///
/// # Panics
/// If the shapes do not fit together, or the elements of a row are not contiguous.
pub fn scale_columns<T: Scalar>(d: ArrayView2<'_, T>, scale: &[T], d_x: ArrayViewMut2<'_, T>) {
    assert_eq!(d_x.dim(), d.dim(), "the result's shape");
    assert_eq!(scale.len(), d.ncols(), "a number for each column");
    assert!(has_contiguous_rows(d) && has_contiguous_rows(d_x.view()), "rows that are not in order");
    T::batch_scale_columns(ScaleColumns { d, scale, d_x });
}
