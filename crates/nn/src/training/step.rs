//! The steps of a plan, as one thread runs them.

mod passes;
mod updates;
mod views;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ziffer_tensor::shared::Shared;
use ziffer_tensor::thread_team::Worker;
use ziffer_tensor::{Buffer, Scalar};

use super::LearningRate;
use super::batches::{Batches, DynSamples};
use super::dyn_optimizer::DynOptimizer;
use super::fit_error::FitError;
use super::memory::Memory;
use super::ownership::{owned_cache_lines, owned_elements};
use super::plan::{Partition, Plan, Stage, Task};
use super::profiler::Section;
use super::result::StepResult;
use super::shard::Shard;
use crate::layer::{OutputKind, SinkCursor};
use crate::loss::Loss;
use crate::model::LayerSlot;
use crate::optimizer::Clip;
use crate::samples::EpochSeed;

/// What a thread returns after its steps.
pub(super) struct Outcome {
    pub(super) results: Vec<StepResult>,
    pub(super) updates: u64,
    pub(super) not_finite: Option<f64>,
}

/// The settings of the updates.
pub(super) struct Updates<'a, T: Scalar> {
    pub(super) optimizer: &'a dyn DynOptimizer<T>,
    /// The number of updates before this run.
    pub(super) iteration: u64,
    pub(super) learning_rate: &'a LearningRate,
    pub(super) clip: Option<Clip>,
    /// The number of batches whose gradients are averaged for one update.
    pub(super) accumulation: u64,
    /// The number of batches whose gradients were accumulated before this run.
    pub(super) accumulated: u64,
    /// The momentum of the average of the weights, if one is kept: the average is then the last block of the state.
    pub(super) ema_momentum: Option<f64>,
}

/// Everything that a step needs, shared by all threads.
///
/// The table shows how each stage of the plan uses the memory, for a batch of B samples. "Own" rows, channels, elements of a
/// weight and chunks are those that the step, not a layer, assigns to the thread.
///
/// | memory | rows | outputs or channels of layer l | weights | gradients |
/// |---|---|---|---|---|
/// | samples of this batch | read by all | read by all | read by all | - |
/// | samples of the next batch | - | - | own rows written | - |
/// | outputs, gradients by outputs and saved numbers of each layer | own rows written and read | own columns of layer l written, own columns of l - 1 and l read and written | read by all | - |
/// | losses, correct predictions | own rows written | - | read by all | - |
/// | weights, optimizer state | read by all | read by all | own elements read and written | - |
/// | stored gradients | - | - | own elements read and written | read by all |
/// | squared norms | - | - | read by all | own chunks written |
///
/// The parts of different threads are disjoint, and a barrier follows each stage. So within a stage nothing is written that
/// another thread reads or writes. Nothing borrowed in a stage outlives it. Within a thread, the views of a task are of
/// different memory or are only read. With [`Partition::Outputs`], each thread reads and writes the first layer's weights and
/// state in its own shard, which it copies before the first step and copies back after the last. In between no thread accesses
/// the originals.
pub(super) struct Step<'a, T: Scalar> {
    pub(super) plan: &'a Plan,
    pub(super) layers: &'a [&'a LayerSlot<T>],
    pub(super) updates: Updates<'a, T>,
    pub(super) seed: u64,
    pub(super) epoch_seed: EpochSeed,
    /// The number of batches before this run.
    pub(super) first_batch: u64,
    pub(super) batch_size: usize,
    pub(super) last: OutputKind,
    pub(super) loss: &'a dyn Loss<T>,
    pub(super) samples: &'a dyn DynSamples<T>,
    pub(super) batches: &'a dyn Batches<T>,
    pub(super) weights: Shared<'a, T>,
    /// The optimizer's state, and the average of the weights if one is kept.
    pub(super) state: Vec<Shared<'a, T>>,
    pub(super) memory: Memory<'a, T>,
    pub(super) deadline: Option<Instant>,
    /// Set by the first thread before a barrier, so that all threads see the same value after it.
    pub(super) time_is_up: AtomicBool,
    /// The first error found in a sample's target.
    pub(super) target_error: Mutex<Option<FitError>>,
}

/// The data of one thread.
struct ThreadState<T: Scalar> {
    shard: Option<Shard<T>>,
    /// For each layer the elements of each weight that the thread owns, counted within the weight.
    owned: Vec<Vec<Range<usize>>>,
    /// The same elements, counted within the model's block.
    block_ranges: Vec<Vec<Range<usize>>>,
    cursor: SinkCursor,
    scratch: Buffer<T>,
}

/// A batch of samples in the stages of a step.
struct Batch<'b> {
    /// The number of the batch in this run.
    number: usize,
    samples: &'b [u32],
    next: &'b [u32],
    is_update: bool,
}

impl<T: Scalar> Step<'_, T> {
    /// Runs all steps of `order` on one thread. Calls `end` at the end of each section.
    pub(super) fn run(&self, worker: &Worker<'_>, order: &[u32], end: &mut dyn FnMut(Section)) -> Outcome {
        let mut state = self.thread_state(worker);
        let mut outcome = Outcome { results: Vec::new(), updates: 0, not_finite: None };
        let mut batches = order.chunks(self.batch_size).enumerate().peekable();
        if let Some((_, first)) = batches.peek() {
            self.fill(worker, 0, first);
            worker.wait();
        }
        while let Some((number, samples)) = batches.next() {
            let seen = self.updates.accumulated + number as u64 + 1;
            let batch = Batch {
                number,
                samples,
                next: batches.peek().map_or(&[], |(_, next)| next),
                is_update: seen.is_multiple_of(self.updates.accumulation),
            };
            if self.step(worker, &mut state, &batch, &mut outcome, end).is_break() {
                break;
            }
        }
        if let Some(shard) = state.shard {
            // SAFETY: all threads have left the loop after the same barrier. After it they access the first layer's weights
            // and state only here, each those of its own outputs.
            unsafe { shard.copy_back(self.layers[0], &self.weights, &self.state) };
        }
        outcome
    }

    /// Makes one step. Breaks if no other step follows.
    fn step(
        &self,
        worker: &Worker<'_>,
        state: &mut ThreadState<T>,
        batch: &Batch<'_>,
        outcome: &mut Outcome,
        end: &mut dyn FnMut(Section),
    ) -> std::ops::ControlFlow<()> {
        let mut result = None;
        for (number, stage) in self.plan.stages().iter().enumerate() {
            if stage.updates_only && !batch.is_update {
                continue;
            }
            if stage.partition == Partition::Weights && result.is_none() {
                result = Some(self.finite_result(batch, outcome)?);
                if worker.index() == 0 && self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    // The other threads read it after a later barrier, and before the next step's first barrier.
                    self.time_is_up.store(true, Ordering::Relaxed);
                }
            }
            for (index, &task) in stage.tasks.iter().enumerate() {
                self.task(worker, state, batch, stage, task, outcome.updates);
                end(Section::Task { stage: number, index, task });
            }
            worker.wait();
            end(Section::Barrier { stage: number });
        }
        // A step that returns gradients of a model without any has no stage of weights. There was a barrier since the losses.
        let result = match result {
            Some(result) => result,
            None => self.finite_result(batch, outcome)?,
        };
        outcome.updates += u64::from(batch.is_update);
        if worker.index() == 0 {
            outcome.results.push(result);
        }
        if self.time_is_up.load(Ordering::Relaxed) {
            return std::ops::ControlFlow::Break(());
        }
        std::ops::ControlFlow::Continue(())
    }

    /// The result of a batch. Breaks if its loss is not finite. Every thread sums the same losses in the same order, so that
    /// all threads decide alike.
    fn finite_result(
        &self,
        batch: &Batch<'_>,
        outcome: &mut Outcome,
    ) -> std::ops::ControlFlow<(), StepResult> {
        let result = self.result(batch.samples.len());
        if result.loss_sum.is_finite() {
            return std::ops::ControlFlow::Continue(result);
        }
        outcome.not_finite = Some(result.loss());
        std::ops::ControlFlow::Break(())
    }

    /// The data of this thread.
    fn thread_state(&self, worker: &Worker<'_>) -> ThreadState<T> {
        let (index, count) = (worker.index(), worker.count());
        let mut owned = Vec::new();
        let mut block_ranges = Vec::new();
        for slot in self.layers {
            let of_layer: Vec<_> =
                slot.specs.iter().map(|spec| owned_elements(&spec.shape, index, count)).collect();
            let within = |(owned, range): (&Range<usize>, &Range<usize>)| {
                range.start + owned.start..range.start + owned.end
            };
            block_ranges.push(of_layer.iter().zip(&slot.ranges).map(within).collect());
            owned.push(of_layer);
        }
        let by_outputs =
            self.plan.stages().iter().any(|stage| matches!(stage.partition, Partition::Outputs(_)));
        let shard = by_outputs.then(|| {
            let outputs = owned_cache_lines(self.layers[0].outputs(), index, count);
            // SAFETY: the steps have not begun. No thread writes weights or state before the barrier that follows the samples
            // of the first batch, and at that barrier all threads have their copies.
            unsafe { Shard::copied(self.layers[0], outputs, &self.weights, &self.state) }
        });
        let scratch = self.layers.iter().map(|slot| slot.scratch).max().unwrap_or(0);
        let scratch = Buffer::zeros(scratch);
        ThreadState { shard, owned, block_ranges, cursor: SinkCursor::default(), scratch }
    }

    /// Runs a task of a stage.
    fn task(
        &self,
        worker: &Worker<'_>,
        state: &mut ThreadState<T>,
        batch: &Batch<'_>,
        stage: &Stage,
        task: Task,
        updates: u64,
    ) {
        let samples = batch.samples;
        let named =
            |l: usize, what: &str, work: &mut dyn FnMut()| with_layer_name(&self.layers[l].name, what, work);
        match task {
            Task::Fill => self.fill(worker, batch.number + 1, batch.next),
            Task::Forward(l) => {
                let state = &mut *state;
                named(l, "forward", &mut || self.forward(worker, state, batch, stage.partition, l));
            }
            Task::Loss => {
                self.losses(worker.share(samples.len()), samples);
                // The next samples are read from memory until they are copied.
                for &sample in &batch.next[worker.share(batch.next.len())] {
                    self.samples.prefetch(sample as usize);
                }
            }
            Task::Backward(l) => {
                named(l, "backward", &mut || self.backward(worker, state, batch, stage.partition, l));
            }
            Task::GradientUpdate(l) => {
                self.with_update(updates, &mut |step| {
                    named(l, "gradient", &mut || self.gradient_update(state, batch, step, l));
                });
                self.average(state, l, updates);
            }
            Task::Gradient(l) => named(l, "gradient", &mut || self.store_gradient(state, batch, l)),
            Task::SquaredNorms => self.squared_norms(worker),
            Task::Update(l) => {
                self.with_update(updates, &mut |step| self.update(state, step, l));
                self.average(state, l, updates);
            }
        }
    }

    /// Copies this thread's samples of batch `number`.
    fn fill(&self, worker: &Worker<'_>, number: usize, samples: &[u32]) {
        let rows = worker.share(samples.len());
        // SAFETY: own rows, of the batch that is written in this stage.
        unsafe { self.batches.fill(number, rows.start, &samples[rows], self.epoch_seed) };
    }

    /// The sums over a batch of this many samples.
    fn result(&self, batch: usize) -> StepResult {
        // SAFETY: in stages that divide weights all threads read these, and no thread writes them.
        let (losses, correct) =
            unsafe { (self.memory.losses.get(0..batch), self.memory.correct.get(0..batch)) };
        StepResult {
            loss_sum: losses.iter().sum(),
            correct: correct.iter().filter(|&&correct| correct).count(),
            samples: batch,
        }
    }
}

/// Runs a layer's code. If it panics, the message is prefixed by the layer's name.
fn with_layer_name(name: &str, what: &str, work: &mut dyn FnMut()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("its message is no text");
        resume_unwind(Box::new(format!("layer {name}: {what}: {text}")));
    }
}
