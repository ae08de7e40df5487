//! The one loop behind every dense product: tiles of results kept in registers.
//!
//! Each result is the chain `fma(a[k], b[k], ...)` over k in ascending order from its initial value, in one thread. So
//! its bits depend neither on the size of the tile, nor on the instruction set, nor on how many threads share the work.
//!
//! The order of the loops is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM
//! Transactions on Mathematical Software 34, 2008: the depth is cut into blocks so short that a panel of the right
//! operand, the columns of one tile, stays in the first-level cache while all rows pass by it. Between two blocks the
//! unfinished sums wait in memory, in the order in which the tiles are visited.

mod panel;
mod register;

use std::ops::Range;

use crate::buffer::Buffer;
use crate::isa::{Isa, LANES, SimdElement, Vector, array};
use crate::scratch::at_least;
use register::{Operand, accumulate};

pub(crate) use panel::{pack_rows, pack_transposed, padded};
pub(crate) use register::Tile;

/// Bytes of a block of a panel: of a first-level cache of 32 or 48 KB, the rest is for the left operand and the result.
const PANEL_BYTES: usize = 24 << 10;

/// Rows that share a panel: whole tiles of every instruction set, few enough for the unfinished sums to stay in the
/// second-level cache, many enough for copying the panel to cost little.
const ROWS: usize = 96;

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
    pub(crate) b: Right<'a, T>,
    /// The initial value of each column's results; zero if there is none.
    pub(crate) bias: Option<&'a [T]>,
}

/// The right operand of a product.
#[derive(Clone, Copy)]
pub(crate) enum Right<'a, T> {
    /// B[K, N] in C order.
    Rows(&'a [T]),
    /// B[K, N] as [`pack_rows`] or [`pack_transposed`] packs it.
    Panels(&'a [T]),
}

/// Takes the finished tiles of a product.
pub(crate) trait Store<T: SimdElement, I: Isa> {
    /// `tile` holds rows `row..row + M` and columns `column..column + width`, `width` being `V` whole vectors or
    /// less than one.
    ///
    /// An implementation must be `#[inline(always)]`.
    fn store<const M: usize, const V: usize>(
        &mut self,
        row: usize,
        column: usize,
        width: usize,
        tile: &Tile<T, I, M, V>,
    );
}

/// Working memory of a product.
pub(crate) struct Space<'a, T> {
    /// A block of a panel.
    pub(crate) panel: &'a mut Option<Buffer<T>>,
    /// Unfinished sums.
    pub(crate) sums: &'a mut Option<Buffer<T>>,
}

impl<T> Space<'_, T> {
    /// The same for a shorter time.
    pub(crate) fn reborrow(&mut self) -> Space<'_, T> {
        Space { panel: &mut *self.panel, sums: &mut *self.sums }
    }
}

/// Computes the product tile by tile and hands each tile to `store`.
#[inline(always)]
pub(crate) fn product<T: SimdElement, I: Isa, S: Store<T, I>, const M: usize, const V: usize>(
    operands: Operands<'_, T>,
    space: Space<'_, T>,
    store: &mut S,
) {
    let Operands { rows, depth, columns, .. } = operands;
    let longest = PANEL_BYTES / (V * LANES * size_of::<T>());
    let blocks = depth.div_ceil(longest).max(1);
    let panel = at_least(space.panel, depth.div_ceil(blocks) * V * LANES);
    let sums = at_least(space.sums, if blocks == 1 { 0 } else { rows.min(ROWS) * padded(columns) });
    for first_row in (0..rows).step_by(ROWS) {
        for block in 0..blocks {
            let mut pass = Pass {
                operands,
                rows: first_row..rows.min(first_row + ROWS),
                depths: block * depth / blocks..(block + 1) * depth / blocks,
                is_first: block == 0,
                is_last: block + 1 == blocks,
                sums: &mut *sums,
                store: &mut *store,
            };
            let mut column = 0;
            if const { V > 1 } {
                while columns - column >= V * LANES {
                    pass.panel::<I, M, V>(column, V * LANES, panel);
                    column += V * LANES;
                }
            }
            while column < columns {
                let width = LANES.min(columns - column);
                pass.panel::<I, M, 1>(column, width, panel);
                column += width;
            }
        }
    }
}

/// What is done for one block of the depth and one range of rows.
struct Pass<'a, T, S> {
    operands: Operands<'a, T>,
    rows: Range<usize>,
    depths: Range<usize>,
    is_first: bool,
    is_last: bool,
    /// The unfinished sums of the tiles that are still to be visited.
    sums: &'a mut [T],
    store: &'a mut S,
}

impl<T: SimdElement, S> Pass<'_, T, S> {
    /// All rows of the columns `column..column + width`, which are `V` whole vectors or less than one. `copy` is
    /// working memory.
    #[inline(always)]
    fn panel<I: Isa, const M: usize, const V: usize>(&mut self, column: usize, width: usize, copy: &mut [T])
    where
        S: Store<T, I>,
    {
        let (first, depth) = (self.depths.start, self.depths.len());
        let mut rows = self.rows.clone();
        let whole = Operand { elements: &*copy, distance: V * LANES };
        let b = match self.operands.b {
            Right::Panels(b) => {
                Operand { elements: &b[column * self.operands.depth + first * V * LANES..], ..whole }
            }
            Right::Rows(b) => {
                let columns = self.operands.columns;
                let b = Operand { elements: &b[first * columns..], distance: columns };
                if width < V * LANES {
                    panel::copy_tail(b, column, depth, copy);
                    Operand { elements: &*copy, distance: LANES }
                } else {
                    let b = Operand { elements: &b.elements[column.min(b.elements.len())..], ..b };
                    if rows.len() < 2 * M {
                        b
                    } else {
                        // The first tile copies what it reads, for the others.
                        self.tile::<I, M, V, true>(rows.start, column, width, b, copy);
                        rows.start += M;
                        Operand { elements: &*copy, distance: V * LANES }
                    }
                }
            }
        };
        while rows.len() >= M && !is_better_halved::<M>(rows.len()) {
            self.tile::<I, M, V, false>(rows.start, column, width, b, &mut []);
            rows.start += M;
        }
        if const { M > 4 } {
            while rows.len() >= 4 {
                self.tile::<I, 4, V, false>(rows.start, column, width, b, &mut []);
                rows.start += 4;
            }
        }
        if const { M > 2 } && rows.len() >= 2 {
            self.tile::<I, 2, V, false>(rows.start, column, width, b, &mut []);
            rows.start += 2;
        }
        if !rows.is_empty() {
            self.tile::<I, 1, V, false>(rows.start, column, width, b, &mut []);
        }
    }

    #[inline(always)]
    fn tile<I: Isa, const M: usize, const V: usize, const COPY: bool>(
        &mut self,
        row: usize,
        column: usize,
        width: usize,
        b: Operand<'_, T>,
        copy: &mut [T],
    ) where
        S: Store<T, I>,
    {
        let Operands { a, a_row, a_depth, bias, .. } = self.operands;
        let a = Operand {
            elements: &a[(row * a_row + self.depths.start * a_depth).min(a.len())..],
            distance: a_row,
        };
        let size = if self.is_first && self.is_last { 0 } else { M * V * LANES };
        let (waiting, others) = std::mem::take(&mut self.sums).split_at_mut(size);
        self.sums = others;
        let mut tile: Tile<T, I, M, V> = [[I::Vector::splat(T::zero()); V]; M];
        if !self.is_first {
            let waiting = waiting.as_chunks::<LANES>().0.as_chunks::<V>().0;
            for (vectors, waiting) in tile.iter_mut().zip(waiting) {
                *vectors = array(|v| I::Vector::load(&waiting[v]));
            }
        } else if let Some(bias) = bias {
            let bias = &bias[column..][..width];
            tile = [match bias.as_chunks::<LANES>().0.as_array::<V>() {
                Some(bias) => array(|v| I::Vector::load(&bias[v])),
                None => [I::Vector::load_part(bias); V],
            }; M];
        }
        accumulate::<T, I, M, V, COPY>(&mut tile, a, a_depth, b, self.depths.len(), copy);
        if self.is_last {
            self.store.store::<M, V>(row, column, width, &tile);
        } else {
            let waiting = waiting.as_chunks_mut::<LANES>().0.as_chunks_mut::<V>().0;
            for (vectors, waiting) in tile.iter().zip(waiting) {
                for (vector, waiting) in vectors.iter().zip(waiting) {
                    vector.store(waiting);
                }
            }
        }
    }
}

/// Whether two tiles of 4 rows do better than one of `M` and a rest of `rows - M`, which would be too few chains of
/// additions to keep the processor's adders busy.
fn is_better_halved<const M: usize>(rows: usize) -> bool {
    M == 6 && rows == 8
}
