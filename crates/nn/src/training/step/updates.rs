//! The gradients with respect to the weights, and the updates.

use std::ops::Range;

use ziffer_tensor::shared::Shared;
use ziffer_tensor::thread_team::Worker;
use ziffer_tensor::{Scalar, update};

use super::super::consumers::{StoreGradient, UpdateWeights};
use super::super::dyn_optimizer::Update;
use super::super::gradients::{clip_value, scale};
use super::super::matrix::matrix;
use super::super::memory::CHUNK;
use super::super::shard::Shard;
use super::{Batch, Step, ThreadState};
use crate::layer::{GradientConsumer, GradientSink, Parallelism, SinkCursor};
use crate::optimizer::{Clip, MAX_STATES};

impl<T: Scalar> Step<'_, T> {
    /// Calls `work` with the optimizer's step after `updates` others in this run.
    pub(super) fn with_update(&self, updates: u64, work: &mut dyn FnMut(&dyn Update<T>)) {
        let iteration = self.updates.iteration + updates;
        self.updates.optimizer.prepare(iteration + 1, self.updates.learning_rate.at(iteration), work);
    }

    /// Computes the gradient with respect to the weights of layer `l` that this thread owns, and updates them at once.
    pub(super) fn gradient_update(
        &self,
        thread: &mut ThreadState<T>,
        batch: &Batch<'_>,
        step: &dyn Update<T>,
        l: usize,
    ) {
        let slot = self.layers[l];
        let states = self.updates.optimizer.states();
        if l == 0
            && let Some(Shard { outputs, ranges, owned, weights, state, .. }) = &mut thread.shard
        {
            let state: Vec<_> = state.iter_mut().take(states).map(|block| Shared::new(block)).collect();
            let weights = Shared::new(weights);
            // SAFETY: the shard belongs to this thread.
            let mut consumer = unsafe { UpdateWeights::new(&weights, &state, ranges, step) };
            let mut sink = GradientSink::new(&slot.specs, owned, &mut thread.cursor, &mut consumer);
            let (samples, width) = (batch.samples.len(), slot.outputs());
            // SAFETY: all threads read gradients, and no thread writes them.
            let d = unsafe {
                self.memory.gradients[0].matrix(0..samples * width, width, 0..samples, outputs.clone())
            };
            slot.layer.gradient(self.samples_as_input(batch, 0..samples), d, &[], &mut sink);
            sink.finish();
            return;
        }
        // SAFETY: the sink passes only elements of `owned`, which belong to this thread in this stage.
        let mut consumer =
            unsafe { UpdateWeights::new(&self.weights, &self.state[..states], &slot.ranges, step) };
        self.gradient(&thread.owned[l], &mut thread.cursor, batch, l, &mut consumer);
    }

    /// Computes and stores the gradient with respect to the weights of layer `l` that this thread owns.
    pub(super) fn store_gradient(&self, thread: &mut ThreadState<T>, batch: &Batch<'_>, l: usize) {
        let before = self.updates.accumulated + batch.number as u64;
        let adds = !before.is_multiple_of(self.updates.accumulation);
        let gradient = self.memory.gradient.as_ref().expect("memory for gradients");
        let slot = self.layers[l];
        // SAFETY: the sink passes only elements of `owned`, which belong to this thread in this stage.
        let mut consumer = unsafe { StoreGradient::new(gradient, &self.weights, &slot.ranges, adds) };
        self.gradient(&thread.owned[l], &mut thread.cursor, batch, l, &mut consumer);
    }

    /// Passes the gradient with respect to the elements `owned` of the weights of layer `l` to a consumer.
    fn gradient(
        &self,
        owned: &[Range<usize>],
        cursor: &mut SinkCursor,
        batch: &Batch<'_>,
        l: usize,
        consumer: &mut dyn GradientConsumer<T>,
    ) {
        let slot = self.layers[l];
        let (samples, width, numbers) = (batch.samples.len(), slot.outputs(), self.layers[l].saved);
        let mut sink = GradientSink::new(&slot.specs, owned, cursor, consumer);
        if slot.parallelism == Parallelism::Channels {
            let channels = owned.first().cloned().unwrap_or(0..0);
            let x = self.input_channels(batch, l, channels.clone());
            let d = self.columns(&self.memory.gradients[l], batch, l, channels.clone());
            // SAFETY: all threads read the saved numbers, and no thread writes them.
            let saved = unsafe { self.memory.saved[l].get(channels.start * numbers..channels.end * numbers) };
            slot.layer.gradient(x, d, saved, &mut sink);
        } else {
            let x = self.input(batch, l, 0..samples);
            // SAFETY: all threads read the gradients and the saved numbers, and no thread writes them.
            let (d, saved) = unsafe {
                (
                    self.memory.gradients[l].get(0..samples * width),
                    self.memory.saved[l].get(0..samples * numbers),
                )
            };
            slot.layer.gradient(x, matrix(d, width), saved, &mut sink);
        }
        sink.finish();
    }

    /// Computes the squared norms of this thread's chunks of the stored gradients.
    pub(super) fn squared_norms(&self, worker: &Worker<'_>) {
        let gradient = self.memory.gradient.as_ref().expect("memory for gradients");
        let share = worker.share(self.memory.chunks.len());
        // SAFETY: own chunks.
        let norms = unsafe { self.memory.norms.get_mut(share.clone()) };
        for (norm, (_, range)) in norms.iter_mut().zip(&self.memory.chunks[share]) {
            // SAFETY: all threads read the stored gradients, and no thread writes them.
            let chunk = unsafe { gradient.get(range.clone()) };
            *norm = chunk.iter().map(|g| g.to_f64() * g.to_f64()).sum();
        }
    }

    /// The norm of the gradient with respect to weight `weight`, or to all weights.
    fn norm(&self, weight: Option<usize>) -> f64 {
        // SAFETY: all threads read the norms, and no thread writes them.
        let norms = unsafe { self.memory.norms.get(0..self.memory.chunks.len()) };
        let chunks = norms.iter().zip(&self.memory.chunks);
        let of_weight = chunks.filter(|(_, (of, _))| weight.is_none_or(|weight| weight == *of));
        // Accumulated gradients are sums; their mean is clipped.
        of_weight.map(|(norm, _)| norm).sum::<f64>().sqrt() / self.updates.accumulation as f64
    }

    /// Updates the weights of layer `l` that this thread owns by the stored gradient.
    pub(super) fn update(&self, thread: &ThreadState<T>, step: &dyn Update<T>, l: usize) {
        let slot = self.layers[l];
        let gradient = self.memory.gradient.as_ref().expect("memory for gradients");
        for (index, owned) in
            thread.block_ranges[l].iter().enumerate().filter(|(index, _)| slot.specs[*index].trainable)
        {
            let clip = self.updates.clip;
            let factor = match clip {
                Some(clip @ Clip::GlobalNorm(_)) => clip.factor(self.norm(None)),
                Some(clip @ Clip::Norm(_)) => {
                    clip.factor(self.norm(Some(self.memory.first_weight[l] + index)))
                }
                _ => 1.0,
            };
            let factor = factor / self.updates.accumulation as f64;
            for start in owned.clone().step_by(CHUNK) {
                let chunk = start..owned.end.min(start + CHUNK);
                // SAFETY: own elements of the weights, of their gradients, and of each state, which are different memory.
                let (g, w) =
                    unsafe { (gradient.get_mut(chunk.clone()), self.weights.get_mut(chunk.clone())) };
                scale(g, factor);
                if let Some(Clip::Value(bound)) = clip {
                    clip_value(g, bound);
                }
                let mut state: [&mut [T]; MAX_STATES] = Default::default();
                let count = self.updates.optimizer.states();
                for (state, shared) in state.iter_mut().zip(&self.state[..count]) {
                    // SAFETY: as above.
                    *state = unsafe { shared.get_mut(chunk.clone()) };
                }
                step.update(w, &mut state[..count], g);
            }
        }
    }

    /// Updates the average of the weights of layer `l` that this thread owns, if one is kept.
    pub(super) fn average(&self, thread: &mut ThreadState<T>, l: usize, updates: u64) {
        let Some(momentum) = self.updates.ema_momentum else { return };
        // The average starts from the weights after the first update.
        let momentum = T::from_f64(if self.updates.iteration + updates == 0 { 0.0 } else { momentum });
        let slot = self.layers[l];
        if l == 0
            && let Some(Shard { weights, state, .. }) = &mut thread.shard
        {
            let average = state.last_mut().expect("an average");
            update::moving_average(average, weights, momentum);
            return;
        }
        let average = self.state.last().expect("an average");
        for (owned, spec) in thread.block_ranges[l].iter().zip(&slot.specs).filter(|(_, spec)| spec.trainable)
        {
            debug_assert!(spec.trainable);
            // SAFETY: own elements of the weights and of their average, which are different memory.
            let (average, w) = unsafe { (average.get_mut(owned.clone()), self.weights.get(owned.clone())) };
            update::moving_average(average, w, momentum);
        }
    }
}
