//! A fused multiply-add in software, for processors without the instruction, with the same bits.

/// Returns `a * b + c` in `f32`, rounded once.
///
/// The product of two `f32` is exact in `f64`. The sum is *rounded to odd* in `f64`: it is truncated, and its last bit is set
/// if the truncation was inexact. So the second rounding, to `f32`, cannot meet a false tie. The proof requires that `f64` has
/// at least twice the digits of `f32` plus two, which holds (Boldo and Melquiond, "Emulation of a FMA and Correctly Rounded
/// Sums: Proved Algorithms Using Rounding to Odd", IEEE Transactions on Computers 57, 2008). The truncated part is the error
/// term of Knuth's TwoSum, which is exact because nothing can overflow or underflow here.
#[inline(always)]
pub(crate) fn fma_f32(a: f32, b: f32, c: f32) -> f32 {
    let product = f64::from(a) * f64::from(b);
    let addend = f64::from(c);
    let sum = product + addend;
    let virtual_addend = sum - product;
    let error = (product - (sum - virtual_addend)) + (addend - virtual_addend);

    let bits = sum.to_bits();
    // If the sum is not finite, `error` is NaN, both comparisons are false, and the bits do not change.
    let inexact = (error < 0.0) | (error > 0.0);
    let even = bits & 1 == 0;
    // One bit away from zero if the error points away from zero, otherwise one bit towards zero.
    let step = if (error > 0.0) == (sum > 0.0) { 1_u64 } else { u64::MAX };
    let odd = bits.wrapping_add(if inexact & even { step } else { 0 });
    f64::from_bits(odd) as f32
}

#[cfg(test)]
mod tests {
    use super::fma_f32;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    #[test]
    fn rounds_once_where_double_rounding_differs() {
        // 1 + 2^-24 is halfway between two `f32`. The tiny addend decides the rounding, and a sum in `f64` loses it.
        let half_way = 1.0_f32 + f32::EPSILON;
        for (a, b, c) in [
            (half_way, half_way, f32::MIN_POSITIVE),
            (half_way, half_way, -f32::MIN_POSITIVE),
            (4097.0, 4097.0, 2f32.powi(-60)),
            (4097.0, -4097.0, 2f32.powi(-60)),
            (f32::MAX, f32::MAX, -f32::MAX),
            (f32::INFINITY, 1.0, f32::NEG_INFINITY),
            (f32::from_bits(1), 0.5, f32::from_bits(3)),
            (0.0, -1.0, -0.0),
            (0.0, -1.0, 0.0),
        ] {
            let (ours, libm) = (fma_f32(a, b, c), a.mul_add(b, c));
            assert!(
                ours.to_bits() == libm.to_bits() || (ours.is_nan() && libm.is_nan()),
                "{a} * {b} + {c}: {ours}, {libm}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        #[cfg_attr(miri, ignore = "takes an hour under Miri, and has no unsafe code")]
        fn equals_the_standard_library(a: u32, b: u32, c: u32, near in 0_u32..40) {
            // Any bit patterns, and addends that nearly cancel the product, where double rounding gives other results.
            let (a, b) = (f32::from_bits(a), f32::from_bits(b));
            let close = f32::from_bits((-(a * b)).to_bits().wrapping_add(near).wrapping_sub(20));
            let tiny = f32::from_bits(((a * b).to_bits() & 0xff80_0000).wrapping_sub(near << 23));
            for c in [f32::from_bits(c), close, tiny] {
                let (ours, libm) = (fma_f32(a, b, c), a.mul_add(b, c));
                prop_assert!(ours.to_bits() == libm.to_bits() || (ours.is_nan() && libm.is_nan()), "{} * {} + {}", a, b, c);
            }
        }
    }
}
