//! One tile in registers.

use crate::isa::{Isa, LANES, Lanes, SimdElement, Vector};
use crate::prefetch::first_level;

/// A slice in which vectors lie `distance` apart.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a, T> {
    pub(super) elements: &'a [T],
    pub(super) distance: usize,
}

/// How many rows ahead of the copy the right operand is fetched.
const AHEAD: usize = 8;

/// A tile's sums.
pub(crate) type Tile<T, I, const M: usize, const V: usize> = [[<I as Isa>::Vector<T>; V]; M];

/// Adds the products of `M` rows of `a` and `V` vectors of `b` over `depth` to `tile`. With `COPY` the vectors of `b`
/// are copied, side by side.
#[inline(always)]
pub(super) fn accumulate<T: SimdElement, I: Isa, const M: usize, const V: usize, const COPY: bool>(
    tile: &mut Tile<T, I, M, V>,
    a: Operand<'_, T>,
    a_depth: usize,
    b: Operand<'_, T>,
    depth: usize,
    copy: &mut [T],
) {
    if depth == 0 {
        return;
    }
    assert!(
        last(M - 1, a.distance, depth - 1, a_depth).is_some_and(|last| last < a.elements.len()),
        "the left operand is shorter than its shape says"
    );
    assert!(
        last(depth - 1, b.distance, V * LANES - 1, 1).is_some_and(|last| last < b.elements.len())
            && (!COPY || last(depth - 1, V * LANES, V * LANES - 1, 1).is_some_and(|last| last < copy.len())),
        "the right operand is shorter than its shape says"
    );
    let mut sums = *tile;
    let (left, right, copy) = (a.elements.as_ptr(), b.elements.as_ptr(), copy.as_mut_ptr());
    for k in 0..depth {
        let mut vectors = [I::Vector::<T>::splat(T::zero()); V];
        for (v, vector) in vectors.iter_mut().enumerate() {
            // SAFETY: k < depth and v < V, so that the last index read is at most
            // (depth - 1) distance + V LANES - 1, and the slice is longer, as asserted above.
            let from = unsafe { &*right.add(k * b.distance + v * LANES).cast::<Lanes<T>>() };
            *vector = I::Vector::<T>::load(from);
            if COPY {
                // Rows that lie far apart lie in different pages, where the processor does not look ahead by itself.
                first_level(right.wrapping_add((k + AHEAD) * b.distance + v * LANES));
                // SAFETY: the last index written is at most depth V LANES - 1; the slice is longer, as asserted.
                vector.store(unsafe { &mut *copy.add((k * V + v) * LANES).cast::<Lanes<T>>() });
            }
        }
        for (m, sums) in sums.iter_mut().enumerate() {
            // SAFETY: m < M and k < depth, so that the index is at most (M - 1) distance + (depth - 1) a_depth; the
            // slice is longer, as asserted above.
            let a = I::Vector::<T>::splat(unsafe { *left.add(m * a.distance + k * a_depth) });
            for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                *sum = a.mul_add(vector, *sum);
            }
        }
    }
    *tile = sums;
}

/// The largest index of a walk of `rows` steps by `row` and of `columns` steps by `column`, if it is a number.
#[inline(always)]
fn last(rows: usize, row: usize, columns: usize, column: usize) -> Option<usize> {
    rows.checked_mul(row)?.checked_add(columns.checked_mul(column)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::tests::with_each;
    use crate::isa::{Kernel, run};

    /// A tile of three rows of operands that are as far apart as is said, of which there are 64 numbers.
    struct Shape {
        a_distance: usize,
        a_depth: usize,
        b_distance: usize,
        depth: usize,
    }

    impl Kernel for Shape {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            let numbers = [0.0_f32; 64];
            let mut tile: Tile<f32, I, 3, 1> = [[I::Vector::splat(0.0)]; 3];
            let operand = |distance| Operand { elements: &numbers, distance };
            let (a, b) = (operand(self.a_distance), operand(self.b_distance));
            accumulate::<f32, I, 3, 1, true>(&mut tile, a, self.a_depth, b, self.depth, &mut [0.0; 64]);
        }
    }

    #[test]
    fn refuses_shapes_whose_sizes_overflow() {
        let half = 1 << (usize::BITS - 1);
        let small = || Shape { a_distance: 1, a_depth: 1, b_distance: 16, depth: 3 };
        with_each(|| run(small()));
        // Twice half of all indices is none.
        for (left, shape) in [
            (true, Shape { a_distance: half, ..small() }),
            (true, Shape { a_depth: half, ..small() }),
            (true, Shape { a_distance: usize::MAX / 2, a_depth: 1, ..small() }),
            (false, Shape { b_distance: half, ..small() }),
            (false, Shape { a_depth: 0, b_distance: 0, depth: usize::MAX / 16 + 2, ..small() }),
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
