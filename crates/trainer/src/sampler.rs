//! The order of samples in each epoch. An epoch consists of windows: the samples of a window are shuffled among themselves, and
//! the samples of the next window are read ahead.
//!
//! Data that fit into memory are one window per epoch, in a random permutation. Larger data are divided into blocks of neighboring
//! samples, from a random start in the file in each epoch. The blocks are shuffled, and a window has as many blocks as fit into a
//! buffer. So the disk reads whole blocks, and memory grows by only 4 bytes per block. The samples of a window of 64 MiB come from
//! 64 positions in the file. All random numbers depend on seed, epoch and window.

use std::fmt;
use std::ops::Range;

use ziffer_nn::random::{Purpose, Stream};

/// Memory-mapped images of at most this many bytes count as fitting into memory. It is a constant and not a fraction of the machine's
/// memory, so that the result of a training is the same on every machine.
const FITS_BYTES: usize = 1 << 30;

/// The size of a block in bytes: large enough for a disk's full speed, small enough for many blocks in a buffer.
const BLOCK_BYTES: usize = 1 << 20;

/// The size of a window in bytes: more than MNIST has. A second window is read ahead.
pub(crate) const BUFFER_BYTES: usize = 64 << 20;

/// The setting for shuffling the samples in each epoch. `true` stands for `Auto`, `false` for `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shuffle {
    /// The order of the data.
    None,
    /// `Full` for samples in memory and for files of up to 1 GiB, `Blocks` for larger files.
    #[default]
    Auto,
    /// A random permutation of all samples. It takes 4 bytes per sample.
    Full,
    /// A random permutation of blocks of neighboring samples, whose samples are shuffled in a buffer of many blocks. It takes 4 bytes
    /// per block of 1 MiB and per sample of the buffer.
    Blocks,
}

impl From<bool> for Shuffle {
    fn from(shuffle: bool) -> Self {
        if shuffle { Self::Auto } else { Self::None }
    }
}

impl Shuffle {
    /// Resolves `Auto` for this many samples of this size in a file.
    pub(crate) fn for_file(self, samples: usize, sample_bytes: usize) -> Self {
        match self {
            Self::Auto if samples.saturating_mul(sample_bytes) <= FITS_BYTES => Self::Full,
            Self::Auto => Self::Blocks,
            other => other,
        }
    }
}

/// The method that shuffles the samples of a training: a [`Shuffle`] setting, resolved for the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShuffleMethod {
    /// The order of the data.
    None,
    /// A random permutation of all samples.
    Full,
    /// A random permutation of blocks, and of the samples in a buffer.
    Blocks {
        /// The number of samples of a block.
        block: usize,
        /// The number of samples of the buffer.
        buffer: usize,
    },
}

impl ShuffleMethod {
    /// The method for samples of this size. Blocks are whole batches, so that no batch spans two windows.
    pub(crate) fn new(shuffle: Shuffle, sample_bytes: usize, batch_size: usize) -> Self {
        match shuffle {
            Shuffle::None => Self::None,
            Shuffle::Auto | Shuffle::Full => Self::Full,
            Shuffle::Blocks => {
                let block = (BLOCK_BYTES / sample_bytes.max(1)).max(1).next_multiple_of(batch_size);
                let blocks = BUFFER_BYTES / block.saturating_mul(sample_bytes).max(1);
                Self::Blocks { block, buffer: block * blocks.max(1) }
            }
        }
    }
}

impl fmt::Display for ShuffleMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Full => f.write_str("full"),
            Self::Blocks { block, buffer } => write!(f, "blocks of {block} in a buffer of {buffer} samples"),
        }
    }
}

/// The order of samples in the epochs of a training.
#[derive(Debug)]
pub(crate) struct Sampler {
    method: ShuffleMethod,
    seed: u64,
    samples: usize,
    window: usize,
    /// The epoch for which `start`, the position of the first block, and `blocks`, the order of the blocks, are drawn.
    epoch: Option<usize>,
    start: usize,
    blocks: Vec<u32>,
}

impl Sampler {
    /// A sampler for `samples` samples: at least one, at most `u32::MAX`.
    pub(crate) fn new(method: ShuffleMethod, seed: u64, samples: usize, batch_size: usize) -> Self {
        let window = match method {
            ShuffleMethod::Full => samples,
            // Without shuffling, a window is only the unit of reading ahead.
            ShuffleMethod::None => (1_usize << 16).next_multiple_of(batch_size),
            ShuffleMethod::Blocks { buffer, .. } => buffer,
        };
        Self { method, seed, samples, window, epoch: None, start: 0, blocks: Vec::new() }
    }

    /// The number of samples of a window. An epoch's last window may have fewer.
    pub(crate) fn window_len(&self) -> usize {
        self.window
    }

    /// The number of windows in an epoch.
    pub(crate) fn windows(&self) -> usize {
        self.samples.div_ceil(self.window)
    }

    /// The ranges of a window's samples to read ahead and to release afterwards. Empty if an epoch has a single window.
    pub(crate) fn ranges(&mut self, epoch: usize, window: usize) -> Vec<Range<usize>> {
        if self.windows() == 1 { Vec::new() } else { self.window_ranges(epoch, window) }
    }

    fn window_ranges(&mut self, epoch: usize, window: usize) -> Vec<Range<usize>> {
        let positions = window * self.window..self.samples.min((window + 1) * self.window);
        match self.method {
            ShuffleMethod::Full | ShuffleMethod::None => vec![positions],
            ShuffleMethod::Blocks { block, .. } => {
                self.draw_blocks(epoch, block);
                let of_window = positions.start / block..positions.end.div_ceil(block);
                self.blocks[of_window].iter().flat_map(|number| self.block(*number as usize, block)).collect()
            }
        }
    }

    /// Writes the samples of a window to `order`, in the order of training.
    pub(crate) fn order(&mut self, epoch: usize, window: usize, order: &mut Vec<u32>) {
        order.clear();
        // Starts from the order of the data, so that the order of an epoch does not depend on earlier epochs.
        for range in self.window_ranges(epoch, window) {
            order.extend(range.start as u32..range.end as u32);
        }
        let (purpose, position) = match self.method {
            ShuffleMethod::None => return,
            ShuffleMethod::Full => (Purpose::Shuffle, epoch as u64),
            ShuffleMethod::Blocks { .. } => (Purpose::ShuffleBuffer, (epoch as u64) << 32 | window as u64),
        };
        Stream::new(self.seed, purpose, position).shuffle(order);
    }

    /// Draws the order of the blocks of an epoch.
    fn draw_blocks(&mut self, epoch: usize, block: usize) {
        if self.epoch.replace(epoch) == Some(epoch) {
            return;
        }
        let mut stream = Stream::new(self.seed, Purpose::Shuffle, epoch as u64);
        self.start = stream.below(self.samples as u64) as usize;
        self.blocks.clear();
        self.blocks.extend(0..self.samples.div_ceil(block) as u32);
        // The last block may be smaller. It stays the last, so that windows are whole batches. Its position in the data is random,
        // like the start.
        let whole = self.samples / block;
        stream.shuffle(&mut self.blocks[..whole]);
    }

    /// The samples of a block, counted from `start`; after the end of the data they continue at 0.
    fn block(&self, number: usize, block: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let n = self.samples;
        let from = self.start + number * block;
        let len = block.min(n - number * block);
        let ranges = if from >= n {
            [from - n..from - n + len, 0..0]
        } else {
            [from..n.min(from + len), 0..(from + len).saturating_sub(n)]
        };
        ranges.into_iter().filter(|range| !range.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(block: usize, buffer: usize) -> ShuffleMethod {
        ShuffleMethod::Blocks { block, buffer }
    }

    fn order(sampler: &mut Sampler, epoch: usize, window: usize) -> Vec<u32> {
        // Previous contents are replaced.
        let mut order = vec![7];
        sampler.order(epoch, window, &mut order);
        order
    }

    /// All windows of an epoch, one after the other.
    fn epoch(sampler: &mut Sampler, epoch: usize) -> Vec<u32> {
        (0..sampler.windows()).flat_map(|window| order(sampler, epoch, window)).collect()
    }

    #[test]
    fn an_epoch_has_each_sample_once_in_windows_of_whole_batches() {
        for samples in [1, 5, 63, 64, 65, 1000, 4096, 10_007] {
            for method in
                [ShuffleMethod::None, ShuffleMethod::Full, blocks(8, 64), blocks(24, 24), blocks(64, 512)]
            {
                let mut sampler = Sampler::new(method, 3, samples, 8);
                for number in 0..3 {
                    let mut all = epoch(&mut sampler, number);
                    all.sort_unstable();
                    assert_eq!(all, (0..samples as u32).collect::<Vec<_>>(), "{samples} {method}");
                }
                let windows = sampler.windows();
                assert!(sampler.window_len().is_multiple_of(8) || windows == 1);
                for window in 0..windows {
                    let expected = sampler.window_len().min(samples - window * sampler.window_len());
                    assert_eq!(order(&mut sampler, 1, window).len(), expected, "{samples} {method} {window}");
                }
            }
        }
    }

    #[test]
    fn the_order_depends_on_seed_epoch_and_window() {
        let new = |seed| Sampler::new(blocks(8, 64), seed, 1000, 8);
        let (mut sampler, mut again) = (new(3), new(3));
        let third = order(&mut sampler, 2, 5);
        assert_eq!(epoch(&mut again, 1), epoch(&mut sampler, 1));
        assert_eq!(order(&mut again, 2, 5), third);
        assert_ne!(order(&mut sampler, 3, 5), third);
        assert_ne!(order(&mut sampler, 2, 6), third);
        assert_ne!(order(&mut new(4), 2, 5), third);
    }

    #[test]
    fn a_window_has_many_whole_blocks_from_all_over_the_data() {
        let mut sampler = Sampler::new(blocks(8, 512), 1, 8192, 8);
        for window in [0, 7, 15] {
            let ranges = sampler.ranges(0, window);
            let mut order = order(&mut sampler, 0, window);
            let sorted = order.is_sorted();
            order.sort_unstable();
            let mut of_ranges: Vec<u32> =
                ranges.iter().flat_map(|range| range.start as u32..range.end as u32).collect();
            of_ranges.sort_unstable();
            assert_eq!(of_ranges, order);
            assert!(!sorted, "the samples are shuffled in the buffer");
            assert!((64..=65).contains(&ranges.len()));
            let spread = order[511] - order[0];
            assert!(spread > 6000, "{spread}");
        }
        // The position of a sample is uniform over the epochs.
        let positions: Vec<usize> = (0..200)
            .filter_map(|number| epoch(&mut sampler, number).iter().position(|sample| *sample == 4000))
            .collect();
        let mean = positions.iter().sum::<usize>() as f64 / 200.0;
        // The mean of 200 draws from 0..8192: 4096, standard deviation 167.
        assert!((mean - 4096.0).abs() < 4.0 * 167.0, "{mean}");
    }

    #[test]
    fn auto_depends_on_the_size_of_the_data() {
        assert_eq!(Shuffle::Auto.for_file(60_000, 784), Shuffle::Full);
        assert_eq!(Shuffle::Auto.for_file(1 << 20, 1 << 10), Shuffle::Full);
        assert_eq!(Shuffle::Auto.for_file((1 << 20) + 1, 1 << 10), Shuffle::Blocks);
        assert_eq!(Shuffle::Auto.for_file(usize::MAX, 2), Shuffle::Blocks);
        assert_eq!(Shuffle::Full.for_file(usize::MAX, 2), Shuffle::Full);
        assert_eq!(ShuffleMethod::new(Shuffle::Blocks, 784, 32), blocks(1344, 1344 * 63));
        // Images larger than a block, and larger than the buffer.
        assert_eq!(ShuffleMethod::new(Shuffle::Blocks, 10 << 20, 4), blocks(4, 4));
        assert_eq!(ShuffleMethod::new(Shuffle::Blocks, 1 << 40, 1), blocks(1, 1));
    }
}
