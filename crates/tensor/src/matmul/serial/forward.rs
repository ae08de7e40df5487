//! The forward product, y = f(x W + b), on slices.

use crate::kernels::product::Product;
use crate::scratch::Scratch;
use crate::tile::{Operands, RightOperand, Workspace};
use crate::{Activation, Scalar};

/// The operands of a dense layer: x \[B, I\] in C order, the kernel \[I, O\], the bias \[O\].
#[derive(Clone, Copy)]
pub(super) struct Layer<'a, T> {
    pub(super) samples: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) x: &'a [T],
    pub(super) kernel: RightOperand<'a, T>,
    pub(super) bias: Option<&'a [T]>,
    pub(super) activation: Activation,
}

/// Computes the product and the activation. `y` is \[B, O\] in C order.
pub(super) fn forward<T: Scalar>(layer: Layer<'_, T>, y: &mut [T], scratch: &mut Scratch<T>) {
    let Layer { samples, inputs, outputs, x, kernel, bias, activation } = layer;
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
    let relu = activation == Activation::Relu;
    let workspace = Workspace { panel: &mut scratch.panel, sums: &mut scratch.sums };
    T::product(Product { operands, c: &mut *y, relu, workspace });
    if !relu {
        activation.apply(y, outputs);
    }
}
