//! The epochs of a training.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ziffer_dataset::augment::Distortion;
use ziffer_nn::layer::{Feature, InputType};
use ziffer_nn::team::Team;
use ziffer_nn::training::{NotFinite, check as check_fit, check_targets};
use ziffer_nn::{Loss, Model, Optimizer, Samples, StepBudget, StepError, Training};

use crate::callback::{BatchLog, Callback, CallbackError, EpochContext, Flow, Plan, TrainingContext};
use crate::checkpoints::{Epoch, Found, INITIAL_WEIGHTS, Keeper, Resumed, Settings, Standing};
use crate::crew::Crew;
use crate::data::Validation;
use crate::order::{Orders, Shuffle, Shuffling};
use crate::trainer::setting;
use crate::{CheckpointError, Checkpoints, EpochLog, History, TrainError, Trainer};

/// What the epochs of a training work with.
struct Fit<'m, S, O> {
    model: &'m mut Model,
    training: Training<f32, O>,
    train: &'m S,
    batch_size: usize,
    team: Team,
    crew: Crew,
    keeper: Option<Keeper>,
    standing: Standing,
    has_accuracy: bool,
}

impl<O: Optimizer<f32>, L: Loss<f32>> Trainer<'_, O, L> {
    /// The share to cut off for validation; none where there are data of its own.
    pub(crate) fn split_to_cut_off(&self) -> f64 {
        if self.validation.is_some() { 0.0 } else { self.validation_split }
    }

    /// Trains on all samples of `train`, validating on `of_split` or the data of its own.
    pub(crate) fn fit_shuffled<S: Samples<f32>>(
        &mut self,
        model: &mut Model,
        train: &S,
        of_split: Option<&dyn Validation<L>>,
        shuffle: Shuffle,
    ) -> Result<History, TrainError> {
        // Taken out, for callbacks are called meanwhile.
        let own = self.validation.take();
        let result = self.fit_with(model, train, own.as_deref().or(of_split), shuffle);
        self.validation = own;
        result
    }

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
        u32::try_from(train.len()).map_err(|_| setting("samples", train.len(), "at most 4,294,967,295"))?;
        check_fit(model, &self.loss, train)?;
        check_targets(model, &self.loss, train)?;
        if let Some(validation) = validation {
            validation.check(model, &self.loss)?;
        }
        // Also where a resumed training has no step to make.
        if <S::Value as Feature<f32>>::input_type() == InputType::Pixels {
            model.set_takes_pixels(true);
        }
        let team = Team::new(self.threads)
            .map_err(|error| TrainError::Threads { threads: self.threads, reason: error.to_string() })?;
        let batch_size = self.batch_size.min(train.len());
        let training = Training::new(model, self.optimizer.clone(), batch_size)?
            .seed(self.seed)
            .clip(self.clip)
            .accumulation(self.accumulation)
            .ema(self.ema_momentum)?;
        let sample_bytes = train.features() * size_of::<S::Value>();
        let shuffling = Shuffling::new(shuffle, sample_bytes, batch_size);
        let plan = Plan {
            epochs: self.epochs,
            steps: train.len().div_ceil(batch_size),
            validates: validation.is_some(),
            samples: train.len(),
            bytes: train.len().saturating_mul(sample_bytes),
            shuffling,
            // A loss that needs an activation is of probabilities.
            has_accuracy: self.loss.activation().is_some()
                || (0..train.len()).all(|sample| train.target(sample).is_class()),
            sets_learning_rate: self.schedule.is_some()
                || self.callbacks.iter().any(Callback::sets_learning_rate),
        };
        self.each_callback(|callback| callback.on_train_begin(&plan, model))?;
        let keeper = self.checkpoints.as_ref().map(|checkpoints| {
            let settings = self.settings(checkpoints, model, &plan, validation.map_or(0, Validation::len));
            Keeper::new(checkpoints, settings)
        });
        let crew = Crew::new(team.size());
        let keeper = keeper.transpose()?;
        let standing = Standing::default();
        let has_accuracy = plan.has_accuracy;
        let mut fit = Fit { model, training, train, batch_size, team, crew, keeper, standing, has_accuracy };
        let Plan { steps, samples, validates, has_accuracy, .. } = plan;
        self.resume(&mut fit, Epoch { steps, batch_size, samples, validates, has_accuracy })?;
        if let Some(schedule) = self.schedule.as_ref().filter(|_| !fit.standing.rate_is_set) {
            fit.training.set_schedule(Arc::clone(schedule));
        }

        let mut orders = Orders::new(shuffling, self.seed, train.len(), batch_size);
        // Of every other window this is done while steps are made of the one before.
        let begin = fit.standing.step * batch_size / orders.window_len();
        if begin < orders.windows() {
            orders.ranges(fit.standing.epoch, begin).into_iter().for_each(|range| train.will_need(range));
        }
        for epoch in fit.standing.epoch..self.epochs {
            if fit.standing.stopped {
                break;
            }
            let mut context = EpochContext::new(fit.standing.step, fit.training.learning_rate());
            self.each_callback(|callback| callback.on_epoch_begin(epoch, &mut context))?;
            if let Some(rate) = context.learning_rate_set() {
                fit.training.set_learning_rate(checked_rate(rate)?);
                fit.standing.rate_is_set = true;
            }
            let start = Instant::now();
            let seconds_before = fit.standing.seconds;
            fit.training.set_epoch(epoch as u64);
            self.windows(&mut fit, &mut orders)?;
            if fit.standing.stopped {
                fit.save(&self.callbacks)?;
                break;
            }
            // What is validated and shown is the average of the weights, where one is kept.
            fit.training.swap_average(fit.model)?;
            let validated = validation
                .map(|samples| {
                    let evaluation = fit.team.install(|| samples.evaluate(fit.model, &self.loss))?;
                    samples.finish(orders.windows() > 1).map(|()| evaluation)
                })
                .transpose()?;
            if let Some(validated) = validated.filter(|validated| !validated.loss.is_finite()) {
                if !self.ends_on_not_finite(epoch, None, validated.loss) {
                    return Err(TrainError::ValidationNotFinite { epoch: epoch + 1, loss: validated.loss });
                }
                fit.training.swap_average(fit.model)?;
                fit.standing.stopped = true;
                fit.save(&self.callbacks)?;
                break;
            }
            let mean = fit.standing.sum();
            let log = EpochLog {
                epoch,
                epochs: self.epochs,
                steps: plan.steps,
                loss: mean.loss(),
                accuracy: plan.has_accuracy.then(|| mean.hits as f64 / mean.samples as f64),
                val_loss: validated.map(|validated| validated.loss),
                val_accuracy: validated.filter(|_| plan.has_accuracy).map(|validated| validated.accuracy),
                seconds: seconds_before + start.elapsed().as_secs_f64(),
                learning_rate: fit.training.learning_rate(),
            };
            let mut history = std::mem::take(&mut fit.standing.history);
            history.push(&log);
            let mut flow = Flow::Continue;
            let rate = fit.training.learning_rate();
            let mut context = TrainingContext { model: fit.model, learning_rate: rate };
            self.each_callback(|callback| {
                if callback.on_epoch_end(&log, &mut context)? == Flow::Stop {
                    flow = Flow::Stop;
                }
                Ok(())
            })?;
            let asked = context.learning_rate;
            let sets_rate = asked.to_bits() != rate.to_bits();
            if sets_rate {
                fit.training.set_learning_rate(checked_rate(asked)?);
            }
            fit.training.swap_average(fit.model)?;
            let stopped = flow == Flow::Stop;
            let rate_is_set = fit.standing.rate_is_set || sets_rate;
            fit.standing =
                Standing { epoch: epoch + 1, stopped, rate_is_set, history, ..Standing::default() };
            fit.save_after_epoch(stopped || epoch + 1 == self.epochs, &self.callbacks)?;
        }
        fit.wait()?;
        fit.training.swap_average(fit.model)?;
        self.each_callback(|callback| callback.on_train_end(fit.model))?;
        Ok(fit.standing.history)
    }

    /// What must be the same when a training goes on.
    fn settings(&self, checkpoints: &Checkpoints, model: &Model, plan: &Plan, validation: usize) -> Settings {
        let mut settings = checkpoints.settings.clone();
        let mut set = |name: &str, value: String| settings.insert(name.to_owned(), value);
        set("optimizer", format!("{:?}", self.optimizer));
        if let Some(clip) = self.clip {
            set(clip.name(), clip.bound().to_string());
        }
        if let Some(momentum) = self.ema_momentum {
            set("ema_momentum", momentum.to_string());
        }
        if self.accumulation > 1 {
            set("gradient_accumulation_steps", self.accumulation.to_string());
        }
        if let Some(schedule) = &self.schedule {
            set("learning rate schedule", format!("{schedule:?}"));
        }
        if let Some(distortion) = &self.augmentation {
            let Distortion {
                rotation_degrees,
                scale,
                shear,
                shift_pixels,
                elastic_pixels,
                elastic_spacing_pixels,
            } = distortion;
            for (name, value) in [
                ("augment.rotation_degrees", rotation_degrees),
                ("augment.scale", scale),
                ("augment.shear", shear),
                ("augment.shift_pixels", shift_pixels),
                ("augment.elastic_pixels", elastic_pixels),
                ("augment.elastic_spacing_pixels", elastic_spacing_pixels),
            ] {
                set(name, value.to_string());
            }
        }
        set("loss", format!("{:?}", self.loss));
        set("batch_size", self.batch_size.to_string());
        set("shuffle", plan.shuffling.to_string());
        set("seed", self.seed.to_string());
        set("training samples", plan.samples.to_string());
        set("validation samples", validation.to_string());
        set(INITIAL_WEIGHTS, model.weights_sha256());
        settings
    }

    /// Goes to where the newest checkpoint stands, if that is wanted; else this training is made the newest.
    fn resume<S>(&mut self, fit: &mut Fit<'_, S, O>, epoch: Epoch) -> Result<(), TrainError> {
        let wanted = self.checkpoints.as_ref().is_some_and(|checkpoints| checkpoints.resume);
        let Some(keeper) = &mut fit.keeper else { return Ok(()) };
        if !wanted {
            return Ok(keeper.start_over(fit.model, &fit.training, &states(&self.callbacks))?);
        }
        let callbacks = &mut self.callbacks;
        let pass_over = |path: &Path, reason: &str| {
            callbacks.iter_mut().for_each(|callback| callback.on_checkpoint_passed_over(path, reason));
        };
        let found = keeper.resume(fit.model, &mut fit.training, (self.epochs, epoch), pass_over)?;
        let Some(Found { path, mut standing, mut states }) = found else { return Ok(()) };
        // Older files do not say the rates, which were constant.
        standing.history.learning_rate.resize(standing.epoch, fit.training.learning_rate());
        let (epoch, step) = (standing.epoch, standing.step);
        let mut resumed = Resumed { path, epoch, step, history: standing.history.clone(), state: None };
        fit.standing = standing;
        for (name, callback) in names(&self.callbacks).into_iter().zip(&mut self.callbacks) {
            resumed.state = states.remove(&name);
            callback.on_resume(&resumed).map_err(|source| {
                let (path, callback) = (resumed.path.clone(), callback.name());
                CheckpointError::Callback { path, callback, source }
            })?;
        }
        self.pass_messages_on();
        Ok(())
    }

    /// What is left of an epoch, window by window; a thread reads the next one ahead.
    fn windows<S: Samples<f32>>(
        &mut self,
        fit: &mut Fit<'_, S, O>,
        orders: &mut Orders,
    ) -> Result<(), TrainError> {
        let (epoch, train) = (fit.standing.epoch, fit.train);
        let first = fit.standing.step * fit.batch_size / orders.window_len();
        let mut order = Vec::new();
        for window in first..orders.windows() {
            let here = orders.ranges(epoch, window);
            orders.order(epoch, window, &mut order);
            // Last, for it may go over to the next epoch's blocks.
            let after = if window + 1 < orders.windows() {
                orders.ranges(epoch, window + 1)
            } else if epoch + 1 < self.epochs {
                orders.ranges(epoch + 1, 0)
            } else {
                Vec::new()
            };
            let start = window * orders.window_len();
            std::thread::scope(|scope| {
                if !after.is_empty() {
                    // Without a thread to spare, samples come when they are asked for.
                    let read = || after.into_iter().for_each(|range| train.will_need(range));
                    let _ = std::thread::Builder::new().spawn_scoped(scope, read);
                }
                self.steps(fit, start, &order)
            })?;
            here.into_iter().for_each(|range| train.release(range));
            if fit.standing.stopped {
                break;
            }
        }
        Ok(())
    }

    /// The steps that are left of a window that begins with the epoch's sample `start`, in stretches; adds to the sums.
    fn steps<S: Samples<f32>>(
        &mut self,
        fit: &mut Fit<'_, S, O>,
        start: usize,
        order: &[u32],
    ) -> Result<(), TrainError> {
        let epoch = fit.standing.epoch;
        let mut sum = fit.standing.sum();
        while fit.standing.step * fit.batch_size - start < order.len() {
            let rest = &order[fit.standing.step * fit.batch_size - start..];
            let due = fit.keeper.as_ref().and_then(|keeper| keeper.steps_left(fit.training.batches()));
            let due = due.map_or(usize::MAX, |steps| usize::try_from(steps).unwrap_or(usize::MAX));
            let asked = self.callbacks.iter().filter_map(Callback::steps_until_model).min();
            let most = due.min(asked.map_or(usize::MAX, |steps| steps.max(1)));
            let batches = &rest[..most.saturating_mul(fit.batch_size).min(rest.len())];
            let (members, time) = fit.crew.next();
            let budget = StepBudget { team: &fit.team, threads: members, time: Some(time) };
            let began = Instant::now();
            let first = fit.training.batches();
            let outcome = fit.training.run(fit.model, &self.loss, fit.train, batches, budget);
            let elapsed = began.elapsed();
            let (results, not_finite) = match outcome {
                Ok(results) => (results, None),
                Err(StepError::NotFinite(NotFinite { results, loss })) => (results, Some(loss)),
                Err(StepError::Fit(error)) => return Err(error.into()),
                Err(StepError::Memory(error)) => return Err(error.into()),
            };
            fit.crew.report(results.len(), elapsed);
            fit.standing.seconds += elapsed.as_secs_f64();
            let mut last = None;
            for (batch, result) in (first..).zip(&results) {
                sum.loss_sum += result.loss_sum;
                sum.hits += result.hits;
                sum.samples += result.samples;
                let log = BatchLog {
                    epoch,
                    step: fit.standing.step,
                    loss: result.loss(),
                    mean_loss: sum.loss(),
                    mean_accuracy: fit.has_accuracy.then(|| sum.hits as f64 / sum.samples as f64),
                    learning_rate: fit.training.learning_rate_at(batch / self.accumulation),
                };
                self.callbacks.iter_mut().for_each(|callback| callback.on_batch_end(&log));
                last = Some(log);
                fit.standing.step += 1;
            }
            fit.standing.set_sum(sum);
            // Before anything of it is kept.
            fit.train.check().map_err(TrainError::Samples)?;
            if let Some(log) = last {
                self.each_callback(|callback| match callback.steps_until_model() {
                    Some(0) => callback.on_model(&log, fit.model),
                    _ => Ok(()),
                })?;
            }
            if let Some(loss) = not_finite {
                if self.ends_on_not_finite(epoch, Some(fit.standing.step), loss) {
                    fit.standing.stopped = true;
                    return Ok(());
                }
                return Err(TrainError::NotFinite { epoch: epoch + 1, step: fit.standing.step + 1, loss });
            }
            let interrupted = self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
            if interrupted || results.len() == due {
                fit.save(&self.callbacks)?;
            }
            if interrupted {
                let checkpoint = fit.wait()?;
                return Err(TrainError::Interrupted {
                    epoch: epoch + 1,
                    step: fit.standing.step,
                    checkpoint,
                });
            }
        }
        Ok(())
    }

    fn each_callback(
        &mut self,
        mut call: impl FnMut(&mut dyn Callback) -> Result<(), CallbackError>,
    ) -> Result<(), TrainError> {
        for callback in &mut self.callbacks {
            call(callback.as_mut())
                .map_err(|source| TrainError::Callback { callback: callback.name(), source })?;
        }
        self.pass_messages_on();
        Ok(())
    }

    /// Whether a callback has a loss that is not finite end training without an error.
    fn ends_on_not_finite(&mut self, epoch: usize, step: Option<usize>, loss: f64) -> bool {
        // Each is asked.
        let ends = |ends: bool, callback: &mut Box<dyn Callback + '_>| {
            callback.ends_on_not_finite(epoch, step, loss) || ends
        };
        let ends = self.callbacks.iter_mut().fold(false, ends);
        self.pass_messages_on();
        ends
    }

    /// Hands what callbacks have to say to all of them.
    fn pass_messages_on(&mut self) {
        let messages: Vec<String> = self.callbacks.iter_mut().flat_map(Callback::take_messages).collect();
        for message in &messages {
            self.callbacks.iter_mut().for_each(|callback| callback.on_message(message));
        }
    }
}

fn checked_rate(rate: f64) -> Result<f64, TrainError> {
    let is_good = rate > 0.0 && rate.is_finite();
    is_good.then_some(rate).ok_or_else(|| setting("learning_rate", rate, "a positive number"))
}

/// The names under which callbacks' states are kept: by their own, so that others may come and go.
fn names(callbacks: &[Box<dyn Callback + '_>]) -> Vec<String> {
    let mut names = Vec::with_capacity(callbacks.len());
    for (index, callback) in callbacks.iter().enumerate() {
        let name = callback.name();
        let before = callbacks[..index].iter().filter(|other| other.name() == name).count();
        names.push(format!("callback/{name}/{before}"));
    }
    names
}

fn states(callbacks: &[Box<dyn Callback + '_>]) -> Vec<(String, Vec<u8>)> {
    let states = names(callbacks).into_iter().zip(callbacks);
    states.filter_map(|(name, callback)| Some((name, callback.state()?))).collect()
}

impl<S, O: Optimizer<f32>> Fit<'_, S, O> {
    fn save(&mut self, callbacks: &[Box<dyn Callback + '_>]) -> Result<(), TrainError> {
        if let Some(keeper) = &mut self.keeper {
            keeper.save(self.model, &self.training, &self.standing, &states(callbacks))?;
        }
        Ok(())
    }

    fn save_after_epoch(
        &mut self,
        is_last: bool,
        callbacks: &[Box<dyn Callback + '_>],
    ) -> Result<(), TrainError> {
        let due = self.keeper.as_ref().is_some_and(|keeper| keeper.is_due(self.standing.epoch));
        if due || is_last { self.save(callbacks) } else { Ok(()) }
    }

    fn wait(&mut self) -> Result<Option<PathBuf>, TrainError> {
        Ok(self.keeper.as_mut().map(Keeper::wait).transpose()?.flatten())
    }
}
