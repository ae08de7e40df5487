//! Random numbers that depend on a seed, a purpose and a position, never on a thread.
//!
//! A [`Stream`] is the key stream of ChaCha with 8 rounds (Bernstein 2008). Its key consists of the seed and the purpose. The
//! position, such as an epoch or the index of a weight, selects one of the 2^64 streams of the key. So any part of a run can be
//! reproduced on its own.
//!
//! The distributions are implemented here, and tests fix their values. A library may change its distributions in a new version,
//! which would change every result that was published with a seed.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};

/// The purpose that random numbers are drawn for. Each purpose has its own streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Initial weights. The position is the index of the parameter in the model.
    Weights,
    /// The order of the training samples. The position is the epoch, from 0.
    Shuffle,
    /// The order of the samples in a window of an epoch. The position is 2^32 times the epoch plus the window, both from 0.
    ShuffleBuffer,
    /// The distortion of an image. The position is 2^32 times the number of the copy plus the index of the image, both from 0.
    Augment,
    /// The random numbers of a layer for a sample in training. The position is the row of the sample in its batch.
    Layer {
        /// The index of the layer in the model, from 0.
        index: u32,
        /// The number of the batch since training began, from 0.
        batch: u64,
    },
    /// A purpose of the crate's user, with a number that the user chooses.
    Other(u32),
}

impl Purpose {
    /// The part of the key that identifies the purpose.
    fn number(self) -> u64 {
        match self {
            Self::Weights => 1,
            Self::Shuffle => 2,
            Self::ShuffleBuffer => 3,
            Self::Augment => 4,
            Self::Layer { index, .. } => (2 << 32) | u64::from(index),
            Self::Other(number) => (1 << 32) | u64::from(number),
        }
    }
}

/// A generator of random numbers. Equal arguments of [`Stream::new`] give equal sequences.
///
/// ```
/// use ziffer_tensor::random::{Purpose, Stream};
/// let mut stream = Stream::new(42, Purpose::Other(0), 7);
/// let x = stream.uniform();
/// assert!((0.0..1.0).contains(&x));
/// assert_eq!(x, Stream::new(42, Purpose::Other(0), 7).uniform());
/// ```
#[derive(Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// Creates the stream of `seed` for `purpose` at `position`.
    pub fn new(seed: u64, purpose: Purpose, position: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&purpose.number().to_le_bytes());
        if let Purpose::Layer { batch, .. } = purpose {
            key[16..24].copy_from_slice(&batch.to_le_bytes());
        }
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(position);
        Self(generator)
    }

    /// Returns 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Fills `numbers` with random bits. Each number consumes half as much of the stream as a call of [`bits`](Self::bits).
    pub fn fill(&mut self, numbers: &mut [u32]) {
        numbers.iter_mut().for_each(|number| *number = self.0.next_u32());
    }

    /// Draws from the uniform distribution on \[0, 1). The result is a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * 2f64.powi(-53)
    }

    /// Draws an integer from the uniform distribution on `0..bound` (Lemire, "Fast Random Integer Generation in an Interval",
    /// 2019).
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "the bound must not be 0");
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            // Some results have one more product than the others. Rejecting the products whose low half is below
            // 2^64 mod bound makes all results equally likely.
            let low = product as u64;
            if low >= bound || low >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }

    /// Draws from the normal distribution with mean 0 and standard deviation 1, by Marsaglia's polar method (1964).
    ///
    /// The method yields pairs. The second number is discarded, so that the stream needs no further state.
    pub fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * (-2.0 * crate::elementary::ln(square) / square).sqrt();
            }
        }
    }

    /// Draws from the normal distribution, truncated to two standard deviations as Keras's `TruncatedNormal`: larger values are
    /// drawn again.
    pub fn truncated_normal(&mut self) -> f64 {
        loop {
            let x = self.normal();
            if x.abs() <= 2.0 {
                return x;
            }
        }
    }

    /// Shuffles `items`. All orders are equally likely (Fisher and Yates; Durstenfeld 1964).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from a Python implementation of ChaCha with 8 rounds, written from Bernstein's paper, and of the distributions.
    /// If a value changes, so does every result that was published with a seed.
    #[test]
    fn golden_values() {
        let mut bits = Stream::new(42, Purpose::Shuffle, 7);
        let expected: [u64; 10] = [
            0xf713_ed5e_44ca_dc8c,
            0x7422_763c_8c41_37d6,
            0xd27b_1094_4b38_842f,
            0xde05_b0f7_82e9_887f,
            0x1166_2716_10bd_28a1,
            0x982b_93c5_a622_081c,
            0xbc7e_250f_b513_0a40,
            0x0567_7a1e_fffa_ace8,
            0x99f0_b504_bf29_2c56,
            0x631a_86fc_3e8b_4bb4,
        ];
        for (position, expected) in expected.into_iter().enumerate() {
            assert_eq!(bits.bits(), expected, "draw {position}");
        }
        let mut uniform = Stream::new(1, Purpose::Weights, 0);
        for expected in [0.235_527_592_326_240_65, 0.829_717_055_321_670_4, 0.492_457_500_696_296_46] {
            assert_eq!(uniform.uniform(), expected);
        }
        let mut normal = Stream::new(1, Purpose::Other(5), 3);
        let expected = [0.011_716_448_166_443_62, -1.375_435_120_275_184_7, -0.243_012_853_995_407_62];
        for expected in expected {
            // The logarithm of Python may differ in the last bit.
            assert!((normal.normal() - expected).abs() < 1e-15);
        }
        let mut below = Stream::new(3, Purpose::Other(0), 0);
        assert_eq!(
            [355, 658, 780, 464, 207, 438, 776, 579].map(|_| below.below(1000)),
            [355, 658, 780, 464, 207, 438, 776, 579]
        );
        let mut order: Vec<u32> = (0..12).collect();
        Stream::new(0, Purpose::Shuffle, 0).shuffle(&mut order);
        assert_eq!(order, [9, 2, 6, 0, 11, 7, 5, 1, 3, 10, 4, 8]);
    }

    #[test]
    fn streams_differ_in_seed_purpose_and_position() {
        let first = |seed, purpose, position| Stream::new(seed, purpose, position).bits();
        let all = [
            first(0, Purpose::Weights, 0),
            first(1, Purpose::Weights, 0),
            first(0, Purpose::Shuffle, 0),
            first(0, Purpose::Weights, 1),
            first(0, Purpose::Other(1), 0),
            first(0, Purpose::Other(2), 0),
            first(0, Purpose::Layer { index: 0, batch: 0 }, 0),
            first(0, Purpose::Layer { index: 0, batch: 1 }, 0),
            first(0, Purpose::Layer { index: 1, batch: 0 }, 0),
        ];
        assert!((0..all.len()).all(|i| (0..i).all(|j| all[i] != all[j])));
    }

    #[test]
    fn sample_moments_match_the_distributions() {
        let mut stream = Stream::new(9, Purpose::Other(9), 9);
        let n = 200_000;
        let mut moments = |mut draw: Box<dyn FnMut(&mut Stream) -> f64>| {
            let drawn: Vec<f64> = (0..n).map(|_| draw(&mut stream)).collect();
            let mean = drawn.iter().sum::<f64>() / f64::from(n);
            (mean, drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n))
        };
        let (mean, variance) = moments(Box::new(Stream::uniform));
        assert!((mean - 0.5).abs() < 0.003 && (variance - 1.0 / 12.0).abs() < 0.001);
        let (mean, variance) = moments(Box::new(Stream::normal));
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02);
        let (mean, variance) = moments(Box::new(Stream::truncated_normal));
        assert!(mean.abs() < 0.01 && (variance - 0.773_741).abs() < 0.02);
        let (mean, _) = moments(Box::new(|stream| stream.below(7) as f64));
        assert!((mean - 3.0).abs() < 0.02);
    }

    #[test]
    fn every_order_is_equally_likely() {
        let mut counts = std::collections::HashMap::new();
        for position in 0..24_000 {
            let mut order = [0, 1, 2, 3];
            Stream::new(5, Purpose::Other(3), position).shuffle(&mut order);
            *counts.entry(order).or_insert(0) += 1;
        }
        // Each of the 24 orders is expected 1000 times, with a standard deviation of 31.
        assert_eq!(counts.len(), 24);
        assert!(counts.values().all(|&count| (850..1150).contains(&count)), "{counts:?}");
    }
}
