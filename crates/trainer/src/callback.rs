//! What is called while a model trains.

mod csv_logger;
mod early_stopping;
mod filepath;
mod learning_rate_scheduler;
mod model_checkpoint;
mod monitor;
mod reduce_lr_on_plateau;
mod states;
mod terminate_on_nan;

use std::path::Path;

use ziffer_nn::Model;

use crate::{EpochLog, Resumed, Shuffling};

pub use csv_logger::CSVLogger;
pub use early_stopping::EarlyStopping;
pub use learning_rate_scheduler::LearningRateScheduler;
pub use model_checkpoint::{ModelCheckpoint, SaveFreq};
pub use monitor::{Mode, Monitor, ParseModeError, ParseMonitorError};
pub use reduce_lr_on_plateau::ReduceLROnPlateau;
pub use terminate_on_nan::TerminateOnNaN;

/// Why a callback failed.
pub type CallbackError = Box<dyn std::error::Error + Send + Sync>;

/// Whether training goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// With the next epoch.
    Continue,
    /// It ends here.
    Stop,
}

/// What training will be, as told at its beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Epochs.
    pub epochs: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Whether there is a validation part.
    pub validates: bool,
    /// Samples of the training part.
    pub samples: usize,
    /// Bytes that they have.
    pub bytes: usize,
    /// How they are ordered.
    pub shuffling: Shuffling,
    /// Whether targets name classes, so that there is an accuracy.
    pub has_accuracy: bool,
    /// Whether a schedule or a callback sets the learning rate, see
    /// [`sets_learning_rate`](Callback::sets_learning_rate).
    pub sets_learning_rate: bool,
}

/// What a step tells.
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
    /// The learning rate of the update that the batch is part of.
    pub learning_rate: f64,
}

/// What a callback may change after an epoch.
#[derive(Debug)]
pub struct TrainingContext<'a> {
    /// The model: with the average of the weights, where one is kept. What is changed is then the average.
    pub model: &'a mut Model,
    /// The learning rate of the next update. A callback that sets it replaces a schedule.
    pub learning_rate: f64,
}

/// What a callback may change before an epoch.
#[derive(Clone, Copy, Debug)]
pub struct EpochContext {
    step: usize,
    learning_rate: f64,
    is_set: bool,
}

impl EpochContext {
    pub(crate) fn new(step: usize, learning_rate: f64) -> Self {
        Self { step, learning_rate, is_set: false }
    }

    /// Steps of the epoch that were made before, where training goes on from a checkpoint.
    pub fn step(&self) -> usize {
        self.step
    }

    /// The learning rate of the next update.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    /// Sets the learning rate from the next update on, in the place of a schedule. In the middle of an epoch, where training
    /// goes on from a checkpoint, nothing is set: the rate that was set when the epoch began is in the checkpoint.
    pub fn set_learning_rate(&mut self, learning_rate: f64) {
        if self.step == 0 {
            (self.learning_rate, self.is_set) = (learning_rate, true);
        }
    }

    /// The rate, if a callback has set it.
    pub(crate) fn learning_rate_set(&self) -> Option<f64> {
        self.is_set.then_some(self.learning_rate)
    }
}

/// Called by [`Trainer::fit`](crate::Trainer::fit), on the thread that called it. An error ends training.
///
/// The steps of a stretch run without interruption, some 50 ms long; `on_batch_end` is called for each of them after the
/// stretch.
pub trait Callback {
    /// For messages.
    fn name(&self) -> &'static str;

    /// Whether it sets the learning rate. It may do so all the same; where this says so, others show the rate.
    fn sets_learning_rate(&self) -> bool {
        false
    }

    /// Before the first epoch.
    ///
    /// # Errors
    /// If the callback cannot do its work in this plan.
    fn on_train_begin(&mut self, plan: &Plan, model: &mut Model) -> Result<(), CallbackError> {
        let _ = (plan, model);
        Ok(())
    }

    /// What the callback must know to go on from a checkpoint, beside what is in the history; it is kept in each checkpoint.
    /// It may be as long as the weights and 1 MiB more; a longer one is an error.
    fn state(&self) -> Option<Vec<u8>> {
        None
    }

    /// After [`on_train_begin`](Self::on_train_begin), if training goes on from a checkpoint. The
    /// [`state`](Resumed::state) is what a callback of the same name kept in it; of several of one name, the one in the same
    /// place among them. It was read from a file, where it may be anything.
    ///
    /// # Errors
    /// If the callback cannot go on, since what it knew is not in the history, or the state is none of its own.
    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        let _ = resumed;
        Ok(())
    }

    /// Before that, for each checkpoint that cannot be used, from the newest on. If none is left, training starts.
    fn on_checkpoint_passed_over(&mut self, path: &Path, reason: &str) {
        let _ = (path, reason);
    }

    /// Before an epoch, counted from 0, and before what is left of one, where training goes on from a checkpoint.
    ///
    /// # Errors
    /// Whatever went wrong in it.
    fn on_epoch_begin(&mut self, epoch: usize, context: &mut EpochContext) -> Result<(), CallbackError> {
        let _ = (epoch, context);
        Ok(())
    }

    /// After a step.
    fn on_batch_end(&mut self, log: &BatchLog) {
        let _ = log;
    }

    /// After how many more steps [`on_model`](Self::on_model) is to be called: a stretch ends there. 0 after
    /// [`on_batch_end`](Self::on_batch_end) calls it at once.
    fn steps_until_model(&self) -> Option<usize> {
        None
    }

    /// After a step that [`steps_until_model`](Self::steps_until_model) asked for, with the weights that are trained, not
    /// their average.
    ///
    /// # Errors
    /// Whatever went wrong in it.
    fn on_model(&mut self, log: &BatchLog, model: &Model) -> Result<(), CallbackError> {
        let _ = (log, model);
        Ok(())
    }

    /// When a batch's loss, or without a step the validation loss, is NaN or infinite: whether training ends without an error.
    /// Epoch and step are counted from 0.
    fn ends_on_not_finite(&mut self, epoch: usize, step: Option<usize>, loss: f64) -> bool {
        let _ = (epoch, step, loss);
        false
    }

    /// After an epoch and its validation.
    ///
    /// # Errors
    /// Whatever went wrong in it.
    fn on_epoch_end(
        &mut self,
        log: &EpochLog,
        context: &mut TrainingContext<'_>,
    ) -> Result<Flow, CallbackError> {
        let _ = (log, context);
        Ok(Flow::Continue)
    }

    /// After the last epoch.
    ///
    /// # Errors
    /// Whatever went wrong in it.
    fn on_train_end(&mut self, model: &mut Model) -> Result<(), CallbackError> {
        let _ = model;
        Ok(())
    }

    /// Messages for people, each a line, since the last time that it was called; asked for after each of the calls above but
    /// those for single steps.
    fn take_messages(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// A message of any callback. [`Progress`](crate::Progress) shows it.
    fn on_message(&mut self, message: &str) {
        let _ = message;
    }
}

/// Another callback's calls, for what points to one.
macro_rules! forward {
    ($pointer:ty) => {
        impl<C: Callback + ?Sized> Callback for $pointer {
            fn name(&self) -> &'static str {
                (**self).name()
            }
            fn sets_learning_rate(&self) -> bool {
                (**self).sets_learning_rate()
            }
            fn on_train_begin(&mut self, plan: &Plan, model: &mut Model) -> Result<(), CallbackError> {
                (**self).on_train_begin(plan, model)
            }
            fn state(&self) -> Option<Vec<u8>> {
                (**self).state()
            }
            fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
                (**self).on_resume(resumed)
            }
            fn on_checkpoint_passed_over(&mut self, path: &Path, reason: &str) {
                (**self).on_checkpoint_passed_over(path, reason);
            }
            fn on_epoch_begin(
                &mut self,
                epoch: usize,
                context: &mut EpochContext,
            ) -> Result<(), CallbackError> {
                (**self).on_epoch_begin(epoch, context)
            }
            fn on_batch_end(&mut self, log: &BatchLog) {
                (**self).on_batch_end(log);
            }
            fn steps_until_model(&self) -> Option<usize> {
                (**self).steps_until_model()
            }
            fn on_model(&mut self, log: &BatchLog, model: &Model) -> Result<(), CallbackError> {
                (**self).on_model(log, model)
            }
            fn ends_on_not_finite(&mut self, epoch: usize, step: Option<usize>, loss: f64) -> bool {
                (**self).ends_on_not_finite(epoch, step, loss)
            }
            fn on_epoch_end(
                &mut self,
                log: &EpochLog,
                context: &mut TrainingContext<'_>,
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

// A borrowed callback can be read after training, and a boxed one be chosen at run time.
forward!(&mut C);
forward!(Box<C>);
