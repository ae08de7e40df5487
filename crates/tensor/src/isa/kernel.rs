//! The traits of an instruction set and of a kernel.

use std::marker::PhantomData;

use crate::float::Float;

use super::vector::{LANES, SimdElement, Vector};

/// What a kernel may ask about the instruction set it is compiled for.
///
/// An implementation that needs more than every processor of the target has must be private to a file that passes it on to
/// nothing but kernels, in a function of that `target_feature`: see the top of `isa.rs`.
pub(crate) trait Isa: Copy {
    /// Whether the processor multiplies and adds in one instruction.
    const FUSED: bool;

    /// [`LANES`] numbers in its registers.
    type Vector<T: SimdElement>: Vector<T>;

    /// `a * b + c`, rounded once.
    #[inline(always)]
    fn fma<T: Float>(a: T, b: T, c: T) -> T {
        if Self::FUSED { a.mul_add(b, c) } else { a.mul_add_emulated(b, c) }
    }

    /// Runs a kernel that works on register tiles with the tile that suits the register file, for results that are at least
    /// [`WIDE_TILE`] numbers wide.
    fn tiled<K: Tiled>(kernel: K) -> K::Output;

    /// The same for narrower results.
    #[inline(always)]
    fn tiled_narrow<K: Tiled>(kernel: K) -> K::Output {
        Self::tiled(kernel)
    }

    /// Runs a kernel that works on one row with the widest piece of it that the register file holds.
    fn wide<K: Wide>(kernel: K) -> K::Output;

    /// Runs a kernel that works on two rows with the widest piece of them that the register file holds.
    fn paired<K: Wide>(kernel: K) -> K::Output;
}

/// A computation to be compiled for each instruction set.
pub(crate) trait Kernel {
    type Output;
    /// Must be `#[inline(always)]`, and so must be what it calls, else the caller's instruction set does not reach it.
    fn run<I: Isa>(self) -> Self::Output;
}

/// A kernel whose inner loop keeps `M` rows of `V` vectors of [`LANES`] numbers in registers.
pub(crate) trait Tiled {
    type Output;
    fn run<I: Isa, const M: usize, const V: usize>(self) -> Self::Output;
}

/// A kernel whose inner loop keeps up to `V` vectors of one row in registers.
pub(crate) trait Wide {
    type Output;
    fn run<I: Isa, const V: usize>(self) -> Self::Output;
}

/// From this width on, results have whole tiles of the widest kind.
pub(crate) const WIDE_TILE: usize = 4 * LANES;

/// The instructions and vectors of `I` with small tiles, of which a kernel has few instances.
///
/// It is for `f64`, in which gradients are checked: the kernels for it would otherwise take as long to compile as those for
/// `f32`. Two rows of one vector are 8 accumulators in AVX2's 16 registers.
#[derive(Clone, Copy)]
pub(crate) struct Small<I>(PhantomData<I>);

impl<I: Isa> Isa for Small<I> {
    const FUSED: bool = I::FUSED;
    type Vector<T: SimdElement> = I::Vector<T>;
    #[inline(always)]
    fn tiled<K: Tiled>(kernel: K) -> K::Output {
        kernel.run::<Self, 2, 1>()
    }
    #[inline(always)]
    fn wide<K: Wide>(kernel: K) -> K::Output {
        kernel.run::<Self, 1>()
    }
    #[inline(always)]
    fn paired<K: Wide>(kernel: K) -> K::Output {
        kernel.run::<Self, 1>()
    }
}
