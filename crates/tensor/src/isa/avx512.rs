//! AVX-512 F, VL, BW and DQ: vectors of sixteen `f32` in one register.
//!
//! `Avx512` and `F32x16` are private to this file. Only [`run`] passes them on, to kernels. It is compiled for AVX-512: it can be
//! called only where the processor is known to have it. Apart from [`run`] and the tests, which check the processor, no code in
//! this file names a method of the two types outside of their implementations. So wherever an operation of a vector runs, the
//! processor has the instructions. The unsafe blocks rely on this.

use std::arch::x86_64::*;

use crate::float::Float;

use super::kernel::{Isa, Kernel, Tiled, Wide};
use super::vector::{LANES, Lanes, Plain, SimdElement, Vector};

/// Runs `kernel` with AVX-512.
#[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512bw,avx512dq,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx512>()
}

#[derive(Clone, Copy)]
struct Avx512;

impl Isa for Avx512 {
    const FUSED: bool = true;
    type Vector<T: SimdElement> = T::Choice<F32x16, Plain<f64, true>>;
    // Tiles of 6 x 4 vectors: 24 accumulators in 32 registers. Loads compete with multiply-adds, and this shape has the fewest
    // loads per multiply-add.
    #[inline(always)]
    fn tiled<K: Tiled>(kernel: K) -> K::Output {
        kernel.run::<Self, 6, 4>()
    }
    #[inline(always)]
    fn tiled_narrow<K: Tiled>(kernel: K) -> K::Output {
        kernel.run::<Self, 8, 2>()
    }
    #[inline(always)]
    fn wide<K: Wide>(kernel: K) -> K::Output {
        kernel.run::<Self, 8>()
    }
    #[inline(always)]
    fn paired<K: Wide>(kernel: K) -> K::Output {
        kernel.run::<Self, 8>()
    }
}

/// Sixteen `f32`.
#[derive(Clone, Copy)]
struct F32x16(__m512);

/// Calls an intrinsic.
macro_rules! call {
    ($intrinsic:ident, $($of:expr),+) => {
        // SAFETY: see the top of the file.
        unsafe { F32x16($intrinsic($($of.0),+)) }
    };
}

/// The mask of the first `len` lanes, or of all lanes if `len` exceeds 16.
#[inline(always)]
fn first_lanes(len: usize) -> __mmask16 {
    if len < LANES { (1 << len) - 1 } else { __mmask16::MAX }
}

impl Vector<f32> for F32x16 {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see the top of the file.
        unsafe { Self(_mm512_set1_ps(value)) }
    }
    #[inline(always)]
    fn load(from: &Lanes<f32>) -> Self {
        // SAFETY: see the top of the file. It reads the 16 elements of the array.
        unsafe { Self(_mm512_loadu_ps(from.as_ptr())) }
    }
    #[inline(always)]
    fn store(self, to: &mut Lanes<f32>) {
        // SAFETY: see the top of the file. It writes the 16 elements of the array.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    fn load_part(from: &[f32]) -> Self {
        // SAFETY: see the top of the file. It reads at most 16 numbers, and no more than the slice has.
        unsafe { Self(_mm512_maskz_loadu_ps(first_lanes(from.len()), from.as_ptr())) }
    }
    #[inline(always)]
    fn store_part(self, to: &mut [f32]) {
        // SAFETY: see the top of the file. It writes at most 16 numbers, and no more than the slice has.
        unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), first_lanes(to.len()), self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        call!(_mm512_add_ps, self, other)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        call!(_mm512_sub_ps, self, other)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        call!(_mm512_mul_ps, self, other)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        call!(_mm512_div_ps, self, other)
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        call!(_mm512_fmadd_ps, self, b, c)
    }
    #[inline(always)]
    fn mul_sub(self, b: Self, c: Self) -> Self {
        call!(_mm512_fmsub_ps, self, b, c)
    }
    #[inline(always)]
    fn neg_mul_add(self, b: Self, c: Self) -> Self {
        call!(_mm512_fnmadd_ps, self, b, c)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        call!(_mm512_sqrt_ps, self)
    }

    /// Computes the square root by fused multiply-adds, without the square root instruction.
    ///
    /// That instruction and division share one unit of the processor, and Adam also divides. So the unit is left to the
    /// division (Markstein, "Computation of elementary functions on the IBM RISC System/6000 processor", IBM Journal of
    /// Research and Development 34, 1990). The start is an estimate of 1 / sqrt(x) with a relative error of at most 2^-14. One
    /// step of Newton's method for g = sqrt(x) and h = 1 / (2 sqrt(x)) gives both with a relative error of at most 2^-26 or one
    /// unit in the last place. Then x - g g is exact, and g + (x - g g) h, rounded once, is the correctly rounded root.
    ///
    /// The test checks all x of two binades, with estimates up to the maximum error. Scaling x by a power of 4 changes no
    /// rounding, so that the test covers every x from [`Float::TINY`] on. Smaller numbers are flushed to zero. If a vector has
    /// an infinite, NaN or negative lane, the square root instruction is used.
    #[inline(always)]
    fn flushed_with_root(self) -> (Self, Self) {
        // SAFETY: see the top of the file.
        unsafe {
            // The bits of nonnegative numbers, taken as integers, have the order of the numbers. The bits of infinity, NaN and
            // negative numbers are larger.
            let bits = _mm512_castps_si512(self.0);
            let infinity = _mm512_set1_epi32(f32::INFINITY.to_bits() as i32);
            if _mm512_cmplt_epu32_mask(bits, infinity) == __mmask16::MAX {
                let smallest = _mm512_set1_epi32(f32::TINY.to_bits() as i32);
                let kept = _mm512_cmpge_epu32_mask(bits, smallest);
                let root = root_from_estimate(self.0, _mm512_rsqrt14_ps(self.0));
                (Self(_mm512_maskz_mov_ps(kept, self.0)), Self(_mm512_maskz_mov_ps(kept, root)))
            } else {
                std::hint::cold_path();
                let flushed = self.flushed();
                (flushed, flushed.sqrt())
            }
        }
    }

    #[inline(always)]
    fn relu(self) -> Self {
        // The intrinsic returns its second operand if one of them is NaN.
        call!(_mm512_max_ps, Self::splat(0.0), self)
    }
    #[inline(always)]
    fn flushed(self) -> Self {
        // SAFETY: see the top of the file.
        unsafe {
            let kept = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(_mm512_abs_ps(self.0), _mm512_set1_ps(f32::TINY));
            Self(_mm512_maskz_mov_ps(kept, self.0))
        }
    }
    #[inline(always)]
    fn is_zero(self) -> bool {
        // SAFETY: see the top of the file.
        unsafe {
            let bits = _mm512_castps_si512(self.0);
            // All bits except the signs.
            _mm512_test_epi32_mask(bits, _mm512_set1_epi32(i32::MAX)) == 0
        }
    }
}

/// Returns sqrt(x), correctly rounded, given an estimate of 1 / sqrt(x). See [`Vector::flushed_with_root`].
///
/// # Safety
/// The processor must have AVX-512 F.
#[inline(always)]
unsafe fn root_from_estimate(x: __m512, estimate: __m512) -> __m512 {
    // SAFETY: the processor has AVX-512 F, which the caller guarantees.
    unsafe {
        let half = _mm512_set1_ps(0.5);
        let (g, h) = (_mm512_mul_ps(x, estimate), _mm512_mul_ps(half, estimate));
        let error = _mm512_fnmadd_ps(g, h, half);
        let (g, h) = (_mm512_fmadd_ps(g, error, g), _mm512_fmadd_ps(h, error, h));
        let rest = _mm512_fnmadd_ps(g, g, x);
        _mm512_fmadd_ps(rest, h, g)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::InstructionSet;

    /// Checks every number in \[1, 4) with the processor's estimate and with estimates whose relative errors are up to 2^-14 in
    /// both directions.
    #[test]
    fn roots_are_correctly_rounded() {
        if InstructionSet::Avx512.is_available() {
            // SAFETY: the processor has AVX-512.
            unsafe { check_all_roots() };
        }
    }

    #[target_feature(enable = "avx512f")]
    fn check_all_roots() {
        let (one, four) = (1.0_f32.to_bits(), 4.0_f32.to_bits());
        let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        for bits in (one..four).step_by(LANES) {
            let x = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_set1_epi32(bits as i32), lanes));
            let root = _mm512_sqrt_ps(x);
            let estimated = _mm512_rsqrt14_ps(x);
            let exact = _mm512_div_ps(_mm512_set1_ps(1.0), root);
            let with_error = |by: f32| _mm512_mul_ps(exact, _mm512_set1_ps(1.0 + by));
            let most = 2.0_f32.powi(-14);
            for estimate in [
                estimated,
                exact,
                with_error(most),
                with_error(-most),
                with_error(0.5 * most),
                with_error(-0.5 * most),
            ] {
                // SAFETY: this function is compiled for AVX-512 F.
                let found = unsafe { root_from_estimate(x, estimate) };
                assert_eq!(_mm512_cmpneq_ps_mask(found, root), 0, "a number from bits {bits:#x} on");
            }
        }
    }

    #[test]
    fn roots_of_special_values() {
        if !InstructionSet::Avx512.is_available() {
            return;
        }
        let special =
            [0.0, -0.0, 1e-45, 1e-38, 9.99e-31, 1e-30, 1e-29, 0.25, 2.0, 1e30, f32::MAX, f32::INFINITY];
        for a in special {
            for b in [1.0, a, f32::NAN, -1.0] {
                let x: Lanes<f32> = std::array::from_fn(|lane| if lane % 2 == 0 { a } else { b });
                let mut roots = x;
                // SAFETY: the processor has AVX-512.
                unsafe { replace_by_roots(&mut roots) };
                for (root, x) in roots.into_iter().zip(x) {
                    let expected = if x.abs() < f32::TINY { 0.0 } else { x.sqrt() };
                    assert!(root == expected || root.is_nan() && expected.is_nan(), "{x}: {root}");
                }
            }
        }
    }

    #[target_feature(enable = "avx512f")]
    fn replace_by_roots(x: &mut Lanes<f32>) {
        F32x16::load(x).flushed_with_root().1.store(x);
    }
}
