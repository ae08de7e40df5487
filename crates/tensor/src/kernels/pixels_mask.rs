//! Bit masks of the nonzero pixels.

use std::ops::Range;

use crate::isa::{Isa, Kernel};

/// The number of bits of a mask. They stand for pixels of one sample, or for samples at one pixel.
pub(crate) const BITS: usize = 64;

/// Computes a mask of the nonzero pixels for each block of [`BITS`] columns and each sample, \[blocks, B\]. The first pixel has
/// the lowest bit.
pub(crate) fn by_sample(pixels: &[u8], inputs: usize, masks: &mut Vec<u64>) {
    let samples = pixels.len() / inputs.max(1);
    masks.clear();
    masks.resize(inputs.div_ceil(BITS) * samples, 0);
    for (index, sample) in pixels.chunks_exact(inputs).enumerate() {
        let (blocks, rest) = sample.as_chunks::<BITS>();
        for (block, bytes) in blocks.iter().enumerate() {
            masks[block * samples + index] = nonzero(bytes);
        }
        if !rest.is_empty() {
            let mut padded = [0; BITS];
            padded[..rest.len()].copy_from_slice(rest);
            masks[blocks.len() * samples + index] = nonzero(&padded);
        }
    }
}

/// Returns a mask with a bit for each byte, which is set if the byte is not zero.
#[inline(always)]
fn nonzero(bytes: &[u8; BITS]) -> u64 {
    let mut mask = 0;
    for (i, sixteen) in bytes.as_chunks::<16>().0.iter().enumerate() {
        mask |= u64::from(nonzero_of_16(u128::from_le_bytes(*sixteen))) << (16 * i);
    }
    mask
}

/// Returns a mask with a bit for each of 16 bytes, which is set if the byte is not zero.
///
/// Every x86-64 processor has an instruction that gathers the sign bits of 16 bytes. The compiler does not generate it. Code
/// without it takes 8 times as long, which is about 5% of a forward product.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn nonzero_of_16(bytes: u128) -> u16 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_setzero_si128};
    // SAFETY: these instructions belong to SSE2, which every x86-64 processor has.
    let zero = unsafe {
        let vector = _mm_set_epi64x((bytes >> 64) as i64, bytes as i64);
        _mm_movemask_epi8(_mm_cmpeq_epi8(vector, _mm_setzero_si128()))
    };
    !zero as u16
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn nonzero_of_16(bytes: u128) -> u16 {
    nonzero_by_words(bytes)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn nonzero_by_words(bytes: u128) -> u16 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let of_word = |word: u64| {
        // Sets the highest bit of each nonzero byte, then gathers these bits.
        let high = (((word & LOW) + LOW) | word) & !LOW;
        ((high >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u16
    };
    of_word(bytes as u64) | of_word((bytes >> 64) as u64) << 8
}

/// Computes a mask of the samples with a nonzero pixel for each group of [`BITS`] samples and each pixel of `rows`,
/// \[groups, `rows.len()`\]. The first sample has the lowest bit.
pub(crate) struct ByColumn<'a> {
    pub(crate) pixels: &'a [u8],
    pub(crate) inputs: usize,
    pub(crate) rows: Range<usize>,
    pub(crate) masks: &'a mut Vec<u64>,
    /// Working memory.
    pub(crate) bits: &'a mut Vec<u8>,
}

impl Kernel for ByColumn<'_> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { pixels, inputs, rows, masks, bits } = self;
        let samples = pixels.len() / inputs;
        masks.clear();
        masks.resize(samples.div_ceil(BITS) * rows.len(), 0);
        for (group, masks) in pixels.chunks(BITS * inputs).zip(masks.chunks_exact_mut(rows.len())) {
            // Eight samples at a time, in bytes: a vector register holds more bytes than wider integers.
            for (eighth, eight) in group.chunks(8 * inputs).enumerate() {
                bits.clear();
                bits.resize(rows.len(), 0);
                if eight.len() == 8 * inputs {
                    let rows_of_eight: [&[u8]; 8] =
                        std::array::from_fn(|sample| &eight[sample * inputs..][rows.clone()]);
                    bits_of_eight(rows_of_eight, bits);
                } else {
                    for (bit, sample) in eight.chunks_exact(inputs).enumerate() {
                        for (bits, &pixel) in bits.iter_mut().zip(&sample[rows.clone()]) {
                            *bits |= u8::from(pixel != 0) << bit;
                        }
                    }
                }
                for (mask, &bits) in masks.iter_mut().zip(&*bits) {
                    *mask |= u64::from(bits) << (8 * eighth);
                }
            }
        }
    }
}

/// Computes a byte for each column, with a bit for each of eight samples.
#[inline(always)]
fn bits_of_eight(samples: [&[u8]; 8], bits: &mut [u8]) {
    // The slices have the same length, so that the loop has no bounds checks.
    let [a, b, c, d, e, f, g, h] = samples.map(|sample| &sample[..bits.len()]);
    for (i, bits) in bits.iter_mut().enumerate() {
        let bit_if_nonzero = |sample: &[u8], bit: u8| if sample[i] == 0 { 0 } else { bit };
        *bits = (bit_if_nonzero(a, 1) | bit_if_nonzero(b, 2) | bit_if_nonzero(c, 4) | bit_if_nonzero(d, 8))
            | (bit_if_nonzero(e, 16)
                | bit_if_nonzero(f, 32)
                | bit_if_nonzero(g, 64)
                | bit_if_nonzero(h, 128));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 8 } else { 256 }, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn masks_have_a_bit_for_each_nonzero_byte(bytes in prop::array::uniform16(prop_oneof![Just(0_u8), any::<u8>()])) {
            let expected = (0..16).fold(0, |mask, i| mask | u16::from(bytes[i] != 0) << i);
            prop_assert_eq!(nonzero_of_16(u128::from_le_bytes(bytes)), expected);
            prop_assert_eq!(nonzero_by_words(u128::from_le_bytes(bytes)), expected);
        }
    }
}
