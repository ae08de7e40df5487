//! The product with a result in C order, for the forward pass and for the gradient with respect to the kernel.
//!
//! Both use one kernel, because the compiler generates about twenty tiles of it for each instruction set.

use crate::isa::{Isa, Kernel, LANES, SimdElement, Tiled, Vector, WIDE_TILE};
use crate::tile::{Operands, Store, Tile, Workspace, product};

/// C\[M, N\] = A B, with relu applied to each result before it is stored, if `relu` is set.
pub(crate) struct Product<'a, T> {
    pub(crate) operands: Operands<'a, T>,
    /// C in C order.
    pub(crate) c: &'a mut [T],
    pub(crate) relu: bool,
    pub(crate) workspace: Workspace<'a, T>,
}

/// Whether a result of `columns` columns uses the widest tiles. A packed right operand must have panels of the same width.
fn is_wide(columns: usize) -> bool {
    columns >= WIDE_TILE
}

impl<T: SimdElement> Kernel for Product<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        if is_wide(self.operands.columns) {
            I::tiled(self);
        } else {
            I::tiled_narrow(self);
        }
    }
}

impl<T: SimdElement> Tiled for Product<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa, const M: usize, const V: usize>(self) {
        let Self { operands, c, relu, workspace } = self;
        let stride = operands.columns;
        product::<T, I, _, M, V>(operands, workspace, &mut Rows { c, stride, relu });
    }
}

/// Stores tiles into a matrix whose rows are `stride` elements apart.
struct Rows<'a, T> {
    c: &'a mut [T],
    stride: usize,
    relu: bool,
}

impl<T: SimdElement, I: Isa> Store<T, I> for Rows<'_, T> {
    #[inline(always)]
    fn store<const M: usize, const V: usize>(
        &mut self,
        row: usize,
        column: usize,
        width: usize,
        tile: &Tile<T, I, M, V>,
    ) {
        let mut tile = *tile;
        for vectors in &mut tile {
            for vector in vectors {
                *vector = vector.finished::<false>();
            }
        }
        if self.relu {
            for vectors in &mut tile {
                for vector in vectors {
                    *vector = vector.relu();
                }
            }
        }
        for (m, vectors) in tile.iter().enumerate() {
            let c = &mut self.c[(row + m) * self.stride + column..][..width];
            match c.as_chunks_mut::<LANES>().0.as_mut_array::<V>() {
                Some(c) => {
                    for (c, vector) in c.iter_mut().zip(vectors) {
                        vector.store(c);
                    }
                }
                None => vectors[0].store_part(c),
            }
        }
    }
}
