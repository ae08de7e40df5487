//! Callbacks: code that is called while a model trains.

mod csv_logger;
mod early_stopping;
mod filepath;
mod learning_rate_scheduler;
mod model_checkpoint;
mod monitor;
mod reduce_lr_on_plateau;
mod state_bytes;
mod terminate_on_nan;

use std::path::Path;

use ziffer_nn::Model;

use crate::checkpoints::Resumed;
use crate::history::EpochLog;
use crate::sampler::ShuffleMethod;

pub use crate::callback_error::CallbackError;
pub use csv_logger::CSVLogger;
pub use early_stopping::EarlyStopping;
pub use learning_rate_scheduler::LearningRateScheduler;
pub use model_checkpoint::{ModelCheckpoint, SaveFreq};
pub use monitor::{Mode, Monitor, ParseModeError, ParseMonitorError};
pub use reduce_lr_on_plateau::ReduceLROnPlateau;
pub use terminate_on_nan::TerminateOnNaN;

/// Whether training continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Training continues.
    Continue,
    /// Training stops after this epoch.
    Stop,
}

/// The parameters of a training, as Keras's `params` of a callback.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingParams {
    /// The number of epochs.
    pub epochs: usize,
    /// The number of steps per epoch.
    pub steps: usize,
    /// Whether there is a validation set.
    pub has_validation: bool,
    /// The number of samples in the training set.
    pub samples: usize,
    /// The size of the training set in bytes.
    pub bytes: usize,
    /// How the samples are shuffled.
    pub shuffle: ShuffleMethod,
    /// Whether the targets are classes, so that there is an accuracy.
    pub has_accuracy: bool,
    /// Whether a schedule or a callback sets the learning rate, see
    /// [`sets_learning_rate`](Callback::sets_learning_rate).
    pub sets_learning_rate: bool,
}

/// The metrics of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchLog {
    /// The epoch, from 0.
    pub epoch: usize,
    /// The step within the epoch, from 0.
    pub step: usize,
    /// The batch's mean loss, before its update.
    pub loss: f64,
    /// The mean loss over the epoch so far.
    pub mean_loss: f64,
    /// The accuracy over the epoch so far, if there is one.
    pub mean_accuracy: Option<f64>,
    /// The learning rate of the update that the batch contributes to.
    pub learning_rate: f64,
}

/// The model and the learning rate, which a callback may change after an epoch.
#[derive(Debug)]
pub struct EpochEndContext<'a> {
    /// The model. If an average of the weights is kept, the model has the average, and changes apply to the average.
    pub model: &'a mut Model,
    /// The learning rate of the next update. A callback that sets it replaces a schedule.
    pub learning_rate: f64,
}

/// The learning rate, which a callback may change before an epoch.
#[derive(Clone, Copy, Debug)]
pub struct EpochBeginContext {
    step: usize,
    learning_rate: f64,
    is_set: bool,
}

impl EpochBeginContext {
    pub(crate) fn new(step: usize, learning_rate: f64) -> Self {
        Self { step, learning_rate, is_set: false }
    }

    /// The number of completed steps of the epoch: above 0 only if training resumes in the middle of an epoch.
    pub fn step(&self) -> usize {
        self.step
    }

    /// The learning rate of the next update.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    /// Sets the learning rate from the next update on. It replaces a schedule. If training resumes in the middle of an epoch, the
    /// call has no effect: the checkpoint has the rate that was set when the epoch began.
    pub fn set_learning_rate(&mut self, learning_rate: f64) {
        if self.step == 0 {
            (self.learning_rate, self.is_set) = (learning_rate, true);
        }
    }

    /// The learning rate, if a callback has set it.
    pub(crate) fn learning_rate_set(&self) -> Option<f64> {
        self.is_set.then_some(self.learning_rate)
    }
}

/// A callback of [`Trainer::fit`](crate::Trainer::fit), as Keras's `Callback`. It is called on the thread that called `fit`. An
/// error of a callback ends training.
///
/// Steps are made in runs of some 50 ms. After each run, `on_batch_end` is called for each of its steps.
///
/// ```
/// use ndarray::arr2;
/// use ziffer_nn::{Activation, MeanSquaredError, Sequential, Sgd, WithTargets};
/// use ziffer_trainer::callback::{Callback, CallbackError, EpochEndContext, Flow};
/// use ziffer_trainer::{EpochLog, Trainer};
///
/// /// Stops training when the loss is small enough.
/// struct StopBelow(f64);
///
/// impl Callback for StopBelow {
///     fn name(&self) -> &'static str {
///         "stop below"
///     }
///     fn on_epoch_end(&mut self, log: &EpochLog, _: &mut EpochEndContext<'_>) -> Result<Flow, CallbackError> {
///         Ok(if log.loss < self.0 { Flow::Stop } else { Flow::Continue })
///     }
/// }
///
/// let (x, t) = (arr2(&[[0.0_f32], [1.0]]), arr2(&[[1.0_f32], [3.0]]));
/// let mut model = Sequential::new([1]).dense(1, Activation::Linear).build(0)?;
/// let history = Trainer::new(Sgd::new(0.3), MeanSquaredError)
///     .epochs(1000)
///     .callback(StopBelow(1e-3))
///     .fit(&mut model, &WithTargets::new(x.view(), t.view()))?;
/// assert!(history.epochs() < 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Callback {
    /// The name, for messages and checkpoints.
    fn name(&self) -> &'static str;

    /// Whether the callback sets the learning rate. If so, other callbacks show the learning rate. By default `false`.
    fn sets_learning_rate(&self) -> bool {
        false
    }

    /// Called before the first epoch.
    ///
    /// # Errors
    /// If the callback cannot be used in a training with these parameters.
    fn on_train_begin(&mut self, params: &TrainingParams, model: &mut Model) -> Result<(), CallbackError> {
        let _ = (params, model);
        Ok(())
    }

    /// The state that the callback needs to resume, in addition to the history. Each checkpoint stores it. Its size may be at most
    /// that of the weights plus 1 MiB. By default `None`.
    fn state(&self) -> Option<Vec<u8>> {
        None
    }

    /// Called after [`on_train_begin`](Self::on_train_begin), if training resumes from a checkpoint. [`Resumed::state`] is the state
    /// of the callback with the same name; of several callbacks with one name, the one at the same position among them. It comes
    /// from a file and may be wrong.
    ///
    /// # Errors
    /// If the callback cannot resume from the history and the state.
    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        let _ = resumed;
        Ok(())
    }

    /// Called before [`on_resume`](Self::on_resume) for each unusable checkpoint, newest first. If none is usable, training starts
    /// from the beginning.
    fn on_checkpoint_skipped(&mut self, path: &Path, reason: &str) {
        let _ = (path, reason);
    }

    /// Called before an epoch, counted from 0, and before the rest of an epoch if training resumes in its middle.
    ///
    /// # Errors
    /// If the callback fails.
    fn on_epoch_begin(&mut self, epoch: usize, context: &mut EpochBeginContext) -> Result<(), CallbackError> {
        let _ = (epoch, context);
        Ok(())
    }

    /// Called after a step.
    fn on_batch_end(&mut self, log: &BatchLog) {
        let _ = log;
    }

    /// The number of steps until [`on_batch_end_with_model`](Self::on_batch_end_with_model) should be called. The run of steps then
    /// ends there. If it is 0 after [`on_batch_end`](Self::on_batch_end), the call follows at once. By default `None`.
    fn steps_until_model(&self) -> Option<usize> {
        None
    }

    /// Called after the step that [`steps_until_model`](Self::steps_until_model) requested. The model has the current weights, not
    /// their average.
    ///
    /// # Errors
    /// If the callback fails.
    fn on_batch_end_with_model(&mut self, log: &BatchLog, model: &Model) -> Result<(), CallbackError> {
        let _ = (log, model);
        Ok(())
    }

    /// Called when a loss is NaN or infinite: the loss of a batch, or the validation loss if `step` is `None`. Epoch and step are
    /// counted from 0. If it returns `true`, training stops without an error. By default `false`.
    fn stops_on_non_finite(&mut self, epoch: usize, step: Option<usize>, loss: f64) -> bool {
        let _ = (epoch, step, loss);
        false
    }

    /// Called after an epoch and its validation.
    ///
    /// # Errors
    /// If the callback fails.
    fn on_epoch_end(
        &mut self,
        log: &EpochLog,
        context: &mut EpochEndContext<'_>,
    ) -> Result<Flow, CallbackError> {
        let _ = (log, context);
        Ok(Flow::Continue)
    }

    /// Called after the last epoch.
    ///
    /// # Errors
    /// If the callback fails.
    fn on_train_end(&mut self, model: &mut Model) -> Result<(), CallbackError> {
        let _ = model;
        Ok(())
    }

    /// Returns the messages, one line each, since the last call. Called after each of the methods above, except
    /// [`on_batch_end`](Self::on_batch_end).
    fn take_messages(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Called with each message of any callback. [`Progress`](crate::Progress) prints it.
    fn on_message(&mut self, message: &str) {
        let _ = message;
    }
}

/// Implements `Callback` for a pointer to a callback.
macro_rules! forward {
    ($pointer:ty) => {
        impl<C: Callback + ?Sized> Callback for $pointer {
            fn name(&self) -> &'static str {
                (**self).name()
            }
            fn sets_learning_rate(&self) -> bool {
                (**self).sets_learning_rate()
            }
            fn on_train_begin(
                &mut self,
                params: &TrainingParams,
                model: &mut Model,
            ) -> Result<(), CallbackError> {
                (**self).on_train_begin(params, model)
            }
            fn state(&self) -> Option<Vec<u8>> {
                (**self).state()
            }
            fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
                (**self).on_resume(resumed)
            }
            fn on_checkpoint_skipped(&mut self, path: &Path, reason: &str) {
                (**self).on_checkpoint_skipped(path, reason);
            }
            fn on_epoch_begin(
                &mut self,
                epoch: usize,
                context: &mut EpochBeginContext,
            ) -> Result<(), CallbackError> {
                (**self).on_epoch_begin(epoch, context)
            }
            fn on_batch_end(&mut self, log: &BatchLog) {
                (**self).on_batch_end(log);
            }
            fn steps_until_model(&self) -> Option<usize> {
                (**self).steps_until_model()
            }
            fn on_batch_end_with_model(
                &mut self,
                log: &BatchLog,
                model: &Model,
            ) -> Result<(), CallbackError> {
                (**self).on_batch_end_with_model(log, model)
            }
            fn stops_on_non_finite(&mut self, epoch: usize, step: Option<usize>, loss: f64) -> bool {
                (**self).stops_on_non_finite(epoch, step, loss)
            }
            fn on_epoch_end(
                &mut self,
                log: &EpochLog,
                context: &mut EpochEndContext<'_>,
            ) -> Result<Flow, CallbackError> {
                (**self).on_epoch_end(log, context)
            }
            fn on_train_end(&mut self, model: &mut Model) -> Result<(), CallbackError> {
                (**self).on_train_end(model)
            }
            fn take_messages(&mut self) -> Vec<String> {
                (**self).take_messages()
            }
            fn on_message(&mut self, message: &str) {
                (**self).on_message(message);
            }
        }
    };
}

// A borrowed callback can be read after training. A boxed callback can be chosen at run time.
forward!(&mut C);
forward!(Box<C>);
