//! One member's way through the steps.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ziffer_tensor::Scalar;
use ziffer_tensor::shared::Shared;
use ziffer_tensor::team::Member;

use super::{Lap, StepResult, Watch, matrix, matrix_mut};
use crate::layer::{Feature, Input, Output, Part, Sink};
use crate::loss::Loss;
use crate::model::Placed;
use crate::optimizer::{MAX_SLOTS, Optimizer};
use crate::samples::Samples;

/// What a member has to say after its steps.
pub(super) struct Outcome<W> {
    pub(super) results: Vec<StepResult>,
    pub(super) not_finite: Option<f64>,
    pub(super) watch: W,
}

/// Everything that a step needs, lent to all members.
///
/// The plan that the unsafe blocks below rely on, for a batch of B samples and this member's share of them:
///
/// | memory | phase 1 | phase 2 |
/// |---|---|---|
/// | weights, slots | read by all | each range written by the one member that it belongs to |
/// | x, outputs, gradients, losses, hits | the share's rows written by their member | read by all |
///
/// Shares are disjoint, parts are disjoint, and the members meet after each phase. Nothing borrowed in a phase outlives it.
pub(super) struct Step<'a, T: Scalar, O, V, L, S> {
    pub(super) optimizer: &'a O,
    pub(super) first_iteration: u64,
    pub(super) batch_size: usize,
    pub(super) last: Output,
    pub(super) layers: Vec<&'a Placed<T>>,
    pub(super) loss: &'a L,
    pub(super) samples: &'a S,
    pub(super) features: usize,
    pub(super) weights: Shared<'a, T>,
    pub(super) slots: Vec<Shared<'a, T>>,
    pub(super) x: Shared<'a, V>,
    pub(super) outputs: Vec<Shared<'a, T>>,
    pub(super) gradients: Vec<Shared<'a, T>>,
    pub(super) losses: Shared<'a, f64>,
    pub(super) hits: Shared<'a, bool>,
    pub(super) deadline: Option<Instant>,
    /// Set by member 0 before a meeting, so that all members see the same after it.
    pub(super) time_is_up: AtomicBool,
    pub(super) of: std::marker::PhantomData<V>,
}

impl<T, O, V, L, S> Step<'_, T, O, V, L, S>
where
    T: Scalar,
    O: Optimizer<T>,
    V: Feature<T>,
    L: Loss<T>,
    S: Samples<T, Value = V>,
{
    /// All steps of `order`, as one member goes through them.
    pub(super) fn run<W: Watch>(&self, member: &Member<'_>, order: &[u32]) -> Outcome<W> {
        let mut outcome = Outcome { results: Vec::new(), not_finite: None, watch: W::default() };
        let watch = &mut outcome.watch;
        for (number, batch) in order.chunks(self.batch_size).enumerate() {
            self.samples_phase(batch, member.share(batch.len()), watch);
            member.wait();
            watch.lap(Lap::MeetAfterSamples);
            // Every member adds up the same losses in the same order, so all of them come to the same decision.
            let result = self.result(batch.len());
            if !result.loss_sum.is_finite() {
                outcome.not_finite = Some(result.loss());
                break;
            }
            let step = self.optimizer.step(self.first_iteration + number as u64);
            self.weights_phase(
                batch.len(),
                Part { index: member.index(), count: member.count() },
                &step,
                watch,
            );
            if member.index() == 0 {
                outcome.results.push(result);
                if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    self.time_is_up.store(true, Ordering::Relaxed);
                }
            }
            member.wait();
            watch.lap(Lap::MeetAfterWeights);
            if self.time_is_up.load(Ordering::Relaxed) {
                break;
            }
        }
        outcome
    }

    /// Phase 1: the rows of `share`, forward and backward.
    fn samples_phase(&self, batch: &[u32], share: Range<usize>, watch: &mut impl Watch) {
        let rows = |width: usize| share.start * width..share.end * width;
        // SAFETY: phase 1: all members read the weights, nobody writes them.
        let weights = unsafe { self.weights.get(0..self.weights.len()) };
        // SAFETY: phase 1: the share's rows belong to this member alone. These are the only borrows of x, losses and hits.
        let (x, losses, hits) = unsafe {
            (
                self.x.get_mut(rows(self.features)),
                self.losses.get_mut(share.clone()),
                self.hits.get_mut(share.clone()),
            )
        };
        for (x, &sample) in x.chunks_exact_mut(self.features).zip(&batch[share.clone()]) {
            x.copy_from_slice(self.samples.row(sample as usize));
        }
        watch.lap(Lap::Gather);
        let x: &[V] = x;

        // What goes into layer l: the samples, or what layer l - 1 put out.
        let input = |l: usize| -> Input<'_, T> {
            match l.checked_sub(1) {
                None => V::input(matrix(x, self.features)),
                Some(below) => {
                    let width = self.layers[below].outputs();
                    // SAFETY: phase 1: this member's rows of a layer below the one that is being written.
                    Input::Real(matrix(unsafe { self.outputs[below].get(rows(width)) }, width))
                }
            }
        };
        let top = self.layers.len() - 1;
        let output_of = |l: usize| if l == top { self.last } else { Output::Activated };
        for (l, placed) in self.layers.iter().enumerate() {
            let width = placed.outputs();
            // SAFETY: phase 1: this member's rows; `input` reads other layers' only.
            let y = unsafe { self.outputs[l].get_mut(rows(width)) };
            placed.layer.forward(placed.weights(weights), input(l), matrix_mut(y, width), output_of(l));
            watch.lap(Lap::Forward(l));
        }

        let width = self.layers[top].outputs();
        // SAFETY: phase 1: this member's rows, of outputs that nobody writes any more, and of gradients.
        let (y, d) =
            unsafe { (self.outputs[top].get(rows(width)), self.gradients[top].get_mut(rows(width))) };
        let scale = T::one() / T::from_f64(batch.len() as f64);
        let of_rows = y.chunks_exact(width).zip(d.chunks_exact_mut(width)).zip(&batch[share.clone()]);
        for (((y, d), &sample), (loss, hit)) in of_rows.zip(losses.iter_mut().zip(hits)) {
            let target = self.samples.target(sample as usize);
            *loss = self.loss.backward(y, target, scale, d).to_f64();
            *hit = target.is_hit(y);
        }
        watch.lap(Lap::Loss);

        for (l, placed) in self.layers.iter().enumerate().rev() {
            let width = placed.outputs();
            // SAFETY: phase 1: this member's rows; those of layer l and, below, of layer l - 1 are different memory.
            let (y, d) =
                unsafe { (self.outputs[l].get(rows(width)), self.gradients[l].get_mut(rows(width))) };
            let d_x = l.checked_sub(1).map(|below| {
                let width = self.layers[below].outputs();
                // SAFETY: as above.
                matrix_mut(unsafe { self.gradients[below].get_mut(rows(width)) }, width)
            });
            let (y, d) = (matrix(y, width), matrix_mut(d, width));
            placed.layer.backward(placed.weights(weights), input(l), y, d, d_x, output_of(l));
            watch.lap(Lap::Backward(l));
        }
    }

    /// The sums over the batch.
    fn result(&self, batch: usize) -> StepResult {
        // SAFETY: phase 2: all members read these, nobody writes them.
        let (losses, hits) = unsafe { (self.losses.get(0..batch), self.hits.get(0..batch)) };
        StepResult {
            loss_sum: losses.iter().sum(),
            hits: hits.iter().filter(|&&hit| hit).count(),
            samples: batch,
        }
    }

    /// Phase 2: this member's part of every layer's weights.
    fn weights_phase<W: Watch>(&self, batch: usize, part: Part, step: &O::Step, watch: &mut W) {
        for (l, placed) in self.layers.iter().enumerate() {
            let width = placed.outputs();
            // SAFETY: phase 2: all members read gradients, outputs and samples, nobody writes them.
            let d = matrix(unsafe { self.gradients[l].get(0..batch * width) }, width);
            let x = match l.checked_sub(1) {
                // SAFETY: as above.
                None => V::input(matrix(unsafe { self.x.get(0..batch * self.features) }, self.features)),
                Some(below) => {
                    let width = self.layers[below].outputs();
                    // SAFETY: as above.
                    Input::Real(matrix(unsafe { self.outputs[below].get(0..batch * width) }, width))
                }
            };
            let mut sink = Update::<T, O, W> {
                weights: &self.weights,
                slots: &self.slots,
                ranges: &placed.ranges,
                step,
                layer: l,
                watch,
            };
            placed.layer.gradient(x, d, part, &mut sink);
        }
    }
}

/// Updates weights by their gradient as it is formed.
struct Update<'a, 'b, T: Scalar, O: Optimizer<T>, W> {
    weights: &'a Shared<'b, T>,
    slots: &'a [Shared<'b, T>],
    ranges: &'a [Range<usize>],
    step: &'a O::Step,
    layer: usize,
    watch: &'a mut W,
}

impl<T: Scalar, O: Optimizer<T>, W: Watch> Sink<T> for Update<'_, '_, T, O, W> {
    fn accept(&mut self, index: usize, offset: usize, gradient: &[T]) {
        self.watch.lap(Lap::Gradient(self.layer));
        let range = &self.ranges[index];
        let start = range.start + offset;
        assert!(start + gradient.len() <= range.end, "a gradient longer than its weight");
        let here = start..start + gradient.len();
        // SAFETY: phase 2: a layer hands each element of a weight to one part's sink only, and nobody reads weights.
        let w = unsafe { self.weights.get_mut(here.clone()) };
        let mut slots: [&mut [T]; MAX_SLOTS] = Default::default();
        for (slot, shared) in slots.iter_mut().zip(self.slots) {
            // SAFETY: as above; each slot is memory of its own.
            *slot = unsafe { shared.get_mut(here.clone()) };
        }
        O::update(self.step, w, &mut slots[..self.slots.len()], gradient);
        self.watch.lap(Lap::Update(self.layer));
    }
}
