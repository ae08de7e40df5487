//! Batch normalization and its gradients, by blocks of columns.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::isa::{Isa, Kernel, LANES, SimdElement, Vector, array};

/// The number of vectors in a block of columns. Their sums are independent, which hides the latency of an addition.
const VECTORS: usize = 4;

/// A computation on each column of a batch.
trait ByColumns {
    /// Computes the results of `columns`, which are `V` whole vectors, or, if `V` is 1, possibly less than one.
    ///
    /// An implementation must be `#[inline(always)]`.
    fn block<I: Isa, const V: usize>(&mut self, columns: Range<usize>);
}

/// Runs `computation` on the columns `0..columns`, block by block.
#[inline(always)]
fn for_all_columns<I: Isa>(columns: usize, mut computation: impl ByColumns) {
    let mut column = 0;
    while columns - column >= VECTORS * LANES {
        computation.block::<I, VECTORS>(column..column + VECTORS * LANES);
        column += VECTORS * LANES;
    }
    while column < columns {
        let end = columns.min(column + LANES);
        computation.block::<I, 1>(column..end);
        column = end;
    }
}

/// Loads `V` whole vectors, or, if `V` is 1, possibly less than one.
#[inline(always)]
fn load<T: SimdElement, I: Isa, const V: usize>(from: &[T]) -> [I::Vector<T>; V] {
    match from.as_chunks::<LANES>().0.as_array::<V>() {
        Some(whole) => array(|v| I::Vector::load(&whole[v])),
        None => [I::Vector::load_part(from); V],
    }
}

/// Stores `V` whole vectors, or, if `V` is 1, possibly less than one.
#[inline(always)]
fn store<T: SimdElement, I: Isa, const V: usize>(vectors: [I::Vector<T>; V], to: &mut [T]) {
    match to.as_chunks_mut::<LANES>().0.as_mut_array::<V>() {
        Some(whole) => {
            for (to, vector) in whole.iter_mut().zip(&vectors) {
                vector.store(to);
            }
        }
        None => vectors[0].store_part(to),
    }
}

/// Returns the elements of `columns` of each row.
#[inline(always)]
fn rows<'a, T: SimdElement>(
    matrix: &'a ArrayView2<'_, T>,
    columns: &Range<usize>,
) -> impl Iterator<Item = &'a [T]> {
    matrix.rows().into_iter().map(|row| &row.to_slice().expect("contiguous rows")[columns.clone()])
}

/// Returns the elements of `columns` of each row for writing.
#[inline(always)]
fn rows_mut<'a, T: SimdElement>(
    matrix: &'a mut ArrayViewMut2<'_, T>,
    columns: &Range<usize>,
) -> impl Iterator<Item = &'a mut [T]> {
    matrix.rows_mut().into_iter().map(|row| &mut row.into_slice().expect("contiguous rows")[columns.clone()])
}

/// Returns a vector whose elements all are `count`.
#[inline(always)]
fn splat_count<T: SimdElement, I: Isa>(count: usize) -> I::Vector<T> {
    I::Vector::splat(T::from_f64(count as f64))
}

/// See [`moments`](crate::batch_norm::moments).
pub(crate) struct Moments<'a, T> {
    pub(crate) x: ArrayView2<'a, T>,
    pub(crate) mean: &'a mut [T],
    pub(crate) variance: &'a mut [T],
}

impl<T: SimdElement> Kernel for Moments<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for_all_columns::<I>(self.x.ncols(), self);
    }
}

impl<T: SimdElement> ByColumns for Moments<'_, T> {
    #[inline(always)]
    fn block<I: Isa, const V: usize>(&mut self, columns: Range<usize>) {
        let count = splat_count::<T, I>(self.x.nrows());
        let mut mean = [I::Vector::splat(T::zero()); V];
        for x in rows(&self.x, &columns) {
            let x = load::<T, I, V>(x);
            mean = array(|v| mean[v].add(x[v]));
        }
        mean = array(|v| mean[v].div(count));
        let mut variance = [I::Vector::splat(T::zero()); V];
        for x in rows(&self.x, &columns) {
            let deviation = load::<T, I, V>(x);
            let deviation: [_; V] = array(|v| deviation[v].sub(mean[v]));
            variance = array(|v| deviation[v].mul_add(deviation[v], variance[v]));
        }
        store::<T, I, V>(mean, &mut self.mean[columns.clone()]);
        store::<T, I, V>(array(|v| variance[v].div(count)), &mut self.variance[columns]);
    }
}

/// See [`normalize`](crate::batch_norm::normalize).
pub(crate) struct Normalize<'a, T> {
    pub(crate) x: ArrayView2<'a, T>,
    pub(crate) mean: &'a [T],
    pub(crate) scale: &'a [T],
    pub(crate) shift: &'a [T],
    pub(crate) y: ArrayViewMut2<'a, T>,
}

impl<T: SimdElement> Kernel for Normalize<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for_all_columns::<I>(self.x.ncols(), self);
    }
}

impl<T: SimdElement> ByColumns for Normalize<'_, T> {
    #[inline(always)]
    fn block<I: Isa, const V: usize>(&mut self, columns: Range<usize>) {
        let of = |values: &[T]| load::<T, I, V>(&values[columns.clone()]);
        let (mean, scale, shift) = (of(self.mean), of(self.scale), of(self.shift));
        for (x, y) in rows(&self.x, &columns).zip(rows_mut(&mut self.y, &columns)) {
            let x = load::<T, I, V>(x);
            store::<T, I, V>(array(|v| x[v].sub(mean[v]).mul_add(scale[v], shift[v])), y);
        }
    }
}

/// See [`gradient_sums`](crate::batch_norm::gradient_sums).
pub(crate) struct GradientSums<'a, T> {
    pub(crate) x: ArrayView2<'a, T>,
    pub(crate) d: ArrayView2<'a, T>,
    pub(crate) mean: &'a [T],
    pub(crate) inverse_deviation: &'a [T],
    pub(crate) d_scale: &'a mut [T],
    pub(crate) d_shift: &'a mut [T],
}

impl<T: SimdElement> Kernel for GradientSums<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for_all_columns::<I>(self.x.ncols(), self);
    }
}

impl<T: SimdElement> ByColumns for GradientSums<'_, T> {
    #[inline(always)]
    fn block<I: Isa, const V: usize>(&mut self, columns: Range<usize>) {
        let of = |values: &[T]| load::<T, I, V>(&values[columns.clone()]);
        let (mean, inverse) = (of(self.mean), of(self.inverse_deviation));
        let [mut d_scale, mut d_shift] = [[I::Vector::splat(T::zero()); V]; 2];
        for (x, d) in rows(&self.x, &columns).zip(rows(&self.d, &columns)) {
            let (x, d) = (load::<T, I, V>(x), load::<T, I, V>(d));
            d_scale = array(|v| d[v].mul_add(x[v].sub(mean[v]), d_scale[v]));
            d_shift = array(|v| d_shift[v].add(d[v]));
        }
        let d_scale = array(|v| d_scale[v].mul(inverse[v]));
        store::<T, I, V>(d_scale, &mut self.d_scale[columns.clone()]);
        store::<T, I, V>(d_shift, &mut self.d_shift[columns]);
    }
}

/// See [`input_gradient`](crate::batch_norm::input_gradient).
pub(crate) struct InputGradient<'a, T> {
    pub(crate) x: ArrayView2<'a, T>,
    pub(crate) d: ArrayView2<'a, T>,
    pub(crate) mean: &'a [T],
    pub(crate) inverse_deviation: &'a [T],
    pub(crate) gamma: &'a [T],
    pub(crate) d_scale: &'a [T],
    pub(crate) d_shift: &'a [T],
    pub(crate) d_x: ArrayViewMut2<'a, T>,
}

impl<T: SimdElement> Kernel for InputGradient<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for_all_columns::<I>(self.x.ncols(), self);
    }
}

impl<T: SimdElement> ByColumns for InputGradient<'_, T> {
    #[inline(always)]
    fn block<I: Isa, const V: usize>(&mut self, columns: Range<usize>) {
        let of = |values: &[T]| load::<T, I, V>(&values[columns.clone()]);
        let (mean, inverse, gamma) = (of(self.mean), of(self.inverse_deviation), of(self.gamma));
        let (d_scale, d_shift) = (of(self.d_scale), of(self.d_shift));
        let count = splat_count::<T, I>(self.x.nrows());
        // d_x = factor (d - mean_d - (x - mean) slope), with a factor, a mean and a slope for each column.
        let factor: [_; V] = array(|v| gamma[v].mul(inverse[v]));
        let mean_d: [_; V] = array(|v| d_shift[v].div(count));
        let slope: [_; V] = array(|v| inverse[v].mul(d_scale[v]).div(count));
        let operands = rows(&self.x, &columns).zip(rows(&self.d, &columns));
        for ((x, d), d_x) in operands.zip(rows_mut(&mut self.d_x, &columns)) {
            let (x, d) = (load::<T, I, V>(x), load::<T, I, V>(d));
            let result = array(|v| {
                let rest = x[v].sub(mean[v]).neg_mul_add(slope[v], d[v].sub(mean_d[v]));
                factor[v].mul(rest)
            });
            store::<T, I, V>(result, d_x);
        }
    }
}

/// See [`scale_columns`](crate::batch_norm::scale_columns).
pub(crate) struct ScaleColumns<'a, T> {
    pub(crate) d: ArrayView2<'a, T>,
    pub(crate) scale: &'a [T],
    pub(crate) d_x: ArrayViewMut2<'a, T>,
}

impl<T: SimdElement> Kernel for ScaleColumns<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for_all_columns::<I>(self.d.ncols(), self);
    }
}

impl<T: SimdElement> ByColumns for ScaleColumns<'_, T> {
    #[inline(always)]
    fn block<I: Isa, const V: usize>(&mut self, columns: Range<usize>) {
        let scale = load::<T, I, V>(&self.scale[columns.clone()]);
        for (d, d_x) in rows(&self.d, &columns).zip(rows_mut(&mut self.d_x, &columns)) {
            let d = load::<T, I, V>(d);
            store::<T, I, V>(array(|v| d[v].mul(scale[v])), d_x);
        }
    }
}
