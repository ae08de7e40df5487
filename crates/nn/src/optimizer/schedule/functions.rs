//! Exponential, power and cosine in `f64`, the same to the bit on every machine.

use std::f64::consts::{LN_2, LOG2_E, PI};

use ziffer_tensor::ln;

/// e^x, with a relative error of at most 1e-15 for normal results; 0 below -746, infinite above 710.
///
/// x = n ln 2 + r with |r| <= ln(2) / 2. ln 2 is split in two parts, so that the upper part times n is exact. e^r is its Taylor
/// series; the first omitted term, r^14 / 14!, is below 1e-17.
fn exp(x: f64) -> f64 {
    /// The first 21 bits of ln 2, and the rest.
    const HIGH: f64 = f64::from_bits(LN_2.to_bits() & 0xffff_ffff_0000_0000);
    const LOW: f64 = 4.749_325_039_031_672_6e-7;

    let x = if x > 710.0 { 710.0 } else { x };
    let x = if x < -746.0 { -746.0 } else { x };
    let n = (x * LOG2_E).round();
    let r = (x - n * HIGH) - n * LOW;
    let e_r = (1..=13).rev().fold(1.0, |sum, k| 1.0 + sum * r / f64::from(k));
    // 2^n in two factors: n ranges from -1076 to 1024, more than one exponent can hold.
    let n = n as i64;
    let power = |n: i64| f64::from_bits(((n + 1023) as u64) << 52);
    e_r * power(n / 2) * power(n - n / 2)
}

/// x^y for finite, nonnegative x and y, with a relative error of at most 1e-12.
pub(super) fn pow(x: f64, y: f64) -> f64 {
    /// Up to this exponent, products are at least as exact.
    const MAX_FACTORS: f64 = 64.0;

    if y <= MAX_FACTORS && y.floor() == y {
        super::super::power(x, y as u64)
    } else if x < f64::MIN_POSITIVE {
        0.0
    } else {
        exp(y * ln(x))
    }
}

/// (1 + cos(pi x)) / 2 = cos^2(pi x / 2) for x from 0 to 1; 1 at 0, and 0 at 1.
///
/// The square avoids cancellation where the result is small.
pub(super) fn half_cosine(x: f64) -> f64 {
    // cos(pi x / 2) = sin(pi (1 - x) / 2): the form with the smaller argument is used.
    let cosine = if x <= 0.5 { cos(PI * (0.5 * x)) } else { sin(PI * (0.5 * (1.0 - x))) };
    cosine * cosine
}

/// cos x for |x| <= pi / 4, by its Taylor series. The first omitted term, x^18 / 18!, is below 3e-18.
fn cos(x: f64) -> f64 {
    let square = x * x;
    (1..=8).rev().fold(1.0, |sum, k| 1.0 - sum * square / f64::from((2 * k - 1) * (2 * k)))
}

/// sin x for |x| <= pi / 4, by its Taylor series. The first omitted term, x^19 / 19!, is below 1e-18.
fn sin(x: f64) -> f64 {
    let square = x * x;
    x * (1..=8).rev().fold(1.0, |sum, k| 1.0 - sum * square / f64::from(2 * k * (2 * k + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!((exp(-1e9), exp(f64::NEG_INFINITY)), (0.0, 0.0));
        assert_eq!((exp(710.0), exp(f64::INFINITY)), (f64::INFINITY, f64::INFINITY));
        assert!(exp(f64::NAN).is_nan());
        for step in 0..200_000 {
            let x = f64::from(step - 100_000) * 7.08e-3;
            let exact = x.exp();
            assert!((exp(x) - exact).abs() <= 1e-15 * exact, "{x}: {}, {exact}", exp(x));
        }
    }

    #[test]
    fn powers_are_accurate() {
        for x in [1e-300_f64, 1e-9, 0.04, 0.5, 0.96, 0.999_999, 1.0, 1.5, 30.0] {
            for y in (0..4000).map(|y| f64::from(y) * 0.061) {
                let exact = x.powf(y);
                let normal = exact > 1e-290 && exact < 1e290;
                let ours = pow(x, y);
                assert!(!normal || (ours - exact).abs() <= 1e-12 * exact, "{x}^{y}: {ours}, {exact}");
            }
        }
        assert_eq!((pow(0.0, 0.0), pow(0.0, 0.5), pow(0.0, 2.0), pow(0.3, 1.0)), (1.0, 0.0, 0.0, 0.3));
    }

    #[test]
    fn cosines_are_accurate_and_end_at_zero() {
        assert_eq!((half_cosine(0.0), half_cosine(1.0)), (1.0, 0.0));
        for step in 0..100_000 {
            let x = f64::from(step) / 100_000.0;
            let exact = (PI * (0.5 * (1.0 - x))).sin().powi(2);
            let ours = half_cosine(x);
            assert!((ours - exact).abs() <= 1e-14 * exact, "{x}: {ours}, {exact}");
        }
    }
}
