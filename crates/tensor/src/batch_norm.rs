//! Batch normalisation: each column of a batch brought to the same mean and variance, and the gradients of that.
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

use std::array;
use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::Scalar;
use crate::isa::{Isa, Kernel, LANES, Vector};
use crate::pixels::are_in_order;

/// Vectors of columns that are worked on at a time, so that several sums run side by side.
const STRIP: usize = 4;

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
/// With scale = gamma / sqrt(variance + e) and shift = beta this is the normalisation.
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
/// This is what the chain rule of Ioffe and Szegedy 2015, section 3, comes to: their three gradients by the normalised x, the
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

/// A computation that is done for some columns after others.
trait ByColumns {
    /// Does it for `columns`, which are `V` whole vectors, or, with `V` = 1, less than one.
    ///
    /// An implementation must be `#[inline(always)]`.
    fn some<I: Isa, const V: usize>(&mut self, columns: Range<usize>);
}

/// Does `computation` for columns `0..columns`.
#[inline(always)]
fn all<I: Isa>(columns: usize, mut computation: impl ByColumns) {
    let mut column = 0;
    while columns - column >= STRIP * LANES {
        computation.some::<I, STRIP>(column..column + STRIP * LANES);
        column += STRIP * LANES;
    }
    while column < columns {
        let end = columns.min(column + LANES);
        computation.some::<I, 1>(column..end);
        column = end;
    }
}

/// `V` whole vectors, or, with `V` = 1, less than one.
#[inline(always)]
fn load<T: Scalar, I: Isa, const V: usize>(from: &[T]) -> [I::Vector<T>; V] {
    match from.as_chunks::<LANES>().0.as_array::<V>() {
        Some(whole) => array::from_fn(|v| I::Vector::load(&whole[v])),
        None => [I::Vector::load_part(from); V],
    }
}

/// The same the other way.
#[inline(always)]
fn store<T: Scalar, I: Isa, const V: usize>(vectors: [I::Vector<T>; V], to: &mut [T]) {
    match to.as_chunks_mut::<LANES>().0.as_mut_array::<V>() {
        Some(whole) => whole.iter_mut().zip(vectors).for_each(|(to, vector)| vector.store(to)),
        None => vectors[0].store_part(to),
    }
}

/// The elements of `columns` of each row.
#[inline(always)]
fn rows<'a, T: Scalar>(
    matrix: &'a ArrayView2<'_, T>,
    columns: &Range<usize>,
) -> impl Iterator<Item = &'a [T]> {
    matrix.rows().into_iter().map(|row| &row.to_slice().expect("rows in order")[columns.clone()])
}

/// The same, to be written.
#[inline(always)]
fn rows_mut<'a, T: Scalar>(
    matrix: &'a mut ArrayViewMut2<'_, T>,
    columns: &Range<usize>,
) -> impl Iterator<Item = &'a mut [T]> {
    matrix.rows_mut().into_iter().map(|row| &mut row.into_slice().expect("rows in order")[columns.clone()])
}

/// `count` in each number of a vector.
#[inline(always)]
fn number<T: Scalar, I: Isa>(count: usize) -> I::Vector<T> {
    I::Vector::splat(T::from_f64(count as f64))
}

pub(crate) struct Moments<'a, T> {
    x: ArrayView2<'a, T>,
    mean: &'a mut [T],
    variance: &'a mut [T],
}

impl<T: Scalar> Kernel for Moments<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        all::<I>(self.x.ncols(), self);
    }
}

impl<T: Scalar> ByColumns for Moments<'_, T> {
    #[inline(always)]
    fn some<I: Isa, const V: usize>(&mut self, columns: Range<usize>) {
        let count = number::<T, I>(self.x.nrows());
        let mut mean = [I::Vector::splat(T::zero()); V];
        for x in rows(&self.x, &columns) {
            let x = load::<T, I, V>(x);
            mean = array::from_fn(|v| mean[v].add(x[v]));
        }
        mean = mean.map(|sum| sum.div(count));
        let mut variance = [I::Vector::splat(T::zero()); V];
        for x in rows(&self.x, &columns) {
            let deviation = load::<T, I, V>(x);
            let deviation: [_; V] = array::from_fn(|v| deviation[v].sub(mean[v]));
            variance = array::from_fn(|v| deviation[v].mul_add(deviation[v], variance[v]));
        }
        store::<T, I, V>(mean, &mut self.mean[columns.clone()]);
        store::<T, I, V>(variance.map(|sum| sum.div(count)), &mut self.variance[columns]);
    }
}

pub(crate) struct Normalize<'a, T> {
    x: ArrayView2<'a, T>,
    mean: &'a [T],
    scale: &'a [T],
    shift: &'a [T],
    y: ArrayViewMut2<'a, T>,
}

impl<T: Scalar> Kernel for Normalize<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        all::<I>(self.x.ncols(), self);
    }
}

impl<T: Scalar> ByColumns for Normalize<'_, T> {
    #[inline(always)]
    fn some<I: Isa, const V: usize>(&mut self, columns: Range<usize>) {
        let [mean, scale, shift] =
            [self.mean, self.scale, self.shift].map(|values| load::<T, I, V>(&values[columns.clone()]));
        for (x, y) in rows(&self.x, &columns).zip(rows_mut(&mut self.y, &columns)) {
            let x = load::<T, I, V>(x);
            store::<T, I, V>(array::from_fn(|v| x[v].sub(mean[v]).mul_add(scale[v], shift[v])), y);
        }
    }
}

pub(crate) struct GradientSums<'a, T> {
    x: ArrayView2<'a, T>,
    d: ArrayView2<'a, T>,
    mean: &'a [T],
    inverse_deviation: &'a [T],
    d_scale: &'a mut [T],
    d_shift: &'a mut [T],
}

impl<T: Scalar> Kernel for GradientSums<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        all::<I>(self.x.ncols(), self);
    }
}

impl<T: Scalar> ByColumns for GradientSums<'_, T> {
    #[inline(always)]
    fn some<I: Isa, const V: usize>(&mut self, columns: Range<usize>) {
        let [mean, inverse] =
            [self.mean, self.inverse_deviation].map(|values| load::<T, I, V>(&values[columns.clone()]));
        let [mut d_scale, mut d_shift] = [[I::Vector::splat(T::zero()); V]; 2];
        for (x, d) in rows(&self.x, &columns).zip(rows(&self.d, &columns)) {
            let (x, d) = (load::<T, I, V>(x), load::<T, I, V>(d));
            d_scale = array::from_fn(|v| d[v].mul_add(x[v].sub(mean[v]), d_scale[v]));
            d_shift = array::from_fn(|v| d_shift[v].add(d[v]));
        }
        let d_scale = array::from_fn(|v| d_scale[v].mul(inverse[v]));
        store::<T, I, V>(d_scale, &mut self.d_scale[columns.clone()]);
        store::<T, I, V>(d_shift, &mut self.d_shift[columns]);
    }
}

pub(crate) struct InputGradient<'a, T> {
    x: ArrayView2<'a, T>,
    d: ArrayView2<'a, T>,
    mean: &'a [T],
    inverse_deviation: &'a [T],
    gamma: &'a [T],
    d_scale: &'a [T],
    d_shift: &'a [T],
    d_x: ArrayViewMut2<'a, T>,
}

impl<T: Scalar> Kernel for InputGradient<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        all::<I>(self.x.ncols(), self);
    }
}

impl<T: Scalar> ByColumns for InputGradient<'_, T> {
    #[inline(always)]
    fn some<I: Isa, const V: usize>(&mut self, columns: Range<usize>) {
        let of = |values: &[T]| load::<T, I, V>(&values[columns.clone()]);
        let (mean, inverse, gamma) = (of(self.mean), of(self.inverse_deviation), of(self.gamma));
        let (d_scale, d_shift) = (of(self.d_scale), of(self.d_shift));
        let count = number::<T, I>(self.x.nrows());
        // What all rows share: d_x = factor (d - mean_d - (x - mean) slope).
        let factor: [_; V] = array::from_fn(|v| gamma[v].mul(inverse[v]));
        let mean_d = d_shift.map(|sum| sum.div(count));
        let slope: [_; V] = array::from_fn(|v| inverse[v].mul(d_scale[v]).div(count));
        let operands = rows(&self.x, &columns).zip(rows(&self.d, &columns));
        for ((x, d), d_x) in operands.zip(rows_mut(&mut self.d_x, &columns)) {
            let (x, d) = (load::<T, I, V>(x), load::<T, I, V>(d));
            let result = array::from_fn(|v| {
                let rest = x[v].sub(mean[v]).neg_mul_add(slope[v], d[v].sub(mean_d[v]));
                factor[v].mul(rest)
            });
            store::<T, I, V>(result, d_x);
        }
    }
}

pub(crate) struct ScaleColumns<'a, T> {
    d: ArrayView2<'a, T>,
    scale: &'a [T],
    d_x: ArrayViewMut2<'a, T>,
}

impl<T: Scalar> Kernel for ScaleColumns<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        all::<I>(self.d.ncols(), self);
    }
}

impl<T: Scalar> ByColumns for ScaleColumns<'_, T> {
    #[inline(always)]
    fn some<I: Isa, const V: usize>(&mut self, columns: Range<usize>) {
        let scale = load::<T, I, V>(&self.scale[columns.clone()]);
        for (d, d_x) in rows(&self.d, &columns).zip(rows_mut(&mut self.d_x, &columns)) {
            let d = load::<T, I, V>(d);
            store::<T, I, V>(array::from_fn(|v| d[v].mul(scale[v])), d_x);
        }
    }
}
