//! AVX2 with FMA: vectors of sixteen `f32` in two registers.
//!
//! `Avx2` and `F32x16` are private to this file. Only [`run`] and [`run_small`] pass them on, to kernels. Both are compiled for
//! AVX2 and FMA: they can be called only where the processor is known to have these. No other code in this file names a method
//! of the two types outside of their implementations. So wherever an operation of a vector runs, the processor has the
//! instructions. The unsafe blocks rely on this.

use std::arch::x86_64::*;

use crate::float::Float;

use super::kernel::{Isa, Kernel, Small, Tiled, Wide};
use super::vector::{Lanes, Plain, SimdElement, Vector};

/// Runs `kernel` with AVX2.
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx2>()
}

/// Runs `kernel` with AVX2 and small tiles.
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn run_small<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Small<Avx2>>()
}

#[derive(Clone, Copy)]
struct Avx2;

impl Isa for Avx2 {
    const FUSED: bool = true;
    type Vector<T: SimdElement> = T::Choice<F32x16, Plain<f64, true>>;
    // Tiles of 6 x 1 vectors: 12 accumulators in 16 registers.
    #[inline(always)]
    fn tiled<K: Tiled>(kernel: K) -> K::Output {
        kernel.run::<Self, 6, 1>()
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

/// Sixteen `f32`: the first eight and the last eight.
#[derive(Clone, Copy)]
struct F32x16(__m256, __m256);

/// Calls an intrinsic for each half of its operands.
macro_rules! halves {
    ($intrinsic:ident, $($of:expr),+) => {
        // SAFETY: see the top of the file.
        unsafe { F32x16($intrinsic($($of.0),+), $intrinsic($($of.1),+)) }
    };
}

impl Vector<f32> for F32x16 {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see the top of the file.
        let half = unsafe { _mm256_set1_ps(value) };
        Self(half, half)
    }
    #[inline(always)]
    fn load(from: &Lanes<f32>) -> Self {
        let (halves, _) = from.as_chunks::<8>();
        // SAFETY: see the top of the file. Each load reads the 8 elements of an array.
        unsafe { Self(_mm256_loadu_ps(halves[0].as_ptr()), _mm256_loadu_ps(halves[1].as_ptr())) }
    }
    #[inline(always)]
    fn store(self, to: &mut Lanes<f32>) {
        let (halves, _) = to.as_chunks_mut::<8>();
        // SAFETY: see the top of the file. Each store writes the 8 elements of an array.
        unsafe {
            _mm256_storeu_ps(halves[0].as_mut_ptr(), self.0);
            _mm256_storeu_ps(halves[1].as_mut_ptr(), self.1);
        }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        halves!(_mm256_add_ps, self, other)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        halves!(_mm256_sub_ps, self, other)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        halves!(_mm256_mul_ps, self, other)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        halves!(_mm256_div_ps, self, other)
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        halves!(_mm256_fmadd_ps, self, b, c)
    }
    #[inline(always)]
    fn mul_sub(self, b: Self, c: Self) -> Self {
        halves!(_mm256_fmsub_ps, self, b, c)
    }
    #[inline(always)]
    fn neg_mul_add(self, b: Self, c: Self) -> Self {
        halves!(_mm256_fnmadd_ps, self, b, c)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        halves!(_mm256_sqrt_ps, self)
    }
    #[inline(always)]
    fn relu(self) -> Self {
        // The intrinsic returns its second operand if one of them is NaN.
        halves!(_mm256_max_ps, Self::splat(0.0), self)
    }
    #[inline(always)]
    fn flushed(self) -> Self {
        let sign = Self::splat(-0.0);
        let magnitude = halves!(_mm256_andnot_ps, sign, self);
        let tiny = Self::splat(f32::TINY);
        // SAFETY: see the top of the file.
        unsafe {
            Self(
                _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(magnitude.0, tiny.0), self.0),
                _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(magnitude.1, tiny.1), self.1),
            )
        }
    }
    #[inline(always)]
    fn is_zero(self) -> bool {
        // SAFETY: see the top of the file.
        unsafe {
            let any = _mm256_castps_si256(_mm256_or_ps(self.0, self.1));
            // All bits except the signs.
            _mm256_testz_si256(any, _mm256_set1_epi32(i32::MAX)) == 1
        }
    }
}
