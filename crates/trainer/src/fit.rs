//! The epochs of a training.

mod callbacks;
mod epoch;
mod resume;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use ziffer_nn::layer::{InputType, SampleValue};
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::training::{check as check_fit, check_targets};
use ziffer_nn::{Loss, Model, Optimizer, Samples, Training};

use crate::callback::{Callback, EpochBeginContext, EpochEndContext, Flow, TrainingParams};
use crate::checkpoints::{CheckpointWriter, EpochLayout, TrainState};
use crate::sampler::{Sampler, Shuffle, ShuffleMethod};
use crate::thread_tuner::ThreadTuner;
use crate::validation::Validation;
use crate::{EpochLog, History, TrainError, Trainer};

use callbacks::callback_states;

/// The data of a training in progress.
struct Fit<'m, S, O> {
    model: &'m mut Model,
    training: Training<f32, O>,
    train: &'m S,
    batch_size: usize,
    team: ThreadTeam,
    tuner: ThreadTuner,
    checkpoints: Option<CheckpointWriter>,
    state: TrainState,
    has_accuracy: bool,
}

impl<O: Optimizer<f32>, L: Loss<f32>> Trainer<'_, O, L> {
    /// The fraction of the data for validation: 0 if there is a separate validation set.
    pub(crate) fn effective_split(&self) -> f64 {
        if self.validation.is_some() { 0.0 } else { self.validation_split }
    }

    /// Trains on all samples of `train`. Validates on the separate validation set, or else on `split_off`.
    pub(crate) fn fit_shuffled<S: Samples<f32>>(
        &mut self,
        model: &mut Model,
        train: &S,
        split_off: Option<&dyn Validation<L>>,
        shuffle: Shuffle,
    ) -> Result<History, TrainError> {
        // Taken out, since `self` is borrowed mutably to call callbacks.
        let separate = self.validation.take();
        let result = self.fit_with(model, train, separate.as_deref().or(split_off), shuffle);
        self.validation = separate;
        result
    }

    /// Trains on `train`, and validates on `validation` after each epoch.
    fn fit_with<S: Samples<f32>>(
        &mut self,
        model: &mut Model,
        train: &S,
        validation: Option<&dyn Validation<L>>,
        shuffle: Shuffle,
    ) -> Result<History, TrainError> {
        self.validate()?;
        if train.is_empty() {
            return Err(TrainError::Empty);
        }
        u32::try_from(train.len())
            .map_err(|_| TrainError::setting("samples", train.len(), "at most 4,294,967,295"))?;
        check_fit(model, &self.loss, train)?;
        check_targets(model, &self.loss, train)?;
        if let Some(validation) = validation {
            validation.check(model, &self.loss)?;
        }
        // Also set if a resumed training has no steps left.
        if <S::Value as SampleValue<f32>>::input_type() == InputType::Pixels {
            model.set_takes_pixels(true);
        }
        let team = ThreadTeam::new(self.threads)
            .map_err(|error| TrainError::Threads { threads: self.threads, reason: error.to_string() })?;
        let batch_size = self.batch_size.min(train.len());
        let training = Training::new(model, self.optimizer.clone(), batch_size)?
            .seed(self.seed)
            .clip(self.clip)
            .accumulation(self.accumulation)
            .ema(self.ema_momentum)?;
        let sample_bytes = train.features() * size_of::<S::Value>();
        let shuffle = ShuffleMethod::new(shuffle, sample_bytes, batch_size);
        let params = TrainingParams {
            epochs: self.epochs,
            steps: train.len().div_ceil(batch_size),
            has_validation: validation.is_some(),
            samples: train.len(),
            bytes: train.len().saturating_mul(sample_bytes),
            shuffle,
            // A loss that includes an activation is for probabilities.
            has_accuracy: self.loss.activation().is_some()
                || (0..train.len()).all(|sample| train.target(sample).is_class()),
            sets_learning_rate: self.schedule.is_some()
                || self.callbacks.iter().any(Callback::sets_learning_rate),
        };
        self.each_callback(|callback| callback.on_train_begin(&params, model))?;
        let checkpoints = self.checkpoints.as_ref().map(|checkpoints| {
            let settings = self.settings(checkpoints, model, &params, validation.map_or(0, Validation::len));
            CheckpointWriter::new(checkpoints, settings)
        });
        let checkpoints = checkpoints.transpose()?;
        let TrainingParams { steps, samples, has_validation, has_accuracy, .. } = params;
        let mut fit = Fit {
            model,
            training,
            train,
            batch_size,
            tuner: ThreadTuner::new(team.size()),
            team,
            checkpoints,
            state: TrainState::default(),
            has_accuracy,
        };
        self.resume(&mut fit, EpochLayout { steps, batch_size, samples, has_validation, has_accuracy })?;
        if let Some(schedule) = self.schedule.as_ref().filter(|_| !fit.state.rate_is_set) {
            fit.training.set_schedule(Arc::clone(schedule));
        }

        let mut sampler = Sampler::new(shuffle, self.seed, train.len(), batch_size);
        // The other windows are read ahead during the steps of the window before.
        let begin = fit.state.step * batch_size / sampler.window_len();
        if begin < sampler.windows() {
            sampler.ranges(fit.state.epoch, begin).into_iter().for_each(|range| train.will_need(range));
        }
        for epoch in fit.state.epoch..self.epochs {
            if fit.state.stopped {
                break;
            }
            let mut context = EpochBeginContext::new(fit.state.step, fit.training.learning_rate());
            self.each_callback(|callback| callback.on_epoch_begin(epoch, &mut context))?;
            if let Some(rate) = context.learning_rate_set() {
                fit.training.set_learning_rate(checked_rate(rate)?);
                fit.state.rate_is_set = true;
            }
            let start = Instant::now();
            let seconds_before = fit.state.seconds;
            fit.training.set_epoch(epoch as u64);
            self.run_epoch(&mut fit, &mut sampler)?;
            if fit.state.stopped {
                fit.save(&self.callbacks)?;
                break;
            }
            // Validation and callbacks use the average of the weights, if one is kept.
            fit.training.swap_average(fit.model)?;
            let validated = validation
                .map(|samples| {
                    let evaluation = fit.team.install(|| samples.evaluate(fit.model, &self.loss))?;
                    samples.finish(sampler.windows() > 1).map(|()| evaluation)
                })
                .transpose()?;
            if let Some(validated) = validated.filter(|validated| !validated.loss.is_finite()) {
                if !self.stops_on_non_finite(epoch, None, validated.loss) {
                    return Err(TrainError::ValidationNotFinite { epoch: epoch + 1, loss: validated.loss });
                }
                fit.training.swap_average(fit.model)?;
                fit.state.stopped = true;
                fit.save(&self.callbacks)?;
                break;
            }
            let mean = fit.state.sum();
            let log = EpochLog {
                epoch,
                epochs: self.epochs,
                steps: params.steps,
                loss: mean.loss(),
                accuracy: params.has_accuracy.then(|| mean.correct as f64 / mean.samples as f64),
                val_loss: validated.map(|validated| validated.loss),
                val_accuracy: validated.filter(|_| params.has_accuracy).map(|validated| validated.accuracy),
                seconds: seconds_before + start.elapsed().as_secs_f64(),
                learning_rate: fit.training.learning_rate(),
            };
            let mut history = std::mem::take(&mut fit.state.history);
            history.push(&log);
            let mut flow = Flow::Continue;
            let rate = fit.training.learning_rate();
            let mut context = EpochEndContext { model: fit.model, learning_rate: rate };
            self.each_callback(|callback| {
                if callback.on_epoch_end(&log, &mut context)? == Flow::Stop {
                    flow = Flow::Stop;
                }
                Ok(())
            })?;
            let new_rate = context.learning_rate;
            let sets_rate = new_rate.to_bits() != rate.to_bits();
            if sets_rate {
                fit.training.set_learning_rate(checked_rate(new_rate)?);
            }
            fit.training.swap_average(fit.model)?;
            let stopped = flow == Flow::Stop;
            let rate_is_set = fit.state.rate_is_set || sets_rate;
            fit.state =
                TrainState { epoch: epoch + 1, stopped, rate_is_set, history, ..TrainState::default() };
            fit.save_after_epoch(stopped || epoch + 1 == self.epochs, &self.callbacks)?;
        }
        fit.wait()?;
        fit.training.swap_average(fit.model)?;
        self.each_callback(|callback| callback.on_train_end(fit.model))?;
        Ok(fit.state.history)
    }
}

/// Checks a learning rate that a callback has set.
fn checked_rate(rate: f64) -> Result<f64, TrainError> {
    let is_valid = rate > 0.0 && rate.is_finite();
    is_valid.then_some(rate).ok_or_else(|| TrainError::setting("learning_rate", rate, "a positive number"))
}

impl<S, O: Optimizer<f32>> Fit<'_, S, O> {
    /// Writes a checkpoint, if there are checkpoints.
    fn save(&mut self, callbacks: &[Box<dyn Callback + '_>]) -> Result<(), TrainError> {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.save(self.model, &self.training, &self.state, &callback_states(callbacks))?;
        }
        Ok(())
    }

    /// Writes a checkpoint after an epoch, if one is due or the epoch is the last.
    fn save_after_epoch(
        &mut self,
        is_last: bool,
        callbacks: &[Box<dyn Callback + '_>],
    ) -> Result<(), TrainError> {
        let due = self.checkpoints.as_ref().is_some_and(|checkpoints| checkpoints.is_due(self.state.epoch));
        if due || is_last { self.save(callbacks) } else { Ok(()) }
    }

    /// Waits until the last checkpoint is written. Returns its path.
    fn wait(&mut self) -> Result<Option<PathBuf>, TrainError> {
        Ok(self.checkpoints.as_mut().map(CheckpointWriter::wait).transpose()?.flatten())
    }
}
