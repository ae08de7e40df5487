//! Instruction sets: which one this process uses, and the functions that run a kernel with it.
//!
//! A kernel is written once, generic over [`Isa`] and always inlined; [`run`] instantiates it inside a function that
//! is compiled for each instruction set and calls the one that was chosen at start. All of them give the same bits:
//! a kernel vectorizes over independent results and sums each result in a fixed order by fused multiply-add.
//!
//! A type that implements [`Isa`] is the proof that the processor has the instructions. The types of AVX2 and AVX-512, and those
//! of their vectors, are private to their files. All that leaves such a file is one function that runs a kernel with them, and it
//! has the attribute `target_feature`: the compiler lets no safe code call it that is not compiled for the same instructions. A
//! kernel knows the types as a parameter `I` and as `I::Vector` only, so any code that can make or use a vector of AVX2 was
//! called, at some depth, by that function. The processor keeps its instructions, so what a kernel returns may use them later.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod instruction_set;
mod kernel;
mod portable;
mod vector;

pub use instruction_set::InstructionSet;
pub(crate) use kernel::{Isa, Kernel, Tiled, WIDE_TILE, Wide};
pub(crate) use vector::{LANES, Lanes, SimdElement, Vector, array};

use kernel::Small;
use portable::Portable;

/// The instruction set in use, which is available.
#[inline]
fn in_use() -> InstructionSet {
    #[cfg(test)]
    if let Some(set) = tests::forced() {
        return set;
    }
    InstructionSet::current()
}

/// Runs `kernel` with the instruction set in use.
#[inline]
pub(crate) fn run<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: `current` returns only what is available, and tests force only what they have found available. To ask again
    // at each call would take 5 ns, a tenth of the time of a row's cross-entropy.
    unsafe { run_with(in_use(), kernel) }
}

/// Runs `kernel`, which is one of `f64`, with small tiles: with AVX2 where that or more is in use.
#[inline]
pub(crate) fn run_small<K: Kernel>(kernel: K) -> K::Output {
    match in_use() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a set in use is available, and AVX-512 is only where AVX2 is.
        InstructionSet::Avx512 | InstructionSet::Avx2 => unsafe { avx2::run_small(kernel) },
        _ => kernel.run::<Small<Portable>>(),
    }
}

/// Runs `kernel` with one instruction set.
///
/// # Safety
/// The processor must have it.
#[inline]
unsafe fn run_with<K: Kernel>(set: InstructionSet, kernel: K) -> K::Output {
    match set {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has what `avx512::run` is compiled for, as this function demands.
        InstructionSet::Avx512 => unsafe { avx512::run(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has what `avx2::run` is compiled for, as this function demands.
        InstructionSet::Avx2 => unsafe { avx2::run(kernel) },
        _ => kernel.run::<Portable>(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::InstructionSet;
    use std::cell::Cell;

    thread_local! {
        static FORCED: Cell<Option<InstructionSet>> = const { Cell::new(None) };
    }

    pub(crate) fn forced() -> Option<InstructionSet> {
        FORCED.get()
    }

    /// What `work` returns with each instruction set that this processor has, the portable one first.
    pub(crate) fn with_each<R>(work: impl Fn() -> R) -> Vec<(InstructionSet, R)> {
        [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512]
            .into_iter()
            .filter(|set| set.is_available())
            .map(|set| {
                FORCED.set(Some(set));
                let result = work();
                FORCED.set(None);
                (set, result)
            })
            .collect()
    }
}
