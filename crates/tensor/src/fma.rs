//! A fused multiply-add for processors that have none, exact to the bit.

/// `a * b + c` in `f32`, rounded once.
///
/// The product of two `f32` is exact in `f64`. The sum is brought to `f64` by *rounding to odd*: truncated, and the
/// last bit set if anything was cut off, so that the second rounding, to `f32`, cannot fall on a false tie. `f64` has
/// more than twice the digits of `f32` plus two, which is what the proof asks for (Boldo and Melquiond, "Emulation of
/// a FMA and Correctly Rounded Sums: Proved Algorithms Using Rounding to Odd", IEEE Transactions on Computers 57, 2008).
/// What was cut off is the error term of Knuth's TwoSum, exact because nothing can overflow or underflow here.
#[inline(always)]
pub(crate) fn fma_f32(a: f32, b: f32, c: f32) -> f32 {
    let product = f64::from(a) * f64::from(b);
    let addend = f64::from(c);
    let sum = product + addend;
    let virtual_addend = sum - product;
    let error = (product - (sum - virtual_addend)) + (addend - virtual_addend);

    let bits = sum.to_bits();
    // Not finite: `error` is NaN, both comparisons fail, and the bits stay.
    let inexact = (error < 0.0) | (error > 0.0);
    let even = bits & 1 == 0;
    // Away from zero by one bit when the error points away from zero, else towards it.
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
    fn rounds_once_where_two_roundings_differ() {
        // 1 + 2^-24 lies half way between two f32; the tiny addend decides it, and is lost by a plain f64 sum.
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
        #[cfg_attr(miri, ignore = "takes Miri an hour, and nothing is unsafe")]
        fn equals_the_instruction(a: u32, b: u32, c: u32, near in 0_u32..40) {
            // Any bit patterns, and addends that nearly cancel the product, where double rounding strikes.
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
