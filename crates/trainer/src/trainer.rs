//! Keras's `fit`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ziffer_dataset::augment::Distortion;
use ziffer_nn::optimizer::{Clip, LearningRateSchedule};
use ziffer_nn::{Loss, Model, Optimizer};

use crate::callback::Callback;
use crate::data::Validation;
use crate::{Checkpoints, History, IntoSamples, Shuffle, TrainError};

/// How a model is trained.
///
/// | setting | meaning | default (Keras's) |
/// |---|---|---|
/// | epochs | how often each sample is used, at least 1 | 1 |
/// | batch_size | samples of a step, at least 1; the last batch of an epoch may be smaller | 32 |
/// | validation_split | the share at the end of the data that is set aside and never shuffled, 0 to below 1 | 0 |
/// | validation_data | data of their own to validate on, in the place of a split | none |
/// | shuffle | a new order in every epoch, or the data's order in each; see [`Shuffle`] | true |
/// | clip | a bound on gradients, see [`Clip`] | none |
/// | ema | the momentum of an average of the weights, 0 to 1 | none |
/// | accumulation | batches whose mean gradient makes one update, at least 1 | 1 |
/// | schedule | the learning rate of each update, in the place of the optimizer's | none |
/// | augment | how far pictures are distorted in training, see [`Augmented`](crate::Augmented) | not at all |
/// | seed | what the orders, dropout and augmentation are drawn from | 0 |
/// | threads | threads that share each step, at least 1; fewer do while the machine is busy | the CPUs that the process may use |
///
/// The result is the same, to the bit, for any number of threads.
pub struct Trainer<'a, O, L> {
    pub(crate) optimizer: O,
    pub(crate) loss: L,
    pub(crate) epochs: usize,
    pub(crate) batch_size: usize,
    pub(crate) validation_split: f64,
    pub(crate) validation: Option<Box<dyn Validation<L> + 'a>>,
    pub(crate) clip: Option<Clip>,
    pub(crate) ema_momentum: Option<f64>,
    pub(crate) accumulation: u64,
    pub(crate) schedule: Option<Arc<dyn LearningRateSchedule>>,
    pub(crate) augmentation: Option<Distortion>,
    pub(crate) shuffle: Shuffle,
    pub(crate) seed: u64,
    pub(crate) threads: usize,
    pub(crate) callbacks: Vec<Box<dyn Callback + 'a>>,
    pub(crate) checkpoints: Option<Checkpoints>,
    pub(crate) stop: Option<&'a AtomicBool>,
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
            validation: None,
            clip: None,
            ema_momentum: None,
            accumulation: 1,
            schedule: None,
            augmentation: None,
            shuffle: Shuffle::Auto,
            seed: 0,
            threads: available_threads(),
            callbacks: Vec::new(),
            checkpoints: None,
            stop: None,
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

    /// Bounds gradients before each update.
    pub fn clip(mut self, clip: Clip) -> Self {
        self.clip = Some(clip);
        self
    }

    /// Keeps an exponential moving average of the weights, as `use_ema` of Keras's optimizers with this `ema_momentum`. It is
    /// what validation and callbacks see after each epoch, and what the model ends with.
    pub fn ema(mut self, momentum: f64) -> Self {
        self.ema_momentum = Some(momentum);
        self
    }

    /// Makes one update of the mean gradient of each `batches` batches, as `gradient_accumulation_steps` of Keras. Batches
    /// that are left at the end of an epoch count for the first update of the next.
    pub fn accumulation(mut self, batches: u64) -> Self {
        self.accumulation = batches;
        self
    }

    /// Has a schedule say the learning rate of each update, in the place of the optimizer's setting, until a callback sets it.
    pub fn schedule(mut self, schedule: impl LearningRateSchedule + 'static) -> Self {
        self.schedule = Some(Arc::new(schedule));
        self
    }

    /// Distorts the pictures of the training part, each in every epoch in another way; those of the validation part stay as
    /// they are. It is for data sets: samples of other kinds are given to [`fit`](Self::fit) as [`Augmented`](crate::Augmented)
    /// ones.
    pub fn augment(mut self, distortion: Distortion) -> Self {
        self.augmentation = Some(distortion);
        self
    }

    /// Sets whether each epoch has an order of its own, and how it is drawn.
    pub fn shuffle(mut self, shuffle: impl Into<Shuffle>) -> Self {
        self.shuffle = shuffle.into();
        self
    }

    /// Sets what the orders, dropout and augmentation are drawn from.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the number of threads.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets where training is saved on its way, and whether it goes on from what is there. By default it is neither.
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// Sets a flag that ends training once it is true: the stretch of steps under way is finished, some 50 ms, a checkpoint
    /// written if there are any, and [`TrainError::Interrupted`] returned. It is not looked at after the last step.
    pub fn stop_when(mut self, flag: &'a AtomicBool) -> Self {
        self.stop = Some(flag);
        self
    }

    /// Adds a callback; they are called in the order in which they were added.
    pub fn callback(mut self, callback: impl Callback + 'a) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Validates on these data after each epoch, in the place of a [`validation_split`](Self::validation_split).
    pub fn validation_data<Kind, D: IntoSamples<Kind> + 'a>(mut self, data: D) -> Self {
        self.validation = Some(data.validation());
        self
    }

    /// Trains `model` on a data set, or on any samples. The weights go on from where they are; the optimizer begins with its
    /// first step, in each call. Every target is looked at before the first step.
    ///
    /// # Errors
    /// A setting out of its range, data that do not fit the model or cannot be augmented, a loss that is not finite, or a
    /// callback's error.
    pub fn fit<Kind>(
        &mut self,
        model: &mut Model,
        data: impl IntoSamples<Kind>,
    ) -> Result<History, TrainError> {
        data.fit(self, model)
    }

    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        for (name, value) in
            [("epochs", self.epochs), ("batch_size", self.batch_size), ("threads", self.threads)]
        {
            if value == 0 {
                return Err(setting(name, value, "at least 1"));
            }
        }
        if self.accumulation == 0 {
            return Err(setting("gradient_accumulation_steps", 0, "at least 1"));
        }
        if let Some(momentum) = self.ema_momentum.filter(|momentum| !(0.0..=1.0).contains(momentum)) {
            return Err(setting("ema_momentum", momentum, "a number from 0 to 1"));
        }
        self.clip.map_or(Ok(()), Clip::validate)?;
        self.augmentation.map_or(Ok(()), |distortion| distortion.validate())?;
        if !(0.0..1.0).contains(&self.validation_split) {
            return Err(setting("validation_split", self.validation_split, "a number from 0 to below 1"));
        }
        self.schedule.as_ref().map_or(Ok(()), |schedule| schedule.validate())?;
        Ok(self.optimizer.validate()?)
    }
}

impl<O: std::fmt::Debug, L: std::fmt::Debug> std::fmt::Debug for Trainer<'_, O, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let callbacks: Vec<_> = self.callbacks.iter().map(Callback::name).collect();
        f.debug_struct("Trainer")
            .field("optimizer", &self.optimizer)
            .field("loss", &self.loss)
            .field("epochs", &self.epochs)
            .field("batch_size", &self.batch_size)
            .field("validation_split", &self.validation_split)
            .field("clip", &self.clip)
            .field("ema_momentum", &self.ema_momentum)
            .field("accumulation", &self.accumulation)
            .field("schedule", &self.schedule)
            .field("augmentation", &self.augmentation)
            .field("shuffle", &self.shuffle)
            .field("seed", &self.seed)
            .field("threads", &self.threads)
            .field("callbacks", &callbacks)
            .field("checkpoints", &self.checkpoints)
            .finish()
    }
}

pub(crate) fn setting(setting: &'static str, value: impl ToString, expected: &'static str) -> TrainError {
    TrainError::Setting { setting, value: value.to_string(), expected }
}
