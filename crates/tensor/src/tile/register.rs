//! One tile in registers.

use crate::Scalar;
use crate::isa::{Isa, LANES, Lanes, Vector};
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
pub(super) fn accumulate<T: Scalar, I: Isa, const M: usize, const V: usize, const COPY: bool>(
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
        a.elements.len() > (M - 1) * a.distance + (depth - 1) * a_depth,
        "the left operand is shorter than its shape says"
    );
    assert!(
        b.elements.len() >= (depth - 1) * b.distance + V * LANES
            && (!COPY || copy.len() >= depth * V * LANES),
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
