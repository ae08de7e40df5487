//! The settings of a training: [`Trainer`].

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ziffer_dataset::augment::Distortion;
use ziffer_nn::optimizer::{Clip, LearningRateSchedule};
use ziffer_nn::{Loss, Optimizer};

use crate::callback::Callback;
use crate::validation::Validation;
use crate::{Checkpoints, Shuffle, TrainError};

/// Trains a model: Keras's `compile` and `fit`.
///
/// ```
/// use ndarray::arr2;
/// use ziffer_nn::{Activation, Adam, Sequential, SparseCategoricalCrossentropy, WithLabels};
/// use ziffer_trainer::{EarlyStopping, Monitor, Trainer};
///
/// let x = arr2(&[[0.0_f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
/// let samples = WithLabels::new(x.view(), &[0, 0, 1, 1]);
/// let mut model = Sequential::new([2]).dense(8, Activation::Relu).dense(2, Activation::Softmax).build(0)?;
/// let history = Trainer::new(Adam::new(0.05), SparseCategoricalCrossentropy::default())
///     .epochs(50)
///     .batch_size(2)
///     .callback(EarlyStopping::new(Monitor::Loss, 3))
///     .fit(&mut model, &samples)?;
/// assert_eq!(history.accuracy.last(), Some(&1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// | setting | meaning | default (Keras's) |
/// |---|---|---|
/// | epochs | passes over the training set, at least 1 | 1 |
/// | batch_size | samples per step, at least 1; the last batch of an epoch may be smaller | 32 |
/// | validation_split | the fraction at the end of the data that is the validation set, 0 to below 1 | 0 |
/// | validation_data | a separate validation set, instead of a split | none |
/// | shuffle | whether the order of samples is random in each epoch, see [`Shuffle`] | true |
/// | clip | clipping of gradients, see [`Clip`] | none |
/// | ema | the momentum of an average of the weights, 0 to 1 | none |
/// | accumulation | batches per update, which uses their mean gradient, at least 1 | 1 |
/// | schedule | the learning rate of each update, instead of the optimizer's | none |
/// | augment | the distortion of images in training, see [`Augmented`](crate::Augmented) | none |
/// | seed | the seed of the order of samples, dropout and augmentation | 0 |
/// | threads | the number of threads, at least 1; fewer are used while the machine is busy | the CPUs available to the process |
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

/// The number of CPUs available to this process, by the machine, its affinity and its quota.
pub fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl<'a, O: Optimizer<f32>, L: Loss<f32>> Trainer<'a, O, L> {
    /// A trainer with the default settings.
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

    /// Sets the number of samples per step.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Sets the fraction of the data that is the validation set.
    pub fn validation_split(mut self, validation_split: f64) -> Self {
        self.validation_split = validation_split;
        self
    }

    /// Clips gradients before each update.
    pub fn clip(mut self, clip: Clip) -> Self {
        self.clip = Some(clip);
        self
    }

    /// Keeps an exponential moving average of the weights, as `use_ema` of Keras's optimizers with this `ema_momentum`. After each
    /// epoch, validation and callbacks see the average, and the trained model has it.
    pub fn ema(mut self, momentum: f64) -> Self {
        self.ema_momentum = Some(momentum);
        self
    }

    /// Updates the weights once per `batches` batches, by their mean gradient, as Keras's `gradient_accumulation_steps`. Batches
    /// left over at the end of an epoch count for the first update of the next.
    pub fn accumulation(mut self, batches: u64) -> Self {
        self.accumulation = batches;
        self
    }

    /// Sets a schedule that gives the learning rate of each update, instead of the optimizer's setting, until a callback sets the
    /// learning rate.
    pub fn schedule(mut self, schedule: impl LearningRateSchedule + 'static) -> Self {
        self.schedule = Some(Arc::new(schedule));
        self
    }

    /// Distorts the images of the training set, differently in each epoch. The images of the validation set do not change. It
    /// applies to data sets only: pass other samples to [`fit`](Self::fit) as [`Augmented`](crate::Augmented).
    pub fn augment(mut self, distortion: Distortion) -> Self {
        self.augmentation = Some(distortion);
        self
    }

    /// Sets whether the order of samples is random in each epoch, and how it is drawn.
    pub fn shuffle(mut self, shuffle: impl Into<Shuffle>) -> Self {
        self.shuffle = shuffle.into();
        self
    }

    /// Sets the seed of the order of samples, dropout and augmentation.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the number of threads.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets where checkpoints are written, and whether training resumes from them. By default there are none.
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// Sets a flag that stops training when it becomes true. The current run of steps, some 50 ms, is completed, a checkpoint is
    /// written if there are checkpoints, and [`TrainError::Interrupted`] is returned. After the last step the flag is ignored.
    pub fn stop_when(mut self, flag: &'a AtomicBool) -> Self {
        self.stop = Some(flag);
        self
    }

    /// Adds a callback. Callbacks are called in the order in which they were added.
    pub fn callback(mut self, callback: impl Callback + 'a) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        for (name, value) in
            [("epochs", self.epochs), ("batch_size", self.batch_size), ("threads", self.threads)]
        {
            if value == 0 {
                return Err(TrainError::setting(name, value, "at least 1"));
            }
        }
        if self.accumulation == 0 {
            return Err(TrainError::setting("gradient_accumulation_steps", 0, "at least 1"));
        }
        if let Some(momentum) = self.ema_momentum.filter(|momentum| !(0.0..=1.0).contains(momentum)) {
            return Err(TrainError::setting("ema_momentum", momentum, "a number from 0 to 1"));
        }
        self.clip.map_or(Ok(()), Clip::validate)?;
        self.augmentation.map_or(Ok(()), |distortion| distortion.validate())?;
        if !(0.0..1.0).contains(&self.validation_split) {
            return Err(TrainError::setting(
                "validation_split",
                self.validation_split,
                "a number from 0 to below 1",
            ));
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
