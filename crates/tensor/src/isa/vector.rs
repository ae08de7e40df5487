//! The operations of the inner loops in the instruction sets' own registers: a vector times a number, and what becomes of
//! a sum.
//!
//! The compiler can make vectors of plain loops over [`Lanes`], and it mostly does. But in loops that keep a dozen of
//! them it now and then splits one into its sixteen numbers, at three times the cost, and what brings it to that is as
//! remote as the way in which a result is stored after the loop. Or it makes one vector of the first numbers of eight,
//! by gathers (the gradient of a pixel's weights: 60 us instead of 13). With these operations typed, it keeps them whole.

use std::any::TypeId;

use super::{LANES, Lanes};
use crate::Scalar;

#[inline(always)]
fn is_f32<T: Scalar>() -> bool {
    TypeId::of::<T>() == TypeId::of::<f32>()
}

/// `sums += value * row` in AVX2's registers; `false`, and nothing done, for another type than `f32`.
///
/// # Safety
/// The processor must have AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn multiply_add_avx2<T: Scalar>(value: T, row: &Lanes<T>, sums: &mut Lanes<T>) -> bool {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps};
    if !is_f32::<T>() {
        return false;
    }
    let (row, sums) = (row.as_ptr().cast::<f32>(), sums.as_mut_ptr().cast::<f32>());
    for lane in (0..LANES).step_by(8) {
        // SAFETY: `T` is `f32`, 8 numbers from `lane` on lie within each of the arrays, and the processor has the
        // instructions, as this function demands.
        unsafe {
            let value = _mm256_set1_ps((&raw const value).cast::<f32>().read());
            let sum = _mm256_fmadd_ps(value, _mm256_loadu_ps(row.add(lane)), _mm256_loadu_ps(sums.add(lane)));
            _mm256_storeu_ps(sums.add(lane), sum);
        }
    }
    true
}

/// `sums += value * row` in AVX-512's registers; `false`, and nothing done, for another type than `f32`.
///
/// # Safety
/// The processor must have AVX-512 F.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn multiply_add_avx512<T: Scalar>(value: T, row: &Lanes<T>, sums: &mut Lanes<T>) -> bool {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps};
    const { assert!(LANES == 16) };
    if !is_f32::<T>() {
        return false;
    }
    let (row, sums) = (row.as_ptr().cast::<f32>(), sums.as_mut_ptr().cast::<f32>());
    // SAFETY: `T` is `f32`, the arrays have 16 numbers, and the processor has the instructions, as this function
    // demands.
    unsafe {
        let value = _mm512_set1_ps((&raw const value).cast::<f32>().read());
        _mm512_storeu_ps(sums, _mm512_fmadd_ps(value, _mm512_loadu_ps(row), _mm512_loadu_ps(sums)));
    }
    true
}

/// [`super::Isa::finished`] in AVX2's registers; `None` for another type than `f32`.
///
/// # Safety
/// The processor must have AVX2.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn finished_avx2<T: Scalar, const RELU: bool>(sums: &Lanes<T>) -> Option<Lanes<T>> {
    use std::arch::x86_64::{
        _mm256_add_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_setzero_ps, _mm256_storeu_ps,
    };
    if !is_f32::<T>() {
        return None;
    }
    let mut result = *sums;
    let numbers = result.as_mut_ptr().cast::<f32>();
    for lane in (0..LANES).step_by(8) {
        // SAFETY: `T` is `f32`, 8 numbers from `lane` on lie within the array, and the processor has the instructions, as
        // this function demands.
        unsafe {
            let sum = _mm256_add_ps(_mm256_loadu_ps(numbers.add(lane)), _mm256_setzero_ps());
            // The second operand is returned if one of them is NaN.
            let sum = if RELU { _mm256_max_ps(_mm256_setzero_ps(), sum) } else { sum };
            _mm256_storeu_ps(numbers.add(lane), sum);
        }
    }
    Some(result)
}

/// [`super::Isa::finished`] in AVX-512's registers; `None` for another type than `f32`.
///
/// # Safety
/// The processor must have AVX-512 F.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn finished_avx512<T: Scalar, const RELU: bool>(sums: &Lanes<T>) -> Option<Lanes<T>> {
    use std::arch::x86_64::{
        _mm512_add_ps, _mm512_loadu_ps, _mm512_max_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };
    if !is_f32::<T>() {
        return None;
    }
    let mut result = *sums;
    let numbers = result.as_mut_ptr().cast::<f32>();
    // SAFETY: `T` is `f32`, the array has 16 numbers, and the processor has the instructions, as this function demands.
    unsafe {
        let sum = _mm512_add_ps(_mm512_loadu_ps(numbers), _mm512_setzero_ps());
        // The second operand is returned if one of them is NaN.
        let sum = if RELU { _mm512_max_ps(_mm512_setzero_ps(), sum) } else { sum };
        _mm512_storeu_ps(numbers, sum);
    }
    Some(result)
}
