//! The portable instruction set: the instructions that every processor of the compilation target has.

use super::kernel::{Isa, Tiled, Wide};
use super::vector::{Plain, SimdElement};

/// Whether every processor of the target has fused multiply-add instructions.
const FUSED_EVERYWHERE: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));

#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Isa for Portable {
    const FUSED: bool = FUSED_EVERYWHERE;
    type Vector<T: SimdElement> = Plain<T, FUSED_EVERYWHERE>;
    #[inline(always)]
    fn tiled<K: Tiled>(kernel: K) -> K::Output {
        kernel.run::<Self, 4, 1>()
    }
    #[inline(always)]
    fn wide<K: Wide>(kernel: K) -> K::Output {
        kernel.run::<Self, 4>()
    }
    #[inline(always)]
    fn paired<K: Wide>(kernel: K) -> K::Output {
        kernel.run::<Self, 2>()
    }
}
