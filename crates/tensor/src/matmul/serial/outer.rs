//! The gradient with respect to the kernel, c = xᵀ d, on slices.

use std::ops::Range;

use crate::Scalar;
use crate::kernels::destination::To;
use crate::kernels::pack_rows::PackRows;
use crate::kernels::product::Product;
use crate::scratch::{self, Scratch, at_least};
use crate::tile::{Operands, RightOperand, Workspace, padded};

/// The number of elements of a result that a sink receives at a time. They stay in the first-level cache.
const GROUP_LEN: usize = 1024;

/// The number of outputs from which the left operand is packed, a group of rows of the result at a time.
///
/// Without packing, the stride of the left operand may be a power of two. Its elements then evict one another from the
/// first-level cache. Packing takes about 8% of the time at 128 outputs and 0.5% at 2048 outputs, where it saves 15% (64 x 2048
/// x 2048, Zen 3).
const PACK_FROM: usize = 512;

/// Computes the rows of [`super::matmul_tn`] and [`super::matmul_tn_adam`]. `x` is \[B, I\] and `d` is \[B, O\], both in C order.
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
        // Multiples of 24 rows consist of whole tiles in every instruction set.
        let group = (GROUP_LEN / outputs).max(1).next_multiple_of(24);
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
                b: RightOperand::Panels(b),
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
