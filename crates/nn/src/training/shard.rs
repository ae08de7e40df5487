//! A thread's copy of its part of the first layer: the weights of some outputs.

use std::ops::Range;

use ziffer_tensor::shared::Shared;
use ziffer_tensor::{Buffer, Scalar};

use crate::layer::{InputType, Parallelism, Weights};
use crate::model::{ALIGNMENT, LayerSlot};

/// The largest shard, in bytes, that stays in its core's second-level cache. Copying a larger one there and back takes longer
/// than it saves.
const SHARD_BYTES: usize = 1 << 20;

/// Whether dividing the first layer's outputs among `threads` pays off, with `states` optimizer states per weight: it does with
/// enough outputs, few enough weights, and pixels as input. For numbers the kernels need a layer's weights as a whole.
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
    first.parallelism == Parallelism::RowsOrOutputs
        && input == InputType::Pixels
        && first.trainable
        && first.saved == 0
        && layers.len() > 1
        && threads > 1
        && lines >= threads
        && bytes <= SHARD_BYTES
}

/// Copies of the weights of some outputs of the first layer, and of their optimizer state.
///
/// In the model, the parts of a kernel's row that belong to different threads are adjacent. Cores that write such parts
/// invalidate each other's cache lines, because they prefetch neighboring lines. The copies are apart from each other.
#[derive(Debug)]
pub(super) struct Shard<T: Scalar> {
    pub(super) outputs: Range<usize>,
    /// The range of each weight in the copies.
    pub(super) ranges: Vec<Range<usize>>,
    /// All elements of each weight, counted within the weight.
    pub(super) owned: Vec<Range<usize>>,
    pub(super) weights: Buffer<T>,
    pub(super) state: Vec<Buffer<T>>,
}

impl<T: Scalar> Shard<T> {
    /// Copies the weights and the state of `outputs`.
    ///
    /// # Safety
    /// No thread may write the layer's weights or their state during the call.
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
                // SAFETY: no thread writes it, as the caller promises.
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
    /// During the call no thread may read the layer's weights or their state, or write those of these outputs.
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
                // SAFETY: no other thread accesses these columns, as the caller promises.
                let mut whole =
                    unsafe { shared.matrix_mut(range.clone(), width, 0..rows, self.outputs.clone()) };
                let shard = copy[shard.clone()].chunks_exact(self.outputs.len());
                for (mut whole, shard) in whole.rows_mut().into_iter().zip(shard) {
                    whole.as_slice_mut().expect("rows in order").copy_from_slice(shard);
                }
            }
        }
    }

    /// The copied weights as a layer reads them.
    pub(super) fn weights(&self) -> Weights<'_, T> {
        Weights::new(&self.weights, &self.ranges)
    }
}
