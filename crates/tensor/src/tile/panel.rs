//! Packing of right operands into panels.
//!
//! A panel (a micro-panel in BLIS) has the columns of one tile: `V` vectors, or one if fewer than `V` vectors of columns
//! remain. Its rows are contiguous, and the panels follow one another. Lanes beyond the last column hold unspecified numbers, and
//! their results are never stored.

use super::register::Operand;
use crate::float::Float;
use crate::isa::LANES;

/// Returns `columns`, rounded up to whole vectors.
pub(crate) fn padded(columns: usize) -> usize {
    columns.next_multiple_of(LANES)
}

/// Returns the first column and the width of each panel of a right operand. `widest` is the width of a panel of `V` vectors.
fn panels(columns: usize, widest: usize) -> impl Iterator<Item = (usize, usize)> {
    let wide = columns / widest * widest;
    let narrow = (wide..columns).step_by(LANES).map(|column| (column, LANES));
    (0..wide).step_by(widest).map(move |column| (column, widest)).chain(narrow)
}

/// Packs B\[K, N\], given in C order, into `packed`, which has `padded(N) K` elements, in panels of `V` vectors.
#[inline(always)]
pub(crate) fn pack_rows<T: Float, const V: usize>(b: &[T], columns: usize, packed: &mut [T]) {
    let depth = b.len() / columns;
    for (column, width) in panels(columns, V * LANES) {
        let panel = &mut packed[column * depth..][..width * depth];
        if columns - column >= width {
            for (row, b) in panel.chunks_exact_mut(width).zip(b.chunks_exact(columns)) {
                let b = &b[column..][..width];
                for (vector, b) in row.as_chunks_mut::<LANES>().0.iter_mut().zip(b.as_chunks::<LANES>().0) {
                    *vector = *b;
                }
            }
        } else {
            pack_tail(Operand { elements: b, stride: columns }, column, depth, panel);
        }
    }
}

/// Packs B\[K, N\], given as its transpose \[N, K\] in C order, into `packed`, which has `padded(N) K` elements, in panels of `V`
/// vectors.
#[inline(always)]
pub(crate) fn pack_transposed<T: Float, const V: usize>(b: &[T], columns: usize, packed: &mut [T]) {
    let depth = b.len() / columns;
    for (column, width) in panels(columns, V * LANES) {
        let panel = &mut packed[column * depth..][..width * depth];
        let rows = &b[column * depth..columns.min(column + width) * depth];
        for (lane, row) in rows.chunks_exact(depth.max(1)).enumerate() {
            for (packed_row, &value) in panel.chunks_exact_mut(width).zip(row) {
                packed_row[lane] = value;
            }
        }
    }
}

/// Packs the columns from `column` on, which are fewer than a vector, in a panel of one vector.
#[inline(always)]
pub(super) fn pack_tail<T: Float>(b: Operand<'_, T>, column: usize, depth: usize, packed: &mut [T]) {
    for (k, row) in packed.as_chunks_mut::<LANES>().0[..depth].iter_mut().enumerate() {
        let from = &b.elements[k * b.stride + column..];
        match from.first_chunk::<LANES>() {
            // The vector also contains the first columns of the next row, whose results are not stored.
            Some(vector) => *row = *vector,
            None => row.iter_mut().zip(from).for_each(|(packed, &value)| *packed = value),
        }
    }
}
