//! y = f(x W + b) by the masks of each sample.

use super::accumulate;
use super::mask::BITS;
use crate::Scalar;
use crate::isa::{Isa, Kernel, LANES, Lanes, Vector, Wide};
use crate::scratch::{Scratch, at_least};

/// The forward product by the masks that `scratch` holds.
///
/// A block of pixels is done for all samples before the next one, so that the rows of the kernel that belong to it stay
/// in the first-level cache. Between blocks the unfinished sums wait in memory.
pub(super) struct Forward<'a, T: Scalar> {
    pub(super) pixels: &'a [u8],
    pub(super) inputs: usize,
    pub(super) kernel: &'a [T],
    pub(super) bias: &'a [T],
    pub(super) relu: bool,
    pub(super) y: &'a mut [T],
    pub(super) scratch: &'a mut Scratch<T>,
}

impl<T: Scalar> Kernel for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        I::wide(self);
    }
}

impl<T: Scalar> Wide for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa, const V: usize>(mut self) {
        let outputs = self.bias.len();
        let mut column = 0;
        while column < outputs {
            column += match (outputs - column).div_ceil(LANES) {
                vectors if vectors >= V => self.columns::<I, V>(column),
                4.. => self.columns::<I, 4>(column),
                3 => self.columns::<I, 3>(column),
                2 => self.columns::<I, 2>(column),
                _ => self.columns::<I, 1>(column),
            };
        }
    }
}

impl<T: Scalar> Forward<'_, T> {
    /// `V` vectors of columns, from `column` on. Returns how many columns that is.
    #[inline(always)]
    fn columns<I: Isa, const V: usize>(&mut self, column: usize) -> usize {
        let Self { pixels, inputs, kernel, bias, .. } = *self;
        let (outputs, table) = (bias.len(), T::pixels());
        let samples = self.y.len() / outputs;
        let width = (V * LANES).min(outputs - column);
        // Where the last vector reaches beyond the columns, it reads the next row's, which does no harm; only the last
        // rows may have none, and are copied: (within - 1) outputs + column + V LANES <= kernel.len().
        let within = (kernel.len() + outputs).saturating_sub(column + V * LANES) / outputs;
        let last = at_least(&mut self.scratch.panel, inputs.saturating_sub(within) * V * LANES);
        let last: &mut [[Lanes<T>; V]] = last.as_chunks_mut().0.as_chunks_mut().0;
        for (last, row) in last.iter_mut().zip(kernel.chunks_exact(outputs).skip(within)) {
            last.as_flattened_mut()[..width].copy_from_slice(&row[column..][..width]);
        }

        let sums = at_least(&mut self.scratch.sums, samples * V * LANES);
        let sums: &mut [[Lanes<T>; V]] = sums.as_chunks_mut().0.as_chunks_mut().0;
        for sums in &mut *sums {
            sums.as_flattened_mut()[..width].copy_from_slice(&bias[column..][..width]);
        }
        for (block, masks) in self.scratch.masks.chunks_exact(samples).enumerate() {
            let first = block * BITS;
            for ((sample, sums), &mask) in pixels.chunks_exact(inputs).zip(&mut *sums).zip(masks) {
                if mask == 0 {
                    continue;
                }
                let (sample, mut mask) = (&sample[first..], mask);
                let mut vectors: [I::Vector<T>; V] = std::array::from_fn(|v| I::Vector::load(&sums[v]));
                while mask != 0 {
                    let at = mask.trailing_zeros() as usize;
                    mask &= mask - 1;
                    let value = table[usize::from(sample[at])];
                    let row = if first + at < within {
                        // SAFETY: of the first `within` rows, `V` vectors from `column` on lie within the kernel.
                        unsafe { &*kernel.as_ptr().add((first + at) * outputs + column).cast() }
                    } else {
                        &last[first + at - within]
                    };
                    accumulate::<T, I, V>(value, row, &mut vectors);
                }
                vectors.iter().zip(sums).for_each(|(vector, sums)| vector.store(sums));
            }
        }
        for (y, sums) in self.y.chunks_exact_mut(outputs).zip(sums) {
            let y = &mut y[column..][..width];
            for (y, sums) in y.chunks_mut(LANES).zip(sums) {
                let sums = I::Vector::load(sums);
                let finished = if self.relu { sums.finished::<true>() } else { sums.finished::<false>() };
                finished.store_part(y);
            }
        }
        width
    }
}
