//! Random numbers that belong to a purpose and a position, never to a thread.
//!
//! A [`Stream`] is ChaCha with 8 rounds (Bernstein 2008) under a key made of the seed and the purpose, and the
//! position, say an epoch or a layer, chooses one of the key's 2^64 streams. So any part of a run can be repeated alone.
//! The distributions are written out here, and pinned by tests, since a library may change them from one version to
//! the next, and with them every result that was ever published with a seed.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};

/// What random numbers are drawn for. Each has streams of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Initial weights; the position is the parameter's index in the model.
    Weights,
    /// The order of the training samples; the position is the epoch, from 0.
    Shuffle,
    /// The order inside a window of an epoch; the position is the epoch times 2^32 and the window, from 0.
    ShuffleBuffer,
    /// A picture's change; the position is the number of its copy times 2^32 and its own number, from 0.
    Augment,
    /// What a layer draws for a sample in training; the position is the sample's row in its batch.
    Layer {
        /// The layer's place in the model, from 0.
        index: u32,
        /// The number of the batch since training began, from 0.
        batch: u64,
    },
    /// Whatever a user of the crate draws, by a number of the user's own.
    Other(u32),
}

impl Purpose {
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

/// A sequence of random numbers.
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
    /// The stream of `seed` for `purpose` at `position`.
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

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Fills `numbers` with random bits, half of [`bits`](Self::bits) each.
    pub fn fill(&mut self, numbers: &mut [u32]) {
        numbers.iter_mut().for_each(|number| *number = self.0.next_u32());
    }

    /// Uniform in \[0, 1), a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * 2f64.powi(-53)
    }

    /// A whole number below `bound`, each equally likely (Lemire, "Fast Random Integer Generation in an Interval", 2019).
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "no whole number lies below 0");
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            // The low half must not lie among the 2^64 mod bound first values, of which some results have one more.
            let low = product as u64;
            if low >= bound || low >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }

    /// Normal with mean 0 and standard deviation 1 (Marsaglia's polar method, 1964; the second number of each pair is
    /// dropped, so that a draw leaves no state behind).
    pub fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * (-2.0 * crate::elementary::ln(square) / square).sqrt();
            }
        }
    }

    /// Normal, drawn again while more than two standard deviations from 0, as Keras's truncated normal is.
    pub fn truncated_normal(&mut self) -> f64 {
        loop {
            let x = self.normal();
            if x.abs() <= 2.0 {
                return x;
            }
        }
    }

    /// Puts `items` into an order drawn uniformly from all orders (Fisher and Yates; Durstenfeld 1964).
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

    /// What an implementation of ChaCha with 8 rounds in Python, written from Bernstein's paper, and the distributions'
    /// definitions give. A change here changes every result that was ever published with a seed.
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
            // Python's logarithm may differ in its last bit.
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
    fn distributions_have_their_moments() {
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
        // 24 orders, 1000 of each expected, standard deviation 31.
        assert_eq!(counts.len(), 24);
        assert!(counts.values().all(|&count| (850..1150).contains(&count)), "{counts:?}");
    }
}
