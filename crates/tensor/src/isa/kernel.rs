//! The traits of instruction sets and of kernels.

use std::marker::PhantomData;

use crate::float::Float;

use super::vector::{LANES, SimdElement, Vector};

/// An instruction set that a kernel is compiled for.
///
/// If an implementation needs instructions that some processors of the target lack, it must be private to its file. The file may
/// pass it only to kernels, in functions with the `target_feature` attribute: see the top of `isa.rs`.
pub(crate) trait Isa: Copy {
    /// Whether the processor multiplies and adds in one instruction.
    const FUSED: bool;

    /// A vector of [`LANES`] numbers.
    type Vector<T: SimdElement>: Vector<T>;

    /// Returns `a * b + c`, rounded once.
    #[inline(always)]
    fn fma<T: Float>(a: T, b: T, c: T) -> T {
        if Self::FUSED { a.mul_add(b, c) } else { a.mul_add_emulated(b, c) }
    }

    /// Runs a kernel with the tile that fits the registers best, for results of at least [`WIDE_TILE`] columns.
    fn tiled<K: Tiled>(kernel: K) -> K::Output;

    /// Runs a kernel with the tile that fits the registers best, for results of fewer columns.
    #[inline(always)]
    fn tiled_narrow<K: Tiled>(kernel: K) -> K::Output {
        Self::tiled(kernel)
    }

    /// Runs a kernel that keeps part of one row in registers, with as many vectors as the registers hold.
    fn wide<K: Wide>(kernel: K) -> K::Output;

    /// Runs a kernel that keeps part of two rows in registers, with as many vectors of each as the registers hold.
    fn paired<K: Wide>(kernel: K) -> K::Output;
}

/// A computation that is compiled for each instruction set.
pub(crate) trait Kernel {
    type Output;
    /// Runs the computation.
    ///
    /// An implementation and all functions that it calls must be `#[inline(always)]`. Otherwise they are not compiled for the
    /// instruction set of the caller.
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

/// The number of columns from which a result has at least one tile of the widest kind.
pub(crate) const WIDE_TILE: usize = 4 * LANES;

/// The instructions and vectors of `I` with small tiles, so that the compiler generates few instances of a kernel.
///
/// It is used for `f64`, the type of gradient checks, whose kernels would otherwise take as long to compile as those of `f32`.
/// Two rows of one vector are 8 accumulators in the 16 registers of AVX2.
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
