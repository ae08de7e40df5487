//! xᵀ d by the masks of each pixel.

use std::ops::Range;

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
        I::paired(self);
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
            let finished = at_least(finished, count * outputs);
            let pixel = |row: usize| Pixels {
                masks: &masks[(first + row - rows.start).min(masks.len())..],
                distance: rows.len(),
                pixels: &pixels[(first + row).min(pixels.len())..],
                inputs,
                d,
                samples,
                stride,
            };
            let mut row = 0;
            while count - row >= 2 {
                pixel(row).rows::<I, 2, V>(outputs, &mut finished[row * outputs..]);
                row += 2;
            }
            if row < count {
                pixel(row).rows::<I, 1, V>(outputs, &mut finished[row * outputs..]);
            }
            sink(first, finished);
        }
    }
}

/// Neighbouring pixels of all samples, and the gradients that go with them.
#[derive(Clone, Copy)]
struct Pixels<'a, T> {
    /// In which samples of each group the first one is not zero, the groups `distance` apart; then those of the next.
    masks: &'a [u64],
    distance: usize,
    /// Its byte in each sample, `inputs` apart; then those of the next.
    pixels: &'a [u8],
    inputs: usize,
    /// `samples` rows of whole vectors, `stride` apart.
    d: &'a [T],
    samples: usize,
    stride: usize,
}

impl<T: Scalar> Pixels<'_, T> {
    /// Puts the gradients of the first `R` pixels into as many rows of `c`, `outputs` apart.
    #[inline(always)]
    fn rows<I: Isa, const R: usize, const V: usize>(&self, outputs: usize, c: &mut [T]) {
        let mut column = 0;
        while column < self.stride {
            let c = &mut c[column..];
            column += match (self.stride - column) / LANES {
                vectors if vectors >= V => self.columns::<I, R, V>(column, outputs, c),
                4.. => self.columns::<I, R, 4>(column, outputs, c),
                3 => self.columns::<I, R, 3>(column, outputs, c),
                2 => self.columns::<I, R, 2>(column, outputs, c),
                _ => self.columns::<I, R, 1>(column, outputs, c),
            };
        }
    }

    /// `V` vectors of columns, from `column` on, at the beginning of each row of `c`. Returns how many columns that is.
    ///
    /// A sample's gradients are read once for all pixels, and the end of the loop, which no processor foresees, comes once
    /// for all of them. In exchange they are multiplied by zeros where only another pixel is lit, which changes nothing.
    #[inline(always)]
    fn columns<I: Isa, const R: usize, const V: usize>(
        &self,
        column: usize,
        outputs: usize,
        c: &mut [T],
    ) -> usize {
        let Self { masks, distance, pixels, inputs, d, samples, stride } = *self;
        assert!(
            column + V * LANES <= stride && d.len() >= samples * stride,
            "the gradients are fewer than their shape says"
        );
        assert!(pixels.len() + inputs >= samples * inputs + R, "the pixels are fewer than their shape says");
        let table = T::pixels();
        let mut sums = [[I::Vector::<T>::splat(T::zero()); V]; R];
        let lit = |group: usize| {
            let masks: &[u64; R] = masks[group * distance..].first_chunk().expect("a mask for each pixel");
            let count = BITS.min(samples - group * BITS);
            masks.iter().fold(0, |any, mask| any | mask) & (u64::MAX >> (BITS - count))
        };
        let groups = samples.div_ceil(BITS);
        let (mut group, mut mask) = (0, if groups == 0 { 0 } else { lit(0) });
        // One loop for all groups: of two, one in the other, the compiler copies all sums at each turn.
        loop {
            if mask == 0 {
                group += 1;
                if group >= groups {
                    break;
                }
                mask = lit(group);
                continue;
            }
            let sample = group * BITS + mask.trailing_zeros() as usize;
            mask &= mask - 1;
            // SAFETY: the mask of a group has bits for its samples only, so sample < samples. `R` pixels lie from
            // sample inputs on, and `V` vectors from sample stride + column on, as asserted above.
            let (pixels, row) = unsafe {
                (
                    &*pixels.as_ptr().add(sample * inputs).cast::<[u8; R]>(),
                    &*d.as_ptr().add(sample * stride + column).cast::<[Lanes<T>; V]>(),
                )
            };
            let row: [I::Vector<T>; V] = std::array::from_fn(|v| I::Vector::load(&row[v]));
            for (sums, &pixel) in sums.iter_mut().zip(pixels) {
                let value = I::Vector::splat(table[usize::from(pixel)]);
                for (sum, &row) in sums.iter_mut().zip(&row) {
                    *sum = value.mul_add(row, *sum);
                }
            }
        }
        let width = (V * LANES).min(outputs - column);
        for (r, sums) in sums.iter().enumerate() {
            let c = &mut c[r * outputs..][..width];
            // An array, so that the sums go from registers to where they belong.
            if let Some(c) = c.as_chunks_mut::<LANES>().0.as_mut_array::<V>() {
                c.iter_mut().zip(sums).for_each(|(c, sum)| sum.finished::<false>().store(c));
            } else {
                c.chunks_mut(LANES).zip(sums).for_each(|(c, sum)| sum.finished::<false>().store_part(c));
            }
        }
        V * LANES
    }
}
