//! The forward product from pixel bytes, y = f(x W + b), for which each sample has bit masks of its nonzero pixels.

use std::marker::PhantomData;

use ndarray::{ArrayView2, ArrayViewMut2, s};

use crate::isa::{Isa, Kernel, LANES, Lanes, SimdElement, Vector, Wide, array};
use crate::scratch::{Scratch, at_least};

use super::pixels_mask::BITS;

/// The forward product. `scratch` holds the masks of [`by_sample`](super::pixels_mask::by_sample).
///
/// The loop over blocks of pixels is outside of the loop over samples, so that the rows of the kernel that belong to a block
/// stay in the first-level cache. Between two blocks the partial sums are stored in memory.
pub(crate) struct Forward<'a, T> {
    /// \[B, I\] in C order.
    pub(crate) pixels: &'a [u8],
    /// I.
    pub(crate) inputs: usize,
    /// \[I, O\]. The elements of a row are contiguous.
    pub(crate) kernel: ArrayView2<'a, T>,
    pub(crate) bias: &'a [T],
    pub(crate) relu: bool,
    /// \[B, O\]. The elements of a row are contiguous.
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
    /// Computes `V` vectors of columns, or fewer columns at the end, from `column` on. Returns the number of columns.
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
                Rows::from_view(block_rows)
            } else if let Some(rows) = Rows::from_kernel(kernel, first, column, count, V * LANES) {
                rows
            } else {
                let panel = at_least(&mut self.scratch.panel, count * V * LANES);
                let shape = (count, V * LANES);
                let packed = ArrayViewMut2::from_shape(shape, &mut *panel).expect("memory of a block");
                block_rows.assign_to(packed.slice_move(s![.., ..width]));
                Rows::from_view(ArrayView2::from_shape(shape, panel).expect("memory of a block"))
            };
            for ((sample, sums), &mask) in pixels.chunks_exact(inputs).zip(&mut *sums).zip(masks) {
                rows.accumulate::<I, V>(&sample[first..], mask, sums);
            }
        }
        for (y, sums) in self.y.rows_mut().into_iter().zip(sums) {
            let y = &mut y.into_slice().expect("contiguous rows")[column..][..width];
            for (y, sums) in y.chunks_mut(LANES).zip(sums) {
                let sums = I::Vector::load(sums);
                let finished = if self.relu { sums.finished::<true>() } else { sums.finished::<false>() };
                finished.store_part(y);
            }
        }
        width
    }
}

/// The rows of the kernel that belong to a block of pixels. There are `columns` readable elements at each row.
#[derive(Clone, Copy)]
struct Rows<'a, T> {
    start: *const T,
    /// The number of elements from one row to the next.
    stride: isize,
    /// At least 1 and at most [`BITS`].
    count: usize,
    columns: usize,
    lifetime: PhantomData<&'a [T]>,
}

impl<'a, T: SimdElement> Rows<'a, T> {
    /// The rows of a view. The elements of each row must be contiguous.
    #[inline(always)]
    fn from_view(rows: ArrayView2<'a, T>) -> Self {
        let (count, columns) = rows.dim();
        assert!((1..=BITS).contains(&count) && rows.strides()[1] == 1, "a block of contiguous rows");
        Self { start: rows.as_ptr(), stride: rows.strides()[0], count, columns, lifetime: PhantomData }
    }

    /// Rows of `columns` numbers from `column` on, which may extend into the next row of the kernel: the results of the excess
    /// columns are not stored. Returns `None` if the kernel is not contiguous or ends before the last number.
    #[inline(always)]
    fn from_kernel(
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
            lifetime: PhantomData,
        })
    }

    /// Adds the first `V` vectors of the rows in `mask`, each multiplied by its pixel, to `sums`.
    ///
    /// # Panics
    /// If there are fewer pixels than rows, or the rows are shorter than `V` vectors.
    #[inline(always)]
    fn accumulate<I: Isa, const V: usize>(self, pixels: &[u8], mask: u64, sums: &mut [Lanes<T>; V]) {
        let Self { start, stride, count, columns, .. } = self;
        assert!(
            pixels.len() >= count && columns >= V * LANES,
            "a block with fewer pixels or columns than expected"
        );
        let mut mask = mask & (u64::MAX >> (BITS - count));
        if mask == 0 {
            return;
        }
        let table = T::pixels();
        let mut vectors: [I::Vector<T>; V] = array(|v| I::Vector::load(&sums[v]));
        while mask != 0 {
            let index = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            // SAFETY: only the first `count` bits of the mask can be set, so that index < count. There are at least `count`
            // pixels, as asserted above. `V` vectors are readable at each of the `count` rows, as asserted above and by the
            // constructors.
            let (pixel, row) = unsafe {
                (
                    *pixels.get_unchecked(index),
                    &*start.offset(index as isize * stride).cast::<[Lanes<T>; V]>(),
                )
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
