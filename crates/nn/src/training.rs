//! The training step: forward, loss, backward and update, in two phases for any stack of layers.
//!
//! Phase 1 shares out the samples of a batch: a thread takes its samples through all layers and back and keeps, for each
//! layer, its input and what the gradient needs. Phase 2 shares out the weights: a thread forms the gradient of its part
//! of each layer over the whole batch and updates that part at once, so that gradients need no memory and no reduction
//! crosses threads. After each phase the threads meet. Every number is formed in one thread, in an order that depends on
//! nothing but the batch.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ndarray::{ArrayView2, ArrayViewMut2};
use ziffer_tensor::shared::Shared;
use ziffer_tensor::team::{Member, Team};
use ziffer_tensor::{Buffer, NoMemory, Scalar};

use crate::layer::{Feature, Input, Output, Part, Sink};
use crate::loss::Loss;
use crate::model::{Model, Placed};
use crate::optimizer::{MAX_SLOTS, Optimizer};
use crate::samples::Samples;

/// A model's training: the optimizer, its state, and the memory that a step works in.
#[derive(Debug)]
pub struct Training<T: Scalar, O, V> {
    optimizer: O,
    iteration: u64,
    batch_size: usize,
    /// One block for each of the optimizer's slots, laid out as the model's weights are.
    slots: Vec<Buffer<T>>,
    /// The batch's samples \[B, I\].
    x: Vec<V>,
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

impl<T: Scalar, O: Optimizer<T>, V: Feature<T>> Training<T, O, V> {
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
            x: vec![V::default(); batch_size * model.inputs()],
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
    pub fn run<S: Samples<T, Value = V>>(
        &mut self,
        model: &mut Model<T>,
        loss: &impl Loss<T>,
        samples: &S,
        order: &[u32],
        stretch: Stretch<'_>,
    ) -> Result<Vec<StepResult>, NotFinite> {
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
            x: Shared::new(&mut self.x),
            outputs: self.outputs.iter_mut().map(|buffer| Shared::new(buffer)).collect(),
            gradients: self.gradients.iter_mut().map(|buffer| Shared::new(buffer)).collect(),
            losses: Shared::new(&mut self.losses),
            hits: Shared::new(&mut self.hits),
            deadline: stretch.time.map(|time| Instant::now() + time),
            time_is_up: AtomicBool::new(false),
            of: std::marker::PhantomData,
        };
        let mut outcomes = stretch.team.run_some(stretch.members, |member| step.run(member, order));
        let Outcome { results, not_finite } = outcomes.swap_remove(0);
        self.iteration += results.len() as u64;
        match not_finite {
            Some(loss) => Err(NotFinite { results, loss }),
            None => Ok(results),
        }
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

/// What a member has to say after its steps.
struct Outcome {
    results: Vec<StepResult>,
    not_finite: Option<f64>,
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
struct Step<'a, T: Scalar, O, V, L, S> {
    optimizer: &'a O,
    first_iteration: u64,
    batch_size: usize,
    last: Output,
    layers: Vec<&'a Placed<T>>,
    loss: &'a L,
    samples: &'a S,
    features: usize,
    weights: Shared<'a, T>,
    slots: Vec<Shared<'a, T>>,
    x: Shared<'a, V>,
    outputs: Vec<Shared<'a, T>>,
    gradients: Vec<Shared<'a, T>>,
    losses: Shared<'a, f64>,
    hits: Shared<'a, bool>,
    deadline: Option<Instant>,
    /// Set by member 0 before a meeting, so that all members see the same after it.
    time_is_up: AtomicBool,
    of: std::marker::PhantomData<V>,
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
    fn run(&self, member: &Member<'_>, order: &[u32]) -> Outcome {
        let mut outcome = Outcome { results: Vec::new(), not_finite: None };
        for (number, batch) in order.chunks(self.batch_size).enumerate() {
            self.samples_phase(batch, member.share(batch.len()));
            member.wait();
            // Every member adds up the same losses in the same order, so all of them come to the same decision.
            let result = self.result(batch.len());
            if !result.loss_sum.is_finite() {
                outcome.not_finite = Some(result.loss());
                break;
            }
            let step = self.optimizer.step(self.first_iteration + number as u64);
            self.weights_phase(batch.len(), Part { index: member.index(), count: member.count() }, &step);
            if member.index() == 0 {
                outcome.results.push(result);
                if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    self.time_is_up.store(true, Ordering::Relaxed);
                }
            }
            member.wait();
            if self.time_is_up.load(Ordering::Relaxed) {
                break;
            }
        }
        outcome
    }

    /// Phase 1: the rows of `share`, forward and backward.
    fn samples_phase(&self, batch: &[u32], share: Range<usize>) {
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
    fn weights_phase(&self, batch: usize, part: Part, step: &O::Step) {
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
            let mut sink =
                Update::<T, O> { weights: &self.weights, slots: &self.slots, ranges: &placed.ranges, step };
            placed.layer.gradient(x, d, part, &mut sink);
        }
    }
}

/// Updates weights by their gradient as it is formed.
struct Update<'a, 'b, T: Scalar, O: Optimizer<T>> {
    weights: &'a Shared<'b, T>,
    slots: &'a [Shared<'b, T>],
    ranges: &'a [Range<usize>],
    step: &'a O::Step,
}

impl<T: Scalar, O: Optimizer<T>> Sink<T> for Update<'_, '_, T, O> {
    fn accept(&mut self, index: usize, offset: usize, gradient: &[T]) {
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
    }
}

/// Rows of `width` elements.
pub(crate) fn matrix<V>(slice: &[V], width: usize) -> ArrayView2<'_, V> {
    ArrayView2::from_shape((slice.len() / width, width), slice).expect("whole rows")
}

/// Rows of `width` elements, to be written.
pub(crate) fn matrix_mut<V>(slice: &mut [V], width: usize) -> ArrayViewMut2<'_, V> {
    ArrayViewMut2::from_shape((slice.len() / width, width), slice).expect("whole rows")
}
