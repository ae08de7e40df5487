//! One thread's way through the steps of a plan.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ndarray::{ArrayView2, ArrayViewMut2, s};
use ziffer_tensor::shared::Shared;
use ziffer_tensor::team::Member;
use ziffer_tensor::{Buffer, Scalar, update};

use super::gradients::{clip_value, scale};
use super::memory::{Memory, PIECE};
use super::plan::{Plan, Share, Stage, Task, lowest_updated};
use super::profiler::{Profiler, Section};
use super::shard::Shard;
use super::target::{StoreTarget, UpdateTarget};
use super::{FitError, StepResult, matrix, matrix_mut};
use crate::layer::{Context, Feature, GradientSink, Input, Mode, Output, Progress, Sharing, Weights};
use crate::loss::Loss;
use crate::model::{ALIGNMENT, LayerSlot};
use crate::optimizer::{Clip, MAX_SLOTS, Optimizer};
use crate::samples::{Draw, Samples};

/// What a thread has to say after its steps.
pub(super) struct Outcome<P> {
    pub(super) results: Vec<StepResult>,
    pub(super) updates: u64,
    pub(super) not_finite: Option<f64>,
    pub(super) profiler: P,
}

/// How the weights are updated.
pub(super) struct Updates<'a, O> {
    pub(super) optimizer: &'a O,
    /// Updates that were made before.
    pub(super) iteration: u64,
    /// The learning rate of the update after so many others.
    pub(super) learning_rate: &'a (dyn Fn(u64) -> f64 + Sync),
    pub(super) clip: Option<Clip>,
    /// Batches whose gradients are averaged for one update.
    pub(super) accumulation: u64,
    /// Batches whose gradients were accumulated before.
    pub(super) accumulated: u64,
    /// The momentum of the average of the weights, which is the last of the state, if there is one.
    pub(super) ema_momentum: Option<f64>,
}

/// Everything that a step needs, lent to all threads.
///
/// For a batch of B samples, each stage of the plan uses the memory so; "own" is what the step, not a layer, has given to the
/// thread: its rows, its channels, its elements of each weight, its pieces.
///
/// | memory | rows | outputs or channels of layer l | weights | gradients |
/// |---|---|---|---|---|
/// | samples of this batch | read by all | read by all | read by all | - |
/// | samples of the next batch | - | - | own rows written | - |
/// | outputs, gradients by outputs and saved numbers of each layer | own rows written and read | own columns of layer l written, own columns of l - 1 and l read and written | read by all | - |
/// | losses, hits | own rows written | - | read by all | - |
/// | weights, optimizer state | read by all | read by all | own elements read and written | - |
/// | stored gradients | - | - | own elements read and written | read by all |
/// | squared norms | - | - | read by all | own pieces written |
///
/// Shares of different threads are disjoint, and all threads meet after each stage, so nothing is written in a stage that
/// another thread reads or writes in it. Nothing borrowed in a stage outlives it. Within a thread, a task's views are of
/// different memory, or both to be read. With [`Share::Outputs`], the first layer's weights and state are read and written in
/// copies of each thread's own, which it takes before the first step and puts back after the last; in between nobody touches
/// the originals.
pub(super) struct Step<'a, T: Scalar, O, L, S: Samples<T>> {
    pub(super) plan: &'a Plan,
    pub(super) layers: &'a [&'a LayerSlot<T>],
    pub(super) updates: Updates<'a, O>,
    pub(super) seed: u64,
    pub(super) draw: Draw,
    /// Batches that were seen before.
    pub(super) first_batch: u64,
    pub(super) batch_size: usize,
    pub(super) last: Output,
    pub(super) loss: &'a L,
    pub(super) samples: &'a S,
    pub(super) features: usize,
    /// Two batches by turns: one that is used, and one that is written.
    pub(super) x: [Shared<'a, S::Value>; 2],
    pub(super) weights: Shared<'a, T>,
    /// The optimizer's state, and the average of the weights if there is one.
    pub(super) state: Vec<Shared<'a, T>>,
    pub(super) memory: Memory<'a, T>,
    pub(super) deadline: Option<Instant>,
    /// Set by the first thread before a barrier, so that all see the same after it.
    pub(super) time_is_up: AtomicBool,
    /// A sample that does not fit the model.
    pub(super) misfit: Mutex<Option<FitError>>,
}

/// What belongs to one thread.
struct Worker<T: Scalar> {
    shard: Option<Shard<T>>,
    /// For each layer, the elements of each weight that the thread owns, counted within the weight.
    owned: Vec<Vec<Range<usize>>>,
    /// The same, counted within the model's block.
    placed: Vec<Vec<Range<usize>>>,
    progress: Progress,
    scratch: Buffer<T>,
}

/// A batch on its way through the stages.
struct Batch<'b> {
    /// Its number in this run.
    number: usize,
    samples: &'b [u32],
    next: &'b [u32],
    is_update: bool,
}

impl<T, O, L, S> Step<'_, T, O, L, S>
where
    T: Scalar,
    O: Optimizer<T>,
    L: Loss<T>,
    S: Samples<T>,
{
    /// All steps of `order`, as one thread goes through them.
    pub(super) fn run<P: Profiler>(&self, member: &Member<'_>, order: &[u32]) -> Outcome<P> {
        let mut worker = self.worker(member);
        let mut outcome =
            Outcome { results: Vec::new(), updates: 0, not_finite: None, profiler: P::default() };
        let mut batches = order.chunks(self.batch_size).enumerate().peekable();
        if let Some((_, first)) = batches.peek() {
            self.fill(member, 0, first);
            member.wait();
        }
        while let Some((number, samples)) = batches.next() {
            let seen = self.updates.accumulated + number as u64 + 1;
            let batch = Batch {
                number,
                samples,
                next: batches.peek().map_or(&[], |(_, next)| next),
                is_update: seen.is_multiple_of(self.updates.accumulation),
            };
            if self.step(member, &mut worker, &batch, &mut outcome).is_break() {
                break;
            }
        }
        if let Some(shard) = worker.shard {
            // SAFETY: all threads have left the loop after the same barrier, and after it they touch the first layer's
            // weights and state here only, each its own outputs'.
            unsafe { shard.copy_back(self.layers[0], &self.weights, &self.state) };
        }
        outcome
    }

    /// One step; it breaks off if there is to be no other.
    fn step<P: Profiler>(
        &self,
        member: &Member<'_>,
        worker: &mut Worker<T>,
        batch: &Batch<'_>,
        outcome: &mut Outcome<P>,
    ) -> std::ops::ControlFlow<()> {
        let mut result = None;
        for (number, stage) in self.plan.stages().iter().enumerate() {
            if stage.updates_only && !batch.is_update {
                continue;
            }
            if stage.share == Share::Weights && result.is_none() {
                result = Some(self.finite_result(batch, outcome)?);
                if member.index() == 0 && self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    // The others look at it after a barrier that follows, and before the next step's first barrier.
                    self.time_is_up.store(true, Ordering::Relaxed);
                }
            }
            for (place, &task) in stage.tasks.iter().enumerate() {
                self.task(member, worker, batch, stage, task, outcome.updates);
                outcome.profiler.end(Section::Task { stage: number, place, task });
            }
            member.wait();
            outcome.profiler.end(Section::Barrier { stage: number });
        }
        // A step whose gradients are returned, of a model that has none, has no stage of weights; all have met since the loss.
        let result = match result {
            Some(result) => result,
            None => self.finite_result(batch, outcome)?,
        };
        outcome.updates += u64::from(batch.is_update);
        if member.index() == 0 {
            outcome.results.push(result);
        }
        if self.time_is_up.load(Ordering::Relaxed) {
            return std::ops::ControlFlow::Break(());
        }
        std::ops::ControlFlow::Continue(())
    }

    /// The result of a batch; without a finite loss there is no step. Every thread adds up the same losses in the same order,
    /// so all of them come to the same decision.
    fn finite_result<P>(
        &self,
        batch: &Batch<'_>,
        outcome: &mut Outcome<P>,
    ) -> std::ops::ControlFlow<(), StepResult> {
        let result = self.result(batch.samples.len());
        if result.loss_sum.is_finite() {
            return std::ops::ControlFlow::Continue(result);
        }
        outcome.not_finite = Some(result.loss());
        std::ops::ControlFlow::Break(())
    }

    /// What belongs to this thread.
    fn worker(&self, member: &Member<'_>) -> Worker<T> {
        let (index, count) = (member.index(), member.count());
        let mut owned = Vec::new();
        let mut placed = Vec::new();
        for slot in self.layers {
            let of_layer: Vec<_> =
                slot.specs.iter().map(|spec| share_of(&spec.shape, index, count)).collect();
            let within = |(owned, range): (&Range<usize>, &Range<usize>)| {
                range.start + owned.start..range.start + owned.end
            };
            placed.push(of_layer.iter().zip(&slot.ranges).map(within).collect());
            owned.push(of_layer);
        }
        let by_outputs = self.plan.stages().iter().any(|stage| matches!(stage.share, Share::Outputs(_)));
        let shard = by_outputs.then(|| {
            let outputs = lines(self.layers[0].outputs(), index, count);
            // SAFETY: the steps have not begun: no thread writes weights or state before the barrier after the samples of
            // the first batch are written, where all threads have their copies.
            unsafe { Shard::copied(self.layers[0], outputs, &self.weights, &self.state) }
        });
        let scratch = self.layers.iter().map(|slot| slot.scratch).max().unwrap_or(0);
        Worker { shard, owned, placed, progress: Progress::default(), scratch: Buffer::zeros(scratch) }
    }

    fn task(
        &self,
        member: &Member<'_>,
        worker: &mut Worker<T>,
        batch: &Batch<'_>,
        stage: &Stage,
        task: Task,
        updates: u64,
    ) {
        let samples = batch.samples;
        let named = |l: usize, what: &str, work: &mut dyn FnMut()| named(&self.layers[l].name, what, work);
        match task {
            Task::Fill => self.fill(member, batch.number + 1, batch.next),
            Task::Forward(l) => {
                let worker = &mut *worker;
                named(l, "forward", &mut || self.forward(member, worker, batch, stage.share, l));
            }
            Task::Loss => {
                self.losses(member.share(samples.len()), samples);
                // Until they are written, the next samples come from memory.
                for &sample in &batch.next[member.share(batch.next.len())] {
                    self.samples.prefetch(sample as usize);
                }
            }
            Task::Backward(l) => {
                named(l, "backward", &mut || self.backward(member, worker, batch, stage.share, l));
            }
            Task::GradientUpdate(l) => {
                let step = self.update_step(updates);
                named(l, "gradient", &mut || self.gradient_update(worker, batch, &step, l));
                self.average(worker, l, updates);
            }
            Task::Gradient(l) => named(l, "gradient", &mut || self.store_gradient(worker, batch, l)),
            Task::SquaredNorms => self.squared_norms(member),
            Task::Update(l) => {
                let step = self.update_step(updates);
                self.update(worker, &step, l);
                self.average(worker, l, updates);
            }
        }
    }

    /// The samples of a batch, or of the next one.
    fn fill(&self, member: &Member<'_>, number: usize, samples: &[u32]) {
        let rows = member.share(samples.len());
        // SAFETY: own rows of the batch that is being written.
        let x = unsafe { self.x[number % 2].get_mut(rows.start * self.features..rows.end * self.features) };
        for (&sample, x) in samples[rows].iter().zip(x.chunks_exact_mut(self.features)) {
            self.samples.fill(sample as usize, Some(self.draw), x);
        }
    }

    /// All samples of the batch.
    fn x(&self, batch: &Batch<'_>) -> ArrayView2<'_, S::Value> {
        // SAFETY: the samples of this batch are read by all, and written by nobody.
        let x = unsafe { self.x[batch.number % 2].get(0..batch.samples.len() * self.features) };
        matrix(x, self.features)
    }

    /// Samples as the first layer takes them.
    fn samples_as_input<'x>(&self, x: ArrayView2<'x, S::Value>) -> Input<'x, T> {
        let expected = x.dim();
        let input = S::Value::input(x);
        assert_eq!(input.dim(), expected, "the shape of what Feature::input makes of samples");
        input
    }

    /// What layer `l` is told, for rows from `first_row` on; `channels` is how many of them a layer that shares out channels
    /// has here.
    fn context<'c>(
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
            // SAFETY: own rows, or own channels of this layer: of each as many numbers.
            unsafe { self.memory.saved[l].get_mut(part.start * numbers..part.end * numbers) }
        } else {
            &mut []
        };
        Context {
            mode,
            output: if l + 1 == self.layers.len() { self.last } else { Output::Activated },
            seed: self.seed,
            layer: slot.index,
            batch: self.first_batch + batch.number as u64,
            first_row: rows.start,
            batch_rows: batch.samples.len(),
            saved,
            scratch: &mut scratch[..slot.scratch],
        }
    }

    /// What goes into layer `l`, for these rows: the samples, or what the layer below put out.
    fn input(&self, batch: &Batch<'_>, l: usize, rows: Range<usize>) -> Input<'_, T> {
        match l.checked_sub(1) {
            None => self.samples_as_input(self.x(batch).slice_move(s![rows, ..])),
            Some(below) => {
                let width = self.layers[below].outputs();
                // SAFETY: own rows, of a layer below the one that is being written; or all rows, written in an earlier stage.
                let x = unsafe { self.memory.outputs[below].get(rows.start * width..rows.end * width) };
                Input::Real(matrix(x, width))
            }
        }
    }

    /// What goes into layer `l`, for some of its channels and all rows.
    fn input_channels(&self, batch: &Batch<'_>, l: usize, channels: Range<usize>) -> Input<'_, T> {
        let count = self.channels(l);
        match l.checked_sub(1) {
            None => self.samples_as_input(self.x(batch)).channels(count, channels),
            Some(below) => Input::Real(self.columns(&self.memory.outputs[below], batch, l, channels)),
        }
    }

    /// How many channels layer `l` has.
    fn channels(&self, l: usize) -> usize {
        self.layers[l].output_shape.last().copied().unwrap_or(1)
    }

    /// Some channels of layer `l` for the whole batch, in memory of its input's or its output's shape, to be read.
    fn columns<'m>(
        &self,
        memory: &'m Shared<'_, T>,
        batch: &Batch<'_>,
        l: usize,
        channels: Range<usize>,
    ) -> ArrayView2<'m, T> {
        let (len, width) = (batch.samples.len() * self.layers[l].outputs(), self.channels(l));
        // SAFETY: own channels of this layer, or those of the layer below that this thread alone uses in this stage.
        unsafe { memory.matrix(0..len, width, 0..len / width, channels) }
    }

    /// The same, to be written.
    fn columns_mut<'m>(
        &self,
        memory: &'m Shared<'_, T>,
        batch: &Batch<'_>,
        l: usize,
        channels: Range<usize>,
    ) -> ArrayViewMut2<'m, T> {
        let (len, width) = (batch.samples.len() * self.layers[l].outputs(), self.channels(l));
        // SAFETY: as in `columns`; what is written is not read as well, see `forward` and `backward`.
        unsafe { memory.matrix_mut(0..len, width, 0..len / width, channels) }
    }

    /// The weights, where nobody writes them.
    fn all_weights(&self) -> &[T] {
        // SAFETY: in stages that share out rows, outputs or channels all threads read the weights, and nobody writes them.
        unsafe { self.weights.get(0..self.weights.len()) }
    }

    /// Layer `l` forward, for this thread's share.
    fn forward(
        &self,
        member: &Member<'_>,
        worker: &mut Worker<T>,
        batch: &Batch<'_>,
        share: Share,
        l: usize,
    ) {
        let slot = self.layers[l];
        let (samples, width) = (batch.samples.len(), slot.outputs());
        let is_first = batch.number == 0;
        match share {
            Share::Outputs(_) => {
                let shard = worker.shard.as_ref().expect("a shard of the first layer");
                let outputs = shard.outputs.clone();
                let mut context = self.context(&mut worker.scratch, batch, l, 0..samples, Some(0..0));
                let x = self.samples_as_input(self.x(batch));
                // SAFETY: own columns of the first layer's outputs; nobody reads any.
                let y = unsafe {
                    self.memory.outputs[l].matrix_mut(0..samples * width, width, 0..samples, outputs)
                };
                write(is_first, y, |y| slot.layer.forward(&mut context, shard.weights(), x, y));
            }
            Share::Channels(_) => {
                let channels = lines(self.channels(l), member.index(), member.count());
                let weights = Weights::new(self.all_weights(), &worker.placed[l]);
                let mut context =
                    self.context(&mut worker.scratch, batch, l, 0..samples, Some(channels.clone()));
                let x = self.input_channels(batch, l, channels.clone());
                let y = self.columns_mut(&self.memory.outputs[l], batch, l, channels);
                write(is_first, y, |y| slot.layer.forward(&mut context, weights, x, y));
            }
            _ => {
                let rows = member.share(samples);
                let weights = slot.weights(self.all_weights());
                let mut context = self.context(&mut worker.scratch, batch, l, rows.clone(), None);
                let x = self.input(batch, l, rows.clone());
                // SAFETY: own rows; the input is of other memory.
                let y = unsafe { self.memory.outputs[l].get_mut(rows.start * width..rows.end * width) };
                let (x, y) = rows_for(slot, x, matrix_mut(y, width));
                write(is_first, y, |y| slot.layer.forward(&mut context, weights, x, y));
            }
        }
    }

    /// Layer `l` backward, for this thread's share.
    fn backward(
        &self,
        member: &Member<'_>,
        worker: &mut Worker<T>,
        batch: &Batch<'_>,
        share: Share,
        l: usize,
    ) {
        let slot = self.layers[l];
        let (samples, width) = (batch.samples.len(), slot.outputs());
        let below = (l > lowest_updated(self.layers)).then(|| l - 1);
        let is_first = batch.number == 0;
        if let Share::Channels(_) = share {
            let channels = lines(self.channels(l), member.index(), member.count());
            let weights = Weights::new(self.all_weights(), &worker.placed[l]);
            let mut context = self.context(&mut worker.scratch, batch, l, 0..samples, Some(channels.clone()));
            let x = self.input_channels(batch, l, channels.clone());
            let y = self.columns(&self.memory.outputs[l], batch, l, channels.clone());
            let d = self.columns_mut(&self.memory.gradients[l], batch, l, channels.clone());
            let d_x = below.map(|below| self.columns_mut(&self.memory.gradients[below], batch, l, channels));
            backward(is_first, slot, &mut context, weights, x, y, d, d_x);
            return;
        }
        let rows = member.share(samples);
        let range = |width: usize| rows.start * width..rows.end * width;
        let mut context = self.context(&mut worker.scratch, batch, l, rows.clone(), None);
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
        if slot.sharing == Sharing::Channels {
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

    /// The losses of these rows, and their gradients by the last layer's outputs.
    fn losses(&self, rows: Range<usize>, samples: &[u32]) {
        let top = self.layers.len() - 1;
        let width = self.layers[top].outputs();
        let range = rows.start * width..rows.end * width;
        // SAFETY: own rows; these are the only borrows of losses and hits.
        let (losses, hits) =
            unsafe { (self.memory.losses.get_mut(rows.clone()), self.memory.hits.get_mut(rows.clone())) };
        // SAFETY: own rows, of outputs that nobody writes any more, and of gradients.
        let (y, d) = unsafe {
            (self.memory.outputs[top].get(range.clone()), self.memory.gradients[top].get_mut(range))
        };
        let scale = T::one() / T::from_f64(samples.len() as f64);
        let of_rows = y.chunks_exact(width).zip(d.chunks_exact_mut(width)).zip(&samples[rows]);
        for (((y, d), &sample), (loss, hit)) in of_rows.zip(losses.iter_mut().zip(hits)) {
            let target = self.samples.target(sample as usize);
            if let Some(misfit) = FitError::of_target(self.loss, target, sample as usize, width) {
                self.misfit.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(misfit);
                // All threads see this after the barrier, and make no step.
                *loss = f64::NAN;
                continue;
            }
            *loss = self.loss.backward(y, target, scale, d).to_f64();
            *hit = self.loss.is_hit(y, target);
        }
    }

    /// The sums over the batch.
    fn result(&self, batch: usize) -> StepResult {
        // SAFETY: in stages that share out weights all threads read these, and nobody writes them.
        let (losses, hits) = unsafe { (self.memory.losses.get(0..batch), self.memory.hits.get(0..batch)) };
        StepResult {
            loss_sum: losses.iter().sum(),
            hits: hits.iter().filter(|&&hit| hit).count(),
            samples: batch,
        }
    }

    /// The optimizer's step after so many others in this run.
    fn update_step(&self, updates: u64) -> O::Step {
        let iteration = self.updates.iteration + updates;
        self.updates.optimizer.step(iteration + 1, (self.updates.learning_rate)(iteration))
    }

    /// The gradient by the weights of layer `l` that this thread owns, which updates them at once.
    fn gradient_update(&self, worker: &mut Worker<T>, batch: &Batch<'_>, step: &O::Step, l: usize) {
        let slot = self.layers[l];
        let slots = self.updates.optimizer.slots().len();
        if l == 0
            && let Some(Shard { outputs, ranges, owned, weights, state, .. }) = &mut worker.shard
        {
            let state: Vec<_> = state.iter_mut().take(slots).map(|slot| Shared::new(slot)).collect();
            let weights = Shared::new(weights);
            // SAFETY: the copies are this thread's.
            let mut target = unsafe { UpdateTarget::<T, O>::new(&weights, &state, ranges, step) };
            let mut sink = GradientSink::new(&slot.specs, owned, &mut worker.progress, &mut target);
            let (samples, width) = (batch.samples.len(), slot.outputs());
            // SAFETY: all threads read gradients, nobody writes them.
            let d = unsafe {
                self.memory.gradients[0].matrix(0..samples * width, width, 0..samples, outputs.clone())
            };
            slot.layer.gradient(self.samples_as_input(self.x(batch)), d, &[], &mut sink);
            sink.finish();
            return;
        }
        // SAFETY: the sink lets only elements of `owned` through, which are this thread's in this stage.
        let mut target =
            unsafe { UpdateTarget::<T, O>::new(&self.weights, &self.state[..slots], &slot.ranges, step) };
        self.gradient(worker.owned[l].as_slice(), &mut worker.progress, batch, l, &mut target);
    }

    /// The gradient by the weights of layer `l` that this thread owns, stored.
    fn store_gradient(&self, worker: &mut Worker<T>, batch: &Batch<'_>, l: usize) {
        let before = self.updates.accumulated + batch.number as u64;
        let adds = !before.is_multiple_of(self.updates.accumulation);
        let gradient = self.memory.gradient.as_ref().expect("memory for gradients");
        let slot = self.layers[l];
        // SAFETY: the sink lets only elements of `owned` through, which are this thread's in this stage.
        let mut target = unsafe { StoreTarget::new(gradient, &self.weights, &slot.ranges, adds) };
        self.gradient(&worker.owned[l], &mut worker.progress, batch, l, &mut target);
    }

    fn gradient(
        &self,
        owned: &[Range<usize>],
        progress: &mut Progress,
        batch: &Batch<'_>,
        l: usize,
        target: &mut dyn crate::layer::GradientTarget<T>,
    ) {
        let slot = self.layers[l];
        let (samples, width, numbers) = (batch.samples.len(), slot.outputs(), self.layers[l].saved);
        let mut sink = GradientSink::new(&slot.specs, owned, progress, target);
        if slot.sharing == Sharing::Channels {
            let channels = owned.first().cloned().unwrap_or(0..0);
            let x = self.input_channels(batch, l, channels.clone());
            let d = self.columns(&self.memory.gradients[l], batch, l, channels.clone());
            // SAFETY: all threads read what was saved, and nobody writes it.
            let saved = unsafe { self.memory.saved[l].get(channels.start * numbers..channels.end * numbers) };
            slot.layer.gradient(x, d, saved, &mut sink);
        } else {
            let x = self.input(batch, l, 0..samples);
            // SAFETY: all threads read gradients and what was saved, and nobody writes them.
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

    /// The squared norms of this thread's pieces of the stored gradients.
    fn squared_norms(&self, member: &Member<'_>) {
        let gradient = self.memory.gradient.as_ref().expect("memory for gradients");
        let share = member.share(self.memory.pieces.len());
        // SAFETY: own pieces.
        let norms = unsafe { self.memory.norms.get_mut(share.clone()) };
        for (norm, (_, range)) in norms.iter_mut().zip(&self.memory.pieces[share]) {
            // SAFETY: all threads read the stored gradients, and nobody writes them.
            let piece = unsafe { gradient.get(range.clone()) };
            *norm = piece.iter().map(|g| g.to_f64() * g.to_f64()).sum();
        }
    }

    /// The norm of the gradient of weight `weight`, or of all.
    fn norm(&self, weight: Option<usize>) -> f64 {
        // SAFETY: all threads read the norms, and nobody writes them.
        let norms = unsafe { self.memory.norms.get(0..self.memory.pieces.len()) };
        let pieces = norms.iter().zip(&self.memory.pieces);
        let of_weight = pieces.filter(|(_, (of, _))| weight.is_none_or(|weight| weight == *of));
        // Accumulated gradients are sums, of which the mean is clipped.
        of_weight.map(|(norm, _)| norm).sum::<f64>().sqrt() / self.updates.accumulation as f64
    }

    /// Updates the weights of layer `l` that this thread owns by the stored gradient.
    fn update(&self, worker: &Worker<T>, step: &O::Step, l: usize) {
        let slot = self.layers[l];
        let gradient = self.memory.gradient.as_ref().expect("memory for gradients");
        for (index, placed) in
            worker.placed[l].iter().enumerate().filter(|(index, _)| slot.specs[*index].trainable)
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
            for start in placed.clone().step_by(PIECE) {
                let piece = start..placed.end.min(start + PIECE);
                // SAFETY: own elements of the weights, of their gradients, and of each state, which is memory of its own.
                let (g, w) =
                    unsafe { (gradient.get_mut(piece.clone()), self.weights.get_mut(piece.clone())) };
                scale(g, factor);
                if let Some(Clip::Value(bound)) = clip {
                    clip_value(g, bound);
                }
                let mut slots: [&mut [T]; MAX_SLOTS] = Default::default();
                let count = self.updates.optimizer.slots().len();
                for (slot, shared) in slots.iter_mut().zip(&self.state[..count]) {
                    // SAFETY: as above.
                    *slot = unsafe { shared.get_mut(piece.clone()) };
                }
                O::update(step, w, &mut slots[..count], g);
            }
        }
    }

    /// Moves the average of the weights of layer `l` that this thread owns, if there is one.
    fn average(&self, worker: &mut Worker<T>, l: usize, updates: u64) {
        let Some(momentum) = self.updates.ema_momentum else { return };
        // The first update is where the average begins.
        let momentum = T::from_f64(if self.updates.iteration + updates == 0 { 0.0 } else { momentum });
        let slot = self.layers[l];
        if l == 0
            && let Some(Shard { weights, state, .. }) = &mut worker.shard
        {
            let average = state.last_mut().expect("an average");
            update::moving_average(average, weights, momentum);
            return;
        }
        let average = self.state.last().expect("an average");
        for (placed, spec) in worker.placed[l].iter().zip(&slot.specs).filter(|(_, spec)| spec.trainable) {
            debug_assert!(spec.trainable);
            // SAFETY: own elements of the weights and of their average, which is memory of its own.
            let (average, w) = unsafe { (average.get_mut(placed.clone()), self.weights.get(placed.clone())) };
            update::moving_average(average, w, momentum);
        }
    }
}

/// The elements of a weight that thread `index` of `count` owns: whole rows of the first axis, and of a vector whole cache
/// lines.
pub(super) fn share_of(shape: &[usize], index: usize, count: usize) -> Range<usize> {
    let (&rows, rest) = shape.split_first().unwrap_or((&1, &[]));
    let row: usize = rest.iter().product();
    if row == 1 {
        return lines(rows, index, count);
    }
    // rows index / count, whose product could be too large; the number of elements is bounded.
    let at = |index: usize| (rows / count * index + rows % count * index / count) * row;
    at(index)..at(index + 1)
}

/// The share of `0..n` in whole cache lines that thread `index` of `count` has.
fn lines(n: usize, index: usize, count: usize) -> Range<usize> {
    let lines = n.div_ceil(ALIGNMENT);
    let at = |index: usize| (lines * index / count * ALIGNMENT).min(n);
    at(index)..at(index + 1)
}

/// Input and output as the layer takes them: a channel a column, if it shares out channels.
pub(crate) fn rows_for<'x, 'y, T: Scalar>(
    slot: &LayerSlot<T>,
    x: Input<'x, T>,
    y: ArrayViewMut2<'y, T>,
) -> (Input<'x, T>, ArrayViewMut2<'y, T>) {
    if slot.sharing != Sharing::Channels {
        return (x, y);
    }
    let channels = slot.output_shape.last().copied().unwrap_or(1);
    let shape = (y.len() / channels, channels);
    let y = y.into_shape_with_order(shape).expect("whole channels, in order");
    (x.channels(channels, 0..channels), y)
}

/// A number that no layer computes, where outputs are looked over for elements that were not written.
const UNWRITTEN: f64 = -1.234_567_9e-33;

/// Has `work` write a view. With `check`, sees that it writes every element.
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

#[expect(clippy::too_many_arguments, reason = "they are the layer's, and whether to check it")]
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

/// Runs a layer's code; if it panics, the layer's name stands before the message.
fn named(name: &str, what: &str, work: &mut dyn FnMut()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("its message is no text");
        resume_unwind(Box::new(format!("layer {name}: {what}: {text}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_disjoint_and_cover_the_weight() {
        for shape in
            [vec![], vec![1], vec![10], vec![16], vec![100], vec![784, 128], vec![3, 5, 7], vec![1, 40]]
        {
            let len: usize = shape.iter().product();
            for count in [1, 2, 3, 8, 33] {
                let shares: Vec<usize> =
                    (0..count).flat_map(|index| share_of(&shape, index, count)).collect();
                assert_eq!(shares, (0..len).collect::<Vec<_>>(), "{shape:?} {count}");
            }
        }
    }
}
