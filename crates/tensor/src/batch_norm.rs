//! Batch normalization: each column of a batch brought to the same mean and variance, and the gradients of that.
//!
//! With x \[N, C\] a batch of N samples of C columns and e the epsilon that keeps the root from zero, for each column:
//! mean = sum(x) / N, variance = sum((x - mean)^2) / N, and
//! y = gamma (x - mean) / sqrt(variance + e) + beta (Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network
//! Training by Reducing Internal Covariate Shift", ICML 2015, algorithm 1). The variance is the biased one, as that of Keras's
//! `ops.moments`.
//!
//! A column's sums run over the rows in order, and vectors lie across columns, never along the batch. So a result is the same
//! for each instruction set, and for whatever other columns the same call is made for: threads may share the columns.
//!
//! Every matrix here may be some columns of a larger one: the elements of a row must lie side by side, rows may lie apart.
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
use crate::pixels::are_in_order;

/// The mean of each column of x \[N, C\], and the mean of the squared deviations from it, both \[C\].
///
/// # Panics
/// If there are no rows, the lengths do not fit, or the elements of a row do not lie side by side.
pub fn moments<T: Scalar>(x: ArrayView2<'_, T>, mean: &mut [T], variance: &mut [T]) {
    assert!(x.nrows() > 0, "moments of no rows");
    assert!(mean.len() == x.ncols() && variance.len() == x.ncols(), "a mean and a variance of each column");
    assert!(are_in_order(x), "rows that are not in order");
    T::batch_moments(Moments { x, mean, variance });
}

/// y = (x - mean) scale + shift by column, x and y \[N, C\], the others \[C\], the product and the sum rounded once.
///
/// With scale = gamma / sqrt(variance + e) and shift = beta this is the normalization.
///
/// # Panics
/// If the shapes do not fit together, or the elements of a row do not lie side by side.
pub fn normalize<T: Scalar>(
    x: ArrayView2<'_, T>,
    mean: &[T],
    scale: &[T],
    shift: &[T],
    y: ArrayViewMut2<'_, T>,
) {
    assert_eq!(y.dim(), x.dim(), "the result's shape");
    assert!([mean, scale, shift].iter().all(|values| values.len() == x.ncols()), "a number for each column");
    assert!(are_in_order(x) && are_in_order(y.view()), "rows that are not in order");
    T::batch_normalize(Normalize { x, mean, scale, shift, y });
}

/// The gradients by gamma and beta: d_scale = sum(d (x - mean)) inverse_deviation and d_shift = sum(d) by column, x and the
/// gradient d by the output \[N, C\], the others \[C\].
///
/// inverse_deviation is 1 / sqrt(variance + e). Both results are zero where there are no rows.
///
/// # Panics
/// If the shapes do not fit together, or the elements of a row do not lie side by side.
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
    assert!(are_in_order(x) && are_in_order(d), "rows that are not in order");
    T::batch_gradient_sums(GradientSums { x, d, mean, inverse_deviation, d_scale, d_shift });
}

/// The gradient by the input, where mean and variance are those of x itself: by column
/// d_x = gamma inverse_deviation (d - d_shift / N - (x - mean) inverse_deviation d_scale / N).
///
/// This is what the chain rule of Ioffe and Szegedy 2015, section 3, comes to: their three gradients by the normalized x, the
/// variance and the mean put into one, with the sums of [`gradient_sums`]. x, the gradient d by the output and d_x are
/// \[N, C\], the others \[C\].
///
/// # Panics
/// If the shapes do not fit together, or the elements of a row do not lie side by side.
#[expect(clippy::too_many_arguments, reason = "the formula has as many")]
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
    assert!(are_in_order(x) && are_in_order(d) && are_in_order(d_x.view()), "rows that are not in order");
    T::batch_input_gradient(InputGradient { x, d, mean, inverse_deviation, gamma, d_scale, d_shift, d_x });
}

/// d_x = d scale by column, d and d_x \[N, C\], scale \[C\]: the gradient by the input where mean and variance are constants, as
/// in a layer that is frozen, with the scale of [`normalize`].
///
/// # Panics
/// If the shapes do not fit together, or the elements of a row do not lie side by side.
pub fn scale_columns<T: Scalar>(d: ArrayView2<'_, T>, scale: &[T], d_x: ArrayViewMut2<'_, T>) {
    assert_eq!(d_x.dim(), d.dim(), "the result's shape");
    assert_eq!(scale.len(), d.ncols(), "a number for each column");
    assert!(are_in_order(d) && are_in_order(d_x.view()), "rows that are not in order");
    T::batch_scale_columns(ScaleColumns { d, scale, d_x });
}
