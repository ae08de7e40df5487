//! The arithmetic of `f32` and `f64` that the kernels use.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{AddAssign, DivAssign, MulAssign, Neg, SubAssign};

use ndarray::{LinalgScalar, ScalarOperand};

use crate::elementary;
use crate::fma;

/// The arithmetic of a floating-point type. [`Scalar`](crate::Scalar) adds the compiled kernels to it.
///
/// No function for `f32` calls the mathematical library of the system: the bits of a result depend on the operands only, not on
/// the machine. `f64` is the type of references and gradient checks.
///
/// The trait is sealed: only `f32` and `f64` implement it.
pub trait Float:
    sealed::Sealed
    + LinalgScalar
    + ScalarOperand
    + PartialOrd
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Sum
    + Debug
    + Default
    + Display
    + Send
    + Sync
    + 'static
{
    /// Returns `value`, rounded to this type.
    fn from_f64(value: f64) -> Self;
    /// Returns the value as `f64`. The conversion is exact.
    fn to_f64(self) -> f64;
    /// Returns `self * b + c`, rounded once. It is one instruction if the code is compiled for a processor that has it.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// Returns the bits of [`Float::mul_add`], without a fused multiply-add instruction.
    fn mul_add_emulated(self, b: Self, c: Self) -> Self;
    /// Returns the square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// Returns the absolute value.
    fn abs(self) -> Self;
    /// Whether the value is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Returns e^`self`.
    fn exp(self) -> Self {
        self.exp_with(Self::mul_add)
    }
    /// Returns e^`self` - 1, without cancellation near zero.
    fn exp_m1(self) -> Self {
        // e^x - 1 = -e^x (e^-x - 1)
        if self > Self::zero() {
            -self.exp() * (-self).exp_m1_with(Self::mul_add)
        } else {
            self.exp_m1_with(Self::mul_add)
        }
    }
    /// Returns the natural logarithm. It is minus infinity for 0 and NaN for negative numbers.
    fn ln(self) -> Self {
        let x = self.to_f64();
        if x > 0.0 && x.is_finite() {
            // Subnormal numbers are multiplied by 2^64.
            let (x, exponent) =
                if x < f64::MIN_POSITIVE { (x * 18_446_744_073_709_551_616.0, 64.0) } else { (x, 0.0) };
            Self::from_f64(elementary::ln(x) - exponent * std::f64::consts::LN_2)
        } else if x == 0.0 {
            Self::from_f64(f64::NEG_INFINITY)
        } else if x < 0.0 {
            Self::from_f64(f64::NAN)
        } else {
            self
        }
    }
    /// Returns the hyperbolic tangent.
    fn tanh(self) -> Self {
        self.tanh_with(Self::mul_add)
    }
    /// Returns 1 / (1 + e^-`self`), without overflow.
    fn sigmoid(self) -> Self {
        let e = (-self.abs()).exp();
        if self < Self::zero() { e / (Self::one() + e) } else { Self::one() / (Self::one() + e) }
    }
    /// Returns the larger of two numbers, or NaN if one of them is NaN.
    fn max(self, other: Self) -> Self {
        if self > other || self.is_nan() { self } else { other }
    }
    /// Returns the smaller of two numbers, or NaN if one of them is NaN.
    fn min(self, other: Self) -> Self {
        if self < other || self.is_nan() { self } else { other }
    }
    /// Returns `self`^`n`, by repeated squaring.
    fn powi(self, n: i32) -> Self {
        let (mut result, mut square, mut left) = (Self::one(), self, n.unsigned_abs());
        while left > 0 {
            if left & 1 == 1 {
                result *= square;
            }
            square *= square;
            left >>= 1;
        }
        if n < 0 { Self::one() / result } else { result }
    }
    /// Whether the value is NaN.
    fn is_nan(self) -> bool {
        self.partial_cmp(&self).is_none()
    }
    /// Returns e^`self`, with `fma` as the fused multiply-add.
    fn exp_with(self, fma: impl Fn(Self, Self, Self) -> Self) -> Self;
    /// Returns tanh `self`, with `fma` as the fused multiply-add.
    fn tanh_with(self, fma: impl Fn(Self, Self, Self) -> Self) -> Self;
    /// Returns e^`self` - 1 for `self` <= 0, with `fma` as the fused multiply-add.
    fn exp_m1_with(self, fma: impl Fn(Self, Self, Self) -> Self) -> Self;
    /// Returns ln(1 + `self`) for `self` in \[0, 1\], with `fma` as the fused multiply-add.
    fn ln_1p_with(self, fma: impl Fn(Self, Self, Self) -> Self) -> Self;
    /// Returns the cumulative distribution function of the normal distribution at `self`, and e^(-`self`^2 / 2), with `fma` as
    /// the fused multiply-add.
    fn normal_cdf_with(self, fma: impl Fn(Self, Self, Self) -> Self) -> (Self, Self);
    /// Optimizers set numbers of their state to zero if their magnitude is below this (see [`crate::update`]).
    const TINY: Self;
    /// ln(epsilon^2), where epsilon is the distance from 1 to the next larger number.
    const LN_EPSILON_SQUARED: Self;
    /// Returns the table of the values of pixel bytes. Element `b` is `b / 255`, correctly rounded.
    fn pixels() -> &'static [Self; 256];
    /// Appends the bytes of the value to `out`, the least significant byte first.
    fn write_le(self, out: &mut Vec<u8>);
}

mod sealed {
    /// Restricts [`super::Float`] to types for which every bit pattern is a value. [`crate::Buffer`] relies on this.
    pub trait Sealed {}
}

impl sealed::Sealed for f32 {}
impl sealed::Sealed for f64 {}

impl Float for f32 {
    #[inline(always)]
    fn from_f64(value: f64) -> f32 {
        value as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn mul_add(self, b: f32, c: f32) -> f32 {
        f32::mul_add(self, b, c)
    }
    #[inline(always)]
    fn mul_add_emulated(self, b: f32, c: f32) -> f32 {
        fma::fma_f32(self, b, c)
    }
    #[inline(always)]
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn abs(self) -> f32 {
        f32::abs(self)
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
    #[inline(always)]
    fn exp_with(self, fma: impl Fn(f32, f32, f32) -> f32) -> f32 {
        elementary::exp_f32(self, fma)
    }
    #[inline(always)]
    fn tanh_with(self, fma: impl Fn(f32, f32, f32) -> f32) -> f32 {
        elementary::tanh_f32(self, fma)
    }
    #[inline(always)]
    fn exp_m1_with(self, fma: impl Fn(f32, f32, f32) -> f32) -> f32 {
        elementary::exp_m1_f32(self, fma)
    }
    #[inline(always)]
    fn ln_1p_with(self, fma: impl Fn(f32, f32, f32) -> f32) -> f32 {
        elementary::ln_1p_f32(self, fma)
    }
    #[inline(always)]
    fn normal_cdf_with(self, fma: impl Fn(f32, f32, f32) -> f32) -> (f32, f32) {
        elementary::normal_cdf_f32(self, fma)
    }
    const TINY: f32 = 1e-30;
    const LN_EPSILON_SQUARED: f32 = -46.0 * std::f32::consts::LN_2;
    #[inline(always)]
    fn pixels() -> &'static [f32; 256] {
        static TABLE: [f32; 256] = {
            let mut table = [0.0; 256];
            let mut byte = 0;
            while byte < 256 {
                table[byte] = byte as f32 / 255.0;
                byte += 1;
            }
            table
        };
        &TABLE
    }
    fn write_le(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
}

impl Float for f64 {
    #[inline(always)]
    fn from_f64(value: f64) -> f64 {
        value
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn mul_add(self, b: f64, c: f64) -> f64 {
        f64::mul_add(self, b, c)
    }
    /// The function of the standard library. It is correctly rounded everywhere, and slow without an instruction. `f64` is used
    /// for checks only, so that this is fast enough.
    #[inline(always)]
    fn mul_add_emulated(self, b: f64, c: f64) -> f64 {
        f64::mul_add(self, b, c)
    }
    #[inline(always)]
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn abs(self) -> f64 {
        f64::abs(self)
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
    #[inline(always)]
    fn exp_with(self, _fma: impl Fn(f64, f64, f64) -> f64) -> f64 {
        f64::exp(self)
    }
    #[inline(always)]
    fn tanh_with(self, _fma: impl Fn(f64, f64, f64) -> f64) -> f64 {
        f64::tanh(self)
    }
    #[inline(always)]
    fn exp_m1_with(self, _fma: impl Fn(f64, f64, f64) -> f64) -> f64 {
        f64::exp_m1(self)
    }
    #[inline(always)]
    fn ln_1p_with(self, _fma: impl Fn(f64, f64, f64) -> f64) -> f64 {
        f64::ln_1p(self)
    }
    #[inline(always)]
    fn normal_cdf_with(self, _fma: impl Fn(f64, f64, f64) -> f64) -> (f64, f64) {
        elementary::normal_cdf_f64(self)
    }
    const TINY: f64 = 1e-300;
    const LN_EPSILON_SQUARED: f64 = -104.0 * std::f64::consts::LN_2;
    #[inline(always)]
    fn pixels() -> &'static [f64; 256] {
        static TABLE: [f64; 256] = {
            let mut table = [0.0; 256];
            let mut byte = 0;
            while byte < 256 {
                table[byte] = byte as f64 / 255.0;
                byte += 1;
            }
            table
        };
        &TABLE
    }
    fn write_le(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares each function with that of the standard library, with a tolerance in units of epsilon.
    fn check<T: Float>(epsilon: f64) {
        let close = |name: &str, x: f64, ours: T, expected: f64| {
            let apart = (ours.to_f64() - expected).abs() / expected.abs().max(1e-30);
            assert!(apart <= 4.0 * epsilon, "{name} of {x}: {ours}, {expected}");
        };
        for step in -80..=80 {
            let x = f64::from(step) / 8.0 + 0.011;
            let t = T::from_f64(x);
            let x = t.to_f64();
            close("exp", x, t.exp(), x.exp());
            close("exp_m1", x, t.exp_m1(), x.exp_m1());
            close("tanh", x, t.tanh(), x.tanh());
            close("sigmoid", x, t.sigmoid(), 1.0 / (1.0 + (-x).exp()));
            close("powi", x, t.powi(3), x * x * x);
            close("powi", x, t.powi(-2), 1.0 / (x * x));
            if x > 0.0 {
                close("ln", x, t.ln(), x.ln());
            }
        }
        let (zero, one) = (T::zero(), T::one());
        let nan = T::from_f64(f64::NAN);
        assert!(zero.ln().to_f64() == f64::NEG_INFINITY && (-one).ln().is_nan() && nan.ln().is_nan());
        assert!(T::from_f64(f64::INFINITY).ln().to_f64() == f64::INFINITY && one.ln() == zero);
        assert!(
            one.max(zero) == one && zero.max(one) == one && one.min(zero) == zero && zero.min(one) == zero
        );
        assert!(
            nan.max(one).is_nan() && one.max(nan).is_nan() && nan.min(one).is_nan() && one.min(nan).is_nan()
        );
        assert!(T::from_f64(-1000.0).sigmoid() == zero && T::from_f64(1000.0).sigmoid() == one);
        assert!(one.powi(0) == one && zero.powi(0) == one);
    }

    #[test]
    fn elementary_functions_are_close() {
        check::<f32>(f64::from(f32::EPSILON));
        check::<f64>(f64::EPSILON);
        let tiny = f64::from_bits(1);
        assert!((Float::ln(tiny) - tiny.ln()).abs() < 1e-12);
    }
}
