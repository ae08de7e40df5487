//! The views of shared memory that a step passes to layers.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2};
use ziffer_tensor::shared::Shared;
use ziffer_tensor::{Buffer, Scalar};

use super::super::matrix::matrix;
use super::{Batch, Step};
use crate::layer::{Context, Input, Mode, OutputKind};

impl<T: Scalar> Step<'_, T> {
    /// Samples of the batch as the input of the first layer.
    pub(super) fn samples_as_input(&self, batch: &Batch<'_>, rows: Range<usize>) -> Input<'_, T> {
        // SAFETY: all threads read the samples of this batch, and no thread writes them.
        unsafe { self.batches.input(batch.number, rows) }
    }

    /// The context of a call of layer `l` for `rows`, or for `channels` of a layer that is parallel over channels.
    pub(super) fn context<'c>(
        &'c self,
        scratch: &'c mut Buffer<T>,
        batch: &Batch<'_>,
        l: usize,
        rows: Range<usize>,
        channels: Option<Range<usize>>,
    ) -> Context<'c, T> {
        let slot = self.layers[l];
        let mode = slot.mode(Mode::Training);
        let numbers = self.layers[l].saved;
        let part = channels.unwrap_or(rows.clone());
        let saved: &mut [T] = if mode == Mode::Training {
            // SAFETY: own rows, or own channels, of this layer: the same count of numbers for each.
            unsafe { self.memory.saved[l].get_mut(part.start * numbers..part.end * numbers) }
        } else {
            &mut []
        };
        Context {
            mode,
            output_kind: if l + 1 == self.layers.len() { self.last } else { OutputKind::Activated },
            seed: self.seed,
            layer: slot.index,
            batch: self.first_batch + batch.number as u64,
            first_row: rows.start,
            batch_rows: batch.samples.len(),
            saved,
            scratch: &mut scratch[..slot.scratch],
        }
    }

    /// The input of layer `l` for these rows: the samples, or the outputs of the layer below.
    pub(super) fn input(&self, batch: &Batch<'_>, l: usize, rows: Range<usize>) -> Input<'_, T> {
        match l.checked_sub(1) {
            None => self.samples_as_input(batch, rows),
            Some(below) => {
                let width = self.layers[below].outputs();
                // SAFETY: own rows, of the layer below the one that is written; or all rows, which an earlier stage wrote.
                let x = unsafe { self.memory.outputs[below].get(rows.start * width..rows.end * width) };
                Input::Real(matrix(x, width))
            }
        }
    }

    /// The input of layer `l` for some of its channels and all rows.
    pub(super) fn input_channels(&self, batch: &Batch<'_>, l: usize, channels: Range<usize>) -> Input<'_, T> {
        let count = self.channels(l);
        match l.checked_sub(1) {
            None => self.samples_as_input(batch, 0..batch.samples.len()).channels(count, channels),
            Some(below) => Input::Real(self.columns(&self.memory.outputs[below], batch, l, channels)),
        }
    }

    /// The number of channels of layer `l`.
    pub(super) fn channels(&self, l: usize) -> usize {
        self.layers[l].output_shape.last().copied().unwrap_or(1)
    }

    /// Some channels of layer `l` for the whole batch, in memory of the shape of its input or output.
    pub(super) fn columns<'m>(
        &self,
        memory: &'m Shared<'_, T>,
        batch: &Batch<'_>,
        l: usize,
        channels: Range<usize>,
    ) -> ArrayView2<'m, T> {
        let (len, width) = (batch.samples.len() * self.layers[l].outputs(), self.channels(l));
        // SAFETY: own channels of this layer, or channels of the layer below that only this thread uses in this stage.
        unsafe { memory.matrix(0..len, width, 0..len / width, channels) }
    }

    /// Like [`columns`](Self::columns), mutably.
    pub(super) fn columns_mut<'m>(
        &self,
        memory: &'m Shared<'_, T>,
        batch: &Batch<'_>,
        l: usize,
        channels: Range<usize>,
    ) -> ArrayViewMut2<'m, T> {
        let (len, width) = (batch.samples.len() * self.layers[l].outputs(), self.channels(l));
        // SAFETY: as in `columns`. Memory that is written is not read as well, see `forward` and `backward`.
        unsafe { memory.matrix_mut(0..len, width, 0..len / width, channels) }
    }

    /// All weights, in stages where no thread writes them.
    pub(super) fn all_weights(&self) -> &[T] {
        // SAFETY: in stages that divide rows, outputs or channels all threads read the weights, and no thread writes them.
        unsafe { self.weights.get(0..self.weights.len()) }
    }
}
