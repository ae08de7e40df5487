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
    /// Whatever a user of the crate draws, by a number of the user's own.
    Other(u32),
}

impl Purpose {
    fn number(self) -> u64 {
        match self {
            Self::Weights => 1,
            Self::Shuffle => 2,
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
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(position);
        Self(generator)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
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
