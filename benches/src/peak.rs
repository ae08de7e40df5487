//! The peak rate of a core: independent chains of fused multiply-adds whose operands stay in registers.

use ziffer_tensor::InstructionSet;

/// The number of independent chains: more than latency times units of current processors (4 x 2), and few enough for 16
/// registers.
const CHAINS: usize = 12;
/// The number of operations in a chain.
const LINKS: usize = 4096;
/// An operation is `sum * FACTOR + TERM`, which stays near 1.
const FACTOR: f32 = 0.999;
const TERM: f32 = 1e-3;

/// The number of floating-point operations of [`fma_chains`] with vectors of `lanes` numbers. A fused multiply-add counts as two.
pub fn flop_of_chains(lanes: usize) -> usize {
    2 * CHAINS * LINKS * lanes
}

/// Runs the chains with the current instruction set. Returns the number of lanes of its vectors and the sum of all chains, so that
/// the compiler cannot remove them.
pub fn fma_chains(start: f32) -> (usize, f32) {
    match InstructionSet::current() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor supports the current instruction set, which includes AVX-512F.
        InstructionSet::Avx512 => (16, unsafe { avx512(start) }),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor supports the current instruction set, which includes AVX2 and FMA.
        InstructionSet::Avx2 => (8, unsafe { avx2(start) }),
        _ => (4, portable(start)),
    }
}

/// The chains with AVX-512. They use intrinsics, since the compiler may split a loop of `f32::mul_add` into shorter vectors or
/// single numbers.
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

/// The chains with AVX2.
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
    // All lanes are equal.
    8.0 * _mm256_cvtss_f32(sums.into_iter().fold(_mm256_set1_ps(0.0), |total, sum| _mm256_add_ps(total, sum)))
}

/// The chains without a fused instruction: a multiplication and an addition.
fn portable(start: f32) -> f32 {
    let mut sums = [[start; 4]; CHAINS];
    for _ in 0..LINKS {
        for sum in &mut sums {
            *sum = sum.map(|lane| lane * FACTOR + TERM);
        }
    }
    sums.iter().flatten().sum()
}
