//! Runs of steps.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use ziffer_tensor::shared::Shared;
use ziffer_tensor::{Buffer, Scalar};

use super::budget::StepBudget;
use super::check::{check, last_output_kind};
use super::memory::Buffers;
use super::plan::{GradientUse, Plan, PlanInputs};
use super::profiler::Profiler;
use super::result::{NotFinite, StepError, StepResult};
use super::step::{Outcome, Step, Updates};
use super::{Training, shard};
use crate::layer::{InputType, SampleValue};
use crate::loss::Loss;
use crate::model::Model;
use crate::optimizer::{Clip, Optimizer};
use crate::samples::{EpochSeed, Samples};

impl<T: Scalar, O: Optimizer<T>> Training<T, O> {
    /// Makes one step per batch of `order`: the indices of samples, cut into batches of the batch size; the last batch may be
    /// smaller. Returns the result of each step. There are fewer results than batches if the time of the budget runs out.
    ///
    /// # Errors
    /// If the training was made for another model, if the model, the loss and the samples do not fit together, or if a
    /// batch's loss is not finite. The failing batch makes no step, and the weights are those before it. A target is checked
    /// when it is used, so that the batches before a wrong target have made their steps.
    ///
    /// # Panics
    /// If an index is out of range, if the weights are exchanged for their average, or if a layer, the loss or the samples
    /// panic. The message of a layer's panic contains the layer's name.
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

    /// Like [`Training::run`], with a profiler per thread. Returns the profilers in the order of the threads.
    ///
    /// # Errors
    /// As for `run`.
    ///
    /// # Panics
    /// As for `run`.
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
        let gradients = if stores { GradientUse::Stored { norms } } else { GradientUse::Fused };
        let mut gradient = self.gradient.take();
        let memory = gradient.as_mut().filter(|_| stores);
        let outcome = self.run_steps::<S, P>(model, loss, samples, order, budget, gradients, memory);
        self.gradient = gradient;
        outcome
    }

    #[expect(clippy::too_many_arguments, reason = "those of run, and the use and memory of the gradients")]
    pub(super) fn run_steps<S: Samples<T>, P: Profiler>(
        &mut self,
        model: &mut Model<T>,
        loss: &impl Loss<T>,
        samples: &S,
        order: &[u32],
        budget: StepBudget<'_>,
        gradients: GradientUse,
        gradient: Option<&mut Buffer<T>>,
    ) -> (Result<Vec<StepResult>, StepError>, Vec<P>) {
        if let Err(error) = self.check_model(model).and_then(|()| check(model, loss, samples)) {
            return (Err(error.into()), Vec::new());
        }
        if gradients != GradientUse::Returned {
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
            gradients == GradientUse::Fused && shard::is_worth_it(&layers, input, threads, self.state.len());
        let plan = Plan::compile(&PlanInputs { layers: &layers, threads, first_by_outputs, gradients });
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
                accumulation: if gradients == GradientUse::Returned { 1 } else { self.accumulation },
                accumulated: self.accumulated,
                ema_momentum: self.ema_momentum,
            },
            seed: self.seed,
            epoch_seed: EpochSeed { seed: self.seed, epoch: self.epoch },
            first_batch: self.batches,
            batch_size: self.batch_size,
            last: last_output_kind(layers.last().expect("a model has a layer that computes"), loss),
            layers: &layers,
            loss,
            samples,
            features,
            x: [Shared::new(even), Shared::new(odd)],
            weights: Shared::new(weights),
            state: self.state.iter_mut().map(|state| Shared::new(state)).collect(),
            memory: self.buffers.share(&layers, gradient),
            deadline: budget.time.map(|time| Instant::now() + time),
            time_is_up: AtomicBool::new(false),
            target_error: Mutex::new(None),
        };
        let outcomes = budget.team.run_some(threads, |worker| step.run::<P>(worker, order));
        let target_error = step.target_error.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut profilers = Vec::with_capacity(outcomes.len());
        let mut first = None;
        for Outcome { results, updates, not_finite, profiler } in outcomes {
            profilers.push(profiler);
            first.get_or_insert((results, updates, not_finite));
        }
        let (results, updates, not_finite) = first.expect("a team has at least one thread");
        self.batches += results.len() as u64;
        if gradients != GradientUse::Returned {
            self.iteration += updates;
            self.accumulated = (self.accumulated + results.len() as u64) % self.accumulation;
        }
        let result = match (target_error, not_finite) {
            (Some(error), _) => Err(StepError::Fit(error)),
            (None, Some(loss)) => Err(StepError::NotFinite(NotFinite { results, loss })),
            (None, None) => Ok(results),
        };
        (result, profilers)
    }
}
