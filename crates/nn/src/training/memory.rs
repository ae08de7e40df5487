//! The working memory of steps.

use std::ops::Range;

use ziffer_tensor::shared::Shared;
use ziffer_tensor::{Buffer, NoMemory, Scalar};

use crate::model::LayerSlot;

/// The number of elements of a gradient whose squares one thread sums.
///
/// The bits of a norm depend on this number, since it decides the order of the sum. They do not depend on the number of threads.
pub(super) const CHUNK: usize = 4096;

/// The numbers that a step keeps for each layer that computes and each sample of a batch.
#[derive(Debug)]
pub(super) struct Buffers<T: Scalar> {
    /// The indices of the layers in the model.
    layers: Vec<u32>,
    /// Outputs \[B, O\] of each layer.
    outputs: Vec<Buffer<T>>,
    /// The gradients \[B, O\] that each layer's backward pass leaves.
    gradients: Vec<Buffer<T>>,
    /// The numbers that each layer saves.
    saved: Vec<Buffer<T>>,
    /// For each sample its loss, which may be NaN or infinite, and whether it was predicted correctly.
    losses: Vec<f64>,
    correct: Vec<bool>,
    norms: Vec<f64>,
}

/// All [`Buffers`], shared by the threads.
pub(super) struct Memory<'a, T> {
    pub(super) outputs: Vec<Shared<'a, T>>,
    pub(super) gradients: Vec<Shared<'a, T>>,
    pub(super) saved: Vec<Shared<'a, T>>,
    pub(super) losses: Shared<'a, f64>,
    pub(super) correct: Shared<'a, bool>,
    /// The gradients of all weights, laid out like the model's weights, if they are stored.
    pub(super) gradient: Option<Shared<'a, T>>,
    /// The chunks of the trainable weights of the layers that are updated, each with the index of its weight.
    pub(super) chunks: Vec<(usize, Range<usize>)>,
    /// The index of each layer's first weight.
    pub(super) first_weight: Vec<usize>,
    /// The squared norm of each chunk.
    pub(super) norms: Shared<'a, f64>,
}

impl<T: Scalar> Buffers<T> {
    /// Allocates memory for batches of at most `batch_size` samples.
    pub(super) fn new(layers: &[&LayerSlot<T>], batch_size: usize) -> Result<Self, NoMemory> {
        let zeros = |numbers: usize| Buffer::try_zeros(batch_size.saturating_mul(numbers));
        let outputs = || layers.iter().map(|slot| zeros(slot.outputs())).collect::<Result<Vec<_>, _>>();
        // For each row or each channel; there may be more channels than rows.
        let saved = |slot: &&LayerSlot<T>| {
            let channels = slot.output_shape.last().copied().unwrap_or(1);
            Buffer::try_zeros(batch_size.max(channels).saturating_mul(slot.saved))
        };
        Ok(Self {
            layers: layers.iter().map(|slot| slot.index).collect(),
            outputs: outputs()?,
            gradients: outputs()?,
            saved: layers.iter().map(saved).collect::<Result<_, _>>()?,
            losses: vec![0.0; batch_size],
            correct: vec![false; batch_size],
            norms: Vec::new(),
        })
    }

    /// Whether the memory is for these layers.
    pub(super) fn is_for(&self, layers: &[&LayerSlot<T>]) -> bool {
        self.layers.iter().eq(layers.iter().map(|slot| &slot.index))
    }

    /// Shares everything among the threads, with memory for the gradients of all weights.
    pub(super) fn share<'a>(
        &'a mut self,
        layers: &[&LayerSlot<T>],
        gradient: Option<&'a mut Buffer<T>>,
    ) -> Memory<'a, T> {
        fn all<T: Scalar>(buffers: &mut [Buffer<T>]) -> Vec<Shared<'_, T>> {
            buffers.iter_mut().map(|buffer| Shared::new(buffer)).collect()
        }
        let (mut chunks, mut first_weight, mut weight) = (Vec::new(), Vec::new(), 0);
        for slot in layers {
            first_weight.push(weight);
            for (spec, range) in slot.specs.iter().zip(&slot.ranges) {
                if spec.trainable && slot.trainable && gradient.is_some() {
                    let starts = range.clone().step_by(CHUNK);
                    chunks.extend(starts.map(|start| (weight, start..range.end.min(start + CHUNK))));
                }
                weight += 1;
            }
        }
        self.norms.resize(chunks.len(), 0.0);
        Memory {
            outputs: all(&mut self.outputs),
            gradients: all(&mut self.gradients),
            saved: all(&mut self.saved),
            losses: Shared::new(&mut self.losses),
            correct: Shared::new(&mut self.correct),
            gradient: gradient.map(|gradient| Shared::new(gradient)),
            chunks,
            first_weight,
            norms: Shared::new(&mut self.norms),
        }
    }
}
