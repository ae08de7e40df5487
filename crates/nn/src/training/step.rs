//! One member's way through the steps.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ndarray::{ArrayView2, s};
use ziffer_tensor::shared::Shared;
use ziffer_tensor::team::Member;
use ziffer_tensor::{Scalar, prefetch, update};

use super::own::Own;
use super::{Lap, StepResult, Watch, matrix, matrix_mut};
use crate::layer::{Feature, Input, Output, Part, Sink};
use crate::loss::Loss;
use crate::model::{ALIGNMENT, Placed};
use crate::optimizer::{MAX_SLOTS, Optimizer};
use crate::samples::Samples;

/// Bytes of a member's own part that stay in its core's second-level cache. Copying more than that, there and back, would take
/// longer than is won.
const OWN_BYTES: usize = 1 << 20;

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
/// | memory | phase 0 | phase 1 | phase 2 |
/// |---|---|---|---|
/// | weights, slots | read by all | read by all | each range written by the one member that it belongs to |
/// | the first layer's, if there is phase 0 | - | - | - |
/// | the first layer's outputs | each column written by one member | read by all | read by all |
/// | other outputs, gradients, losses, hits | - | the share's rows written by their member | read by all |
///
/// Shares are disjoint, parts are disjoint, and the members meet after each phase. Nothing borrowed in a phase outlives it.
/// Without phase 0, the first layer's weights, slots and outputs are as the others' are; with it, each member works on
/// copies of its own, which it takes before the first step and puts back after the last.
pub(super) struct Step<'a, T: Scalar, O, L, S> {
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
    pub(super) outputs: Vec<Shared<'a, T>>,
    pub(super) gradients: Vec<Shared<'a, T>>,
    pub(super) losses: Shared<'a, f64>,
    pub(super) hits: Shared<'a, bool>,
    pub(super) deadline: Option<Instant>,
    /// Set by member 0 before a meeting, so that all members see the same after it.
    pub(super) time_is_up: AtomicBool,
}

impl<T, O, L, S> Step<'_, T, O, L, S>
where
    T: Scalar,
    O: Optimizer<T>,
    L: Loss<T>,
    S: Samples<T>,
{
    /// All steps of `order`, as one member goes through them.
    pub(super) fn run<W: Watch>(&self, member: &Member<'_>, order: &[u32]) -> Outcome<W> {
        let mut outcome = Outcome { results: Vec::new(), not_finite: None, watch: W::default() };
        let watch = &mut outcome.watch;
        let mut own = self.own_part(member);
        let mut batches = order.chunks(self.batch_size).enumerate().peekable();
        // Every member has all samples of a batch: each needs them all in phase 2, and in phase 0.
        let mut x = vec![S::Value::default(); order.len().min(self.batch_size) * self.features];
        while let Some((number, batch)) = batches.next() {
            let x = &mut x[..batch.len() * self.features];
            for (x, &sample) in x.chunks_exact_mut(self.features).zip(batch) {
                x.copy_from_slice(self.samples.row(sample as usize));
            }
            let x = matrix(x, self.features);
            watch.lap(Lap::Gather);
            if let Some(own) = &own {
                self.outputs_phase(own, x);
                watch.lap(Lap::FirstForward);
                member.wait();
                watch.lap(Lap::MeetAfterFirst);
            }
            self.samples_phase(x, batch, member.share(batch.len()), own.is_some(), watch);
            member.wait();
            watch.lap(Lap::MeetAfterSamples);
            // Every member adds up the same losses in the same order, so all of them come to the same decision.
            let result = self.result(batch.len());
            if !result.loss_sum.is_finite() {
                outcome.not_finite = Some(result.loss());
                break;
            }
            let step = self.optimizer.step(self.first_iteration + number as u64);
            // While the weights move, the next samples come from memory.
            for &sample in batches.peek().map_or(&[][..], |(_, next)| next) {
                prefetch(self.samples.row(sample as usize));
            }
            let part = Part { index: member.index(), count: member.count() };
            self.weights_phase(x, own.as_mut(), part, &step, watch);
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
        if let Some(own) = own {
            // SAFETY: all members have left the loop after the same meeting, and after it they touch the first layer's
            // weights and slots here only, each its own outputs'.
            unsafe { own.copy_back(self.layers[0], &self.weights, &self.slots) };
        }
        outcome
    }

    /// This member's part of the first layer, if its outputs are shared out: if there are enough of them, and few enough weights.
    fn own_part(&self, member: &Member<'_>) -> Option<Own<T>> {
        let first = self.layers.first()?;
        let (members, lines) = (member.count(), first.outputs().div_ceil(ALIGNMENT));
        // For numbers the kernels want a layer's weights whole.
        let pixels = matches!(S::Value::input(matrix(&[], 1)), Input::Pixels(_));
        let weights: usize = first.ranges.iter().map(Range::len).sum();
        let bytes = weights / members * (1 + self.slots.len()) * size_of::<T>();
        if self.layers.len() == 1 || members == 1 || lines < members || bytes > OWN_BYTES || !pixels {
            return None;
        }
        let lines = member.share(lines);
        let outputs = lines.start * ALIGNMENT..first.outputs().min(lines.end * ALIGNMENT);
        // SAFETY: the steps have not begun: no member writes weights or slots before the meeting after phase 1, where all
        // members have their copies.
        unsafe { Own::copied(first, outputs, &self.weights, &self.slots) }
    }

    /// Phase 0: some outputs of the first layer, for all samples.
    fn outputs_phase(&self, own: &Own<T>, x: ArrayView2<'_, S::Value>) {
        let (samples, width) = (x.nrows(), self.layers[0].outputs());
        // SAFETY: phase 0: this member's columns; nobody reads any.
        let y =
            unsafe { self.outputs[0].matrix_mut(0..samples * width, width, 0..samples, own.outputs.clone()) };
        own.layer.forward(own.weights(), S::Value::input(x), y, Output::Activated);
    }

    /// Phase 1: the rows of `share`, forward, but for the first layer if that is done, and backward.
    fn samples_phase(
        &self,
        x: ArrayView2<'_, S::Value>,
        batch: &[u32],
        share: Range<usize>,
        first_is_done: bool,
        watch: &mut impl Watch,
    ) {
        let rows = |width: usize| share.start * width..share.end * width;
        // SAFETY: phase 1: all members read the weights, nobody writes them.
        let weights = unsafe { self.weights.get(0..self.weights.len()) };
        // SAFETY: phase 1: the share's rows belong to this member alone. These are the only borrows of losses and hits.
        let (losses, hits) =
            unsafe { (self.losses.get_mut(share.clone()), self.hits.get_mut(share.clone())) };
        let x = x.slice(s![share.clone(), ..]);

        // What goes into layer l: the samples, or what layer l - 1 put out.
        let input = |l: usize| -> Input<'_, T> {
            match l.checked_sub(1) {
                None => S::Value::input(x),
                Some(below) => {
                    let width = self.layers[below].outputs();
                    // SAFETY: phase 1: this member's rows of a layer below the one that is being written.
                    Input::Real(matrix(unsafe { self.outputs[below].get(rows(width)) }, width))
                }
            }
        };
        let top = self.layers.len() - 1;
        let output_of = |l: usize| if l == top { self.last } else { Output::Activated };
        for (l, placed) in self.layers.iter().enumerate().skip(usize::from(first_is_done)) {
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
    fn weights_phase<W: Watch>(
        &self,
        x: ArrayView2<'_, S::Value>,
        own: Option<&mut Own<T>>,
        part: Part,
        step: &O::Step,
        watch: &mut W,
    ) {
        let batch = x.nrows();
        if let Some(Own { layer, outputs, ranges, weights, slots }) = own {
            let slots: Vec<_> = slots.iter_mut().map(|slot| Shared::new(slot)).collect();
            let weights = Shared::new(weights);
            let mut sink = Update::<T, O, W> {
                weights: &weights,
                slots: &slots,
                ranges,
                step,
                layer: 0,
                watch: &mut *watch,
            };
            let d = self.gradients_of(0, batch).slice_move(s![.., outputs.clone()]);
            layer.gradient(S::Value::input(x), d, Part::WHOLE, &mut sink);
            watch.lap(Lap::Gradient(0));
        } else {
            self.gradient(0, S::Value::input(x), part, step, watch);
        }
        for l in 1..self.layers.len() {
            let width = self.layers[l - 1].outputs();
            // SAFETY: phase 2: all members read outputs, nobody writes them.
            let x = matrix(unsafe { self.outputs[l - 1].get(0..batch * width) }, width);
            self.gradient(l, Input::Real(x), part, step, watch);
        }
    }

    /// Phase 2: this member's part of one layer's weights.
    fn gradient<W: Watch>(&self, l: usize, x: Input<'_, T>, part: Part, step: &O::Step, watch: &mut W) {
        let placed = self.layers[l];
        let mut sink = Update::<T, O, W> {
            weights: &self.weights,
            slots: &self.slots,
            ranges: &placed.ranges,
            step,
            layer: l,
            watch: &mut *watch,
        };
        let d = self.gradients_of(l, x.dim().0);
        placed.layer.gradient(x, d, part, &mut sink);
        watch.lap(Lap::Gradient(l));
    }

    /// Phase 2: what all members' backward passes left for a layer.
    fn gradients_of(&self, l: usize, batch: usize) -> ArrayView2<'_, T> {
        let width = self.layers[l].outputs();
        // SAFETY: phase 2: all members read gradients, nobody writes them.
        matrix(unsafe { self.gradients[l].get(0..batch * width) }, width)
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
    fn adam(
        &mut self,
        index: usize,
        columns: usize,
        rows: Range<usize>,
    ) -> Option<update::Parameters<'_, T>> {
        let step = O::as_adam(self.step)?;
        let [m, v] = self.slots else { unreachable!("adam has two slots") };
        let range = &self.ranges[index];
        // SAFETY: phase 2: a layer moves each element of a weight by one part's sink only, and nobody reads weights; w, m
        // and v are memory of their own.
        let [w, m, v] = unsafe {
            [self.weights, m, v]
                .map(|shared| shared.matrix_mut(range.clone(), columns, rows.clone(), 0..columns))
        };
        Some(update::Parameters { w, m, v, step })
    }

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
