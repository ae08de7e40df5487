//! Exponential and logarithm by polynomials, the same to the bit on every machine.
//!
//! A system's mathematical library differs from version to version and picks its code by processor, so that a network
//! with a softmax would not be repeatable elsewhere.

/// `e^x` in `f32`, within 1.5 units in the last place; 0 below -104, infinite above 88.73, NaN for NaN.
///
/// Range reduction after Cody and Waite: x = n ln 2 + r with |r| <= ln(2) / 2 and ln 2 split in two so that n times its
/// upper part is exact; then e^x = 2^n e^r, with the polynomial for e^r of Moshier's Cephes library (`expf.c`).
#[inline(always)]
pub(crate) fn exp_f32(x: f32, fma: impl Fn(f32, f32, f32) -> f32) -> f32 {
    // Added to a small number, it leaves the nearest integer in the last bits.
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;

    // Written so that NaN passes through both.
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
    // 2^n in two factors: n reaches from -152 to 128, which is more than one exponent holds.
    let n = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) as u32) << 23);
    e_r * power(half) * power(n.wrapping_sub(half))
}

/// tanh x in `f32`, within 3 units in the last place, odd but for the sign of zero.
///
/// 1 - 2 / (e^(2|x|) + 1) with the sign of x; near zero, where that cancels, the odd polynomial of Moshier's Cephes
/// library (`tanhf.c`), which is for |x| < 0.625.
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
    // NaN is not below 0.625, and `far` is NaN then.
    if size < 0.625 { near } else { far }
}

/// The natural logarithm of a positive, finite, normal `x`, within 2 units in the last place.
///
/// x = 2^n m with m in [sqrt(1/2), sqrt(2)), and ln m = 2 artanh(s), s = (m - 1) / (m + 1), by its Taylor series:
/// |s| < 0.1716, so that the first term left out, 2 s^23 / 23, is below 1e-18.
pub(crate) fn ln(x: f64) -> f64 {
    /// 1 / (2 k + 1) for k = 10, 9, ..., 1: a division each would take most of the time.
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
    #[cfg_attr(miri, ignore = "takes Miri an hour, and nothing is unsafe")]
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
        assert!(worst < 1.5, "{worst} units");
    }

    #[test]
    fn exp_at_its_ends() {
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
    #[cfg_attr(miri, ignore = "takes Miri an hour, and nothing is unsafe")]
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
        assert!(worst < 3.0, "{worst} units");
        let tanh = |x| tanh_f32(x, f32::mul_add);
        assert_eq!((tanh(f32::INFINITY), tanh(f32::NEG_INFINITY)), (1.0, -1.0));
        assert!(tanh(f32::NAN).is_nan());
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes Miri an hour, and nothing is unsafe")]
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
