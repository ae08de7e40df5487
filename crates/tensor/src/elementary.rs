//! Exponential, logarithm, tanh and the normal distribution from polynomials, with the same bits on every machine.
//!
//! The mathematical library of the operating system is not used: its results differ between versions and processors, so that the
//! weights of a network with a softmax would not be reproducible on another machine.

/// e^x in `f32`, with an error below 1.5 units in the last place. The result is 0 below -104, infinite above 88.73, and NaN for
/// NaN.
///
/// The range reduction is that of Cody and Waite: x = n ln 2 + r with |r| <= ln(2) / 2, and ln 2 is split into two parts so that
/// the product of n and the upper part is exact. Then e^x = 2^n e^r. The polynomial for e^r is that of Moshier's Cephes library
/// (`expf.c`).
#[inline(always)]
pub(crate) fn exp_f32(x: f32, fma: impl Fn(f32, f32, f32) -> f32) -> f32 {
    // The sum of this and a small number has the nearest integer in its last bits.
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;

    // Comparisons in this form let NaN pass.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -105.0 { -105.0 } else { x };
    let shifted = fma(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x));
    let mut p = 1.987_569_1e-4;
    p = fma(p, r, 1.398_199_9e-3);
    p = fma(p, r, 8.333_452e-3);
    p = fma(p, r, 4.166_579_6e-2);
    p = fma(p, r, 1.666_666_5e-1);
    p = fma(p, r, 5e-1);
    let e_r = fma(p, r * r, r) + 1.0;
    // 2^n is a product of two factors, because n is in -152..=128, which exceeds the exponents of normal numbers.
    let n = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) as u32) << 23);
    e_r * power(half) * power(n.wrapping_sub(half))
}

/// e^x - 1 in `f32` for x <= 0, with an error below 1.5 units in the last place. The result is NaN for NaN.
///
/// With n and r as in [`exp_f32`], e^x - 1 = 2^n (e^r - 1) + (2^n - 1). The second term is exact.
#[inline(always)]
pub(crate) fn exp_m1_f32(x: f32, fma: impl Fn(f32, f32, f32) -> f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;

    // Below -40 the result is -1. NaN passes.
    let x = if x < -40.0 { -40.0 } else { x };
    let shifted = fma(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x));
    let mut p = 1.987_569_1e-4;
    p = fma(p, r, 1.398_199_9e-3);
    p = fma(p, r, 8.333_452e-3);
    p = fma(p, r, 4.166_579_6e-2);
    p = fma(p, r, 1.666_666_5e-1);
    p = fma(p, r, 5e-1);
    let e_r_minus_1 = fma(p, r * r, r);
    let n = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let power = f32::from_bits((n.wrapping_add(127) as u32) << 23);
    fma(power, e_r_minus_1, power - 1.0)
}

/// ln(1 + x) in `f32` for x in \[0, 1\], with an error below 2 units in the last place. The result is NaN for NaN.
///
/// ln(1 + x) = 2 artanh(s) with s = x / (2 + x) <= 1/3. The polynomial in s^2 interpolates (2 artanh(s) - 2 s) / s^3 at Chebyshev
/// nodes, with an error below 7.3e-9.
#[inline(always)]
pub(crate) fn ln_1p_f32(x: f32, fma: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let s = x / (2.0 + x);
    let square = s * s;
    let mut p = 2.322_433e-1;
    p = fma(p, square, 2.170_657_5e-1);
    p = fma(p, square, 2.859_235_7e-1);
    p = fma(p, square, 3.999_970_6e-1);
    p = fma(p, square, 6.666_667e-1);
    fma(s * square, p, 2.0 * s)
}

/// The cumulative distribution function of the normal distribution, Phi(x) = (1 + erf(x / sqrt 2)) / 2, and the Gaussian
/// e^(-x^2 / 2), both in `f32`. Each has an error below 4 units in the last place if it is a normal number. Both are NaN for NaN.
///
/// For a = |x|, Phi(-a) = e^(-a^2 / 2) g(q) / (a + 3) with q = (a - 3) / (a + 3). The polynomial g interpolates at Chebyshev
/// nodes for a <= 15, with an error below 1.5e-9. The rounding error of a^2 is applied to the exponential as a correction.
#[inline(always)]
pub(crate) fn normal_cdf_f32(x: f32, fma: impl Fn(f32, f32, f32) -> f32) -> (f32, f32) {
    let a = x.abs();
    // Beyond 15, Phi(-a) and the Gaussian are 0 in `f32`. NaN passes.
    let a = if a > 15.0 { 15.0 } else { a };
    let square = a * a;
    let rounding_error = fma(a, a, -square);
    let e = exp_f32(-0.5 * square, &fma);
    let gaussian = fma(-0.5 * rounding_error, e, e);
    let inverse = 1.0 / (a + 3.0);
    let q = fma(-6.0, inverse, 1.0);
    let mut p = 5.549_187_3e-5;
    p = fma(p, q, 1.333_239_5e-4);
    p = fma(p, q, -2.447_093e-4);
    p = fma(p, q, -1.034_476_6e-3);
    p = fma(p, q, 1.024_157_3e-3);
    p = fma(p, q, 6.969_920_4e-3);
    p = fma(p, q, -1.046_228_9e-2);
    p = fma(p, q, -4.726_276e-2);
    p = fma(p, q, 2.300_176_8e-1);
    p = fma(p, q, -5.093_32e-1);
    p = fma(p, q, 7.290_837e-1);
    let tail = gaussian * (inverse * p);
    (if x > 0.0 { 1.0 - tail } else { tail }, gaussian)
}

/// The functions of [`normal_cdf_f32`] in `f64`. The error of Phi is below 1e-15.
///
/// For a = |x| < 3, Phi(a) - 1/2 = phi(a) (a + a^3 / 3 + a^5 / (3 * 5) + ...), whose terms are all positive. For larger a,
/// Laplace's continued fraction gives Phi(-a) = phi(a) / (a + 1 / (a + 2 / (a + 3 / ...))). (Abramowitz and Stegun, 26.2.11 and
/// 26.2.14.)
pub(crate) fn normal_cdf_f64(x: f64) -> (f64, f64) {
    const TERMS: u32 = 60;
    let a = x.abs();
    let gaussian = (-0.5 * a * a).exp();
    let phi = gaussian * INVERSE_SQRT_TAU;
    let tail = if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        for n in 1..TERMS {
            term *= a * a / f64::from(2 * n + 1);
            sum += term;
        }
        0.5 - phi * sum
    } else {
        phi / (1..=TERMS).rev().fold(a, |rest, n| a + f64::from(n) / rest)
    };
    (if x > 0.0 { 1.0 - tail } else { tail }, gaussian)
}

/// 1 / sqrt(2 pi).
pub(crate) const INVERSE_SQRT_TAU: f64 = 0.398_942_280_401_432_7;

/// tanh x in `f32`, with an error below 3 units in the last place. The function is odd, except for the sign of zero.
///
/// For |x| >= 0.625 the result is 1 - 2 / (e^(2|x|) + 1) with the sign of x. Nearer to zero this difference would cancel, and the
/// result is the odd polynomial of Moshier's Cephes library (`tanhf.c`).
#[inline(always)]
pub(crate) fn tanh_f32(x: f32, fma: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let size = x.abs();
    let far = 1.0 - 2.0 / (exp_f32(2.0 * size, &fma) + 1.0);
    let square = x * x;
    let mut p = -5.704_988_7e-3;
    p = fma(p, square, 2.063_909e-2);
    p = fma(p, square, -5.373_971_5e-2);
    p = fma(p, square, 1.333_144_2e-1);
    p = fma(p, square, -3.333_328e-1);
    let near = fma(p * square, x, x);
    let far = if x < 0.0 { -far } else { far };
    // The comparison is false for NaN, and `far` is NaN then.
    if size < 0.625 { near } else { far }
}

/// Returns the natural logarithm of `x`, which must be positive, finite and normal. The error is below 2 units in the last place.
///
/// x = 2^n m with m in \[sqrt(1/2), sqrt(2)), and ln m = 2 artanh(s) with s = (m - 1) / (m + 1). The Taylor series of artanh is
/// truncated: |s| < 0.1716, so that the first omitted term, 2 s^23 / 23, is below 1e-18.
pub fn ln(x: f64) -> f64 {
    /// 1 / (2 k + 1) for k = 10, 9, ..., 1. Divisions at run time would take most of the time.
    const TERMS: [f64; 10] = {
        let mut terms = [0.0; 10];
        let mut k = 0;
        while k < 10 {
            terms[k] = 1.0 / (2 * (10 - k) + 1) as f64;
            k += 1;
        }
        terms
    };
    let bits = x.to_bits();
    let mut n = ((bits >> 52) & 0x7ff) as i32 - 1023;
    let mut m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    if m >= std::f64::consts::SQRT_2 {
        m *= 0.5;
        n += 1;
    }
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let mut series = 0.0;
    for term in TERMS {
        series = (series + term) * square;
    }
    f64::from(n) * std::f64::consts::LN_2 + 2.0 * (s + s * series)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fma::fma_f32;

    #[test]
    #[cfg_attr(miri, ignore = "takes an hour under Miri, and has no unsafe code")]
    fn exp_is_close_and_the_same_with_either_fma() {
        let mut worst = 0.0_f64;
        for step in 0..2_000_000 {
            let x = -104.0 + step as f32 * 9.6e-5;
            let ours = exp_f32(x, f32::mul_add);
            assert_eq!(ours.to_bits(), exp_f32(x, fma_f32).to_bits());
            let exact = f64::from(x).exp();
            let unit = if exact < 1.2e-38 { 1.4e-45 } else { exact * f64::from(f32::EPSILON) };
            if exact < f64::from(f32::MAX) {
                worst = worst.max((f64::from(ours) - exact).abs() / unit);
            }
        }
        assert!(worst < 1.5, "{worst} units in the last place");
    }

    #[test]
    fn exp_of_extreme_values() {
        let exp = |x| exp_f32(x, f32::mul_add);
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-1e30), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(89.0), f32::INFINITY);
        assert!(exp(88.7).is_finite());
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes an hour under Miri, and has no unsafe code")]
    fn tanh_is_close_and_odd() {
        let mut worst = 0.0_f64;
        for step in 1..1_000_000 {
            let x = step as f32 * 1.1e-5;
            let ours = tanh_f32(x, f32::mul_add);
            assert_eq!(ours.to_bits(), tanh_f32(x, fma_f32).to_bits());
            assert_eq!((-ours).to_bits(), tanh_f32(-x, f32::mul_add).to_bits());
            let exact = f64::from(x).tanh();
            worst = worst.max((f64::from(ours) - exact).abs() / (exact.max(1e-30) * f64::from(f32::EPSILON)));
        }
        assert!(worst < 3.0, "{worst} units in the last place");
        let tanh = |x| tanh_f32(x, f32::mul_add);
        assert_eq!((tanh(f32::INFINITY), tanh(f32::NEG_INFINITY)), (1.0, -1.0));
        assert!(tanh(f32::NAN).is_nan());
    }

    /// The error of `ours` in units in the last place of `exact`, which must be a normal number.
    fn error_in_ulps(ours: f32, exact: f64) -> f64 {
        (f64::from(ours) - exact).abs() / (exact.abs() * f64::from(f32::EPSILON))
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes an hour under Miri, and has no unsafe code")]
    fn exp_m1_is_close_and_the_same_with_either_fma() {
        let mut worst = 0.0_f64;
        for step in 1..1_000_000 {
            // From -45 to -1e-9, in equal steps and by equal factors.
            for x in [step as f32 * -4.5e-5, -1e-9 * 1.000_025_f32.powi(step)] {
                let ours = exp_m1_f32(x, f32::mul_add);
                assert_eq!(ours.to_bits(), exp_m1_f32(x, fma_f32).to_bits());
                worst = worst.max(error_in_ulps(ours, f64::from(x).exp_m1()));
            }
        }
        assert!(worst < 1.5, "{worst} units in the last place");
        let exp_m1 = |x| exp_m1_f32(x, f32::mul_add);
        assert_eq!((exp_m1(0.0), exp_m1(f32::NEG_INFINITY)), (0.0, -1.0));
        assert!(exp_m1(f32::NAN).is_nan());
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes an hour under Miri, and has no unsafe code")]
    fn ln_1p_is_close_and_the_same_with_either_fma() {
        let mut worst = 0.0_f64;
        for step in 1..=1_000_000 {
            for x in [step as f32 * 1e-6, 0.999_97_f32.powi(step / 4)] {
                let ours = ln_1p_f32(x, f32::mul_add);
                assert_eq!(ours.to_bits(), ln_1p_f32(x, fma_f32).to_bits());
                if x > 1e-37 {
                    worst = worst.max(error_in_ulps(ours, f64::from(x).ln_1p()));
                }
            }
        }
        assert!(worst < 2.0, "{worst} units in the last place");
        assert_eq!(ln_1p_f32(0.0, f32::mul_add), 0.0);
        assert!(ln_1p_f32(f32::NAN, f32::mul_add).is_nan());
    }

    /// Values of Phi, computed with mpmath to 20 digits.
    const NORMAL_CDF: [(f64, f64); 11] = [
        (-20.0, 2.753_624_118_606_233_7e-89),
        (-8.0, 6.220_960_574_271_784e-16),
        (-3.5, 2.326_290_790_355_250_4e-4),
        (-3.0, 1.349_898_031_630_094_5e-3),
        (-2.9, 1.865_813_300_384_038e-3),
        (-1.0, 0.158_655_253_931_457_05),
        (-0.1, 0.460_172_162_722_971),
        (0.0, 0.5),
        (0.5, 0.691_462_461_274_013_1),
        (2.0, 0.977_249_868_051_820_8),
        (5.0, 0.999_999_713_348_428_1),
    ];

    #[test]
    fn normal_cdf_in_f64_equals_tabulated_values() {
        for (x, exact) in NORMAL_CDF {
            let (cdf, gaussian) = normal_cdf_f64(x);
            assert!((cdf - exact).abs() <= 1e-15, "{x}: {cdf}");
            // From -3 down, the relative error is bounded too.
            assert!(x > -3.0 || (cdf - exact).abs() <= 1e-13 * exact, "{x}: {cdf}");
            assert_eq!(gaussian, (-0.5 * x * x).exp());
        }
        assert_eq!(normal_cdf_f64(f64::INFINITY), (1.0, 0.0));
        assert_eq!(normal_cdf_f64(f64::NEG_INFINITY), (0.0, 0.0));
        assert!(normal_cdf_f64(f64::NAN).0.is_nan());
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes an hour under Miri, and has no unsafe code")]
    fn normal_cdf_is_close_and_the_same_with_either_fma() {
        let mut worst = [0.0_f64; 2];
        for step in 0..500_000 {
            let x = -13.0 + step as f32 * 4e-5;
            let ours = normal_cdf_f32(x, f32::mul_add);
            let emulated = normal_cdf_f32(x, fma_f32);
            assert_eq!([ours.0.to_bits(), ours.1.to_bits()], [emulated.0.to_bits(), emulated.1.to_bits()]);
            let exact = normal_cdf_f64(f64::from(x));
            worst[0] = worst[0].max(error_in_ulps(ours.0, exact.0));
            worst[1] = worst[1].max(error_in_ulps(ours.1, exact.1));
        }
        assert!(worst[0] < 4.0 && worst[1] < 4.0, "{worst:?} units in the last place");
        let cdf = |x| normal_cdf_f32(x, f32::mul_add);
        assert_eq!((cdf(0.0).0, cdf(f32::INFINITY), cdf(f32::NEG_INFINITY)), (0.5, (1.0, 0.0), (0.0, 0.0)));
        assert!(cdf(f32::NAN).0.is_nan());
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes an hour under Miri, and has no unsafe code")]
    fn ln_is_close() {
        for step in 1..1_000_000 {
            let x = f64::from(step) * 1.7e-4;
            let exact = x.ln();
            assert!(
                (ln(x) - exact).abs() <= exact.abs().max(0.3) * 2.0 * f64::EPSILON,
                "{x}: {}, {exact}",
                ln(x)
            );
        }
        assert_eq!(ln(1.0), 0.0);
        assert!((ln(1e300) - 1e300_f64.ln()).abs() < 1e-12);
    }
}
