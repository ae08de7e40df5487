//! The training step: forward, loss, backward and update, by a plan compiled from the layers.
//!
//! A [`Plan`] is a list of stages. Each shares out rows of the batch, channels of a layer, or weights among the threads,
//! and ends at a barrier. Where rows are shared out, a thread takes its samples through layers forward and backward; where
//! weights are, it forms the gradient of the elements that it owns over the whole batch and updates them at once, so that
//! gradients need no memory and no reduction crosses threads. Every number is formed in one thread, in an order that depends
//! on nothing but the batch.
//!
//! A custom loop asks for the gradients instead ([`Training::gradients`]), and applies them ([`Training::apply`]).

mod gradients;
mod memory;
mod plan;
mod profiler;
mod shard;
mod state;
mod step;
mod target;

use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ndarray::{ArrayView2, ArrayViewMut2};
use ziffer_tensor::shared::Shared;
use ziffer_tensor::team::Team;
use ziffer_tensor::{Activation, Buffer, NoMemory, Scalar, update};

use crate::layer::{Feature, InputType, Mode, Output};
use crate::loss::{Loss, Target};
use crate::model::{LayerSlot, Layout, Model};
use crate::optimizer::{Clip, LearningRateSchedule, MAX_SLOTS, Optimizer};
use crate::samples::{Draw, Samples};
pub use gradients::Gradients;
use memory::Buffers;
use plan::Design;
pub use plan::{Plan, Share, Stage, Task};
pub use profiler::{Profile, Profiler, Section};
pub use state::{State, StateError};
pub(crate) use step::rows_for;
use step::{Outcome, Step, Updates};

/// A model's training: the optimizer, its state, and the memory that steps work in.
#[derive(Debug)]
pub struct Training<T: Scalar, O> {
    optimizer: O,
    learning_rate: f64,
    schedule: Option<Arc<dyn LearningRateSchedule>>,
    clip: Option<Clip>,
    accumulation: u64,
    ema_momentum: Option<f64>,
    seed: u64,
    epoch: u64,
    /// Updates that were made.
    iteration: u64,
    /// Batches that were seen in training.
    batches: u64,
    /// Batches whose gradients are accumulated since the last update.
    accumulated: u64,
    batch_size: usize,
    layout: Arc<Layout>,
    /// One block for each of the optimizer's slots, laid out as the model's weights are, and one for their average.
    state: Vec<Buffer<T>>,
    /// The weights in whose place their average stands, while it does.
    swapped: Option<Vec<Range<usize>>>,
    /// Gradients of all weights, laid out likewise, where they are stored.
    gradient: Option<Buffer<T>>,
    buffers: Buffers<T>,
}

/// What a step says of its batch, measured before its update.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepResult {
    /// The sum of the samples' losses.
    pub loss_sum: f64,
    /// How many samples were hits.
    pub hits: usize,
    /// How many samples there were.
    pub samples: usize,
}

impl StepResult {
    /// The batch's loss: the mean of its samples'.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.samples as f64
    }
}

/// A model, a loss and samples that do not fit together.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// The samples have another size than the model's input.
    #[error("samples have {found} numbers, the model takes {expected} (of shape {shape:?})")]
    Features {
        /// Numbers of a sample.
        found: usize,
        /// Numbers that the model takes.
        expected: usize,
        /// The model's input shape.
        shape: Vec<usize>,
    },
    /// The loss needs another last layer.
    #[error(
        "{loss} needs a model that ends in a {activation}; the last layer is {layer}; for logits set from_logits"
    )]
    NeedsActivation {
        /// The loss's name.
        loss: &'static str,
        /// The activation that it needs.
        activation: Activation,
        /// The last layer's name.
        layer: String,
    },
    /// A setting of the loss that is out of its range.
    #[error("{loss}: {setting} is {value}, expected {expected}")]
    Setting {
        /// The loss's name.
        loss: &'static str,
        /// The setting's name.
        setting: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// Target values for a loss that takes a class.
    #[error("sample {sample} has target values, {loss} takes a class")]
    NeedsClass {
        /// The sample's number, from 0.
        sample: usize,
        /// The loss's name.
        loss: &'static str,
    },
    /// There are no samples.
    #[error("there are no samples")]
    NoSamples,
    /// A class that the model has no output for.
    // A negative class has its sign bit.
    #[error(
        "sample {sample} has class {}, the model's outputs are for classes 0 to {}", *class as isize, classes - 1
    )]
    Class {
        /// The sample's number, from 0.
        sample: usize,
        /// Its class.
        class: usize,
        /// The classes that the model's outputs are for.
        classes: usize,
    },
    /// A target of another size than the model's outputs.
    #[error("sample {sample} has {found} target values, the model has {outputs} outputs")]
    Targets {
        /// The sample's number, from 0.
        sample: usize,
        /// Its target values.
        found: usize,
        /// The model's outputs.
        outputs: usize,
    },
    /// A training that was made for another model.
    #[error("the training was made for a model with other weights")]
    OtherModel,
}

ziffer_base::debug_as_message!(FitError);

impl FitError {
    /// What is wrong with a target for this loss and a model of so many outputs.
    pub(crate) fn of_target<T: Scalar>(
        loss: &impl Loss<T>,
        target: Target<'_, T>,
        sample: usize,
        outputs: usize,
    ) -> Option<Self> {
        let classes = loss.classes(outputs);
        match target {
            Target::Class(class) if class >= classes => Some(Self::Class { sample, class, classes }),
            Target::Values(_) if loss.needs_class() => Some(Self::NeedsClass { sample, loss: loss.name() }),
            Target::Values(values) if values.len() != outputs => {
                Some(Self::Targets { sample, found: values.len(), outputs })
            }
            _ => None,
        }
    }
}

/// Checks that a model, a loss and samples fit together. Targets are looked at when they are used, or by [`check_targets`].
///
/// # Errors
/// What does not fit.
pub fn check<T: Scalar, S: Samples<T>>(
    model: &Model<T>,
    loss: &impl Loss<T>,
    samples: &S,
) -> Result<(), FitError> {
    if samples.features() != model.inputs() {
        let (found, expected) = (samples.features(), model.inputs());
        return Err(FitError::Features { found, expected, shape: model.input_shape().to_vec() });
    }
    loss.validate()?;
    let layers = model.computing(Mode::Training, S::Value::input_type());
    match (layers.last(), loss.activation()) {
        (Some(last), Some(activation)) if last.layer.output_activation() != Some(activation) => {
            Err(FitError::NeedsActivation { loss: loss.name(), activation, layer: last.name.clone() })
        }
        _ => Ok(()),
    }
}

/// Checks that each sample has a target that fits the model and the loss.
///
/// # Errors
/// The first sample whose target does not fit.
pub fn check_targets<T: Scalar, S: Samples<T>>(
    model: &Model<T>,
    loss: &impl Loss<T>,
    samples: &S,
) -> Result<(), FitError> {
    let outputs = model.outputs();
    let misfit = |sample| FitError::of_target(loss, samples.target(sample), sample, outputs);
    (0..samples.len()).find_map(misfit).map_or(Ok(()), Err)
}

/// What the last layer should put out for this loss.
pub(crate) fn last_output<T: Scalar>(last: &LayerSlot<T>, loss: &impl Loss<T>) -> Output {
    let activation = loss.activation();
    let leaves_out = activation.is_some() && activation == last.layer.output_activation();
    if leaves_out { Output::Logits } else { Output::Activated }
}

impl<T: Scalar, O: Optimizer<T>> Training<T, O> {
    /// A training of `model` in batches of at most `batch_size`, from the optimizer's first step on.
    ///
    /// # Errors
    /// If the optimizer's state and the layers' outputs do not fit into memory.
    ///
    /// # Panics
    /// If `batch_size` is 0.
    pub fn new(model: &Model<T>, optimizer: O, batch_size: usize) -> Result<Self, NoMemory> {
        assert!(batch_size > 0, "a batch has at least one sample");
        let slots = optimizer.slots();
        assert!(slots.len() <= MAX_SLOTS, "{} slots, at most {MAX_SLOTS}", slots.len());
        let layers = model.computing(Mode::Training, InputType::Pixels);
        let state = slots.iter().map(|_| Buffer::try_zeros(model.block().len()));
        Ok(Self {
            learning_rate: optimizer.learning_rate(),
            schedule: None,
            clip: None,
            accumulation: 1,
            ema_momentum: None,
            seed: 0,
            epoch: 0,
            iteration: 0,
            batches: 0,
            accumulated: 0,
            batch_size,
            layout: Arc::clone(model.layout()),
            state: state.collect::<Result<_, _>>()?,
            swapped: None,
            gradient: None,
            buffers: Buffers::new(&layers, batch_size)?,
            optimizer,
        })
    }

    /// Sets the seed that layers and samples draw from.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Bounds gradients before each update of [`run`](Self::run).
    pub fn clip(mut self, clip: impl Into<Option<Clip>>) -> Self {
        self.clip = clip.into();
        self
    }

    /// Has [`run`](Self::run) make one update of the mean gradient of each `batches` batches, as
    /// `gradient_accumulation_steps` of Keras. Batches that are left at the end of a call count for the next one.
    ///
    /// # Panics
    /// If `batches` is 0.
    pub fn accumulation(mut self, batches: u64) -> Self {
        assert!(batches > 0, "an update is of at least one batch");
        self.accumulation = batches;
        self
    }

    /// Keeps an exponential moving average of the trainable weights, as `use_ema` with this `ema_momentum` of Keras: after
    /// each update a = momentum a + (1 - momentum) w, after the first a = w. See [`swap_average`](Self::swap_average).
    ///
    /// # Errors
    /// If there is no memory for it.
    ///
    /// # Panics
    /// If updates were made already, or the momentum is not within 0 to 1.
    pub fn ema(mut self, momentum: impl Into<Option<f64>>) -> Result<Self, NoMemory> {
        assert!(self.iteration == 0, "an average begins with the first update");
        let momentum = momentum.into();
        assert!(
            momentum.is_none_or(|momentum| (0.0..=1.0).contains(&momentum)),
            "ema_momentum is {momentum:?}"
        );
        self.state.truncate(self.optimizer.slots().len());
        if momentum.is_some() {
            let len = self.layout.iter().map(|(.., range)| range.end).max().unwrap_or(0);
            self.state.push(Buffer::try_zeros(len)?);
        }
        self.ema_momentum = momentum;
        Ok(self)
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &O {
        &self.optimizer
    }

    /// The number of updates that have been made.
    pub fn iteration(&self) -> u64 {
        self.iteration
    }

    /// The number of batches that have been seen, also by [`gradients`](Self::gradients). What layers draw depends on it.
    pub fn batches(&self) -> u64 {
        self.batches
    }

    /// The learning rate of the next update.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate_at(self.iteration)
    }

    /// The learning rate of the update after `iteration` others, as long as it is not set anew.
    pub fn learning_rate_at(&self, iteration: u64) -> f64 {
        self.schedule.as_ref().map_or(self.learning_rate, |schedule| schedule.learning_rate(iteration))
    }

    /// Sets the learning rate from the next update on, in the place of a schedule.
    pub fn set_learning_rate(&mut self, learning_rate: f64) {
        self.schedule = None;
        self.learning_rate = learning_rate;
    }

    /// Has a schedule say the learning rate of each update.
    pub fn set_schedule(&mut self, schedule: Arc<dyn LearningRateSchedule>) {
        self.schedule = Some(schedule);
    }

    /// Sets the epoch, from 0, that samples draw for.
    pub fn set_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    /// A state of the optimizer for each weight, by its name in [`Optimizer::slots`], or `"average"` for the weights' average.
    pub fn state(&self, slot: &str) -> Option<impl Iterator<Item = (&str, &[T])>> {
        let slots = self.optimizer.slots();
        let block = if slot == state::AVERAGE && self.ema_momentum.is_some() {
            self.state.last()?
        } else {
            &self.state[slots.iter().position(|name| *name == slot)?]
        };
        Some(self.layout.iter().map(|(name, _, range)| (name.as_str(), &block[range.clone()])))
    }

    /// Exchanges the trainable weights for their average and the average for them; nothing if no average is kept or no update
    /// was made. Called twice, all is as before, also where layers were frozen or unfrozen meanwhile; it is to be called again
    /// before training goes on. The average of a layer that was frozen begins with its weights.
    ///
    /// # Errors
    /// If the training was made for another model.
    pub fn swap_average(&mut self, model: &mut Model<T>) -> Result<(), FitError> {
        self.check_model(model)?;
        if self.ema_momentum.is_none() || self.iteration == 0 {
            return Ok(());
        }
        let Some(average) = self.state.last_mut() else { return Ok(()) };
        let back = self.swapped.take();
        let is_back = back.is_some();
        let ranges = back.unwrap_or_else(|| {
            let weights = self.layout.iter().zip(model.trainable());
            weights.filter(|(_, trainable)| *trainable).map(|((.., range), _)| range.clone()).collect()
        });
        for range in &ranges {
            average[range.clone()].swap_with_slice(&mut model.block_mut()[range.clone()]);
        }
        self.swapped = (!is_back).then_some(ranges);
        Ok(())
    }

    /// Has the average begin with the weights, so that it is right for layers that are unfrozen later.
    fn begin_average(&mut self, model: &Model<T>) {
        if self.ema_momentum.is_some()
            && self.iteration == 0
            && let Some(average) = self.state.last_mut()
        {
            average.copy_from_slice(model.block());
        }
    }

    fn assert_not_swapped(&self) {
        assert!(
            self.swapped.is_none(),
            "the average stands in the place of the weights; call swap_average again before training goes on"
        );
    }

    fn check_model(&self, model: &Model<T>) -> Result<(), FitError> {
        let is_same = Arc::ptr_eq(&self.layout, model.layout()) || *self.layout == **model.layout();
        if is_same { Ok(()) } else { Err(FitError::OtherModel) }
    }

    /// Makes one step for each batch of `order`, the samples' indices cut into batches of the batch size, the last one
    /// perhaps smaller. Returns each step's result; there are fewer than batches if the budget's time was up.
    ///
    /// # Errors
    /// If the training was made for another model, the model, the loss and the samples do not fit together, or a batch's
    /// loss is not finite. That batch makes no step, and the weights are those before it. Targets are looked at when they are
    /// used, so that the batches before one that does not fit have made their steps.
    ///
    /// # Panics
    /// If an index is out of range, the average stands in the place of the weights, or a layer, the loss or the samples panic;
    /// of a layer the message has the name.
    pub fn run<S: Samples<T>>(
        &mut self,
        model: &mut Model<T>,
        loss: &impl Loss<T>,
        samples: &S,
        order: &[u32],
        budget: StepBudget<'_>,
    ) -> Result<Vec<StepResult>, StepError> {
        self.run_profiled::<S, ()>(model, loss, samples, order, budget).0
    }

    /// As [`Training::run`], each thread with a profiler, which are returned in the threads' order.
    ///
    /// # Errors
    /// As `run`.
    ///
    /// # Panics
    /// As `run`.
    pub fn run_profiled<S: Samples<T>, P: Profiler>(
        &mut self,
        model: &mut Model<T>,
        loss: &impl Loss<T>,
        samples: &S,
        order: &[u32],
        budget: StepBudget<'_>,
    ) -> (Result<Vec<StepResult>, StepError>, Vec<P>) {
        let stores = self.clip.is_some() || self.accumulation > 1;
        if stores && let Err(error) = self.ensure_gradient() {
            return (Err(error.into()), Vec::new());
        }
        let norms = matches!(self.clip, Some(Clip::Norm(_) | Clip::GlobalNorm(_)));
        let kind = if stores { plan::Gradients::Stored { norms } } else { plan::Gradients::Fused };
        let mut gradient = self.gradient.take();
        let outcome =
            self.go::<S, P>(model, loss, samples, order, budget, kind, gradient.as_mut().filter(|_| stores));
        self.gradient = gradient;
        outcome
    }

    fn ensure_gradient(&mut self) -> Result<(), NoMemory> {
        if self.gradient.is_none() {
            let len = self.layout.iter().map(|(.., range)| range.end).max().unwrap_or(0);
            self.gradient = Some(Buffer::try_zeros(len)?);
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "those of run, and what becomes of gradients")]
    fn go<S: Samples<T>, P: Profiler>(
        &mut self,
        model: &mut Model<T>,
        loss: &impl Loss<T>,
        samples: &S,
        order: &[u32],
        budget: StepBudget<'_>,
        kind: plan::Gradients,
        gradient: Option<&mut Buffer<T>>,
    ) -> (Result<Vec<StepResult>, StepError>, Vec<P>) {
        if let Err(error) = self.check_model(model).and_then(|()| check(model, loss, samples)) {
            return (Err(error.into()), Vec::new());
        }
        if kind != plan::Gradients::Returned {
            self.assert_not_swapped();
        }
        let Some(&largest) = order.iter().max() else {
            return (Ok(Vec::new()), Vec::new());
        };
        let count = samples.len();
        assert!((largest as usize) < count, "the order has sample {largest}, there are {count} samples");
        let input = S::Value::input_type();
        if input == InputType::Pixels {
            model.set_takes_pixels(true);
        }
        self.begin_average(model);
        let (layers, weights) = model.parts_mut(input);
        if !self.buffers.is_for(&layers) {
            match Buffers::new(&layers, self.batch_size) {
                Ok(buffers) => self.buffers = buffers,
                Err(error) => return (Err(error.into()), Vec::new()),
            }
        }
        let threads = budget.threads.clamp(1, budget.team.size());
        let first_by_outputs =
            kind == plan::Gradients::Fused && shard::is_worth_it(&layers, input, threads, self.state.len());
        let plan = Plan::compile(&Design { layers: &layers, threads, first_by_outputs, gradients: kind });
        let features = samples.features();
        let batch = order.len().min(self.batch_size) * features;
        let mut x = [vec![S::Value::default(); batch], vec![S::Value::default(); batch]];
        let [even, odd] = &mut x;
        let learning_rate = |iteration: u64| match &self.schedule {
            Some(schedule) => schedule.learning_rate(iteration),
            None => self.learning_rate,
        };
        let step = Step {
            plan: &plan,
            updates: Updates {
                optimizer: &self.optimizer,
                iteration: self.iteration,
                learning_rate: &learning_rate,
                clip: self.clip,
                accumulation: if kind == plan::Gradients::Returned { 1 } else { self.accumulation },
                accumulated: self.accumulated,
                ema_momentum: self.ema_momentum,
            },
            seed: self.seed,
            draw: Draw { seed: self.seed, epoch: self.epoch },
            first_batch: self.batches,
            batch_size: self.batch_size,
            last: last_output(layers.last().expect("a model computes something"), loss),
            layers: &layers,
            loss,
            samples,
            features,
            x: [Shared::new(even), Shared::new(odd)],
            weights: Shared::new(weights),
            state: self.state.iter_mut().map(|state| Shared::new(state)).collect(),
            memory: self.buffers.lend(&layers, gradient),
            deadline: budget.time.map(|time| Instant::now() + time),
            time_is_up: AtomicBool::new(false),
            misfit: Mutex::new(None),
        };
        let outcomes = budget.team.run_some(threads, |member| step.run::<P>(member, order));
        let misfit = step.misfit.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut profilers = Vec::with_capacity(outcomes.len());
        let mut first = None;
        for Outcome { results, updates, not_finite, profiler } in outcomes {
            profilers.push(profiler);
            first.get_or_insert((results, updates, not_finite));
        }
        let (results, updates, not_finite) = first.expect("a team has a member");
        self.batches += results.len() as u64;
        if kind != plan::Gradients::Returned {
            self.iteration += updates;
            self.accumulated = (self.accumulated + results.len() as u64) % self.accumulation;
        }
        let result = match (misfit, not_finite) {
            (Some(misfit), _) => Err(StepError::Fit(misfit)),
            (None, Some(loss)) => Err(StepError::NotFinite(NotFinite { results, loss })),
            (None, None) => Ok(results),
        };
        (result, profilers)
    }

    /// The gradients of the mean loss of one batch, `batch` being indices of samples, at most as many as the batch size. They
    /// have memory of their own. The weights stay, but for the moving averages of a batch normalisation. The numbers are those
    /// that [`run`](Self::run) updates weights with. The budget's time is no bound here.
    ///
    /// ```
    /// use ndarray::arr2;
    /// use ziffer_nn::optimizer::Clip;
    /// use ziffer_nn::{Activation, MeanSquaredError, Sequential, Sgd, Training, WithClasses, team::Team};
    /// let x = arr2(&[[0.0_f32, 1.0], [1.0, 0.0]]);
    /// let samples = WithClasses::new(x.view(), &[1, 0]);
    /// let mut model = Sequential::new([2]).dense(2, Activation::Sigmoid).build(1)?;
    /// let mut training = Training::new(&model, Sgd::default(), 2)?;
    /// let team = Team::new(1)?;
    /// for _ in 0..10 {
    ///     let mut gradients =
    ///         training.gradients(&mut model, &MeanSquaredError, &samples, &[0, 1], (&team).into())?;
    ///     gradients.clip(Clip::GlobalNorm(1.0));
    ///     training.apply(&mut model, &gradients)?;
    /// }
    /// assert_eq!(training.iteration(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As `run`, and if there is no memory for the gradients.
    ///
    /// # Panics
    /// As `run`, but the average may stand in the place of the weights; and if the batch is empty or larger than the batch
    /// size.
    pub fn gradients<S: Samples<T>>(
        &mut self,
        model: &mut Model<T>,
        loss: &impl Loss<T>,
        samples: &S,
        batch: &[u32],
        budget: StepBudget<'_>,
    ) -> Result<Gradients<T>, StepError> {
        assert!(
            !batch.is_empty() && batch.len() <= self.batch_size,
            "{} samples in a batch, expected 1 to {}",
            batch.len(),
            self.batch_size
        );
        let mut block = Buffer::try_zeros(model.block().len())?;
        let kind = plan::Gradients::Returned;
        let budget = StepBudget { time: None, ..budget };
        let (outcome, _) = self.go::<S, ()>(model, loss, samples, batch, budget, kind, Some(&mut block));
        let result = outcome?.first().copied().unwrap_or_default();
        Ok(Gradients {
            result,
            layout: Arc::clone(&self.layout),
            present: model.trainable().collect(),
            block,
        })
    }

    /// Makes one update of the weights by gradients, which may have been changed or added up. The settings for clipping and
    /// accumulation do not apply; an average of the weights is kept.
    ///
    /// # Errors
    /// If the gradients or the training are of another model.
    ///
    /// # Panics
    /// If the average stands in the place of the weights.
    pub fn apply(&mut self, model: &mut Model<T>, gradients: &Gradients<T>) -> Result<(), FitError> {
        self.check_model(model)?;
        if *gradients.layout != *self.layout {
            return Err(FitError::OtherModel);
        }
        self.assert_not_swapped();
        self.begin_average(model);
        let step = self.optimizer.step(self.iteration + 1, self.learning_rate());
        let slots = self.optimizer.slots().len();
        let trainable: Vec<bool> = model.trainable().collect();
        for (((.., range), trainable), present) in self.layout.iter().zip(trainable).zip(&gradients.present) {
            if !trainable || !present {
                continue;
            }
            let w = &mut model.block_mut()[range.clone()];
            let (state, average) = self.state.split_at_mut(slots);
            let mut of_slots: [&mut [T]; MAX_SLOTS] = Default::default();
            for (slot, state) in of_slots.iter_mut().zip(state) {
                *slot = &mut state[range.clone()];
            }
            O::update(&step, w, &mut of_slots[..slots], &gradients.block[range.clone()]);
            if let (Some(average), Some(momentum)) = (average.first_mut(), self.ema_momentum) {
                let momentum = T::from_f64(if self.iteration == 0 { 0.0 } else { momentum });
                update::moving_average(&mut average[range.clone()], w, momentum);
            }
        }
        self.iteration += 1;
        Ok(())
    }
}

/// Who makes steps, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct StepBudget<'a> {
    /// The threads.
    pub team: &'a Team,
    /// How many of them take part. The results do not depend on it.
    pub threads: usize,
    /// After this time no step is begun, but for the first; `None` sets no bound.
    pub time: Option<Duration>,
}

impl<'a> From<&'a Team> for StepBudget<'a> {
    /// All threads, without a bound on time.
    fn from(team: &'a Team) -> Self {
        Self { team, threads: team.size(), time: None }
    }
}

/// A batch's loss that is NaN or infinite.
#[derive(Clone, PartialEq, thiserror::Error)]
#[error("the loss is {loss}")]
pub struct NotFinite {
    /// The results of the steps before.
    pub results: Vec<StepResult>,
    /// The loss.
    pub loss: f64,
}

ziffer_base::debug_as_message!(NotFinite);

/// Why steps could not be made, or not all of them.
#[derive(Clone, PartialEq, thiserror::Error)]
pub enum StepError {
    /// The training, the model, the loss and the samples do not fit together.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// A batch's loss is not finite.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// There is no memory for the outputs of the layers or for gradients.
    #[error(transparent)]
    Memory(#[from] NoMemory),
}

ziffer_base::debug_as_message!(StepError);

/// Rows of `width` elements.
pub(crate) fn matrix<V>(slice: &[V], width: usize) -> ArrayView2<'_, V> {
    ArrayView2::from_shape((slice.len() / width, width), slice).expect("whole rows")
}

/// Rows of `width` elements, to be written.
pub(crate) fn matrix_mut<V>(slice: &mut [V], width: usize) -> ArrayViewMut2<'_, V> {
    ArrayViewMut2::from_shape((slice.len() / width, width), slice).expect("whole rows")
}
