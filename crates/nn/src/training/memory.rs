//! The memory that steps work in.

use std::ops::Range;

use ziffer_tensor::shared::Shared;
use ziffer_tensor::{Buffer, NoMemory, Scalar};

use crate::model::LayerSlot;

/// Elements of a weight's gradient whose squares are added up by one thread.
///
/// It is part of a norm's bits, since it decides which squares are added first; the number of threads is not.
pub(super) const PIECE: usize = 4096;

/// For each layer that computes, and each sample of a batch, what a step keeps.
#[derive(Debug)]
pub(super) struct Buffers<T: Scalar> {
    /// The layers' places in the model, for which the rest is.
    layers: Vec<u32>,
    /// Outputs \[B, O\] of each layer.
    outputs: Vec<Buffer<T>>,
    /// What each layer's backward pass left in the gradient by its outputs.
    gradients: Vec<Buffer<T>>,
    /// What each layer saved.
    saved: Vec<Buffer<T>>,
    /// For each sample its loss, NaN and infinity included, and whether it was a hit.
    losses: Vec<f64>,
    hits: Vec<bool>,
    norms: Vec<f64>,
}

/// All of it, lent to the threads.
pub(super) struct Memory<'a, T> {
    pub(super) outputs: Vec<Shared<'a, T>>,
    pub(super) gradients: Vec<Shared<'a, T>>,
    pub(super) saved: Vec<Shared<'a, T>>,
    pub(super) losses: Shared<'a, f64>,
    pub(super) hits: Shared<'a, bool>,
    /// Gradients of all weights, laid out as the model's weights are, if they are stored.
    pub(super) gradient: Option<Shared<'a, T>>,
    /// The pieces of the trainable weights of layers that are updated, each with the number of its weight.
    pub(super) pieces: Vec<(usize, Range<usize>)>,
    /// The number of each layer's first weight.
    pub(super) first_weight: Vec<usize>,
    /// The squared norm of each piece.
    pub(super) norms: Shared<'a, f64>,
}

impl<T: Scalar> Buffers<T> {
    /// For batches of these layers.
    pub(super) fn new(layers: &[&LayerSlot<T>], batch_size: usize) -> Result<Self, NoMemory> {
        let zeros = |numbers: usize| Buffer::try_zeros(batch_size.saturating_mul(numbers));
        let outputs = || layers.iter().map(|slot| zeros(slot.outputs())).collect::<Result<Vec<_>, _>>();
        // Of rows, or of channels, of which there may be more.
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
            hits: vec![false; batch_size],
            norms: Vec::new(),
        })
    }

    /// Whether it is for these layers.
    pub(super) fn is_for(&self, layers: &[&LayerSlot<T>]) -> bool {
        self.layers.iter().eq(layers.iter().map(|slot| &slot.index))
    }

    /// Lends everything, and memory for the gradients of all weights.
    pub(super) fn lend<'a>(
        &'a mut self,
        layers: &[&LayerSlot<T>],
        gradient: Option<&'a mut Buffer<T>>,
    ) -> Memory<'a, T> {
        fn all<T: Scalar>(buffers: &mut [Buffer<T>]) -> Vec<Shared<'_, T>> {
            buffers.iter_mut().map(|buffer| Shared::new(buffer)).collect()
        }
        let (mut pieces, mut first_weight, mut weight) = (Vec::new(), Vec::new(), 0);
        for slot in layers {
            first_weight.push(weight);
            for (spec, range) in slot.specs.iter().zip(&slot.ranges) {
                if spec.trainable && slot.trainable && gradient.is_some() {
                    let starts = range.clone().step_by(PIECE);
                    pieces.extend(starts.map(|start| (weight, start..range.end.min(start + PIECE))));
                }
                weight += 1;
            }
        }
        self.norms.resize(pieces.len(), 0.0);
        Memory {
            outputs: all(&mut self.outputs),
            gradients: all(&mut self.gradients),
            saved: all(&mut self.saved),
            losses: Shared::new(&mut self.losses),
            hits: Shared::new(&mut self.hits),
            gradient: gradient.map(|gradient| Shared::new(gradient)),
            pieces,
            first_weight,
            norms: Shared::new(&mut self.norms),
        }
    }
}
