//! The most that a core multiplies and adds: independent chains of fused multiply-adds that stay in registers.

use ziffer_tensor::InstructionSet;

/// Chains that run beside each other: more than latency times units of any present processor (4 x 2), and few enough for 16
/// registers.
const CHAINS: usize = 12;
/// Links of a chain.
const LINKS: usize = 4096;
/// A link: `sum * FACTOR + TERM`, which stays near 1.
const FACTOR: f32 = 0.999;
const TERM: f32 = 1e-3;

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

/// `f32::mul_add` in a loop is left to the compiler, which for vectors of 16 has been seen to make halves or single
/// numbers of it; a peak must not depend on that.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(start: f32) -> f32 {
    use std::arch::x86_64::{_mm512_add_ps, _mm512_fmadd_ps, _mm512_reduce_add_ps, _mm512_set1_ps};
    let (a, b) = (_mm512_set1_ps(FACTOR), _mm512_set1_ps(TERM));
    let mut sums = [_mm512_set1_ps(start); CHAINS];
    for _ in 0..LINKS {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, a, b);
        }
    }
    _mm512_reduce_add_ps(sums.into_iter().fold(_mm512_set1_ps(0.0), |total, sum| _mm512_add_ps(total, sum)))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(start: f32) -> f32 {
    use std::arch::x86_64::{_mm256_add_ps, _mm256_cvtss_f32, _mm256_fmadd_ps, _mm256_set1_ps};
    let (a, b) = (_mm256_set1_ps(FACTOR), _mm256_set1_ps(TERM));
    let mut sums = [_mm256_set1_ps(start); CHAINS];
    for _ in 0..LINKS {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, a, b);
        }
    }
    // All lanes are alike.
    8.0 * _mm256_cvtss_f32(sums.into_iter().fold(_mm256_set1_ps(0.0), |total, sum| _mm256_add_ps(total, sum)))
}

/// Without a fused instruction, a multiplication and an addition.
fn portable(start: f32) -> f32 {
    let mut sums = [[start; 4]; CHAINS];
    for _ in 0..LINKS {
        for sum in &mut sums {
            *sum = sum.map(|lane| lane * FACTOR + TERM);
        }
    }
    sums.iter().flatten().sum()
}
