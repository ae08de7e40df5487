//! A thread's copy of the weights that belong to some outputs of the first layer.

use std::ops::Range;

use ziffer_tensor::shared::Shared;
use ziffer_tensor::{Buffer, Scalar};

use crate::layer::{InputType, Sharing, Weights};
use crate::model::{ALIGNMENT, LayerSlot};

/// Bytes of a shard that stay in its core's second-level cache. Copying more than that, there and back, would take longer
/// than is won.
const SHARD_BYTES: usize = 1 << 20;

/// Whether the first layer's outputs are to be shared out among `threads`, each with `states` more numbers a weight: if there
/// are enough of them, few enough weights, and pixels, since for numbers the kernels want a layer's weights whole.
pub(super) fn is_worth_it<T: Scalar>(
    layers: &[&LayerSlot<T>],
    input: InputType,
    threads: usize,
    states: usize,
) -> bool {
    let Some(first) = layers.first() else { return false };
    let lines = first.outputs().div_ceil(ALIGNMENT);
    let weights: usize = first.ranges.iter().map(Range::len).sum();
    let bytes = weights / threads.max(1) * (1 + states) * size_of::<T>();
    first.sharing == Sharing::RowsOrOutputs
        && input == InputType::Pixels
        && first.trainable
        && first.saved == 0
        && layers.len() > 1
        && threads > 1
        && lines >= threads
        && bytes <= SHARD_BYTES
}

/// Copies of the weights that belong to some outputs of the first layer, and of their optimizer state.
///
/// In the model, rows of the kernel are shared out in pieces that lie side by side. Cores that write such pieces take each
/// other's cache lines away, by fetching more than they were asked for. Here they lie apart.
#[derive(Debug)]
pub(super) struct Shard<T: Scalar> {
    pub(super) outputs: Range<usize>,
    /// Where the weights lie in the copies.
    pub(super) ranges: Vec<Range<usize>>,
    /// All elements of each weight, as a range of its own.
    pub(super) owned: Vec<Range<usize>>,
    pub(super) weights: Buffer<T>,
    pub(super) state: Vec<Buffer<T>>,
}

impl<T: Scalar> Shard<T> {
    /// Copies of what belongs to `outputs`.
    ///
    /// # Safety
    /// Nobody may be writing the layer's weights or their state.
    pub(super) unsafe fn copied(
        slot: &LayerSlot<T>,
        outputs: Range<usize>,
        weights: &Shared<'_, T>,
        state: &[Shared<'_, T>],
    ) -> Self {
        let width = slot.outputs();
        let (mut ranges, mut owned) = (Vec::new(), Vec::new());
        let mut len = 0;
        for range in &slot.ranges {
            let part = range.len() / width * outputs.len();
            ranges.push(len..len + part);
            owned.push(0..part);
            len += part.next_multiple_of(ALIGNMENT);
        }
        let copy = |shared: &Shared<'_, T>| {
            let mut copy = Buffer::zeros(len);
            for (shard, range) in ranges.iter().zip(&slot.ranges) {
                // SAFETY: nobody writes it, as the caller promises.
                let whole = unsafe { shared.get(range.clone()) };
                for (shard, row) in
                    copy[shard.clone()].chunks_exact_mut(outputs.len()).zip(whole.chunks_exact(width))
                {
                    shard.copy_from_slice(&row[outputs.clone()]);
                }
            }
            copy
        };
        let (weights, state) = (copy(weights), state.iter().map(copy).collect());
        Self { outputs, ranges, owned, weights, state }
    }

    /// Copies everything back.
    ///
    /// # Safety
    /// Nobody may be reading the layer's weights or their state, or writing what belongs to these outputs.
    pub(super) unsafe fn copy_back(
        &self,
        slot: &LayerSlot<T>,
        weights: &Shared<'_, T>,
        state: &[Shared<'_, T>],
    ) {
        let width = slot.outputs();
        let pairs = std::iter::once((&self.weights, weights)).chain(self.state.iter().zip(state));
        for (copy, shared) in pairs {
            for (shard, range) in self.ranges.iter().zip(&slot.ranges) {
                let rows = range.len() / width;
                // SAFETY: nobody else touches these columns, as the caller promises.
                let mut whole =
                    unsafe { shared.matrix_mut(range.clone(), width, 0..rows, self.outputs.clone()) };
                let shard = copy[shard.clone()].chunks_exact(self.outputs.len());
                for (mut whole, shard) in whole.rows_mut().into_iter().zip(shard) {
                    whole.as_slice_mut().expect("rows in order").copy_from_slice(shard);
                }
            }
        }
    }

    pub(super) fn weights(&self) -> Weights<'_, T> {
        Weights::new(&self.weights, &self.ranges)
    }
}
