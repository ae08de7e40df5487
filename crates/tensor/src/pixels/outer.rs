//! xᵀ d by the masks of each pixel.

use std::ops::Range;

use super::accumulate;
use super::mask::BITS;
use crate::Scalar;
use crate::isa::{Isa, Kernel, LANES, Lanes, Vector, Wide};
use crate::scratch::{Scratch, at_least};
use crate::tile::padded;

/// Numbers of a gradient that are handed on at a time.
const HANDED_ON: usize = 1024;

/// The weight gradient by the masks that `scratch` holds.
pub(super) struct Outer<'a, T: Scalar> {
    pub(super) pixels: &'a [u8],
    pub(super) inputs: usize,
    pub(super) d: &'a [T],
    pub(super) outputs: usize,
    pub(super) rows: Range<usize>,
    pub(super) scratch: &'a mut Scratch<T>,
    pub(super) sink: &'a mut dyn FnMut(usize, &[T]),
}

impl<T: Scalar> Kernel for Outer<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        I::wide(self);
    }
}

impl<T: Scalar> Wide for Outer<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa, const V: usize>(self) {
        let Self { pixels, inputs, d, outputs, rows, scratch, sink } = self;
        let Scratch { rows: finished, masks, operand, .. } = scratch;
        let stride = padded(outputs);
        let d = if stride == outputs {
            d
        } else {
            let copy = at_least(operand, d.len() / outputs * stride);
            for (copy, d) in copy.chunks_exact_mut(stride).zip(d.chunks_exact(outputs)) {
                copy[..outputs].copy_from_slice(d);
            }
            &*copy
        };
        let samples = d.len() / stride;
        let group = (HANDED_ON / outputs).max(1);
        for first in rows.clone().step_by(group) {
            let count = group.min(rows.end - first);
            // The last vector of a row reaches beyond it; the next row is written later.
            let finished = at_least(finished, count * outputs + LANES);
            for row in 0..count {
                let pixel = Pixel {
                    masks: &masks[(first + row - rows.start).min(masks.len())..],
                    distance: rows.len(),
                    pixels: &pixels[(first + row).min(pixels.len())..],
                    inputs,
                    d,
                    samples,
                    stride,
                };
                let c = &mut finished[row * outputs..][..stride];
                let mut column = 0;
                while column < stride {
                    let c = &mut c[column..];
                    column += match c.len() / LANES {
                        vectors if vectors >= V => pixel.columns::<I, V>(column, c),
                        4.. => pixel.columns::<I, 4>(column, c),
                        3 => pixel.columns::<I, 3>(column, c),
                        2 => pixel.columns::<I, 2>(column, c),
                        _ => pixel.columns::<I, 1>(column, c),
                    };
                }
            }
            sink(first, &finished[..count * outputs]);
        }
    }
}

/// One pixel of all samples, and the gradients that go with them.
#[derive(Clone, Copy)]
struct Pixel<'a, T> {
    /// In which samples of each group it is not zero, the groups `distance` apart.
    masks: &'a [u64],
    distance: usize,
    /// Its byte in each sample, `inputs` apart.
    pixels: &'a [u8],
    inputs: usize,
    /// `samples` rows of whole vectors, `stride` apart.
    d: &'a [T],
    samples: usize,
    stride: usize,
}

impl<T: Scalar> Pixel<'_, T> {
    /// Puts `V` vectors of columns, from `column` on, at the beginning of `c`. Returns how many columns that is.
    #[inline(always)]
    fn columns<I: Isa, const V: usize>(&self, column: usize, c: &mut [T]) -> usize {
        assert!(column + V * LANES <= self.stride, "a row has fewer columns");
        let table = T::pixels();
        let mut sums = [I::Vector::<T>::splat(T::zero()); V];
        let mut group = 0;
        while let Some(&mask) = self.masks.get(group * self.distance) {
            let mut mask = mask;
            while mask != 0 {
                let sample = group * BITS + mask.trailing_zeros() as usize;
                mask &= mask - 1;
                let value = table[usize::from(self.pixels[sample * self.inputs])];
                assert!(sample < self.samples, "a mask has bits for the samples only");
                // SAFETY: `V` vectors from `column` on lie within each of the `samples` rows of `d`.
                let row = unsafe { &*self.d.as_ptr().add(sample * self.stride + column).cast() };
                accumulate::<T, I, V>(value, row, &mut sums);
            }
            group += 1;
        }
        // An array, so that the sums go from registers to where they belong.
        let c: &mut [Lanes<T>; V] =
            c.as_chunks_mut().0.first_chunk_mut().expect("as many columns as in the row");
        for (c, sums) in c.iter_mut().zip(&sums) {
            sums.finished::<false>().store(c);
        }
        V * LANES
    }
}
