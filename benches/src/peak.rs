//! The most that a core multiplies and adds: independent chains of fused multiply-adds that stay in registers.

use ziffer_tensor::InstructionSet;

/// Chains that run beside each other: more than latency times units of any present processor (4 x 2), and few enough for 16
/// registers.
const CHAINS: usize = 12;
/// Links of a chain.
const LINKS: usize = 4096;

/// Floating-point operations of [`fma_chains`] with vectors of `lanes` numbers: a multiplication and an addition each.
pub fn flop_of_chains(lanes: usize) -> usize {
    2 * CHAINS * LINKS * lanes
}

/// Runs the chains with the instruction set in use; returns the lanes of its vectors and the sum of all, which must be used.
pub fn fma_chains(start: f32) -> (usize, f32) {
    match InstructionSet::current() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the instruction set in use is one that the processor has.
        InstructionSet::Avx512 => (16, unsafe { avx512(start) }),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        InstructionSet::Avx2 => (8, unsafe { avx2(start) }),
        _ => (4, portable(start)),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn avx512(start: f32) -> f32 {
    chains::<16>(start, f32::mul_add)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(start: f32) -> f32 {
    chains::<8>(start, f32::mul_add)
}

/// Without a fused instruction, a multiplication and an addition.
fn portable(start: f32) -> f32 {
    chains::<4>(start, |a, b, c| a * b + c)
}

#[inline(always)]
fn chains<const LANES: usize>(start: f32, fma: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut sums = [[start; LANES]; CHAINS];
    let (a, b) = ([0.999_f32; LANES], [1e-3_f32; LANES]);
    for _ in 0..LINKS {
        for sum in &mut sums {
            for lane in 0..LANES {
                sum[lane] = fma(sum[lane], a[lane], b[lane]);
            }
        }
    }
    sums.iter().flatten().sum()
}
