//! The training step: forward, loss, backward and update, by a plan compiled from the layers.
//!
//! A [`Plan`] is a list of stages. Each stage divides rows of the batch, channels of a layer, or weights among the threads,
//! and ends at a barrier. Where rows are divided, a thread takes its samples through layers forward and backward. Where
//! weights are divided, a thread computes the gradient of the elements that it owns over the whole batch and updates them at
//! once: gradients need no memory, and no reduction crosses threads. Every number is computed by one thread, in an order that
//! depends on the batch only.
//!
//! A custom loop computes gradients with [`Training::gradients`] and applies them with [`Training::apply`].

mod average;
mod batches;
mod budget;
mod check;
mod consumers;
mod custom_loop;
mod dyn_optimizer;
mod fit_error;
mod gradients;
mod matrix;
mod memory;
mod ownership;
mod plan;
mod profiler;
mod result;
mod run;
mod shard;
mod state;
mod step;

use std::ops::Range;
use std::sync::Arc;

use ziffer_tensor::{Buffer, NoMemory, Scalar};

use crate::layer::{InputType, Mode};
use crate::model::{Layout, Model};
use crate::optimizer::{Clip, LearningRateSchedule, MAX_STATES, Optimizer};

pub(crate) use batches::DynSamples;
pub use budget::StepBudget;
pub use check::{check, check_targets};
pub(crate) use check::{check_dyn, last_output_kind, target_error};
pub use fit_error::FitError;
pub use gradients::Gradients;
pub(crate) use matrix::{as_channels, matrix, matrix_mut};
pub use plan::{Partition, Plan, Stage, Task};
pub use profiler::{Profile, Profiler, Section};
pub use result::{NotFinite, StepError, StepResult};
pub use state::{State, StateError};

use memory::Buffers;

/// The name under which [`Training::state`] returns the average of the weights.
const AVERAGE: &str = "average";

/// A model's training: the optimizer, its state, and the working memory of the steps.
#[derive(Debug)]
pub struct Training<T: Scalar, O> {
    optimizer: O,
    inner: Inner<T>,
}

/// Everything of a training that does not depend on the optimizer's type.
///
/// [`Training::run`] passes optimizer, loss and samples on as trait objects, so that this crate alone compiles the steps.
#[derive(Debug)]
struct Inner<T: Scalar> {
    learning_rate: LearningRate,
    clip: Option<Clip>,
    accumulation: u64,
    ema_momentum: Option<f64>,
    seed: u64,
    epoch: u64,
    /// The number of updates so far.
    iteration: u64,
    /// The number of training batches so far.
    batches: u64,
    /// The number of batches whose gradients are accumulated since the last update.
    accumulated: u64,
    batch_size: usize,
    layout: Arc<Layout>,
    /// One block for each of the optimizer's states, laid out like the model's weights, and one for the weights' average.
    state: Vec<Buffer<T>>,
    /// The ranges of the weights that are exchanged for their average at the moment.
    swapped: Option<Vec<Range<usize>>>,
    /// The gradients of all weights, laid out like them, where they are stored.
    gradient: Option<Buffer<T>>,
    buffers: Buffers<T>,
}

impl<T: Scalar, O: Optimizer<T>> Training<T, O> {
    /// A training of `model` in batches of at most `batch_size`. The first update is the optimizer's first.
    ///
    /// # Errors
    /// If the optimizer's state and the layers' outputs do not fit into memory.
    ///
    /// # Panics
    /// If `batch_size` is 0, or the optimizer has more than [`MAX_STATES`] states.
    pub fn new(model: &Model<T>, optimizer: O, batch_size: usize) -> Result<Self, NoMemory> {
        assert!(batch_size > 0, "batch_size is 0, expected at least 1");
        let names = optimizer.state_names();
        assert!(names.len() <= MAX_STATES, "{} states, at most {MAX_STATES}", names.len());
        let layers = model.computing(Mode::Training, InputType::Pixels);
        let state = names.iter().map(|_| Buffer::try_zeros(model.block().len()));
        let inner = Inner {
            learning_rate: LearningRate { constant: optimizer.learning_rate(), schedule: None },
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
        };
        Ok(Self { optimizer, inner })
    }

    /// Sets the seed of the random numbers that layers and samples draw.
    pub fn seed(mut self, seed: u64) -> Self {
        self.inner.seed = seed;
        self
    }

    /// Clips gradients before each update of [`run`](Self::run).
    pub fn clip(mut self, clip: impl Into<Option<Clip>>) -> Self {
        self.inner.clip = clip.into();
        self
    }

    /// Makes [`run`](Self::run) update the weights once per `batches` batches, by their mean gradient, as Keras's
    /// `gradient_accumulation_steps`. Batches left over at the end of a call count for the next call.
    ///
    /// # Panics
    /// If `batches` is 0.
    pub fn accumulation(mut self, batches: u64) -> Self {
        assert!(batches > 0, "accumulation is 0, expected at least 1");
        self.inner.accumulation = batches;
        self
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &O {
        &self.optimizer
    }

    /// The number of updates so far.
    pub fn iteration(&self) -> u64 {
        self.inner.iteration
    }

    /// The number of batches so far, those of [`gradients`](Self::gradients) included. The layers' random numbers depend on it.
    pub fn batches(&self) -> u64 {
        self.inner.batches
    }

    /// Makes the next batch the first one, for which layers draw the same random numbers.
    #[cfg(feature = "gradcheck")]
    pub(crate) fn rewind(&mut self) {
        self.inner.batches = 0;
    }

    /// The learning rate of the next update.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate_at(self.inner.iteration)
    }

    /// The learning rate of the update after `iteration` others, unless it is set before.
    pub fn learning_rate_at(&self, iteration: u64) -> f64 {
        self.inner.learning_rate.at(iteration)
    }

    /// Sets the learning rate from the next update on. It replaces a schedule.
    pub fn set_learning_rate(&mut self, learning_rate: f64) {
        self.inner.learning_rate = LearningRate { constant: learning_rate, schedule: None };
    }

    /// Sets a schedule that gives the learning rate of each update.
    pub fn set_schedule(&mut self, schedule: Arc<dyn LearningRateSchedule>) {
        self.inner.learning_rate.schedule = Some(schedule);
    }

    /// Sets the epoch, counted from 0, that is passed to the samples.
    pub fn set_epoch(&mut self, epoch: u64) {
        self.inner.epoch = epoch;
    }

    /// One of the optimizer's states, for each weight: `name` is one of [`Optimizer::state_names`], or `"average"` for the
    /// average of the weights.
    pub fn state(&self, name: &str) -> Option<impl Iterator<Item = (&str, &[T])>> {
        let names = self.optimizer.state_names();
        let block = if name == AVERAGE && self.inner.ema_momentum.is_some() {
            self.inner.state.last()?
        } else {
            &self.inner.state[names.iter().position(|other| *other == name)?]
        };
        Some(self.inner.layout.iter().map(|(name, _, range)| (name.as_str(), &block[range.clone()])))
    }
}

/// The learning rate of each update.
#[derive(Debug)]
struct LearningRate {
    /// The rate without a schedule.
    constant: f64,
    schedule: Option<Arc<dyn LearningRateSchedule>>,
}

impl LearningRate {
    /// The learning rate of the update after `iteration` others.
    fn at(&self, iteration: u64) -> f64 {
        self.schedule.as_ref().map_or(self.constant, |schedule| schedule.learning_rate(iteration))
    }
}

impl<T: Scalar> Inner<T> {
    /// Allocates memory for the gradients of all weights.
    fn ensure_gradient(&mut self) -> Result<(), NoMemory> {
        if self.gradient.is_none() {
            self.gradient = Some(Buffer::try_zeros(self.block_len())?);
        }
        Ok(())
    }

    /// The length of the model's block of weights.
    fn block_len(&self) -> usize {
        self.layout.iter().map(|(.., range)| range.end).max().unwrap_or(0)
    }

    fn check_model(&self, model: &Model<T>) -> Result<(), FitError> {
        let is_same = Arc::ptr_eq(&self.layout, model.layout()) || *self.layout == **model.layout();
        if is_same { Ok(()) } else { Err(FitError::OtherModel) }
    }
}
