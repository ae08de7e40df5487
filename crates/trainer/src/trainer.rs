//! Keras's `fit`.

use std::time::Instant;

use ziffer_dataset::View;
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::team::Team;
use ziffer_nn::training::{NotFinite, StepResult, Stretch, check as check_fit};
use ziffer_nn::{Loss, Model, Optimizer, Samples, Training};

use crate::callback::{BatchLog, Callback, Flow, Plan};
use crate::crew::Crew;
use crate::pixels::{self, Pixels};
use crate::{EpochLog, History, TrainError};

/// How a model is trained.
///
/// | setting | meaning | default (Keras's) |
/// |---|---|---|
/// | epochs | how often each sample is used, at least 1 | 1 |
/// | batch_size | samples of a step, at least 1; the last batch of an epoch may be smaller | 32 |
/// | validation_split | the share at the end of the data that is set aside and never shuffled, 0 to below 1 | 0 |
/// | shuffle | a new order in every epoch, or the data's order in each | true |
/// | seed | what the orders are drawn from | 0 |
/// | threads | threads that share each step, at least 1; fewer do while the machine is busy | the CPUs that the process may use |
///
/// The result is the same, to the bit, for any number of threads.
pub struct Trainer<'a, O, L> {
    optimizer: O,
    loss: L,
    epochs: usize,
    batch_size: usize,
    validation_split: f64,
    shuffle: bool,
    seed: u64,
    threads: usize,
    callbacks: Vec<Box<dyn Callback + 'a>>,
}

/// The CPUs that this process may use: of the machine, by its affinity and its quota.
pub fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl<'a, O: Optimizer<f32>, L: Loss<f32>> Trainer<'a, O, L> {
    /// A trainer with the settings' defaults.
    pub fn new(optimizer: O, loss: L) -> Self {
        Self {
            optimizer,
            loss,
            epochs: 1,
            batch_size: 32,
            validation_split: 0.0,
            shuffle: true,
            seed: 0,
            threads: available_threads(),
            callbacks: Vec::new(),
        }
    }

    /// Sets the number of epochs.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// Sets the number of samples of a step.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Sets the share that is set aside for validation.
    pub fn validation_split(mut self, validation_split: f64) -> Self {
        self.validation_split = validation_split;
        self
    }

    /// Sets whether each epoch has an order of its own.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// Sets what the orders are drawn from.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the number of threads.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Adds a callback; they are called in the order in which they were added.
    pub fn callback(mut self, callback: impl Callback + 'a) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Trains `model` on a data set, of which the last part is set aside for validation.
    ///
    /// # Errors
    /// A setting out of its range, data that do not fit the model, a loss that is not finite, or a callback's error.
    pub fn fit<'d>(&mut self, model: &mut Model, data: impl Into<View<'d>>) -> Result<History, TrainError> {
        let data = data.into();
        self.validate()?;
        pixels::check(model, data)?;
        let (train, validation) = data.split(self.validation_split)?;
        self.fit_samples(model, &Pixels(train), (!validation.is_empty()).then_some(&Pixels(validation)))
    }

    /// Trains `model` on any samples, with others for validation if there are any. `validation_split` does not count.
    ///
    /// # Errors
    /// As for [`fit`](Self::fit).
    pub fn fit_samples<S: Samples<f32>>(
        &mut self,
        model: &mut Model,
        train: &S,
        validation: Option<&S>,
    ) -> Result<History, TrainError> {
        self.validate()?;
        if train.is_empty() {
            return Err(TrainError::Empty);
        }
        let n = u32::try_from(train.len())
            .map_err(|_| setting("samples", train.len(), "at most 4,294,967,295"))?;
        check_fit(model, &self.loss, train)?;
        let team = Team::new(self.threads)
            .map_err(|error| TrainError::Threads { threads: self.threads, reason: error.to_string() })?;
        let batch_size = self.batch_size.min(train.len());
        let mut training = Training::new(model, self.optimizer.clone(), batch_size)?;
        let plan = Plan {
            epochs: self.epochs,
            steps: train.len().div_ceil(batch_size),
            validates: validation.is_some(),
        };
        self.each_callback(|callback| callback.on_train_begin(&plan, model))?;
        let mut crew = Crew::new(team.size());
        let mut history = History::default();
        let mut order: Vec<u32> = (0..n).collect();
        for epoch in 0..self.epochs {
            self.callbacks.iter_mut().for_each(|callback| callback.on_epoch_begin(epoch));
            let start = Instant::now();
            if self.shuffle {
                // From the data's order, so that an epoch's order does not depend on the epochs before.
                order.iter_mut().zip(0..).for_each(|(sample, index)| *sample = index);
                Stream::new(self.seed, Purpose::Shuffle, epoch as u64).shuffle(&mut order);
            }
            let mean = self.epoch(epoch, model, &mut training, train, &order, (&team, &mut crew))?;
            let validated = validation
                .map(|samples| team.install(|| model.evaluate_with(&self.loss, samples)))
                .transpose()?;
            if let Some(validated) = validated.filter(|validated| !validated.loss.is_finite()) {
                return Err(TrainError::ValidationNotFinite { epoch: epoch + 1, loss: validated.loss });
            }
            let log = EpochLog {
                epoch,
                epochs: self.epochs,
                steps: plan.steps,
                loss: mean.loss(),
                accuracy: mean.hits as f64 / mean.samples as f64,
                val_loss: validated.map(|validated| validated.loss),
                val_accuracy: validated.map(|validated| validated.accuracy),
                seconds: start.elapsed().as_secs_f64(),
            };
            history.push(&log);
            let mut flow = Flow::Continue;
            self.each_callback(|callback| {
                if callback.on_epoch_end(&log, model)? == Flow::Stop {
                    flow = Flow::Stop;
                }
                Ok(())
            })?;
            if flow == Flow::Stop {
                break;
            }
        }
        self.each_callback(|callback| callback.on_train_end(model))?;
        Ok(history)
    }

    /// One epoch's steps, in stretches; returns the sums over all of them.
    fn epoch<S: Samples<f32>>(
        &mut self,
        epoch: usize,
        model: &mut Model,
        training: &mut Training<f32, O>,
        train: &S,
        order: &[u32],
        (team, crew): (&Team, &mut Crew),
    ) -> Result<StepResult, TrainError> {
        let batch_size = self.batch_size.min(train.len());
        let mut sum = StepResult::default();
        let mut step = 0;
        while step * batch_size < order.len() {
            let (members, time) = crew.next();
            let stretch = Stretch { team, members, time: Some(time) };
            let start = Instant::now();
            let outcome = training.run(model, &self.loss, train, &order[step * batch_size..], stretch);
            let (results, not_finite) = match outcome {
                Ok(results) => (results, None),
                Err(NotFinite { results, loss }) => (results, Some(loss)),
            };
            crew.report(results.len(), start.elapsed());
            for result in &results {
                sum.loss_sum += result.loss_sum;
                sum.hits += result.hits;
                sum.samples += result.samples;
                let log = BatchLog {
                    epoch,
                    step,
                    loss: result.loss(),
                    mean_loss: sum.loss(),
                    mean_accuracy: sum.hits as f64 / sum.samples as f64,
                };
                self.callbacks.iter_mut().for_each(|callback| callback.on_batch_end(&log));
                step += 1;
            }
            if let Some(loss) = not_finite {
                return Err(TrainError::NotFinite { epoch: epoch + 1, step: step + 1, loss });
            }
        }
        Ok(sum)
    }

    fn each_callback(
        &mut self,
        mut call: impl FnMut(&mut dyn Callback) -> Result<(), crate::callback::CallbackError>,
    ) -> Result<(), TrainError> {
        for callback in &mut self.callbacks {
            call(callback.as_mut())
                .map_err(|source| TrainError::Callback { callback: callback.name(), source })?;
        }
        Ok(())
    }

    fn validate(&self) -> Result<(), TrainError> {
        for (name, value) in
            [("epochs", self.epochs), ("batch_size", self.batch_size), ("threads", self.threads)]
        {
            if value == 0 {
                return Err(setting(name, value, "at least 1"));
            }
        }
        if !(0.0..1.0).contains(&self.validation_split) {
            return Err(setting("validation_split", self.validation_split, "a number from 0 to below 1"));
        }
        Ok(self.optimizer.validate()?)
    }
}

impl<O: std::fmt::Debug, L: std::fmt::Debug> std::fmt::Debug for Trainer<'_, O, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let callbacks: Vec<_> = self.callbacks.iter().map(|callback| callback.name()).collect();
        f.debug_struct("Trainer")
            .field("optimizer", &self.optimizer)
            .field("loss", &self.loss)
            .field("epochs", &self.epochs)
            .field("batch_size", &self.batch_size)
            .field("validation_split", &self.validation_split)
            .field("shuffle", &self.shuffle)
            .field("seed", &self.seed)
            .field("threads", &self.threads)
            .field("callbacks", &callbacks)
            .finish()
    }
}

fn setting(setting: &'static str, value: impl ToString, expected: &'static str) -> TrainError {
    TrainError::Setting { setting, value: value.to_string(), expected }
}
