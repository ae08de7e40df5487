//! y = f(x W + b).

use crate::isa::{Isa, Kernel, LANES, Tiled, Vector, WIDE_TILE};
use crate::scratch::Scratch;
use crate::tile::{Operands, Right, Space, Store, Tile, product};
use crate::{Activation, Scalar};

/// A dense layer and what goes into it: x \[B, I\] in C order, the kernel \[I, O\].
#[derive(Clone, Copy)]
pub(crate) struct Layer<'a, T> {
    pub(super) samples: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) x: &'a [T],
    pub(super) kernel: Right<'a, T>,
    pub(super) bias: Option<&'a [T]>,
    pub(super) activation: Activation,
}

/// The forward product into `y`, rows side by side, and the activation.
pub(super) fn forward<T: Scalar>(layer: Layer<'_, T>, y: &mut [T], scratch: &mut Scratch<T>) {
    T::forward(Forward { layer, y, scratch });
    if layer.activation != Activation::Relu {
        layer.activation.apply(y, layer.outputs);
    }
}

pub(crate) struct Forward<'a, T> {
    layer: Layer<'a, T>,
    y: &'a mut [T],
    scratch: &'a mut Scratch<T>,
}

impl<T: Scalar> Kernel for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        if self.layer.outputs >= WIDE_TILE {
            I::tiled(self);
        } else {
            I::tiled_narrow(self);
        }
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

impl<T: Scalar, I: Isa, const RELU: bool> Store<T, I> for Rows<'_, T, RELU> {
    #[inline(always)]
    fn store<const M: usize, const V: usize>(
        &mut self,
        row: usize,
        column: usize,
        width: usize,
        tile: &Tile<T, I, M, V>,
    ) {
        for (m, vectors) in tile.iter().enumerate() {
            let c = &mut self.c[(row + m) * self.stride + column..][..width];
            match c.as_chunks_mut::<LANES>().0.as_mut_array::<V>() {
                Some(c) => {
                    c.iter_mut().zip(vectors).for_each(|(c, vector)| vector.finished::<RELU>().store(c));
                }
                None => vectors[0].finished::<RELU>().store_part(c),
            }
        }
    }
}
