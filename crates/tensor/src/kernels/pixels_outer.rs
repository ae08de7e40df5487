//! xᵀ d by the masks of each pixel.

use std::ops::Range;

use ndarray::ArrayView2;

use crate::isa::{Isa, Kernel, LANES, Lanes, SimdElement, Vector, Wide, array};
use crate::scratch::{Scratch, at_least};
use crate::tile::padded;

use super::destination::{Destination, FusedAdam, To};
use super::pixels_mask::BITS;

/// Numbers of a gradient that are handed on at a time.
const HANDED_ON: usize = 1024;

/// The weight gradient by the masks that `scratch` holds.
pub(crate) struct Outer<'a, 'b, T> {
    pub(crate) pixels: &'a [u8],
    pub(crate) inputs: usize,
    /// Rows lie in order.
    pub(crate) d: ArrayView2<'a, T>,
    pub(crate) rows: Range<usize>,
    pub(crate) scratch: &'a mut Scratch<T>,
    pub(crate) to: To<'b, T>,
}

impl<T: SimdElement> Kernel for Outer<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        I::paired(self);
    }
}

impl<T: SimdElement> Wide for Outer<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa, const V: usize>(self) {
        let Self { pixels, inputs, d, rows, scratch, to } = self;
        let Scratch { rows: finished, masks, operand, .. } = scratch;
        let (samples, outputs) = d.dim();
        let (d, stride) = match d.to_slice() {
            Some(d) if padded(outputs) == outputs => (d, outputs),
            _ => {
                let stride = padded(outputs);
                let copy = at_least(operand, samples * stride);
                for (copy, d) in copy.chunks_exact_mut(stride).zip(d.rows()) {
                    copy[..outputs].copy_from_slice(d.to_slice().expect("rows that lie in order"));
                }
                (&*copy, stride)
            }
        };
        let pixels = Pixels { masks, distance: rows.len(), pixels, inputs, d, samples, stride };
        let finished = at_least(finished, (HANDED_ON / outputs).max(1) * outputs);
        let mut destination = match to {
            To::Sink(sink) => Destination::Sink(sink),
            To::Adam(parameters) => Destination::Adam(FusedAdam::<T, I>::new(parameters, rows.start)),
        };
        pixels.rows::<I, V>(rows, outputs, finished, &mut destination);
    }
}

/// The pixels of all samples, and the gradients that go with them.
#[derive(Clone, Copy)]
struct Pixels<'a, T> {
    /// In which samples of each group each pixel is not zero, the groups `distance` apart.
    masks: &'a [u64],
    distance: usize,
    /// The bytes of the samples, `inputs` apart.
    pixels: &'a [u8],
    inputs: usize,
    /// `samples` rows of whole vectors, `stride` apart.
    d: &'a [T],
    samples: usize,
    stride: usize,
}

impl<T: SimdElement> Pixels<'_, T> {
    /// The gradients of the pixels `rows`, with whose first the masks begin, two at a time. `finished` has room for some
    /// rows of `outputs` numbers.
    #[inline(always)]
    fn rows<I: Isa, const V: usize>(
        &self,
        rows: Range<usize>,
        outputs: usize,
        finished: &mut [T],
        to: &mut Destination<'_, T, I>,
    ) {
        for first in rows.clone().step_by(finished.len() / outputs) {
            let count = (finished.len() / outputs).min(rows.end - first);
            let mut done = 0;
            while done < count {
                let of_pixels = Self {
                    masks: &self.masks[first + done - rows.start..],
                    pixels: &self.pixels[(first + done).min(self.pixels.len())..],
                    ..*self
                };
                let finished = &mut finished[done * outputs..];
                if count - done >= 2 {
                    of_pixels.row::<I, 2, V>(first + done, &mut finished[..2 * outputs], to);
                    done += 2;
                } else {
                    of_pixels.row::<I, 1, V>(first + done, &mut finished[..outputs], to);
                    done += 1;
                }
            }
            to.complete(first, &finished[..count * outputs]);
        }
    }

    /// The gradients of the first `R` pixels, which are rows `row` on.
    #[inline(always)]
    fn row<I: Isa, const R: usize, const V: usize>(
        &self,
        row: usize,
        finished: &mut [T],
        to: &mut Destination<'_, T, I>,
    ) {
        if (0..self.samples.div_ceil(BITS)).all(|group| self.nonzero::<R>(group) == 0) {
            to.push_zeros(row, finished);
            return;
        }
        let mut column = 0;
        while column < self.stride {
            column += match (self.stride - column) / LANES {
                vectors if vectors >= V => self.columns::<I, R, V>(column, finished),
                4.. if const { V > 4 } => self.columns::<I, R, 4>(column, finished),
                3 if const { V > 3 } => self.columns::<I, R, 3>(column, finished),
                2 if const { V > 2 } => self.columns::<I, R, 2>(column, finished),
                _ => self.columns::<I, R, 1>(column, finished),
            };
        }
        to.push(row, finished);
    }

    /// The samples of `group` in which one of the first `R` pixels is not zero.
    #[inline(always)]
    fn nonzero<const R: usize>(&self, group: usize) -> u64 {
        let masks: &[u64; R] =
            self.masks[group * self.distance..].first_chunk().expect("a mask for each pixel");
        let count = BITS.min(self.samples - group * BITS);
        masks.iter().fold(0, |any, mask| any | mask) & (u64::MAX >> (BITS - count))
    }

    /// `V` vectors of columns, from `column` on, of the first `R` pixels, whose rows share `finished`. Returns how many
    /// columns that is.
    ///
    /// The loop reads a sample's gradients once for all pixels, and it ends, which a processor cannot predict, once for all of
    /// them. In exchange it multiplies by zeros where only another pixel is nonzero, which changes nothing.
    #[inline(always)]
    fn columns<I: Isa, const R: usize, const V: usize>(&self, column: usize, finished: &mut [T]) -> usize {
        let Self { pixels, inputs, d, samples, stride, .. } = *self;
        assert!(
            column.checked_add(V * LANES).is_some_and(|end| end <= stride)
                && samples.checked_mul(stride).is_some_and(|numbers| numbers <= d.len()),
            "the gradients are fewer than their shape says"
        );
        let last = samples.saturating_sub(1).checked_mul(inputs);
        assert!(
            samples == 0 || last.and_then(|last| last.checked_add(R)).is_some_and(|end| end <= pixels.len()),
            "the pixels are fewer than their shape says"
        );
        let table = T::pixels();
        let mut sums = [[I::Vector::<T>::splat(T::zero()); V]; R];
        let groups = samples.div_ceil(BITS);
        let (mut group, mut mask) = (0, if groups == 0 { 0 } else { self.nonzero::<R>(0) });
        // One loop for all groups: of two, one in the other, the compiler copies all sums at each turn.
        loop {
            if mask == 0 {
                group += 1;
                if group >= groups {
                    break;
                }
                mask = self.nonzero::<R>(group);
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
            let row: [I::Vector<T>; V] = array(|v| I::Vector::load(&row[v]));
            for (sums, &pixel) in sums.iter_mut().zip(pixels) {
                let value = I::Vector::splat(table[usize::from(pixel)]);
                for (sum, &row) in sums.iter_mut().zip(&row) {
                    *sum = value.mul_add(row, *sum);
                }
            }
        }
        let outputs = finished.len() / R;
        // All loops over the sums are of known length, else they would be kept in memory.
        for (r, sums) in sums.iter().enumerate() {
            let rest = &mut finished[r * outputs..][column..outputs];
            if let Some(whole) = rest.as_chunks_mut::<LANES>().0.first_chunk_mut::<V>() {
                for (to, sum) in whole.iter_mut().zip(sums) {
                    sum.finished::<false>().store(to);
                }
            } else {
                for (v, sum) in sums.iter().enumerate() {
                    let part = v * LANES..rest.len().min((v + 1) * LANES);
                    if let Some(part) = rest.get_mut(part) {
                        sum.finished::<false>().store_part(part);
                    }
                }
            }
        }
        V * LANES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixels and gradients of another number of samples than there are.
    struct Shape {
        samples: usize,
        inputs: usize,
        stride: usize,
    }

    impl Kernel for Shape {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            let Self { samples, inputs, stride } = self;
            let (masks, pixels, d) = (&[1], &[1], &[1.0_f32; 3 * LANES]);
            let pixels = Pixels { masks, distance: 1, pixels, inputs, d, samples, stride };
            pixels.columns::<I, 1, 1>(0, &mut [0.0; LANES]);
        }
    }

    #[test]
    fn refuses_shapes_whose_sizes_overflow() {
        crate::isa::run(Shape { samples: 1, inputs: usize::MAX, stride: LANES });
        let half = 1 << (usize::BITS - 1);
        for (what, samples, inputs, stride) in [
            ("gradients", 2, 1, half),
            ("gradients", usize::MAX / LANES + 1, 0, LANES),
            ("gradients", 4, 0, LANES),
            ("pixels", 3, half, LANES),
            ("pixels", 2, 1, LANES),
            ("gradients", 1, 1, LANES - 1),
        ] {
            let shape = Shape { samples, inputs, stride };
            let payload = std::panic::catch_unwind(|| crate::isa::run(shape)).expect_err("a panic");
            assert_eq!(
                *payload.downcast::<&str>().expect("a message"),
                format!("the {what} are fewer than their shape says")
            );
        }
    }
}
