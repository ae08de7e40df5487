//! c = xᵀ d.

use std::ops::Range;

use crate::Scalar;
use crate::kernels::destination::To;
use crate::kernels::pack_rows::PackRows;
use crate::kernels::product::Product;
use crate::scratch::{self, Scratch, at_least};
use crate::tile::{Operands, Right, Workspace, padded};

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
    mut to: To<'_, T>,
) {
    if rows.is_empty() || outputs == 0 {
        return;
    }
    scratch::with(|scratch: &mut Scratch<T>| {
        let Scratch { operand, rows: finished, left, panel, sums, .. } = scratch;
        let b = at_least(operand, batch * padded(outputs));
        T::pack_rows(PackRows { b: d, columns: outputs, packed: &mut *b });
        let inputs = x.len().checked_div(batch).unwrap_or(rows.end);
        // 24 rows are whole tiles of every instruction set.
        let group = (HANDED_ON / outputs).max(1).next_multiple_of(24);
        let finished = at_least(finished, group.min(rows.len()) * outputs);
        let mut workspace = Workspace { panel, sums };
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
            T::product(Product { operands, c: &mut *finished, relu: false, workspace: workspace.reborrow() });
            match &mut to {
                To::Sink(sink) => sink(first, finished),
                To::Adam(parameters) => parameters.update_rows(first - rows.start, finished),
            }
        }
    });
}
