//! Instruction sets: the choice of the one in use, and the functions that run a kernel with it.
//!
//! A kernel is written once. It is generic over [`Isa`] and always inlined. [`run`] instantiates it in one function per
//! instruction set, which is compiled for this set, and calls the one for the set in use. All of them give the same bits: a
//! kernel vectorizes over independent results and sums each result in a fixed order by fused multiply-adds.
//!
//! A type that implements [`Isa`] proves that the processor has the instructions. The types of AVX2 and AVX-512, and the types
//! of their vectors, are private to their files. Such a file exports only functions that run a kernel with them. These
//! functions have the attribute `target_feature`: the compiler rejects calls from safe code that is not compiled for the same
//! instructions. A kernel can name the types only as a parameter `I` and as `I::Vector`. So any code that creates or uses a
//! vector of AVX2 is called, directly or indirectly, by one of these functions. A processor does not lose instructions, so that
//! a value that a kernel returns may use them later.

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

/// Returns the instruction set in use. This processor has it.
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
    // SAFETY: `current` returns only available sets, and tests force only sets that they have found available. A check at each
    // call would take 5 ns, a tenth of the time of the cross-entropy of a row.
    unsafe { run_with(in_use(), kernel) }
}

/// Runs `kernel`, a kernel of `f64`, with small tiles. It uses AVX2 if AVX2 or AVX-512 is in use.
#[inline]
pub(crate) fn run_small<K: Kernel>(kernel: K) -> K::Output {
    match in_use() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the set in use is available, and AVX-512 counts as available only if AVX2 is.
        InstructionSet::Avx512 | InstructionSet::Avx2 => unsafe { avx2::run_small(kernel) },
        _ => kernel.run::<Small<Portable>>(),
    }
}

/// Runs `kernel` with the instruction set `set`.
///
/// # Safety
/// The processor must have `set`.
#[inline]
unsafe fn run_with<K: Kernel>(set: InstructionSet, kernel: K) -> K::Output {
    match set {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has the instructions of `avx512::run`, which the caller guarantees.
        InstructionSet::Avx512 => unsafe { avx512::run(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has the instructions of `avx2::run`, which the caller guarantees.
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

    /// Calls `work` once with each instruction set that this processor has, the portable one first, and returns the results.
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
