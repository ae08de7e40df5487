//! The order of the samples in each epoch, window by window: a window's samples are shuffled among themselves, and the next
//! one's come into memory while steps are made of it.
//!
//! Where the data fit into memory, an epoch is one window, and its order is drawn from all orders. Data many times the
//! memory are cut into blocks of neighbouring samples, from a place in the file that is drawn anew in every epoch; the blocks
//! are shuffled, and a window is as many of them as the buffer takes. So the disk reads whole blocks, and memory grows by
//! 4 bytes for each block only: of a window of 64 MiB, the samples come from 64 places. All of it is drawn by seed, epoch and window.

use std::fmt;
use std::ops::Range;

use ziffer_nn::random::{Purpose, Stream};

/// Mapped pictures of at most this many bytes count as fitting into memory. It is a number and not a share of the machine's
/// memory, so that a training has the same result on every machine.
const FITS_BYTES: usize = 1 << 30;

/// Bytes of a block: enough that a disk reads near its full speed, and some hundred blocks of a large set are a good mixture.
const BLOCK_BYTES: usize = 1 << 20;

/// Bytes of a window: more than the whole of MNIST. A second one is read ahead.
pub(crate) const BUFFER_BYTES: usize = 64 << 20;

/// How the samples are ordered in each epoch. `true` stands for `Auto`, `false` for `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shuffle {
    /// In the data's order.
    None,
    /// `Full` for samples in memory, and for pictures in files of up to 1 GiB; `Blocks` for larger files.
    #[default]
    Auto,
    /// An order drawn from all orders. It takes 4 bytes for each sample.
    Full,
    /// Blocks of neighbouring samples in an order drawn from all orders, and their samples shuffled inside a buffer that takes
    /// many blocks. It takes 4 bytes for each block of 1 MiB, and for each sample of the buffer.
    Blocks,
}

impl From<bool> for Shuffle {
    fn from(shuffle: bool) -> Self {
        if shuffle { Self::Auto } else { Self::None }
    }
}

impl Shuffle {
    /// What `Auto` comes to for so many samples of so many bytes in a file.
    pub(crate) fn of_file(self, samples: usize, sample_bytes: usize) -> Self {
        match self {
            Self::Auto if samples.saturating_mul(sample_bytes) <= FITS_BYTES => Self::Full,
            Self::Auto => Self::Blocks,
            other => other,
        }
    }
}

/// How the samples of a training are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shuffling {
    /// As the data are.
    None,
    /// All samples among themselves.
    Full,
    /// Blocks, and samples inside a buffer.
    Blocks {
        /// Samples of a block.
        block: usize,
        /// Samples of the buffer.
        buffer: usize,
    },
}

impl Shuffling {
    /// Of samples of so many bytes. Blocks are whole batches, so that no batch comes from two windows.
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

impl fmt::Display for Shuffling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Full => f.write_str("full"),
            Self::Blocks { block, buffer } => write!(f, "blocks of {block} in a buffer of {buffer} samples"),
        }
    }
}

/// The orders of a training's epochs.
#[derive(Debug)]
pub(crate) struct Orders {
    shuffling: Shuffling,
    seed: u64,
    samples: usize,
    window: usize,
    /// Of `epoch`: where in the data the first block begins, and the blocks' order.
    epoch: Option<usize>,
    start: usize,
    blocks: Vec<u32>,
}

impl Orders {
    /// Orders of `samples` samples, at least one. There are never more than a `u32` can count.
    pub(crate) fn new(shuffling: Shuffling, seed: u64, samples: usize, batch_size: usize) -> Self {
        let window = match shuffling {
            Shuffling::Full => samples,
            // Nothing is drawn, and a window is only what is read ahead.
            Shuffling::None => (1_usize << 16).next_multiple_of(batch_size),
            Shuffling::Blocks { buffer, .. } => buffer,
        };
        Self { shuffling, seed, samples, window, epoch: None, start: 0, blocks: Vec::new() }
    }

    /// Samples of a window, but for an epoch's last one, which has what is left.
    pub(crate) fn window_len(&self) -> usize {
        self.window
    }

    /// The number of windows in an epoch.
    pub(crate) fn windows(&self) -> usize {
        self.samples.div_ceil(self.window)
    }

    /// Where in the data a window's samples lie, if it is worth it to read them ahead and to release them after: not if they
    /// are all there are.
    pub(crate) fn ranges(&mut self, epoch: usize, window: usize) -> Vec<Range<usize>> {
        if self.windows() == 1 { Vec::new() } else { self.pieces(epoch, window) }
    }

    fn pieces(&mut self, epoch: usize, window: usize) -> Vec<Range<usize>> {
        let places = window * self.window..self.samples.min((window + 1) * self.window);
        match self.shuffling {
            Shuffling::Full | Shuffling::None => vec![places],
            Shuffling::Blocks { block, .. } => {
                self.draw_blocks(epoch, block);
                let of_window = places.start / block..places.end.div_ceil(block);
                self.blocks[of_window].iter().flat_map(|number| self.block(*number as usize, block)).collect()
            }
        }
    }

    /// Puts the samples of a window into `order`, in their order.
    pub(crate) fn order(&mut self, epoch: usize, window: usize, order: &mut Vec<u32>) {
        order.clear();
        // From the data's order, so that an epoch's order does not depend on the epochs before.
        for range in self.pieces(epoch, window) {
            order.extend(range.start as u32..range.end as u32);
        }
        let (purpose, position) = match self.shuffling {
            Shuffling::None => return,
            Shuffling::Full => (Purpose::Shuffle, epoch as u64),
            Shuffling::Blocks { .. } => (Purpose::ShuffleBuffer, (epoch as u64) << 32 | window as u64),
        };
        Stream::new(self.seed, purpose, position).shuffle(order);
    }

    fn draw_blocks(&mut self, epoch: usize, block: usize) {
        if self.epoch.replace(epoch) == Some(epoch) {
            return;
        }
        let mut stream = Stream::new(self.seed, Purpose::Shuffle, epoch as u64);
        self.start = stream.below(self.samples as u64) as usize;
        self.blocks.clear();
        self.blocks.extend(0..self.samples.div_ceil(block) as u32);
        // The last block may have fewer samples than the others. It stays the last, so that windows are whole batches; where
        // in the data it lies is drawn with the start.
        let whole = self.samples / block;
        stream.shuffle(&mut self.blocks[..whole]);
    }

    /// The samples of a block, counted from `start` and, behind the data's end, from 0.
    fn block(&self, number: usize, block: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let n = self.samples;
        let from = self.start + number * block;
        let len = block.min(n - number * block);
        let pieces = if from >= n {
            [from - n..from - n + len, 0..0]
        } else {
            [from..n.min(from + len), 0..(from + len).saturating_sub(n)]
        };
        pieces.into_iter().filter(|piece| !piece.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(block: usize, buffer: usize) -> Shuffling {
        Shuffling::Blocks { block, buffer }
    }

    fn order(orders: &mut Orders, epoch: usize, window: usize) -> Vec<u32> {
        // What was there before goes.
        let mut order = vec![7];
        orders.order(epoch, window, &mut order);
        order
    }

    /// All windows of an epoch, one behind the other.
    fn epoch(orders: &mut Orders, epoch: usize) -> Vec<u32> {
        (0..orders.windows()).flat_map(|window| order(orders, epoch, window)).collect()
    }

    #[test]
    fn each_sample_once_and_windows_of_whole_batches() {
        for samples in [1, 5, 63, 64, 65, 1000, 4096, 10_007] {
            for shuffling in
                [Shuffling::None, Shuffling::Full, blocks(8, 64), blocks(24, 24), blocks(64, 512)]
            {
                let mut orders = Orders::new(shuffling, 3, samples, 8);
                for number in 0..3 {
                    let mut all = epoch(&mut orders, number);
                    all.sort_unstable();
                    assert_eq!(all, (0..samples as u32).collect::<Vec<_>>(), "{samples} {shuffling}");
                }
                let windows = orders.windows();
                assert!(orders.window_len().is_multiple_of(8) || windows == 1);
                for window in 0..windows {
                    let expected = orders.window_len().min(samples - window * orders.window_len());
                    assert_eq!(
                        order(&mut orders, 1, window).len(),
                        expected,
                        "{samples} {shuffling} {window}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_order_belongs_to_seed_epoch_and_window() {
        let new = |seed| Orders::new(blocks(8, 64), seed, 1000, 8);
        let (mut orders, mut again) = (new(3), new(3));
        let third = order(&mut orders, 2, 5);
        assert_eq!(epoch(&mut again, 1), epoch(&mut orders, 1));
        assert_eq!(order(&mut again, 2, 5), third);
        assert_ne!(order(&mut orders, 3, 5), third);
        assert_ne!(order(&mut orders, 2, 6), third);
        assert_ne!(order(&mut new(4), 2, 5), third);
    }

    #[test]
    fn a_window_is_many_whole_blocks_from_everywhere() {
        let mut orders = Orders::new(blocks(8, 512), 1, 8192, 8);
        for window in [0, 7, 15] {
            let ranges = orders.ranges(0, window);
            let mut order = order(&mut orders, 0, window);
            let sorted = order.is_sorted();
            order.sort_unstable();
            let mut of_ranges: Vec<u32> =
                ranges.iter().flat_map(|range| range.start as u32..range.end as u32).collect();
            of_ranges.sort_unstable();
            assert_eq!(of_ranges, order);
            assert!(!sorted, "inside the buffer they are shuffled");
            assert!((64..=65).contains(&ranges.len()));
            let spread = order[511] - order[0];
            assert!(spread > 6000, "{spread}");
        }
        // Over epochs a sample has no usual place, and no usual neighbour in the file stays with it in a batch.
        let places: Vec<usize> = (0..200)
            .filter_map(|number| epoch(&mut orders, number).iter().position(|sample| *sample == 4000))
            .collect();
        let mean = places.iter().sum::<usize>() as f64 / 200.0;
        // The mean of 200 draws from 0..8192: 4096, standard deviation 167.
        assert!((mean - 4096.0).abs() < 4.0 * 167.0, "{mean}");
    }

    #[test]
    fn what_auto_comes_to() {
        assert_eq!(Shuffle::Auto.of_file(60_000, 784), Shuffle::Full);
        assert_eq!(Shuffle::Auto.of_file(1 << 20, 1 << 10), Shuffle::Full);
        assert_eq!(Shuffle::Auto.of_file((1 << 20) + 1, 1 << 10), Shuffle::Blocks);
        assert_eq!(Shuffle::Auto.of_file(usize::MAX, 2), Shuffle::Blocks);
        assert_eq!(Shuffle::Full.of_file(usize::MAX, 2), Shuffle::Full);
        assert_eq!(Shuffling::new(Shuffle::Blocks, 784, 32), blocks(1344, 1344 * 63));
        // Pictures larger than a block, and than the buffer.
        assert_eq!(Shuffling::new(Shuffle::Blocks, 10 << 20, 4), blocks(4, 4));
        assert_eq!(Shuffling::new(Shuffle::Blocks, 1 << 40, 1), blocks(1, 1));
    }
}
