//! The one inner loop behind every dense product: a tile of results kept in registers.
//!
//! Each result is the chain `fma(a[k], b[k], ...)` over k in ascending order from its initial value, in one thread and
//! one register. So its bits depend neither on the size of the tile, nor on the instruction set, nor on how many
//! threads share the work.

use crate::Buffer;
use crate::Scalar;
use crate::isa::{Isa, LANES};
use crate::scratch::at_least;

/// A vector of the kernels.
pub(crate) type Lanes<T> = [T; LANES];

/// Both operands of a product C[M, N] = A[M, K] B[K, N].
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a, T> {
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    pub(crate) columns: usize,
    pub(crate) a: &'a [T],
    /// Distance in `a` from one row to the next.
    pub(crate) a_row: usize,
    /// Distance in `a` from one k to the next.
    pub(crate) a_depth: usize,
    pub(crate) b: &'a [T],
    /// Distance in `b` from one k to the next; the columns lie side by side.
    pub(crate) b_depth: usize,
    /// The initial value of each column's results; zero if there is none.
    pub(crate) bias: Option<&'a [T]>,
}

/// Takes the finished tiles of a product.
pub(crate) trait Store<T> {
    /// `tile` holds rows `row..row + M` and columns `column..column + width`.
    ///
    /// An implementation must be `#[inline(always)]`.
    fn store<const M: usize, const V: usize>(
        &mut self,
        row: usize,
        column: usize,
        width: usize,
        tile: &[[Lanes<T>; V]; M],
    );
}

impl<T: Scalar> Operands<'_, T> {
    /// Whether every element that the product reads lies within its slice.
    fn is_within_bounds(&self) -> bool {
        let last = |rows: usize, row: usize, columns: usize, column: usize| {
            if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row + (columns - 1) * column + 1 }
        };
        self.a.len() >= last(self.rows, self.a_row, self.depth, self.a_depth)
            && self.b.len() >= last(self.depth, self.b_depth, self.columns, 1)
            && self.bias.is_none_or(|bias| bias.len() >= self.columns)
    }
}

/// Computes the product tile by tile and hands each tile to `store`. `panel` is scratch.
#[inline(always)]
pub(crate) fn product<T: Scalar, I: Isa, S: Store<T>, const M: usize, const V: usize>(
    operands: Operands<'_, T>,
    panel: &mut Option<Buffer<T>>,
    store: &mut S,
) {
    assert!(operands.is_within_bounds(), "the operands of a product are shorter than its shape says");
    let mut column = 0;
    while operands.columns - column >= V * LANES {
        rows_of_panel::<T, I, S, M, V>(operands, column, V * LANES, store);
        column += V * LANES;
    }
    while operands.columns - column >= LANES {
        rows_of_panel::<T, I, S, M, 1>(operands, column, LANES, store);
        column += LANES;
    }
    let width = operands.columns - column;
    if width > 0 {
        // The last columns, copied beside zeros, so that they fill a vector.
        let packed = at_least(panel, (operands.depth + 1) * LANES);
        let (bias, b) = packed.split_at_mut(LANES);
        bias.fill(T::zero());
        if let Some(from) = operands.bias {
            bias[..width].copy_from_slice(&from[column..][..width]);
        }
        for (k, line) in b.chunks_exact_mut(LANES).enumerate() {
            line[..width].copy_from_slice(&operands.b[k * operands.b_depth + column..][..width]);
            line[width..].fill(T::zero());
        }
        let padded = Operands { b, b_depth: LANES, bias: Some(bias), columns: LANES, ..operands };
        let mut shifted = Shifted { store, column, width };
        rows_of_panel::<T, I, _, M, 1>(padded, 0, LANES, &mut shifted);
    }
}

/// Puts the tiles of a padded panel where its columns belong.
struct Shifted<'a, S> {
    store: &'a mut S,
    column: usize,
    width: usize,
}

impl<T, S: Store<T>> Store<T> for Shifted<'_, S> {
    #[inline(always)]
    fn store<const M: usize, const V: usize>(
        &mut self,
        row: usize,
        _column: usize,
        _width: usize,
        tile: &[[Lanes<T>; V]; M],
    ) {
        self.store.store(row, self.column, self.width, tile);
    }
}

/// All rows of one panel of `V` vectors of columns.
#[inline(always)]
fn rows_of_panel<T: Scalar, I: Isa, S: Store<T>, const M: usize, const V: usize>(
    operands: Operands<'_, T>,
    column: usize,
    width: usize,
    store: &mut S,
) {
    let mut row = 0;
    while operands.rows - row >= M {
        tile::<T, I, S, M, V>(operands, row, column, width, store);
        row += M;
    }
    if operands.rows - row >= 4 {
        tile::<T, I, S, 4, V>(operands, row, column, width, store);
        row += 4;
    }
    if operands.rows - row >= 2 {
        tile::<T, I, S, 2, V>(operands, row, column, width, store);
        row += 2;
    }
    while operands.rows - row >= 1 {
        tile::<T, I, S, 1, V>(operands, row, column, width, store);
        row += 1;
    }
}

#[inline(always)]
fn tile<T: Scalar, I: Isa, S: Store<T>, const M: usize, const V: usize>(
    operands: Operands<'_, T>,
    row: usize,
    column: usize,
    width: usize,
    store: &mut S,
) {
    debug_assert!(row + M <= operands.rows && column + V * LANES <= operands.columns);
    let Operands { depth, a_row, a_depth, b_depth, .. } = operands;
    let mut sums = [[[T::zero(); LANES]; V]; M];
    if let Some(bias) = operands.bias {
        for v in 0..V {
            let initial: Lanes<T> = vector(&bias[column + v * LANES..]);
            for sum in &mut sums {
                sum[v] = initial;
            }
        }
    }
    for k in 0..depth {
        let mut b = [[T::zero(); LANES]; V];
        for (v, b) in b.iter_mut().enumerate() {
            // SAFETY: k < depth and column + (v + 1) LANES <= columns, so that the last index read is at most
            // (depth - 1) b_depth + columns - 1, which `is_within_bounds` has found to lie within `b`.
            *b = unsafe {
                operands.b.as_ptr().add(k * b_depth + column + v * LANES).cast::<Lanes<T>>().read()
            };
        }
        for (m, sums) in sums.iter_mut().enumerate() {
            // SAFETY: row + m < rows and k < depth, so that the index is at most
            // (rows - 1) a_row + (depth - 1) a_depth, which `is_within_bounds` has found to lie within `a`.
            let a = unsafe { *operands.a.as_ptr().add((row + m) * a_row + k * a_depth) };
            for (sum, b) in sums.iter_mut().zip(&b) {
                for (sum, &b) in sum.iter_mut().zip(b) {
                    *sum = I::fma(a, b, *sum);
                }
            }
        }
    }
    store.store(row, column, width, &sums);
}

/// The first vector of `slice`.
#[inline(always)]
pub(crate) fn vector<T: Scalar>(slice: &[T]) -> Lanes<T> {
    let mut lanes = [T::zero(); LANES];
    lanes.copy_from_slice(&slice[..LANES]);
    lanes
}
