//! c = xᵀ d.

use std::ops::Range;

use super::forward::Rows;
use crate::Scalar;
use crate::isa::{self, Isa, Kernel, Tiled};
use crate::scratch::{Scratch, at_least};
use crate::tile::{Operands, Right, Space, pack_rows, padded, product};

/// Numbers of a result that are handed on at a time: they stay in the first-level cache.
const HANDED_ON: usize = 1024;

/// Outputs from which on the inputs of a few rows are copied side by side before they meet with all of them.
///
/// Otherwise their distance may be a power of two, and they push each other out of the first-level cache. The copy
/// takes some 8 % of the time at 128 outputs, 0.5 % at 2048, where it saves 15 % (64 x 2048 x 2048, Zen 3).
const PACK_FROM: usize = 512;

/// As [`super::matmul_tn`], on slices in C order.
pub(crate) fn outer_products<T: Scalar>(
    x: &[T],
    d: &[T],
    batch: usize,
    outputs: usize,
    rows: Range<usize>,
    scratch: &mut Scratch<T>,
    sink: &mut dyn FnMut(usize, &[T]),
) {
    if rows.is_empty() || outputs == 0 {
        return;
    }
    isa::run(Outer { x, d, batch, outputs, rows, scratch, sink });
}

struct Outer<'a, T: Scalar> {
    x: &'a [T],
    d: &'a [T],
    batch: usize,
    outputs: usize,
    rows: Range<usize>,
    scratch: &'a mut Scratch<T>,
    sink: &'a mut dyn FnMut(usize, &[T]),
}

impl<T: Scalar> Kernel for Outer<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        I::tiled(self);
    }
}

impl<T: Scalar> Tiled for Outer<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa, const M: usize, const V: usize>(self) {
        let Self { x, d, batch, outputs, rows, scratch, sink } = self;
        let inputs = x.len().checked_div(batch).unwrap_or(rows.end);
        let b = at_least(&mut scratch.operand, batch * padded(outputs));
        pack_rows::<T, V>(d, outputs, b);
        // 24 rows are whole tiles of every instruction set.
        let group = (HANDED_ON / outputs).max(1).next_multiple_of(24);
        for first in rows.clone().step_by(group) {
            let count = group.min(rows.end - first);
            let finished = at_least(&mut scratch.rows, count * outputs);
            let x = &x[first.min(x.len())..];
            let (a, a_depth) = if outputs < PACK_FROM {
                (x, inputs)
            } else {
                let packed = at_least(&mut scratch.left, batch * count);
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
            let space = Space { panel: &mut scratch.panel, sums: &mut scratch.sums };
            let mut store = Rows::<T, false> { c: &mut *finished, stride: outputs };
            product::<T, I, _, M, V>(operands, space, &mut store);
            sink(first, finished);
        }
    }
}
