//! Right operands laid out as the tiles read them.
//!
//! A panel is the columns of one tile: `V` vectors, or one for what is left, its rows side by side. Panels follow each
//! other. Lanes beyond the last column hold arbitrary numbers; their results are never stored.

use super::register::Operand;
use crate::float::Float;
use crate::isa::LANES;

/// `columns`, filled up to whole vectors.
pub(crate) fn padded(columns: usize) -> usize {
    columns.next_multiple_of(LANES)
}

/// The first column and the width of each panel of `columns` padded columns.
fn panels(columns: usize, widest: usize) -> impl Iterator<Item = (usize, usize)> {
    let wide = columns / widest * widest;
    let narrow = (wide..columns).step_by(LANES).map(|column| (column, LANES));
    (0..wide).step_by(widest).map(move |column| (column, widest)).chain(narrow)
}

/// Packs B[K, N], in C order, into `packed`, which holds `padded(N) K` numbers, in panels of `V` vectors.
#[inline(always)]
pub(crate) fn pack_rows<T: Float, const V: usize>(b: &[T], columns: usize, packed: &mut [T]) {
    let depth = b.len() / columns;
    for (column, width) in panels(columns, V * LANES) {
        let panel = &mut packed[column * depth..][..width * depth];
        if columns - column >= width {
            for (line, b) in panel.chunks_exact_mut(width).zip(b.chunks_exact(columns)) {
                let b = &b[column..][..width];
                for (line, b) in line.as_chunks_mut::<LANES>().0.iter_mut().zip(b.as_chunks::<LANES>().0) {
                    *line = *b;
                }
            }
        } else {
            copy_tail(Operand { elements: b, distance: columns }, column, depth, panel);
        }
    }
}

/// Packs B[K, N], given as its transposed [N, K] in C order, in panels of `V` vectors.
#[inline(always)]
pub(crate) fn pack_transposed<T: Float, const V: usize>(b: &[T], columns: usize, packed: &mut [T]) {
    let depth = b.len() / columns;
    for (column, width) in panels(columns, V * LANES) {
        let panel = &mut packed[column * depth..][..width * depth];
        let rows = &b[column * depth..columns.min(column + width) * depth];
        for (lane, row) in rows.chunks_exact(depth.max(1)).enumerate() {
            for (line, &value) in panel.chunks_exact_mut(width).zip(row) {
                line[lane] = value;
            }
        }
    }
}

/// Copies the last columns, less than a vector of them, from `column` on.
#[inline(always)]
pub(super) fn copy_tail<T: Float>(b: Operand<'_, T>, column: usize, depth: usize, packed: &mut [T]) {
    for (k, line) in packed.as_chunks_mut::<LANES>().0[..depth].iter_mut().enumerate() {
        let from = &b.elements[k * b.distance + column..];
        match from.first_chunk::<LANES>() {
            // With them come the first columns of the next row.
            Some(vector) => *line = *vector,
            None => line.iter_mut().zip(from).for_each(|(line, &value)| *line = value),
        }
    }
}
