//! The loops of every dense matrix product, around a micro-kernel that keeps a tile of the result in registers.
//!
//! Each element of the result starts from its initial value and adds its products by `fma(a[k], b[k], sum)` over k in ascending
//! order, in one thread. So its bits depend neither on the size of the tile, nor on the instruction set, nor on the number of
//! threads.
//!
//! The order of the loops is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM
//! Transactions on Mathematical Software 34, 2008. The depth K is divided into blocks (the kc of BLIS). In a block, a panel of
//! the right operand, which has the columns of one tile, stays in the first-level cache while the micro-kernel goes over all
//! rows. Between two blocks the partial sums are stored in memory, in the order in which the tiles are visited.

mod panel;
mod register;

use std::ops::Range;

use crate::buffer::Buffer;
use crate::isa::{Isa, LANES, SimdElement, Vector, array};
use crate::scratch::at_least;
use register::{Operand, micro_kernel};

pub(crate) use panel::{pack_rows, pack_transposed, padded};
pub(crate) use register::Tile;

/// The maximum size in bytes of a block of a panel, which determines kc. The rest of a first-level cache of 32 or 48 KB is for
/// the left operand and the result.
const PANEL_BYTES: usize = 24 << 10;

/// The rows of a block (the mc of BLIS): whole tiles of every instruction set, few enough that the partial sums stay in the
/// second-level cache, and enough that packing a panel costs little.
const BLOCK_ROWS: usize = 96;

/// Both operands of a product C\[M, N\] = A\[M, K\] B\[K, N\].
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a, T> {
    /// M.
    pub(crate) rows: usize,
    /// K.
    pub(crate) depth: usize,
    /// N.
    pub(crate) columns: usize,
    pub(crate) a: &'a [T],
    /// The stride in `a` between rows.
    pub(crate) a_row: usize,
    /// The stride in `a` along k.
    pub(crate) a_depth: usize,
    pub(crate) b: RightOperand<'a, T>,
    /// The initial value of the results of each column, \[N\]. `None` stands for zeros.
    pub(crate) bias: Option<&'a [T]>,
}

/// The right operand of a product.
#[derive(Clone, Copy)]
pub(crate) enum RightOperand<'a, T> {
    /// B\[K, N\] in C order.
    Rows(&'a [T]),
    /// B\[K, N\] in panels, as packed by [`pack_rows`] or [`pack_transposed`].
    Panels(&'a [T]),
}

/// Stores the finished tiles of a product.
pub(crate) trait Store<T: SimdElement, I: Isa> {
    /// Stores `tile`, which holds rows `row..row + M` and columns `column..column + width`. `width` is `V` whole vectors, or, if
    /// `V` is 1, possibly less than one.
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

/// The working memory of a product.
pub(crate) struct Workspace<'a, T> {
    /// A packed block of a panel.
    pub(crate) panel: &'a mut Option<Buffer<T>>,
    /// Partial sums between two blocks of the depth.
    pub(crate) sums: &'a mut Option<Buffer<T>>,
}

impl<T> Workspace<'_, T> {
    /// Borrows the workspace for a shorter lifetime.
    pub(crate) fn reborrow(&mut self) -> Workspace<'_, T> {
        Workspace { panel: &mut *self.panel, sums: &mut *self.sums }
    }
}

/// Computes the product tile by tile and passes each tile to `store`. The tiles have `M` rows and `V` vectors of columns.
#[inline(always)]
pub(crate) fn product<T: SimdElement, I: Isa, S: Store<T, I>, const M: usize, const V: usize>(
    operands: Operands<'_, T>,
    workspace: Workspace<'_, T>,
    store: &mut S,
) {
    let Operands { rows, depth, columns, .. } = operands;
    let max_depth = PANEL_BYTES / (V * LANES * size_of::<T>());
    let blocks = depth.div_ceil(max_depth).max(1);
    let panel = at_least(workspace.panel, depth.div_ceil(blocks) * V * LANES);
    let sums = at_least(workspace.sums, if blocks == 1 { 0 } else { rows.min(BLOCK_ROWS) * padded(columns) });
    for first_row in (0..rows).step_by(BLOCK_ROWS) {
        for block in 0..blocks {
            let mut kernel = MacroKernel {
                operands,
                rows: first_row..rows.min(first_row + BLOCK_ROWS),
                depths: block * depth / blocks..(block + 1) * depth / blocks,
                is_first: block == 0,
                is_last: block + 1 == blocks,
                sums: &mut *sums,
                store: &mut *store,
            };
            let mut column = 0;
            if const { V > 1 } {
                while columns - column >= V * LANES {
                    kernel.panel::<I, M, V>(column, V * LANES, panel);
                    column += V * LANES;
                }
            }
            while column < columns {
                let width = LANES.min(columns - column);
                kernel.panel::<I, M, 1>(column, width, panel);
                column += width;
            }
        }
    }
}

/// The product of one block of rows and one block of the depth: the macro-kernel of BLIS.
struct MacroKernel<'a, T, S> {
    operands: Operands<'a, T>,
    rows: Range<usize>,
    depths: Range<usize>,
    is_first: bool,
    is_last: bool,
    /// The partial sums of the tiles that are not yet visited.
    sums: &'a mut [T],
    store: &'a mut S,
}

impl<T: SimdElement, S> MacroKernel<'_, T, S> {
    /// Computes all rows of the columns `column..column + width`, which are `V` whole vectors or less than one. `packed` is
    /// working memory for a packed panel.
    #[inline(always)]
    fn panel<I: Isa, const M: usize, const V: usize>(&mut self, column: usize, width: usize, packed: &mut [T])
    where
        S: Store<T, I>,
    {
        let (first, depth) = (self.depths.start, self.depths.len());
        let mut rows = self.rows.clone();
        let packed_panel = Operand { elements: &*packed, stride: V * LANES };
        let b = match self.operands.b {
            RightOperand::Panels(b) => {
                Operand { elements: &b[column * self.operands.depth + first * V * LANES..], ..packed_panel }
            }
            RightOperand::Rows(b) => {
                let columns = self.operands.columns;
                let b = Operand { elements: &b[first * columns..], stride: columns };
                if width < V * LANES {
                    panel::pack_tail(b, column, depth, packed);
                    Operand { elements: &*packed, stride: LANES }
                } else {
                    let b = Operand { elements: &b.elements[column.min(b.elements.len())..], ..b };
                    if rows.len() < 2 * M {
                        b
                    } else {
                        // The first tile packs the panel that it reads. The other tiles read the packed panel.
                        self.tile::<I, M, V, true>(rows.start, column, width, b, packed);
                        rows.start += M;
                        Operand { elements: &*packed, stride: V * LANES }
                    }
                }
            }
        };
        while rows.len() >= M && !is_faster_in_tiles_of_4::<M>(rows.len()) {
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

    /// Computes one tile: loads its initial values or partial sums, runs the micro-kernel, and stores the result or the partial
    /// sums. With `PACK`, the micro-kernel also packs the panel `b` into `packed`.
    #[inline(always)]
    fn tile<I: Isa, const M: usize, const V: usize, const PACK: bool>(
        &mut self,
        row: usize,
        column: usize,
        width: usize,
        b: Operand<'_, T>,
        packed: &mut [T],
    ) where
        S: Store<T, I>,
    {
        let Operands { a, a_row, a_depth, bias, .. } = self.operands;
        let a = Operand {
            elements: &a[(row * a_row + self.depths.start * a_depth).min(a.len())..],
            stride: a_row,
        };
        let size = if self.is_first && self.is_last { 0 } else { M * V * LANES };
        let (partial, others) = std::mem::take(&mut self.sums).split_at_mut(size);
        self.sums = others;
        let mut tile: Tile<T, I, M, V> = [[I::Vector::splat(T::zero()); V]; M];
        if !self.is_first {
            let partial = partial.as_chunks::<LANES>().0.as_chunks::<V>().0;
            for (vectors, partial) in tile.iter_mut().zip(partial) {
                *vectors = array(|v| I::Vector::load(&partial[v]));
            }
        } else if let Some(bias) = bias {
            let bias = &bias[column..][..width];
            tile = [match bias.as_chunks::<LANES>().0.as_array::<V>() {
                Some(bias) => array(|v| I::Vector::load(&bias[v])),
                None => [I::Vector::load_part(bias); V],
            }; M];
        }
        micro_kernel::<T, I, M, V, PACK>(&mut tile, a, a_depth, b, self.depths.len(), packed);
        if self.is_last {
            self.store.store::<M, V>(row, column, width, &tile);
        } else {
            let partial = partial.as_chunks_mut::<LANES>().0.as_chunks_mut::<V>().0;
            for (vectors, partial) in tile.iter().zip(partial) {
                for (vector, partial) in vectors.iter().zip(partial) {
                    vector.store(partial);
                }
            }
        }
    }
}

/// Whether two tiles of 4 rows are faster than one of `M` rows and one of `rows - M` rows.
///
/// The second of those has too few independent sums to occupy the processor's multiply-add units.
fn is_faster_in_tiles_of_4<const M: usize>(rows: usize) -> bool {
    M == 6 && rows == 8
}
