//! Products whose left operand is pixel bytes, most of them zero.
//!
//! A byte `p` stands for the number p / 255. Four fifths of MNIST's pixels are zero, so the kernels list the others and
//! multiply only by those. Skipping a zero changes no bit, since `fma(0, w, sum)` is `sum` for every finite w (but for
//! the sign of a zero sum, which every kernel of the crate takes off at the end): the result is that of
//! [`crate::matmul`] on p / 255. Where too few pixels are zero for that to pay, the bytes are turned into numbers and
//! multiplied densely; either way the result is the same.

use std::ops::Range;

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};

use crate::isa::{self, Isa, Kernel, LANES};
use crate::matmul::serial::{self, Layer, finish};
use crate::scratch::{self, Scratch, at_least};
use crate::tile::{Lanes, Right};
use crate::{Activation, Scalar};

/// The share of nonzero pixels above which a product goes the dense way.
const SPARSE_UP_TO: f64 = 0.5;

/// Pixels in a block: the rows of the kernel that belong to it stay in the first-level cache for all samples.
const BLOCK: usize = 32;

/// Samples whose pixels in one column are told apart by the bits of a mask.
const GROUP: usize = 32;

/// Numbers of a gradient that are handed on at a time.
const HANDED_ON: usize = 1024;

/// Turns pixel bytes into numbers, p / 255.
///
/// # Panics
/// If the lengths differ.
pub fn to_real<T: Scalar>(pixels: &[u8], real: &mut [T]) {
    assert_eq!(pixels.len(), real.len(), "pixels and numbers");
    let table = T::pixels();
    real.iter_mut().zip(pixels).for_each(|(x, &pixel)| *x = table[usize::from(pixel)]);
}

/// y = f(x W + b) with x = pixels / 255, on the calling thread.
///
/// Shapes: pixels \[B, I\], W \[I, O\], b \[O\], y \[B, O\].
///
/// # Panics
/// If the shapes do not fit together, or an operand is not in C order.
pub fn affine<T: Scalar>(
    pixels: ArrayView2<'_, u8>,
    kernel: ArrayView2<'_, T>,
    bias: ArrayView1<'_, T>,
    activation: Activation,
    mut y: ArrayViewMut2<'_, T>,
) {
    let (samples, inputs) = pixels.dim();
    let outputs = kernel.ncols();
    assert_eq!(kernel.nrows(), inputs, "pixels of a sample and rows of the kernel");
    assert_eq!(y.dim(), (samples, outputs), "the result's shape");
    assert_eq!(bias.len(), outputs, "the bias's length");
    let pixels = pixels.to_slice().expect("pixels in C order");
    let kernel = kernel.to_slice().expect("a kernel in C order");
    let bias = bias.to_slice().expect("a bias in order");
    let y = y.as_slice_mut().expect("a result in C order");
    if samples == 0 || outputs == 0 {
        return;
    }
    scratch::with(|scratch: &mut Scratch<T>| {
        isa::run(List { pixels, inputs, scratch });
        if scratch.indices.len() as f64 > SPARSE_UP_TO * pixels.len() as f64 {
            let mut real = scratch.real.take();
            let a = at_least(&mut real, pixels.len());
            to_real(pixels, a);
            let layer = Layer {
                samples,
                inputs,
                outputs,
                x: a,
                kernel: Right::Rows(kernel),
                bias: Some(bias),
                activation,
            };
            serial::forward(layer, y, scratch);
            scratch.real = real;
        } else {
            let relu = activation == Activation::Relu;
            isa::run(Forward { samples, inputs, kernel, bias, outputs, relu, y, scratch });
            if !relu {
                activation.apply(y, outputs);
            }
        }
    });
}

/// Lists the nonzero pixels: for each block of columns and each sample, their columns and values.
struct List<'a, T: Scalar> {
    pixels: &'a [u8],
    inputs: usize,
    scratch: &'a mut Scratch<T>,
}

impl<T: Scalar> Kernel for List<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let table = T::pixels();
        let Scratch { values, indices, ends, .. } = self.scratch;
        values.clear();
        indices.clear();
        ends.clear();
        // No push below allocates.
        values.reserve(self.pixels.len());
        indices.reserve(self.pixels.len());
        for first in (0..self.inputs).step_by(BLOCK) {
            let width = BLOCK.min(self.inputs - first);
            for sample in self.pixels.chunks_exact(self.inputs) {
                let block = &sample[first..first + width];
                let mut mask = nonzero(block);
                while mask != 0 {
                    let at = mask.trailing_zeros() as usize;
                    mask &= mask - 1;
                    indices.push((first + at) as u32);
                    values.push(table[usize::from(block[at])]);
                }
                ends.push(indices.len() as u32);
            }
        }
    }
}

/// A bit for each byte of at most 32, set if it is not zero.
#[inline(always)]
fn nonzero(bytes: &[u8]) -> u32 {
    let mut padded = [0; BLOCK];
    let bytes: &[u8; BLOCK] = match bytes.try_into() {
        Ok(whole) => whole,
        Err(_) => {
            padded[..bytes.len()].copy_from_slice(bytes);
            &padded
        }
    };
    let mut mask = 0;
    for (bit, &byte) in bytes.iter().enumerate() {
        mask |= u32::from(byte != 0) << bit;
    }
    mask
}

/// The forward product by the lists.
struct Forward<'a, T: Scalar> {
    samples: usize,
    inputs: usize,
    kernel: &'a [T],
    bias: &'a [T],
    outputs: usize,
    relu: bool,
    y: &'a mut [T],
    scratch: &'a mut Scratch<T>,
}

impl<T: Scalar> Kernel for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        for y in self.y.chunks_exact_mut(self.outputs) {
            y.copy_from_slice(self.bias);
        }
        let mut column = 0;
        while self.outputs - column >= 4 * LANES {
            self.columns::<I, 4>(column, 4 * LANES);
            column += 4 * LANES;
        }
        while self.outputs - column >= LANES {
            self.columns::<I, 1>(column, LANES);
            column += LANES;
        }
        if column < self.outputs {
            self.columns::<I, 1>(column, self.outputs - column);
        }
        if self.relu {
            self.y.iter_mut().for_each(|y| *y = finish::<T, true>(*y));
        } else {
            self.y.iter_mut().for_each(|y| *y = finish::<T, false>(*y));
        }
    }
}

impl<T: Scalar> Forward<'_, T> {
    /// Columns `column..column + width` of the result, `width` filling `V` vectors or less than one.
    #[inline(always)]
    fn columns<I: Isa, const V: usize>(&mut self, column: usize, width: usize) {
        let Scratch { values, indices, ends, .. } = &*self.scratch;
        let mut start = 0;
        let mut lists = ends.iter();
        for _ in (0..self.inputs).step_by(BLOCK) {
            for (sample, &end) in (0..self.samples).zip(&mut lists) {
                let list = start..end as usize;
                start = end as usize;
                let y = &mut self.y[sample * self.outputs + column..][..width];
                let mut sums = load::<T, V>(y);
                for (&index, &value) in indices[list.clone()].iter().zip(&values[list]) {
                    let row = &self.kernel[index as usize * self.outputs + column..][..width];
                    accumulate::<T, I, V>(value, row, &mut sums);
                }
                save(&sums, y);
            }
        }
    }
}

/// `sums += value * row`, for a row that fills the vectors or less than one.
#[inline(always)]
fn accumulate<T: Scalar, I: Isa, const V: usize>(value: T, row: &[T], sums: &mut [Lanes<T>; V]) {
    if row.len() == V * LANES {
        for (sums, row) in sums.iter_mut().zip(row.chunks_exact(LANES)) {
            let row: Lanes<T> = *row.first_chunk().expect("whole");
            for (sum, &w) in sums.iter_mut().zip(&row) {
                *sum = I::fma(value, w, *sum);
            }
        }
    } else {
        for (sum, &w) in sums[0].iter_mut().zip(row) {
            *sum = I::fma(value, w, *sum);
        }
    }
}

#[inline(always)]
fn load<T: Scalar, const V: usize>(from: &[T]) -> [Lanes<T>; V] {
    let mut sums = [[T::zero(); LANES]; V];
    if from.len() == V * LANES {
        for (sums, from) in sums.iter_mut().zip(from.chunks_exact(LANES)) {
            *sums = *from.first_chunk().expect("whole");
        }
    } else {
        sums[0][..from.len()].copy_from_slice(from);
    }
    sums
}

#[inline(always)]
fn save<T: Scalar, const V: usize>(sums: &[Lanes<T>; V], to: &mut [T]) {
    if to.len() == V * LANES {
        for (sums, to) in sums.iter().zip(to.chunks_exact_mut(LANES)) {
            to.copy_from_slice(sums);
        }
    } else {
        to.copy_from_slice(&sums[0][..to.len()]);
    }
}

/// Rows `rows` of xᵀ d with x = pixels / 255, \[I, O\], handed to `sink` in ascending order, some whole rows at a time:
/// the index of the first, and their elements in C order. On the calling thread.
///
/// # Panics
/// If the shapes do not fit together, an operand is not in C order, or `rows` reaches beyond the pixels of a sample.
pub fn matmul_tn<T: Scalar>(
    pixels: ArrayView2<'_, u8>,
    d: ArrayView2<'_, T>,
    rows: Range<usize>,
    sink: &mut dyn FnMut(usize, &[T]),
) {
    let (samples, inputs) = pixels.dim();
    let outputs = d.ncols();
    assert_eq!(d.nrows(), samples, "samples of both operands");
    assert!(rows.start <= rows.end && rows.end <= inputs, "rows {rows:?} of {inputs}");
    let pixels = pixels.to_slice().expect("pixels in C order");
    let d = d.to_slice().expect("gradients in C order");
    if rows.is_empty() || outputs == 0 {
        return;
    }
    scratch::with(|scratch: &mut Scratch<T>| {
        isa::run(Mask { pixels, inputs, rows: rows.clone(), scratch });
        let lit: usize = scratch.masks.iter().map(|mask| mask.count_ones() as usize).sum();
        if lit as f64 > SPARSE_UP_TO * (samples * rows.len()) as f64 {
            // Only the columns that are asked for, side by side.
            let mut real = scratch.real.take();
            let x = at_least(&mut real, samples * rows.len());
            for (x, sample) in x.chunks_exact_mut(rows.len()).zip(pixels.chunks_exact(inputs)) {
                to_real(&sample[rows.clone()], x);
            }
            let count = rows.len();
            serial::outer_products(x, d, samples, outputs, 0..count, scratch, &mut |row, values| {
                sink(rows.start + row, values);
            });
            scratch.real = real;
        } else {
            isa::run(Outer { pixels, inputs, d, outputs, rows, scratch, sink });
        }
    });
}

/// For each group of samples and each column of `rows`, which samples are not zero there.
struct Mask<'a, T: Scalar> {
    pixels: &'a [u8],
    inputs: usize,
    rows: Range<usize>,
    scratch: &'a mut Scratch<T>,
}

impl<T: Scalar> Kernel for Mask<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let masks = &mut self.scratch.masks;
        masks.clear();
        for group in self.pixels.chunks(GROUP * self.inputs) {
            let start = masks.len();
            masks.resize(start + self.rows.len(), 0);
            for (bit, sample) in group.chunks_exact(self.inputs).enumerate() {
                for (mask, &pixel) in masks[start..].iter_mut().zip(&sample[self.rows.clone()]) {
                    *mask |= u32::from(pixel != 0) << bit;
                }
            }
        }
    }
}

/// The weight gradient by the masks.
struct Outer<'a, T: Scalar> {
    pixels: &'a [u8],
    inputs: usize,
    d: &'a [T],
    outputs: usize,
    rows: Range<usize>,
    scratch: &'a mut Scratch<T>,
    sink: &'a mut dyn FnMut(usize, &[T]),
}

impl<T: Scalar> Kernel for Outer<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { pixels, inputs, d, outputs, rows, scratch, sink } = self;
        let Scratch { rows: finished, masks, .. } = scratch;
        let group = (HANDED_ON / outputs).max(1);
        let mut first = rows.start;
        while first < rows.end {
            let count = group.min(rows.end - first);
            let finished = at_least(finished, count * outputs);
            for (row, sums) in finished.chunks_exact_mut(outputs).enumerate() {
                let column = first + row;
                sums.fill(T::zero());
                let of_column = masks[column - rows.start..].iter().step_by(rows.len());
                for (samples, &mask) in of_column.enumerate() {
                    let first_sample = samples * GROUP;
                    let listed = Listed::new(mask, &pixels[first_sample * inputs + column..], inputs);
                    listed.accumulate::<I>(&d[first_sample * outputs..], outputs, sums);
                }
                sums.iter_mut().for_each(|sum| *sum = finish::<T, false>(*sum));
            }
            sink(first, finished);
            first += count;
        }
    }
}

/// The samples of a group that are not zero in one column, and their values.
struct Listed<T> {
    count: usize,
    samples: [u32; GROUP],
    values: [T; GROUP],
}

impl<T: Scalar> Listed<T> {
    #[inline(always)]
    fn new(mut mask: u32, column: &[u8], inputs: usize) -> Self {
        let table = T::pixels();
        let mut listed = Self { count: 0, samples: [0; GROUP], values: [T::zero(); GROUP] };
        while mask != 0 {
            let sample = mask.trailing_zeros();
            mask &= mask - 1;
            listed.samples[listed.count] = sample;
            listed.values[listed.count] = table[usize::from(column[sample as usize * inputs])];
            listed.count += 1;
        }
        listed
    }

    #[inline(always)]
    fn accumulate<I: Isa>(&self, d: &[T], outputs: usize, sums: &mut [T]) {
        let mut column = 0;
        while outputs - column >= 4 * LANES {
            self.columns::<I, 4>(d, outputs, column, &mut sums[column..column + 4 * LANES]);
            column += 4 * LANES;
        }
        while outputs - column >= LANES {
            self.columns::<I, 1>(d, outputs, column, &mut sums[column..column + LANES]);
            column += LANES;
        }
        if column < outputs {
            self.columns::<I, 1>(d, outputs, column, &mut sums[column..]);
        }
    }

    #[inline(always)]
    fn columns<I: Isa, const V: usize>(&self, d: &[T], outputs: usize, column: usize, sums: &mut [T]) {
        let width = sums.len();
        let mut vectors = load::<T, V>(sums);
        for (&sample, &value) in self.samples[..self.count].iter().zip(&self.values) {
            let row = &d[sample as usize * outputs + column..][..width];
            accumulate::<T, I, V>(value, row, &mut vectors);
        }
        save(&vectors, sums);
    }
}
