//! The weight gradient from pixel bytes, xᵀ d, for which each pixel has bit masks of the samples where it is not zero.

use std::ops::Range;

use ndarray::ArrayView2;

use crate::isa::{Isa, Kernel, LANES, Lanes, SimdElement, Vector, Wide, array};
use crate::scratch::{Scratch, at_least};
use crate::tile::padded;

use super::destination::{Destination, FusedAdam, To};
use super::pixels_mask::BITS;

/// The number of elements of a gradient that a sink receives at a time.
const GROUP_LEN: usize = 1024;

/// The rows `rows` of the weight gradient \[I, O\]. `scratch` holds the masks of [`ByColumn`](super::pixels_mask::ByColumn).
pub(crate) struct Outer<'a, 'b, T> {
    /// \[B, I\] in C order.
    pub(crate) pixels: &'a [u8],
    /// I.
    pub(crate) inputs: usize,
    /// \[B, O\]. The elements of a row are contiguous.
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
                let padded_d = at_least(operand, samples * stride);
                for (padded, d) in padded_d.chunks_exact_mut(stride).zip(d.rows()) {
                    padded[..outputs].copy_from_slice(d.to_slice().expect("contiguous rows"));
                }
                (&*padded_d, stride)
            }
        };
        let pixels = Pixels { masks, mask_stride: rows.len(), pixels, inputs, d, samples, stride };
        let finished = at_least(finished, (GROUP_LEN / outputs).max(1) * outputs);
        let mut destination = match to {
            To::Sink(sink) => Destination::Sink(sink),
            To::Adam(parameters) => Destination::Adam(FusedAdam::<T, I>::new(parameters, rows.start)),
        };
        pixels.rows::<I, V>(rows, outputs, finished, &mut destination);
    }
}

/// The pixels of all samples, and the gradient with respect to the output of each sample.
#[derive(Clone, Copy)]
struct Pixels<'a, T> {
    /// For each group of samples and each pixel, the mask of the samples in which the pixel is not zero. The groups are
    /// `mask_stride` apart.
    masks: &'a [u64],
    mask_stride: usize,
    /// The bytes of the samples, which are `inputs` apart.
    pixels: &'a [u8],
    inputs: usize,
    /// `samples` rows of whole vectors, which are `stride` apart.
    d: &'a [T],
    samples: usize,
    stride: usize,
}

impl<T: SimdElement> Pixels<'_, T> {
    /// Computes the gradients of the weights of the pixels `rows`, two pixels at a time. The masks begin with those of the first
    /// pixel. `finished` is working memory for some rows of `outputs` numbers.
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

    /// Computes the gradients of the weights of the first `R` pixels, which are the rows from `row` on.
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

    /// Returns the mask of the samples of `group` in which at least one of the first `R` pixels is not zero.
    #[inline(always)]
    fn nonzero<const R: usize>(&self, group: usize) -> u64 {
        let masks: &[u64; R] =
            self.masks[group * self.mask_stride..].first_chunk().expect("a mask for each pixel");
        let count = BITS.min(self.samples - group * BITS);
        masks.iter().fold(0, |any, mask| any | mask) & (u64::MAX >> (BITS - count))
    }

    /// Computes `V` vectors of columns from `column` on, of the first `R` pixels, and writes them to `finished`, the rows of
    /// these pixels. Returns the number of columns.
    ///
    /// One loop for `R` pixels reads the gradients of a sample once for all of them, and the processor mispredicts its end once
    /// for all of them. In return it multiplies by zeros in samples where only another pixel is nonzero, which changes no
    /// result.
    ///
    /// # Panics
    /// If there are fewer gradients or pixels than the shape requires.
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
        // A single loop over all groups: with two nested loops, the compiler copies all sums in each iteration of the outer one.
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
            // SAFETY: the mask of a group has bits only for its samples, so that sample < samples. As asserted above, `R` pixels
            // are readable from index sample * inputs on, and `V` vectors from index sample * stride + column on.
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
        // All loops over the sums have constant lengths. Otherwise the compiler would keep the sums in memory.
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

    /// Runs the kernel on one pixel and three vectors of gradients, as if they had this shape.
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
            let pixels = Pixels { masks, mask_stride: 1, pixels, inputs, d, samples, stride };
            pixels.columns::<I, 1, 1>(0, &mut [0.0; LANES]);
        }
    }

    #[test]
    fn shapes_whose_sizes_overflow_are_rejected() {
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
