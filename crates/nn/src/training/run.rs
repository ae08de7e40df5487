//! Runs of steps.

use std::marker::PhantomData;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ziffer_tensor::shared::Shared;
use ziffer_tensor::{Buffer, Scalar, ScalarFunction};

use super::batches::DynSamples;
use super::budget::StepBudget;
use super::check::{check_dyn, last_output_kind};
use super::dyn_optimizer::DynOptimizer;
use super::gradients::Gradients;
use super::memory::Buffers;
use super::plan::{GradientUse, Plan, PlanInputs};
use super::profiler::{PerThread, Profiler, Profilers};
use super::result::{NotFinite, StepError, StepResult};
use super::step::{Outcome, Step, Updates};
use super::{Inner, Training, shard};
use crate::layer::InputType;
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
        self.run_dyn(model, loss, samples, order, budget, &())
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
        let profilers = PerThread::<P>::new();
        let result = self.run_dyn(model, loss, samples, order, budget, &profilers);
        (result, profilers.into_vec())
    }

    /// [`run_profiled`](Self::run_profiled) for trait objects.
    fn run_dyn(
        &mut self,
        model: &mut Model<T>,
        loss: &dyn Loss<T>,
        samples: &dyn DynSamples<T>,
        order: &[u32],
        budget: StepBudget<'_>,
        profilers: &dyn Profilers,
    ) -> Result<Vec<StepResult>, StepError> {
        let optimizer = &self.optimizer;
        let run = Run { model, loss, samples, order, budget, optimizer, profilers, returned: None };
        T::dispatch::<RunSteps<'_, '_>>((&mut self.inner, run))
    }

    /// [`gradients`](Self::gradients) for trait objects.
    pub(crate) fn gradients_dyn(
        &mut self,
        model: &mut Model<T>,
        loss: &dyn Loss<T>,
        samples: &dyn DynSamples<T>,
        batch: &[u32],
        budget: StepBudget<'_>,
    ) -> Result<Gradients<T>, StepError> {
        assert!(
            !batch.is_empty() && batch.len() <= self.inner.batch_size,
            "{} samples in a batch, expected 1 to {}",
            batch.len(),
            self.inner.batch_size
        );
        let mut block = Buffer::try_zeros(model.block().len())?;
        let run = Run {
            model: &mut *model,
            loss,
            samples,
            order: batch,
            budget: StepBudget { time: None, ..budget },
            optimizer: &self.optimizer,
            profilers: &(),
            returned: Some(&mut block),
        };
        let results = T::dispatch::<RunSteps<'_, '_>>((&mut self.inner, run))?;
        Ok(Gradients {
            result: results.first().copied().unwrap_or_default(),
            layout: Arc::clone(&self.inner.layout),
            present: model.trainable().collect(),
            block,
        })
    }
}

/// The arguments of a run.
struct Run<'r, T: Scalar> {
    model: &'r mut Model<T>,
    loss: &'r dyn Loss<T>,
    samples: &'r dyn DynSamples<T>,
    order: &'r [u32],
    budget: StepBudget<'r>,
    optimizer: &'r dyn DynOptimizer<T>,
    profilers: &'r dyn Profilers,
    /// Memory for the gradients of all weights, if they are returned instead of updating the weights.
    returned: Option<&'r mut Buffer<T>>,
}

/// [`Inner::run`], compiled for `f32`.
struct RunSteps<'c, 'r>(PhantomData<(&'c (), &'r ())>);

impl<'c, 'r> ScalarFunction for RunSteps<'c, 'r> {
    type Input<T: Scalar> = (&'c mut Inner<T>, Run<'r, T>);
    type Output<T: Scalar> = Result<Vec<StepResult>, StepError>;

    fn call<T: Scalar>((inner, run): Self::Input<T>) -> Self::Output<T> {
        inner.run(run)
    }

    fn call_f32(input: Self::Input<f32>) -> Self::Output<f32> {
        Self::call(input)
    }
}

impl<T: Scalar> Inner<T> {
    /// Makes one step per batch.
    fn run(&mut self, mut run: Run<'_, T>) -> Result<Vec<StepResult>, StepError> {
        if let Some(returned) = run.returned.take() {
            return self.run_steps(run, GradientUse::Returned, Some(returned));
        }
        let stores = self.clip.is_some() || self.accumulation > 1;
        if stores {
            self.ensure_gradient()?;
        }
        let norms = matches!(self.clip, Some(Clip::Norm(_) | Clip::GlobalNorm(_)));
        let gradients = if stores { GradientUse::Stored { norms } } else { GradientUse::Fused };
        let mut gradient = self.gradient.take();
        let memory = gradient.as_mut().filter(|_| stores);
        let outcome = self.run_steps(run, gradients, memory);
        self.gradient = gradient;
        outcome
    }

    /// Makes one step per batch, with this use of the gradients.
    fn run_steps(
        &mut self,
        run: Run<'_, T>,
        gradients: GradientUse,
        mut gradient: Option<&mut Buffer<T>>,
    ) -> Result<Vec<StepResult>, StepError> {
        let Run { model, loss, samples, order, budget, optimizer, profilers, .. } = run;
        self.check_model(model)?;
        check_dyn(model, loss, samples)?;
        if gradients != GradientUse::Returned {
            self.assert_not_swapped();
        }
        let Some(&largest) = order.iter().max() else {
            return Ok(Vec::new());
        };
        let count = samples.count();
        assert!((largest as usize) < count, "the order has sample {largest}, there are {count} samples");
        let input = samples.input_type();
        if input == InputType::Pixels {
            model.set_takes_pixels(true);
        }
        self.begin_average(model);
        let (layers, weights) = model.parts_mut(input);
        if !self.buffers.is_for(&layers) {
            self.buffers = Buffers::new(&layers, self.batch_size)?;
        }
        let threads = budget.threads.clamp(1, budget.team.size());
        let first_by_outputs =
            gradients == GradientUse::Fused && shard::is_worth_it(&layers, input, threads, self.state.len());
        let plan = Plan::compile(&PlanInputs { layers: &layers, threads, first_by_outputs, gradients });
        let last = last_output_kind(layers.last().expect("a model has a layer that computes"), loss);
        let mut outcome = None;
        let mut target_error = None;
        samples.with_batches(order.len().min(self.batch_size), &mut |batches| {
            let step = Step {
                plan: &plan,
                updates: Updates {
                    optimizer,
                    iteration: self.iteration,
                    learning_rate: &self.learning_rate,
                    clip: self.clip,
                    accumulation: if gradients == GradientUse::Returned { 1 } else { self.accumulation },
                    accumulated: self.accumulated,
                    ema_momentum: self.ema_momentum,
                },
                seed: self.seed,
                epoch_seed: EpochSeed { seed: self.seed, epoch: self.epoch },
                first_batch: self.batches,
                batch_size: self.batch_size,
                last,
                layers: &layers,
                loss,
                samples,
                batches,
                weights: Shared::new(weights),
                state: self.state.iter_mut().map(|state| Shared::new(state)).collect(),
                memory: self.buffers.share(&layers, gradient.as_deref_mut()),
                deadline: budget.time.map(|time| Instant::now() + time),
                time_is_up: AtomicBool::new(false),
                target_error: Mutex::new(None),
            };
            let outcomes = budget.team.run_some(threads, |worker| {
                let mut outcome = None;
                profilers.with(worker.index(), &mut |end| outcome = Some(step.run(worker, order, end)));
                outcome
            });
            // All threads agree. The first one has the results.
            outcome = outcomes.into_iter().flatten().next();
            target_error = step.target_error.into_inner().unwrap_or_else(PoisonError::into_inner);
        });
        let Outcome { results, updates, not_finite } = outcome.expect("a team has at least one thread");
        self.batches += results.len() as u64;
        if gradients != GradientUse::Returned {
            self.iteration += updates;
            self.accumulated = (self.accumulated + results.len() as u64) % self.accumulation;
        }
        match (target_error, not_finite) {
            (Some(error), _) => Err(StepError::Fit(error)),
            (None, Some(loss)) => Err(StepError::NotFinite(NotFinite { results, loss })),
            (None, None) => Ok(results),
        }
    }
}
