//! The training step: forward, loss, backward and update, in two phases for any stack of layers.
//!
//! Phase 1 shares out the samples of a batch: a thread takes its samples through all layers and back and keeps, for each
//! layer, its input and what the gradient needs. Phase 2 shares out the weights: a thread forms the gradient of its part
//! of each layer over the whole batch and updates that part at once, so that gradients need no memory and no reduction
//! crosses threads. After each phase the threads meet. Where the first layer reads pixels and is small, phase 0 shares out
//! its outputs before, and its weights with them. Every number is formed in one thread, in an order that depends on
//! nothing but the batch.

mod own;
mod state;
mod step;
mod watch;

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use ndarray::{ArrayView2, ArrayViewMut2};
use ziffer_tensor::shared::Shared;
use ziffer_tensor::team::Team;
use ziffer_tensor::{Buffer, NoMemory, Scalar};

use crate::layer::Output;
use crate::loss::Loss;
use crate::model::{Model, Placed};
use crate::optimizer::{MAX_SLOTS, Optimizer};
use crate::samples::Samples;
pub use state::{State, StateError};
use step::{Outcome, Step};
pub use watch::{Lap, Profile, Watch};

/// A model's training: the optimizer, its state, and the memory that a step works in.
#[derive(Debug)]
pub struct Training<T: Scalar, O> {
    optimizer: O,
    iteration: u64,
    batch_size: usize,
    /// One block for each of the optimizer's slots, laid out as the model's weights are.
    slots: Vec<Buffer<T>>,
    /// For each layer that computes, its outputs \[B, O\] and what its backward pass left in their gradient.
    outputs: Vec<Buffer<T>>,
    gradients: Vec<Buffer<T>>,
    /// For each sample its loss, NaN and infinity included, and whether it was a hit.
    losses: Vec<f64>,
    hits: Vec<bool>,
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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    #[error("{loss} needs a model that ends in a softmax; the last layer is {layer}")]
    NeedsSoftmax {
        /// The loss's name.
        loss: &'static str,
        /// The last layer's name.
        layer: String,
    },
}

/// Checks that a model, a loss and samples fit together.
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
    match model.placed().iter().rfind(|placed| !placed.layer.is_identity()) {
        Some(last) if loss.needs_softmax() && !last.layer.ends_in_softmax() => {
            Err(FitError::NeedsSoftmax { loss: loss.name(), layer: last.name.clone() })
        }
        _ => Ok(()),
    }
}

/// What the last layer should put out for this loss.
pub(crate) fn last_output<T: Scalar>(last: &Placed<T>, loss: &impl Loss<T>) -> Output {
    if loss.takes_logits() && last.layer.ends_in_softmax() { Output::Logits } else { Output::Activated }
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
        let computing = || model.placed().iter().filter(|placed| !placed.layer.is_identity());
        let zeros = |placed: &Placed<T>| Buffer::try_zeros(batch_size.saturating_mul(placed.outputs()));
        let buffers = || computing().map(zeros).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            iteration: 0,
            batch_size,
            slots: slots.iter().map(|_| Buffer::try_zeros(model.block().len())).collect::<Result<_, _>>()?,
            outputs: buffers()?,
            gradients: buffers()?,
            losses: vec![0.0; batch_size],
            hits: vec![false; batch_size],
            optimizer,
        })
    }

    /// The number of steps that have been made.
    pub fn iteration(&self) -> u64 {
        self.iteration
    }

    /// Makes one step for each batch of `order`, the samples' indices cut into batches of the batch size, the last one
    /// perhaps smaller. Returns each step's result; there are fewer than batches if the stretch's time was up.
    ///
    /// # Errors
    /// [`NotFinite`] at the first batch whose loss is not finite; it makes no step, and the weights are those before it.
    ///
    /// # Panics
    /// If an index is out of range, or the model, the loss and the samples do not pass [`check`].
    pub fn run<S: Samples<T>>(
        &mut self,
        model: &mut Model<T>,
        loss: &impl Loss<T>,
        samples: &S,
        order: &[u32],
        stretch: Stretch<'_>,
    ) -> Result<Vec<StepResult>, NotFinite> {
        self.run_watched::<S, ()>(model, loss, samples, order, stretch).0
    }

    /// As [`Training::run`], each member with a watch, which are returned in the members' order.
    ///
    /// # Errors
    /// As `run`.
    ///
    /// # Panics
    /// As `run`.
    pub fn run_watched<S: Samples<T>, W: Watch>(
        &mut self,
        model: &mut Model<T>,
        loss: &impl Loss<T>,
        samples: &S,
        order: &[u32],
        stretch: Stretch<'_>,
    ) -> (Result<Vec<StepResult>, NotFinite>, Vec<W>) {
        if let Err(error) = check(model, loss, samples) {
            panic!("{error}");
        }
        let (layers, weights) = model.parts_mut();
        let step = Step {
            optimizer: &self.optimizer,
            first_iteration: self.iteration + 1,
            batch_size: self.batch_size,
            last: last_output(layers.last().expect("a model computes something"), loss),
            layers,
            loss,
            samples,
            features: samples.features(),
            weights: Shared::new(weights),
            slots: self.slots.iter_mut().map(|slot| Shared::new(slot)).collect(),
            outputs: self.outputs.iter_mut().map(|buffer| Shared::new(buffer)).collect(),
            gradients: self.gradients.iter_mut().map(|buffer| Shared::new(buffer)).collect(),
            losses: Shared::new(&mut self.losses),
            hits: Shared::new(&mut self.hits),
            deadline: stretch.time.map(|time| Instant::now() + time),
            time_is_up: AtomicBool::new(false),
        };
        let outcomes = stretch.team.run_some(stretch.members, |member| step.run::<W>(member, order));
        let mut watches = Vec::with_capacity(outcomes.len());
        let mut first = None;
        for Outcome { results, not_finite, watch } in outcomes {
            watches.push(watch);
            first.get_or_insert((results, not_finite));
        }
        let (results, not_finite) = first.expect("a team has a member");
        self.iteration += results.len() as u64;
        let result = match not_finite {
            Some(loss) => Err(NotFinite { results, loss }),
            None => Ok(results),
        };
        (result, watches)
    }
}

/// How steps are made: by whom, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Stretch<'a> {
    /// The threads.
    pub team: &'a Team,
    /// How many of them take part. The results do not depend on it.
    pub members: usize,
    /// After this time no step is begun, but for the first; `None` sets no bound.
    pub time: Option<Duration>,
}

impl<'a> From<&'a Team> for Stretch<'a> {
    /// All members, without a bound on time.
    fn from(team: &'a Team) -> Self {
        Self { team, members: team.size(), time: None }
    }
}

/// A batch's loss that is NaN or infinite.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the loss is {loss}")]
pub struct NotFinite {
    /// The results of the steps before.
    pub results: Vec<StepResult>,
    /// The loss.
    pub loss: f64,
}

/// Rows of `width` elements.
pub(crate) fn matrix<V>(slice: &[V], width: usize) -> ArrayView2<'_, V> {
    ArrayView2::from_shape((slice.len() / width, width), slice).expect("whole rows")
}

/// Rows of `width` elements, to be written.
pub(crate) fn matrix_mut<V>(slice: &mut [V], width: usize) -> ArrayViewMut2<'_, V> {
    ArrayViewMut2::from_shape((slice.len() / width, width), slice).expect("whole rows")
}
