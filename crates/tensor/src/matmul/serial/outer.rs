//! c = xᵀ d.

use std::ops::Range;

use super::forward::Rows;
use crate::destination::{Destination, Handed, Moved, To};
use crate::isa::{Isa, Kernel, Tiled, WIDE_TILE};
use crate::scratch::{self, Scratch, at_least};
use crate::tile::{Operands, Right, Space, pack_rows, padded, product};
use crate::{Buffer, Scalar};

/// Numbers of a result that are handed on at a time: they stay in the first-level cache.
const HANDED_ON: usize = 1024;

/// Outputs from which on the inputs of a few rows are copied side by side before they meet with all of them.
///
/// Otherwise their distance may be a power of two, and they push each other out of the first-level cache. The copy
/// takes some 8 % of the time at 128 outputs, 0.5 % at 2048, where it saves 15 % (64 x 2048 x 2048, Zen 3).
const PACK_FROM: usize = 512;

/// As [`super::matmul_tn`] and [`super::matmul_tn_adam`], on slices in C order.
pub(super) fn outer_products<T: Scalar>(
    x: &[T],
    d: &[T],
    batch: usize,
    outputs: usize,
    rows: Range<usize>,
    to: To<'_, T>,
) {
    if rows.is_empty() || outputs == 0 {
        return;
    }
    scratch::with(|scratch| T::outer(Outer { x, d, batch, outputs, rows, scratch, to }));
}

pub(crate) struct Outer<'a, 'b, T> {
    x: &'a [T],
    d: &'a [T],
    batch: usize,
    outputs: usize,
    rows: Range<usize>,
    scratch: &'a mut Scratch<T>,
    to: To<'b, T>,
}

impl<T: Scalar> Kernel for Outer<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        if self.outputs >= WIDE_TILE {
            I::tiled(self);
        } else {
            I::tiled_narrow(self);
        }
    }
}

impl<T: Scalar> Tiled for Outer<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa, const M: usize, const V: usize>(self) {
        let Self { x, d, batch, outputs, rows, scratch, to } = self;
        let Scratch { operand, rows: finished, left, panel, sums, .. } = scratch;
        let b = at_least(operand, batch * padded(outputs));
        pack_rows::<T, V>(d, outputs, b);
        let inputs = x.len().checked_div(batch).unwrap_or(rows.end);
        // 24 rows are whole tiles of every instruction set.
        let group = (HANDED_ON / outputs).max(1).next_multiple_of(24);
        let groups = Groups { x, inputs, b, batch, outputs, rows: rows.clone(), group };
        let finished = at_least(finished, group.min(rows.len()) * outputs);
        let space = Space { panel, sums };
        match to {
            To::Sink(sink) => groups.products::<I, _, M, V>(Handed(sink), left, finished, space),
            To::Adam(parameters) => {
                let moved = Moved::<T, I>::new(parameters, rows.start);
                groups.products::<I, _, M, V>(moved, left, finished, space);
            }
        }
    }
}

/// The rows of the gradient, some at a time.
struct Groups<'a, T> {
    x: &'a [T],
    inputs: usize,
    b: &'a [T],
    batch: usize,
    outputs: usize,
    rows: Range<usize>,
    group: usize,
}

impl<T: Scalar> Groups<'_, T> {
    #[inline(always)]
    fn products<I: Isa, D: Destination<T>, const M: usize, const V: usize>(
        self,
        mut to: D,
        left: &mut Option<Buffer<T>>,
        finished: &mut [T],
        mut space: Space<'_, T>,
    ) {
        let Self { x, inputs, b, batch, outputs, rows, group } = self;
        for first in rows.clone().step_by(group) {
            let count = group.min(rows.end - first);
            let x = &x[first.min(x.len())..];
            let (a, a_depth) = if outputs < PACK_FROM {
                (x, inputs)
            } else {
                let packed = at_least(left, batch * count);
                for (packed, x) in packed.chunks_exact_mut(count).zip(x.chunks(inputs)) {
                    packed.copy_from_slice(&x[..count]);
                }
                (&*packed, count)
            };
            let operands = Operands {
                rows: count,
                depth: batch,
                columns: outputs,
                a,
                a_row: 1,
                a_depth,
                b: Right::Panels(b),
                bias: None,
            };
            let finished = &mut finished[..count * outputs];
            let mut store = Rows::<T, false> { c: &mut *finished, stride: outputs };
            product::<T, I, _, M, V>(operands, space.reborrow(), &mut store);
            to.take(first, finished);
            to.complete(first, finished);
        }
    }
}
