//! The micro-kernel: the sums of one tile, in registers.

use crate::isa::{Isa, LANES, Lanes, SimdElement, Vector};
use crate::prefetch::first_level;

/// A matrix in a slice: its rows lie `stride` elements apart.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a, T> {
    pub(super) elements: &'a [T],
    pub(super) stride: usize,
}

/// The number of rows by which the prefetch of the right operand precedes its packing.
const PREFETCH_DISTANCE: usize = 8;

/// The sums of a tile of `M` rows and `V` vectors of columns.
pub(crate) type Tile<T, I, const M: usize, const V: usize> = [[<I as Isa>::Vector<T>; V]; M];

/// Adds the product of A\[M, depth\] and B\[depth, V LANES\] to `tile`, as one rank-1 update per k. Element \[m, k\] of A is
/// `a.elements[m * a.stride + k * a_depth]`. With `PACK`, it also copies the rows of B to `packed`, where they are contiguous.
///
/// # Panics
/// If an operand, or `packed` with `PACK`, is shorter than its shape.
#[inline(always)]
pub(super) fn micro_kernel<T: SimdElement, I: Isa, const M: usize, const V: usize, const PACK: bool>(
    tile: &mut Tile<T, I, M, V>,
    a: Operand<'_, T>,
    a_depth: usize,
    b: Operand<'_, T>,
    depth: usize,
    packed: &mut [T],
) {
    if depth == 0 {
        return;
    }
    assert!(
        last(M - 1, a.stride, depth - 1, a_depth).is_some_and(|last| last < a.elements.len()),
        "the left operand is shorter than its shape says"
    );
    assert!(
        last(depth - 1, b.stride, V * LANES - 1, 1).is_some_and(|last| last < b.elements.len())
            && (!PACK
                || last(depth - 1, V * LANES, V * LANES - 1, 1).is_some_and(|last| last < packed.len())),
        "the right operand is shorter than its shape says"
    );
    let mut sums = *tile;
    let (left, right, packed) = (a.elements.as_ptr(), b.elements.as_ptr(), packed.as_mut_ptr());
    for k in 0..depth {
        let mut vectors = [I::Vector::<T>::splat(T::zero()); V];
        for (v, vector) in vectors.iter_mut().enumerate() {
            // SAFETY: k < depth and v < V, so that the last index read is at most (depth - 1) stride + V LANES - 1. The slice is
            // longer, as asserted above.
            let from = unsafe { &*right.add(k * b.stride + v * LANES).cast::<Lanes<T>>() };
            *vector = I::Vector::<T>::load(from);
            if PACK {
                // Rows that lie far apart are in different pages, and the hardware prefetcher does not cross pages.
                first_level(right.wrapping_add((k + PREFETCH_DISTANCE) * b.stride + v * LANES));
                // SAFETY: the last index written is at most depth V LANES - 1. The slice is longer, as asserted above.
                vector.store(unsafe { &mut *packed.add((k * V + v) * LANES).cast::<Lanes<T>>() });
            }
        }
        for (m, sums) in sums.iter_mut().enumerate() {
            // SAFETY: m < M and k < depth, so that the index is at most (M - 1) stride + (depth - 1) a_depth. The slice is
            // longer, as asserted above.
            let a = I::Vector::<T>::splat(unsafe { *left.add(m * a.stride + k * a_depth) });
            for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                *sum = a.mul_add(vector, *sum);
            }
        }
    }
    *tile = sums;
}

/// Returns `rows * row + columns * column`, the index of the last element of a matrix with the strides `row` and `column`, or
/// `None` if it overflows.
#[inline(always)]
fn last(rows: usize, row: usize, columns: usize, column: usize) -> Option<usize> {
    rows.checked_mul(row)?.checked_add(columns.checked_mul(column)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::tests::with_each;
    use crate::isa::{Kernel, run};

    /// Runs the micro-kernel on a tile of three rows with these strides. Each operand has 64 elements.
    struct Shape {
        a_row: usize,
        a_depth: usize,
        b_row: usize,
        depth: usize,
    }

    impl Kernel for Shape {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            let numbers = [0.0_f32; 64];
            let mut tile: Tile<f32, I, 3, 1> = [[I::Vector::splat(0.0)]; 3];
            let operand = |stride| Operand { elements: &numbers, stride };
            let (a, b) = (operand(self.a_row), operand(self.b_row));
            micro_kernel::<f32, I, 3, 1, true>(&mut tile, a, self.a_depth, b, self.depth, &mut [0.0; 64]);
        }
    }

    #[test]
    fn shapes_whose_sizes_overflow_are_rejected() {
        let half = 1 << (usize::BITS - 1);
        let small = || Shape { a_row: 1, a_depth: 1, b_row: 16, depth: 3 };
        with_each(|| run(small()));
        // The products of these strides and the numbers of steps overflow or exceed the operand.
        for (left, shape) in [
            (true, Shape { a_row: half, ..small() }),
            (true, Shape { a_depth: half, ..small() }),
            (true, Shape { a_row: usize::MAX / 2, a_depth: 1, ..small() }),
            (false, Shape { b_row: half, ..small() }),
            (false, Shape { a_depth: 0, b_row: 0, depth: usize::MAX / 16 + 2, ..small() }),
        ] {
            let operand = if left { "left" } else { "right" };
            let payload = std::panic::catch_unwind(|| run(shape)).expect_err("a panic");
            assert_eq!(
                *payload.downcast::<&str>().expect("a message"),
                format!("the {operand} operand is shorter than its shape says")
            );
        }
    }
}
