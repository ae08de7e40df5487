//! The forward and backward passes of layers, and the losses.

use std::ops::Range;
use std::sync::PoisonError;

use ndarray::{ArrayView2, ArrayViewMut2};
use ziffer_tensor::Scalar;
use ziffer_tensor::thread_team::Worker;

use super::super::check::target_error;
use super::super::matrix::{as_channels, matrix, matrix_mut};
use super::super::ownership::owned_cache_lines;
use super::super::plan::{Partition, lowest_updated};
use super::{Batch, Step, ThreadState};
use crate::layer::{Context, Input, Parallelism, Weights};
use crate::model::LayerSlot;

impl<T: Scalar> Step<'_, T> {
    /// Runs layer `l` forward on this thread's part.
    pub(super) fn forward(
        &self,
        worker: &Worker<'_>,
        state: &mut ThreadState<T>,
        batch: &Batch<'_>,
        partition: Partition,
        l: usize,
    ) {
        let slot = self.layers[l];
        let (samples, width) = (batch.samples.len(), slot.outputs());
        let is_first = batch.number == 0;
        match partition {
            Partition::Outputs(_) => {
                let shard = state.shard.as_ref().expect("a shard of the first layer");
                let outputs = shard.outputs.clone();
                let mut context = self.context(&mut state.scratch, batch, l, 0..samples, Some(0..0));
                let x = self.samples_as_input(batch, 0..samples);
                // SAFETY: own columns of the first layer's outputs; no thread reads any.
                let y = unsafe {
                    self.memory.outputs[l].matrix_mut(0..samples * width, width, 0..samples, outputs)
                };
                write(is_first, y, |y| slot.layer.forward(&mut context, shard.weights(), x, y));
            }
            Partition::Channels(_) => {
                let channels = owned_cache_lines(self.channels(l), worker.index(), worker.count());
                let weights = Weights::new(self.all_weights(), &state.block_ranges[l]);
                let mut context =
                    self.context(&mut state.scratch, batch, l, 0..samples, Some(channels.clone()));
                let x = self.input_channels(batch, l, channels.clone());
                let y = self.columns_mut(&self.memory.outputs[l], batch, l, channels);
                write(is_first, y, |y| slot.layer.forward(&mut context, weights, x, y));
            }
            _ => {
                let rows = worker.share(samples);
                let weights = slot.weights(self.all_weights());
                let mut context = self.context(&mut state.scratch, batch, l, rows.clone(), None);
                let x = self.input(batch, l, rows.clone());
                // SAFETY: own rows; the input is different memory.
                let y = unsafe { self.memory.outputs[l].get_mut(rows.start * width..rows.end * width) };
                let (x, y) = as_channels(slot, x, matrix_mut(y, width));
                write(is_first, y, |y| slot.layer.forward(&mut context, weights, x, y));
            }
        }
    }

    /// Runs layer `l` backward on this thread's part.
    pub(super) fn backward(
        &self,
        worker: &Worker<'_>,
        state: &mut ThreadState<T>,
        batch: &Batch<'_>,
        partition: Partition,
        l: usize,
    ) {
        let slot = self.layers[l];
        let (samples, width) = (batch.samples.len(), slot.outputs());
        let below = (l > lowest_updated(self.layers)).then(|| l - 1);
        let is_first = batch.number == 0;
        if let Partition::Channels(_) = partition {
            let channels = owned_cache_lines(self.channels(l), worker.index(), worker.count());
            let weights = Weights::new(self.all_weights(), &state.block_ranges[l]);
            let mut context = self.context(&mut state.scratch, batch, l, 0..samples, Some(channels.clone()));
            let x = self.input_channels(batch, l, channels.clone());
            let y = self.columns(&self.memory.outputs[l], batch, l, channels.clone());
            let d = self.columns_mut(&self.memory.gradients[l], batch, l, channels.clone());
            let d_x = below.map(|below| self.columns_mut(&self.memory.gradients[below], batch, l, channels));
            backward(is_first, slot, &mut context, weights, x, y, d, d_x);
            return;
        }
        let rows = worker.share(samples);
        let range = |width: usize| rows.start * width..rows.end * width;
        let mut context = self.context(&mut state.scratch, batch, l, rows.clone(), None);
        let weights = slot.weights(self.all_weights());
        let x = self.input(batch, l, rows.clone());
        // SAFETY: own rows; those of layer l and, below, of layer l - 1 are different memory.
        let (y, d) = unsafe {
            (self.memory.outputs[l].get(range(width)), self.memory.gradients[l].get_mut(range(width)))
        };
        let d_x = below.map(|below| {
            let width = self.layers[below].outputs();
            // SAFETY: as above.
            matrix_mut(unsafe { self.memory.gradients[below].get_mut(range(width)) }, width)
        });
        if slot.parallelism == Parallelism::Channels {
            let channels = self.channels(l);
            let wide = |d: ArrayViewMut2<'_, T>| -> (usize, usize) { (d.len() / channels, channels) };
            let shape = (y.len() / channels, channels);
            let y = ArrayView2::from_shape(shape, y).expect("whole channels");
            let d = ArrayViewMut2::from_shape(shape, d).expect("whole channels");
            let d_x = d_x.map(|mut d_x| {
                let shape = wide(d_x.view_mut());
                d_x.into_shape_with_order(shape).expect("whole channels, in order")
            });
            backward(is_first, slot, &mut context, weights, x.channels(channels, 0..channels), y, d, d_x);
        } else {
            backward(is_first, slot, &mut context, weights, x, matrix(y, width), matrix_mut(d, width), d_x);
        }
    }

    /// Computes the losses of these rows, and their gradients with respect to the last layer's outputs.
    pub(super) fn losses(&self, rows: Range<usize>, samples: &[u32]) {
        let top = self.layers.len() - 1;
        let width = self.layers[top].outputs();
        let range = rows.start * width..rows.end * width;
        // SAFETY: own rows; these are the only borrows of the two.
        let (losses, correct) =
            unsafe { (self.memory.losses.get_mut(rows.clone()), self.memory.correct.get_mut(rows.clone())) };
        // SAFETY: own rows, of outputs that no thread writes any more, and of gradients.
        let (y, d) = unsafe {
            (self.memory.outputs[top].get(range.clone()), self.memory.gradients[top].get_mut(range))
        };
        let scale = T::one() / T::from_f64(samples.len() as f64);
        let rows_of_batch = y.chunks_exact(width).zip(d.chunks_exact_mut(width)).zip(&samples[rows]);
        for (((y, d), &sample), (loss, is_correct)) in rows_of_batch.zip(losses.iter_mut().zip(correct)) {
            let target = self.samples.target(sample as usize);
            if let Some(error) = target_error(self.loss, target, sample as usize, width) {
                self.target_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                // All threads see this loss after the barrier, and make no step.
                *loss = f64::NAN;
                continue;
            }
            *loss = self.loss.backward(y, target, scale, d).to_f64();
            *is_correct = self.loss.is_correct(y, target);
        }
    }
}

/// A number that no layer computes. It marks outputs that a layer has not written.
const UNWRITTEN: f64 = -1.234_567_9e-33;

/// Calls `work` with a view to write. With `check`, panics if an element is not written.
fn write<T: Scalar>(check: bool, mut y: ArrayViewMut2<'_, T>, work: impl FnOnce(ArrayViewMut2<'_, T>)) {
    if !check {
        return work(y);
    }
    let unwritten = T::from_f64(UNWRITTEN);
    y.fill(unwritten);
    work(y.view_mut());
    let left = y.iter().filter(|&&y| y == unwritten).count();
    assert!(left == 0, "{left} of {} numbers were not written", y.len());
}

/// Calls a layer's backward pass. With `check`, panics if an element of d_x is not written.
#[expect(clippy::too_many_arguments, reason = "those of the layer, and whether to check it")]
fn backward<T: Scalar>(
    check: bool,
    slot: &LayerSlot<T>,
    context: &mut Context<'_, T>,
    weights: Weights<'_, T>,
    x: Input<'_, T>,
    y: ArrayView2<'_, T>,
    d: ArrayViewMut2<'_, T>,
    d_x: Option<ArrayViewMut2<'_, T>>,
) {
    match d_x {
        None => slot.layer.backward(context, weights, x, y, d, None),
        Some(d_x) => write(check, d_x, |d_x| slot.layer.backward(context, weights, x, y, d, Some(d_x))),
    }
}
