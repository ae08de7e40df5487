//! A member's own part of the first layer.

use std::ops::Range;

use ziffer_tensor::shared::Shared;
use ziffer_tensor::{Buffer, Scalar};

use crate::layer::{Layer, Weights};
use crate::model::{ALIGNMENT, Placed};

/// Some outputs of the first layer, with copies of the weights that belong to them and of their slots.
///
/// In the model, rows of the kernel are shared out in pieces that lie side by side. Cores that write such pieces take each
/// other's cache lines away, by fetching more than they were asked for. Here they lie apart.
#[derive(Debug)]
pub(super) struct Own<T: Scalar> {
    pub(super) layer: Box<dyn Layer<T>>,
    pub(super) outputs: Range<usize>,
    /// Where the weights lie in the copies.
    pub(super) ranges: Vec<Range<usize>>,
    pub(super) weights: Buffer<T>,
    pub(super) slots: Vec<Buffer<T>>,
}

impl<T: Scalar> Own<T> {
    /// Copies of what belongs to `outputs`, if the layer has such parts.
    ///
    /// # Safety
    /// Nobody may be writing the layer's weights or their slots.
    pub(super) unsafe fn copied(
        placed: &Placed<T>,
        outputs: Range<usize>,
        weights: &Shared<'_, T>,
        slots: &[Shared<'_, T>],
    ) -> Option<Self> {
        let layer = placed.layer.part_of_outputs(outputs.clone())?;
        let width = placed.outputs();
        let mut ranges = Vec::new();
        let mut len = 0;
        for range in &placed.ranges {
            let part = range.len() / width * outputs.len();
            ranges.push(len..len + part);
            len += part.next_multiple_of(ALIGNMENT);
        }
        let copy = |shared: &Shared<'_, T>| {
            let mut copy = Buffer::zeros(len);
            for (own, range) in ranges.iter().zip(&placed.ranges) {
                // SAFETY: nobody writes it, as the caller promises.
                let whole = unsafe { shared.get(range.clone()) };
                for (own, row) in
                    copy[own.clone()].chunks_exact_mut(outputs.len()).zip(whole.chunks_exact(width))
                {
                    own.copy_from_slice(&row[outputs.clone()]);
                }
            }
            copy
        };
        let (weights, slots) = (copy(weights), slots.iter().map(copy).collect());
        Some(Self { layer, outputs, ranges, weights, slots })
    }

    /// Copies everything back.
    ///
    /// # Safety
    /// Nobody may be reading the layer's weights or their slots, or writing what belongs to these outputs.
    pub(super) unsafe fn copy_back(
        &self,
        placed: &Placed<T>,
        weights: &Shared<'_, T>,
        slots: &[Shared<'_, T>],
    ) {
        let width = placed.outputs();
        let pairs = std::iter::once((&self.weights, weights)).chain(self.slots.iter().zip(slots));
        for (copy, shared) in pairs {
            for (own, range) in self.ranges.iter().zip(&placed.ranges) {
                let rows = range.len() / width;
                // SAFETY: nobody else touches these columns, as the caller promises.
                let mut whole =
                    unsafe { shared.matrix_mut(range.clone(), width, 0..rows, self.outputs.clone()) };
                let own = copy[own.clone()].chunks_exact(self.outputs.len());
                for (mut whole, own) in whole.rows_mut().into_iter().zip(own) {
                    whole.as_slice_mut().expect("rows in order").copy_from_slice(own);
                }
            }
        }
    }

    pub(super) fn weights(&self) -> Weights<'_, T> {
        Weights::new(&self.weights, &self.ranges)
    }
}
