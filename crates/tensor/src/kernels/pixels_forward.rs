//! y = f(x W + b) by the masks of each sample.

use std::marker::PhantomData;

use ndarray::{ArrayView2, ArrayViewMut2, s};

use crate::isa::{Isa, Kernel, LANES, Lanes, SimdElement, Vector, Wide, array};
use crate::scratch::{Scratch, at_least};

use super::pixels_mask::BITS;

/// The forward product by the masks that `scratch` holds.
///
/// A block of pixels is done for all samples before the next one, so that the rows of the kernel that belong to it stay
/// in the first-level cache. Between blocks the unfinished sums wait in memory.
pub(crate) struct Forward<'a, T> {
    pub(crate) pixels: &'a [u8],
    pub(crate) inputs: usize,
    /// Rows lie in order.
    pub(crate) kernel: ArrayView2<'a, T>,
    pub(crate) bias: &'a [T],
    pub(crate) relu: bool,
    /// Rows lie in order.
    pub(crate) y: ArrayViewMut2<'a, T>,
    pub(crate) scratch: &'a mut Scratch<T>,
}

impl<T: SimdElement> Kernel for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        I::wide(self);
    }
}

impl<T: SimdElement> Wide for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa, const V: usize>(mut self) {
        let outputs = self.bias.len();
        let mut column = 0;
        while column < outputs {
            column += match (outputs - column).div_ceil(LANES) {
                vectors if vectors >= V => self.columns::<I, V>(column),
                4.. if const { V > 4 } => self.columns::<I, 4>(column),
                3 if const { V > 3 } => self.columns::<I, 3>(column),
                2 if const { V > 2 } => self.columns::<I, 2>(column),
                _ => self.columns::<I, 1>(column),
            };
        }
    }
}

impl<T: SimdElement> Forward<'_, T> {
    /// `V` vectors of columns, from `column` on. Returns how many columns that is.
    #[inline(always)]
    fn columns<I: Isa, const V: usize>(&mut self, column: usize) -> usize {
        let Self { pixels, inputs, kernel, bias, .. } = *self;
        let (samples, outputs) = self.y.dim();
        let width = (V * LANES).min(outputs - column);
        let sums = at_least(&mut self.scratch.sums, samples * V * LANES);
        let sums: &mut [[Lanes<T>; V]] = sums.as_chunks_mut().0.as_chunks_mut().0;
        for sums in &mut *sums {
            sums.as_flattened_mut()[..width].copy_from_slice(&bias[column..][..width]);
        }
        for (block, masks) in self.scratch.masks.chunks_exact(samples).enumerate() {
            let first = block * BITS;
            let count = BITS.min(inputs - first);
            let block_rows = kernel.slice(s![first..first + count, column..column + width]);
            let rows = if width == V * LANES {
                Rows::of(block_rows)
            } else if let Some(rows) = Rows::within(kernel, first, column, count, V * LANES) {
                rows
            } else {
                let copy = at_least(&mut self.scratch.panel, count * V * LANES);
                let shape = (count, V * LANES);
                let room = ArrayViewMut2::from_shape(shape, &mut *copy).expect("room for a block");
                block_rows.assign_to(room.slice_move(s![.., ..width]));
                Rows::of(ArrayView2::from_shape(shape, copy).expect("room for a block"))
            };
            for ((sample, sums), &mask) in pixels.chunks_exact(inputs).zip(&mut *sums).zip(masks) {
                rows.accumulate::<I, V>(&sample[first..], mask, sums);
            }
        }
        for (y, sums) in self.y.rows_mut().into_iter().zip(sums) {
            let y = &mut y.into_slice().expect("rows that lie in order")[column..][..width];
            for (y, sums) in y.chunks_mut(LANES).zip(sums) {
                let sums = I::Vector::load(sums);
                let finished = if self.relu { sums.finished::<true>() } else { sums.finished::<false>() };
                finished.store_part(y);
            }
        }
        width
    }
}

/// The rows of the kernel that belong to a block of pixels, `stride` apart.
#[derive(Clone, Copy)]
struct Rows<'a, T> {
    start: *const T,
    stride: isize,
    /// At least 1 and at most [`BITS`].
    count: usize,
    columns: usize,
    of: PhantomData<&'a [T]>,
}

impl<'a, T: SimdElement> Rows<'a, T> {
    /// A view whose rows lie in order.
    #[inline(always)]
    fn of(rows: ArrayView2<'a, T>) -> Self {
        let (count, columns) = rows.dim();
        assert!((1..=BITS).contains(&count) && rows.strides()[1] == 1, "a block of rows that lie in order");
        Self { start: rows.as_ptr(), stride: rows.strides()[0], count, columns, of: PhantomData }
    }

    /// Rows of `columns` numbers from `column` on, the last of which belong to the next row, which does no harm. `None` where
    /// there is no next row, or it does not lie side by side with this one.
    #[inline(always)]
    fn within(
        kernel: ArrayView2<'a, T>,
        first: usize,
        column: usize,
        count: usize,
        columns: usize,
    ) -> Option<Self> {
        let stride = kernel.ncols();
        let elements = kernel.to_slice()?.get(first.checked_mul(stride)?.checked_add(column)?..)?;
        let end = count.checked_sub(1)?.checked_mul(stride)?.checked_add(columns)?;
        (count <= BITS && end <= elements.len()).then_some(Self {
            start: elements.as_ptr(),
            stride: stride as isize,
            count,
            columns,
            of: PhantomData,
        })
    }

    /// Adds the first `V` vectors of the rows that `mask` has, each times its pixel, to `sums`.
    #[inline(always)]
    fn accumulate<I: Isa, const V: usize>(self, pixels: &[u8], mask: u64, sums: &mut [Lanes<T>; V]) {
        let Self { start, stride, count, columns, .. } = self;
        assert!(pixels.len() >= count && columns >= V * LANES, "a block of another size");
        let mut mask = mask & (u64::MAX >> (BITS - count));
        if mask == 0 {
            return;
        }
        let table = T::pixels();
        let mut vectors: [I::Vector<T>; V] = array(|v| I::Vector::load(&sums[v]));
        while mask != 0 {
            let at = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            // SAFETY: the mask has its first `count` bits only, so at < count; there are at least as many pixels, and
            // `V` vectors lie side by side at each of the `count` rows, as asserted here and where this was made.
            let (pixel, row) = unsafe {
                (*pixels.get_unchecked(at), &*start.offset(at as isize * stride).cast::<[Lanes<T>; V]>())
            };
            let value = I::Vector::splat(table[usize::from(pixel)]);
            for (vector, row) in vectors.iter_mut().zip(row) {
                *vector = value.mul_add(I::Vector::load(row), *vector);
            }
        }
        for (sum, vector) in sums.iter_mut().zip(&vectors) {
            vector.store(sum);
        }
    }
}
