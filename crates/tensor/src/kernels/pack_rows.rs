//! Packing of a right operand in C order.

use crate::isa::{Isa, Kernel, SimdElement, Tiled, WIDE_TILE};
use crate::tile::pack_rows;

/// Packs B\[K, N\], given in C order, into `packed`, which has `padded(N) K` elements, in the panels of a product with N columns.
pub(crate) struct PackRows<'a, T> {
    pub(crate) b: &'a [T],
    pub(crate) columns: usize,
    pub(crate) packed: &'a mut [T],
}

impl<T: SimdElement> Kernel for PackRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        if self.columns >= WIDE_TILE {
            I::tiled(self);
        } else {
            I::tiled_narrow(self);
        }
    }
}

impl<T: SimdElement> Tiled for PackRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa, const M: usize, const V: usize>(self) {
        pack_rows::<T, V>(self.b, self.columns, self.packed);
    }
}
