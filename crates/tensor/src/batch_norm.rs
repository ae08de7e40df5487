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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::tests::with_each;
    use crate::random::{Purpose, Stream};
    use ndarray::Array2;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    /// What the functions make of one batch, in their order.
    type Results<T> = (Vec<T>, Vec<T>, Array2<T>, Vec<T>, Vec<T>, Array2<T>, Array2<T>);

    /// x and d, of which `part` is a part, and numbers for each column.
    struct Batch<T> {
        x: Array2<T>,
        d: Array2<T>,
        /// Where the rows of the part begin in those of the whole.
        first: usize,
        columns: usize,
        /// Instead of mean, inverse deviation, gamma and beta.
        constants: [Vec<T>; 4],
    }

    impl<T: Scalar> Batch<T> {
        fn random(seed: u64, rows: usize, columns: usize) -> Self {
            let mut stream = Stream::new(seed, Purpose::Other(0), 0);
            let first = stream.below(20) as usize;
            let width = first + columns + stream.below(20) as usize;
            let mut matrix =
                || Array2::from_shape_simple_fn((rows, width), || T::from_f64(7.0 * stream.uniform() - 0.5));
            let (x, d) = (matrix(), matrix());
            let constants =
                array::from_fn(|_| (0..columns).map(|_| T::from_f64(4.0 * stream.uniform() - 2.0)).collect());
            Self { x, d, first, columns, constants }
        }

        fn part(&self) -> ndarray::SliceInfo<[ndarray::SliceInfoElem; 2], ndarray::Ix2, ndarray::Ix2> {
            ndarray::s![.., self.first..self.first + self.columns]
        }

        /// Every function on the part. Results that are matrices lie within larger ones, whose other elements must stay.
        fn results(&self) -> Results<T> {
            let (x, d) = (self.x.slice(self.part()), self.d.slice(self.part()));
            let [mean, inverse, gamma, beta] = &self.constants;
            let numbers = || vec![T::from_f64(7.0); self.columns];
            let (mut own_mean, mut variance, mut d_scale, mut d_shift) =
                (numbers(), numbers(), numbers(), numbers());
            if x.nrows() > 0 {
                moments(x, &mut own_mean, &mut variance);
            }
            gradient_sums(x, d, mean, inverse, &mut d_scale, &mut d_shift);
            let matrix = |work: &dyn Fn(ArrayViewMut2<'_, T>)| {
                let mut whole = self.x.map(|_| T::from_f64(7.0));
                work(whole.slice_mut(self.part()));
                let part = whole.slice(self.part()).to_owned();
                whole.slice_mut(self.part()).fill(T::from_f64(7.0));
                assert!(whole.iter().all(|&x| x == T::from_f64(7.0)), "a write beside the result");
                part
            };
            let y = matrix(&|y| normalize(x, mean, gamma, beta, y));
            let d_x = matrix(&|d_x| input_gradient(x, d, mean, inverse, gamma, &d_scale, &d_shift, d_x));
            let scaled = matrix(&|d_x| scale_columns(d, gamma, d_x));
            (own_mean, variance, y, d_scale, d_shift, d_x, scaled)
        }

        /// The formulas, column by column.
        fn plain(&self) -> Results<T> {
            let (x, d) = (self.x.slice(self.part()), self.d.slice(self.part()));
            let [mean, inverse, gamma, beta] = &self.constants;
            let (shape, n) = (x.dim(), T::from_f64(x.nrows() as f64));
            let by_column = |sum: &dyn Fn(usize) -> T| (0..shape.1).map(sum).collect::<Vec<T>>();
            let sum = |term: &dyn Fn(T, usize) -> T| (0..shape.0).fold(T::zero(), term);
            let own_mean = by_column(&|c| sum(&|sum, r| sum + x[[r, c]]) / n);
            let variance = by_column(&|c| {
                let deviation = |r: usize| x[[r, c]] - own_mean[c];
                sum(&|sum, r| deviation(r).mul_add(deviation(r), sum)) / n
            });
            let d_scale =
                by_column(&|c| sum(&|sum, r| d[[r, c]].mul_add(x[[r, c]] - mean[c], sum)) * inverse[c]);
            let d_shift = by_column(&|c| sum(&|sum, r| sum + d[[r, c]]));
            let y = Array2::from_shape_fn(shape, |(r, c)| (x[[r, c]] - mean[c]).mul_add(gamma[c], beta[c]));
            let d_x = Array2::from_shape_fn(shape, |(r, c)| {
                let slope = inverse[c] * d_scale[c] / n;
                let rest = (-(x[[r, c]] - mean[c])).mul_add(slope, d[[r, c]] - d_shift[c] / n);
                gamma[c] * inverse[c] * rest
            });
            let scaled = Array2::from_shape_fn(shape, |(r, c)| d[[r, c]] * gamma[c]);
            (own_mean, variance, y, d_scale, d_shift, d_x, scaled)
        }
    }

    /// The bytes of all numbers.
    fn bits<T: Scalar>(results: &Results<T>) -> Vec<u8> {
        let (mean, variance, y, d_scale, d_shift, d_x, scaled) = results;
        let mut bits = Vec::new();
        let vectors = [mean, variance, d_scale, d_shift].into_iter().flatten();
        for &x in vectors.chain([y, d_x, scaled].into_iter().flatten()) {
            x.write_le(&mut bits);
        }
        bits
    }

    fn check<T: Scalar>(seed: u64, rows: usize, columns: usize) {
        let batch = Batch::<T>::random(seed, rows, columns);
        let mut expected = batch.plain();
        if rows == 0 {
            // There are no moments then.
            let none = vec![T::from_f64(7.0); columns];
            (expected.0, expected.1) = (none.clone(), none);
        }
        let expected = bits(&expected);
        for (set, results) in with_each(|| batch.results()) {
            assert!(bits(&results) == expected, "{rows} x {columns}, seed {seed}, {set:?}");
        }
    }

    #[test]
    fn awkward_sizes() {
        // Fewer where Miri runs it, at a thousandth of the speed.
        let (all_rows, all_columns): (&[usize], &[usize]) = if cfg!(miri) {
            (&[2], &[1, 65])
        } else {
            (&[0, 1, 2, 33], &[0, 1, 15, 16, 17, 63, 64, 65, 80, 129])
        };
        for &rows in all_rows {
            for &columns in all_columns {
                check::<f32>(1, rows, columns);
                check::<f64>(2, rows, columns);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        #[cfg_attr(miri, ignore = "takes Miri minutes; the awkward sizes are there for it")]
        fn any_sizes(seed: u64, rows in 0_usize..50, columns in 0_usize..150) {
            check::<f32>(seed, rows, columns);
            check::<f64>(seed, rows, columns);
        }
    }

    /// mean 4 and variance (9 + 1 + 1 + 9) / 4 = 5, as `numpy.mean` and `numpy.var` have them.
    #[test]
    fn by_hand() {
        let x = ndarray::arr2(&[[1.0_f32], [3.0], [5.0], [7.0]]);
        let (mut mean, mut variance) = ([0.0], [0.0]);
        moments(x.view(), &mut mean, &mut variance);
        assert_eq!((mean, variance), ([4.0], [5.0]));
        let mut y = Array2::zeros((4, 1));
        normalize(x.view(), &mean, &[2.0], &[1.0], y.view_mut());
        assert_eq!(y, ndarray::arr2(&[[-5.0], [-1.0], [3.0], [7.0]]));
        let d = ndarray::arr2(&[[1.0], [0.0], [0.0], [2.0]]);
        let (mut d_scale, mut d_shift) = ([0.0], [0.0]);
        gradient_sums(x.view(), d.view(), &mean, &[0.5], &mut d_scale, &mut d_shift);
        // (-3 * 1 + 3 * 2) / 2
        assert_eq!((d_scale, d_shift), ([1.5], [3.0]));
        input_gradient(x.view(), d.view(), &mean, &[0.5], &[4.0], &d_scale, &d_shift, y.view_mut());
        // 2 (d - 0.75 - (x - 4) 0.1875)
        assert_eq!(y, ndarray::arr2(&[[1.625], [-1.125], [-1.875], [1.375]]));
    }

    /// All sums are exact here, but in squares of 10000 the variance would be lost: there numbers are 8 apart.
    #[test]
    fn variance_beside_a_large_mean() {
        let x = Array2::from_shape_fn((64, 20), |(r, _)| 1e4_f32 + (r % 2) as f32);
        let (mut mean, mut variance) = ([0.0; 20], [0.0; 20]);
        moments(x.view(), &mut mean, &mut variance);
        assert_eq!((mean, variance), ([1e4 + 0.5; 20], [0.25; 20]));
    }

    /// The loss sum(c y) of a batch, with y normalised by the batch's own moments.
    fn loss(x: &Array2<f64>, c: &Array2<f64>, gamma: &[f64], beta: &[f64]) -> f64 {
        let columns = x.ncols();
        let (mean, inverse) = own_moments(x);
        let scale: Vec<f64> = (0..columns).map(|i| gamma[i] * inverse[i]).collect();
        let mut y = Array2::zeros(x.dim());
        normalize(x.view(), &mean, &scale, beta, y.view_mut());
        (&y * c).sum()
    }

    fn own_moments(x: &Array2<f64>) -> (Vec<f64>, Vec<f64>) {
        let (mut mean, mut variance) = (vec![0.0; x.ncols()], vec![0.0; x.ncols()]);
        moments(x.view(), &mut mean, &mut variance);
        (mean, variance.iter().map(|variance| 1.0 / (variance + 1e-3).sqrt()).collect())
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes Miri minutes; the awkward sizes are there for it")]
    fn gradients_are_the_central_differences() {
        let (rows, columns, h) = (7, 19, 1e-5);
        let Batch { x, d, constants: [gamma, beta, ..], .. } = Batch::<f64>::random(3, rows, columns);
        let (x, c) =
            (x.slice(ndarray::s![.., ..columns]).to_owned(), d.slice(ndarray::s![.., ..columns]).to_owned());
        let (mean, inverse) = own_moments(&x);
        let (mut d_scale, mut d_shift) = (vec![0.0; columns], vec![0.0; columns]);
        gradient_sums(x.view(), c.view(), &mean, &inverse, &mut d_scale, &mut d_shift);
        let mut d_x = Array2::zeros(x.dim());
        input_gradient(x.view(), c.view(), &mean, &inverse, &gamma, &d_scale, &d_shift, d_x.view_mut());
        let difference = |change: &dyn Fn(f64) -> f64| (change(h) - change(-h)) / (2.0 * h);
        for column in 0..columns {
            for row in 0..rows {
                let exact = difference(&|h| {
                    let mut x = x.clone();
                    x[[row, column]] += h;
                    loss(&x, &c, &gamma, &beta)
                });
                assert!((d_x[[row, column]] - exact).abs() < 1e-7 * (1.0 + exact.abs()), "x {row} {column}");
            }
            let moved = |values: &[f64], h: f64| {
                let mut values = values.to_vec();
                values[column] += h;
                values
            };
            let exact = difference(&|h| loss(&x, &c, &moved(&gamma, h), &beta));
            assert!((d_scale[column] - exact).abs() < 1e-7 * (1.0 + exact.abs()), "gamma {column}");
            let exact = difference(&|h| loss(&x, &c, &gamma, &moved(&beta, h)));
            assert!((d_shift[column] - exact).abs() < 1e-7 * (1.0 + exact.abs()), "beta {column}");
        }
        // With constants for moments only the scale is left.
        let scale: Vec<f64> = (0..columns).map(|i| gamma[i] * inverse[i]).collect();
        scale_columns(c.view(), &scale, d_x.view_mut());
        let y = |x: f64, column: usize| {
            let (x, mut y) = (ndarray::arr2(&[[x]]), Array2::zeros((1, 1)));
            let of = |values: &[f64]| [values[column]];
            normalize(x.view(), &of(&mean), &of(&scale), &of(&beta), y.view_mut());
            y[[0, 0]]
        };
        for ((row, column), &d) in d_x.indexed_iter() {
            let exact = difference(&|h| c[[row, column]] * y(x[[row, column]] + h, column));
            assert!((d - exact).abs() < 1e-7 * (1.0 + exact.abs()), "x {row} {column} of constant moments");
        }
    }

    #[test]
    fn nan_reaches_its_column_alone() {
        let mut x = Array2::<f32>::ones((5, 20));
        x[[2, 17]] = f32::NAN;
        let (mut mean, mut variance) = ([0.0; 20], [0.0; 20]);
        moments(x.view(), &mut mean, &mut variance);
        for column in 0..20 {
            let is_nan = [mean[column].is_nan(), variance[column].is_nan()];
            assert_eq!(is_nan, [column == 17; 2], "column {column}");
        }
    }

    #[test]
    #[should_panic(expected = "moments of no rows")]
    fn no_rows_have_no_moments() {
        moments(Array2::<f32>::zeros((0, 3)).view(), &mut [0.0; 3], &mut [0.0; 3]);
    }

    #[test]
    #[should_panic(expected = "rows that are not in order")]
    fn columns_in_order_are_not_rows_in_order() {
        moments(Array2::<f32>::zeros((3, 4)).t(), &mut [0.0; 3], &mut [0.0; 3]);
    }

    #[test]
    #[should_panic(expected = "a number for each column")]
    fn too_few_numbers() {
        let d = Array2::<f32>::zeros((3, 4));
        scale_columns(d.view(), &[0.0; 3], Array2::zeros((3, 4)).view_mut());
    }
}
