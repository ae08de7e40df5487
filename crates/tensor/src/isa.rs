//! Instruction sets: which one this process uses, and the one door through which a kernel is run with it.
//!
//! A kernel is written once, generic over [`Isa`] and always inlined; [`run`] instantiates it inside a function that
//! is compiled for each instruction set and calls the one that was chosen at start. All of them give the same bits:
//! a kernel vectorises over independent results and sums each result in a fixed order by fused multiply-add.
//!
//! A type that implements [`Isa`] is the proof that the processor has the instructions. The types of AVX2 and AVX-512, and those
//! of their vectors, are private to their files. All that leaves such a file is one function that runs a kernel with them, and it
//! has the attribute `target_feature`: the compiler lets no safe code call it that is not compiled for the same instructions. A
//! kernel knows the types as a parameter `I` and as `I::Vector` only, so whoever can make or use a vector of AVX2 was called, at
//! some depth, by that function. The processor keeps its instructions, so it does no harm when what a kernel returns uses
//! them later.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod vector;

use std::marker::PhantomData;
use std::sync::OnceLock;

use crate::Scalar;

use vector::Plain;
pub(crate) use vector::Vector;

/// Whether every processor of the target multiplies and adds in one instruction.
const FUSED_EVERYWHERE: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));

/// What a kernel may ask about the instruction set it is compiled for.
///
/// An implementation that needs more than every processor of the target has must be private to a file that passes it on to
/// nothing but kernels, in a function of that `target_feature`: see the top of this file.
pub(crate) trait Isa: Copy {
    /// Whether the processor multiplies and adds in one instruction.
    const FUSED: bool;

    /// [`LANES`] numbers in its registers.
    type Vector<T: Scalar>: Vector<T>;

    /// `a * b + c`, rounded once.
    #[inline(always)]
    fn fma<T: Scalar>(a: T, b: T, c: T) -> T {
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

/// Numbers in a vector of the kernels: one AVX-512 register of `f32`, two of AVX2, four of SSE2.
pub(crate) const LANES: usize = 16;

/// From this width on, results have whole tiles of the widest kind.
pub(crate) const WIDE_TILE: usize = 4 * LANES;

/// A vector of the kernels.
pub(crate) type Lanes<T> = [T; LANES];

#[derive(Clone, Copy)]
struct Portable;

impl Isa for Portable {
    const FUSED: bool = FUSED_EVERYWHERE;
    type Vector<T: Scalar> = Plain<T, FUSED_EVERYWHERE>;
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

/// The instructions and vectors of `I` with small tiles, of which a kernel has few instances.
///
/// It is for `f64`, in which gradients are checked: the kernels for it would otherwise take as long to compile as those for
/// `f32`. Two rows of one vector are 8 accumulators in AVX2's 16 registers.
#[derive(Clone, Copy)]
struct Small<I>(PhantomData<I>);

impl<I: Isa> Isa for Small<I> {
    const FUSED: bool = I::FUSED;
    type Vector<T: Scalar> = I::Vector<T>;
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

/// The instruction sets that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// AVX-512 F, VL, BW and DQ.
    Avx512,
    /// AVX2 with FMA.
    Avx2,
    /// What every processor of the target has.
    Portable,
}

impl InstructionSet {
    /// The name that `ZIFFER_ISA` takes: `avx512`, `avx2` or `portable`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                std::is_x86_feature_detected!("avx2")
                    && std::is_x86_feature_detected!("fma")
                    && std::is_x86_feature_detected!("bmi1")
                    && std::is_x86_feature_detected!("bmi2")
                    && std::is_x86_feature_detected!("lzcnt")
                    && std::is_x86_feature_detected!("popcnt")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && std::is_x86_feature_detected!("avx512f")
                    && std::is_x86_feature_detected!("avx512vl")
                    && std::is_x86_feature_detected!("avx512bw")
                    && std::is_x86_feature_detected!("avx512dq")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The best that this processor has.
    pub fn best() -> Self {
        [Self::Avx512, Self::Avx2].into_iter().find(|set| set.is_available()).unwrap_or(Self::Portable)
    }

    /// The one in use: the best available, or the one that the environment variable `ZIFFER_ISA` names.
    ///
    /// Decided at the first use, for the life of the process.
    ///
    /// # Panics
    /// If `ZIFFER_ISA` names none, or one that this processor lacks; [`InstructionSet::from_environment`] tells
    /// beforehand, without a panic.
    pub fn current() -> Self {
        static CURRENT: OnceLock<InstructionSet> = OnceLock::new();
        *CURRENT.get_or_init(|| match Self::from_environment() {
            Ok(set) => set,
            Err(message) => panic!("{message}"),
        })
    }

    /// What `ZIFFER_ISA` asks for, or the best if it is unset or empty.
    ///
    /// # Errors
    /// One line that says what is wrong with the variable.
    pub fn from_environment() -> Result<Self, String> {
        let Some(name) = std::env::var_os("ZIFFER_ISA").filter(|name| !name.is_empty()) else {
            return Ok(Self::best());
        };
        let Some(set) =
            [Self::Avx512, Self::Avx2, Self::Portable].into_iter().find(|set| name == *set.name())
        else {
            return Err(format!("ZIFFER_ISA is {name:?}, expected avx512, avx2 or portable"));
        };
        if set.is_available() {
            Ok(set)
        } else {
            Err(format!("ZIFFER_ISA asks for {}, which this processor lacks", set.name()))
        }
    }
}

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
