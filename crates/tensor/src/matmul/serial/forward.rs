//! y = f(x W + b).

use crate::isa::{self, Isa, Kernel, LANES, Lanes, Tiled};
use crate::scratch::Scratch;
use crate::tile::{Operands, Right, Space, Store, Tile, product};
use crate::{Activation, Scalar};

/// A dense layer and what goes into it: x \[B, I\] in C order, the kernel \[I, O\].
#[derive(Clone, Copy)]
pub(crate) struct Layer<'a, T> {
    pub(crate) samples: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) x: &'a [T],
    pub(crate) kernel: Right<'a, T>,
    pub(crate) bias: Option<&'a [T]>,
    pub(crate) activation: Activation,
}

/// The forward product into `y`, rows side by side, and the activation.
pub(crate) fn forward<T: Scalar>(layer: Layer<'_, T>, y: &mut [T], scratch: &mut Scratch<T>) {
    isa::run(Forward { layer, y, scratch });
    if layer.activation != Activation::Relu {
        layer.activation.apply(y, layer.outputs);
    }
}

struct Forward<'a, T: Scalar> {
    layer: Layer<'a, T>,
    y: &'a mut [T],
    scratch: &'a mut Scratch<T>,
}

impl<T: Scalar> Kernel for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        I::tiled(self);
    }
}

impl<T: Scalar> Tiled for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa, const M: usize, const V: usize>(self) {
        let Layer { samples, inputs, outputs, x, kernel, bias, activation } = self.layer;
        let operands = Operands {
            rows: samples,
            depth: inputs,
            columns: outputs,
            a: x,
            a_row: inputs,
            a_depth: 1,
            b: kernel,
            bias,
        };
        let space = Space { panel: &mut self.scratch.panel, sums: &mut self.scratch.sums };
        if activation == Activation::Relu {
            product::<T, I, _, M, V>(operands, space, &mut Rows::<T, true> { c: self.y, stride: outputs });
        } else {
            product::<T, I, _, M, V>(operands, space, &mut Rows::<T, false> { c: self.y, stride: outputs });
        }
    }
}

/// Puts a tile into rows that lie `stride` apart.
pub(super) struct Rows<'a, T, const RELU: bool> {
    pub(super) c: &'a mut [T],
    pub(super) stride: usize,
}

impl<T: Scalar, const RELU: bool> Store<T> for Rows<'_, T, RELU> {
    #[inline(always)]
    fn store<I: Isa, const M: usize, const V: usize>(
        &mut self,
        row: usize,
        column: usize,
        width: usize,
        tile: &Tile<T, M, V>,
    ) {
        for (m, vectors) in tile.iter().enumerate() {
            let c = &mut self.c[(row + m) * self.stride + column..][..width];
            if let Some(c) = c.as_chunks_mut::<LANES>().0.as_mut_array::<V>() {
                for (c, vector) in c.iter_mut().zip(vectors) {
                    *c = I::finished::<T, RELU>(vector);
                }
            } else {
                part(&I::finished::<T, RELU>(&vectors[0]), c);
            }
        }
    }
}

/// The first elements of a vector, as many as `c` has, which is less than all, in pieces of powers of two: an
/// elementwise loop takes longer than the product of a narrow layer.
#[inline(always)]
fn part<T: Scalar>(vector: &Lanes<T>, c: &mut [T]) {
    let mut at = 0;
    at += piece::<T, 8>(vector, c, at);
    at += piece::<T, 4>(vector, c, at);
    at += piece::<T, 2>(vector, c, at);
    piece::<T, 1>(vector, c, at);
}

#[inline(always)]
fn piece<T: Scalar, const N: usize>(vector: &Lanes<T>, c: &mut [T], at: usize) -> usize {
    if c.len() & N == 0 {
        return 0;
    }
    c[at..at + N].copy_from_slice(&vector[at..at + N]);
    N
}
