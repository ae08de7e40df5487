//! What is called while a model trains.

mod checkpoint;
mod early_stopping;

use std::fmt;
use std::path::Path;

use ziffer_nn::Model;

use crate::{EpochLog, History, Resumed, Shuffling};

pub use checkpoint::ModelCheckpoint;
pub use early_stopping::EarlyStopping;

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
    /// The learning rate, if no schedule says it.
    pub learning_rate: Option<f64>,
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
    /// The accuracy over the epoch so far.
    pub mean_accuracy: f64,
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

/// Called by [`Trainer::fit`](crate::Trainer::fit), on the thread that called it. An error ends training.
///
/// The steps of a stretch run without interruption, some 50 ms long; `on_batch_end` is called for each of them after the
/// stretch.
pub trait Callback {
    /// For messages.
    fn name(&self) -> &'static str;

    /// Before the first epoch.
    ///
    /// # Errors
    /// If the callback cannot do its work in this plan.
    fn on_train_begin(&mut self, plan: &Plan, model: &mut Model) -> Result<(), CallbackError> {
        let _ = (plan, model);
        Ok(())
    }

    /// After [`on_train_begin`](Self::on_train_begin), if training goes on from a checkpoint.
    ///
    /// # Errors
    /// If the callback cannot go on, since what it knew is not in the history.
    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        let _ = resumed;
        Ok(())
    }

    /// Before that, for each checkpoint that cannot be used, from the newest on. If none is left, training starts.
    fn on_checkpoint_passed_over(&mut self, path: &Path, reason: &str) {
        let _ = (path, reason);
    }

    /// Before an epoch, counted from 0.
    fn on_epoch_begin(&mut self, epoch: usize) {
        let _ = epoch;
    }

    /// After a step.
    fn on_batch_end(&mut self, log: &BatchLog) {
        let _ = log;
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
}

/// A borrowed callback can be read after training.
impl<C: Callback + ?Sized> Callback for &mut C {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn on_train_begin(&mut self, plan: &Plan, model: &mut Model) -> Result<(), CallbackError> {
        (**self).on_train_begin(plan, model)
    }
    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        (**self).on_resume(resumed)
    }
    fn on_checkpoint_passed_over(&mut self, path: &Path, reason: &str) {
        (**self).on_checkpoint_passed_over(path, reason);
    }
    fn on_epoch_begin(&mut self, epoch: usize) {
        (**self).on_epoch_begin(epoch);
    }
    fn on_batch_end(&mut self, log: &BatchLog) {
        (**self).on_batch_end(log);
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
}

/// A number that callbacks watch, by Keras's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Monitor {
    /// `loss`: lower is better.
    Loss,
    /// `accuracy`: higher is better.
    Accuracy,
    /// `val_loss`, Keras's default: lower is better.
    #[default]
    ValLoss,
    /// `val_accuracy`: higher is better.
    ValAccuracy,
}

impl Monitor {
    fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
            Self::ValLoss => "val_loss",
            Self::ValAccuracy => "val_accuracy",
        }
    }

    /// Fails if the plan does not have it.
    fn check(self, plan: &Plan) -> Result<(), CallbackError> {
        if plan.validates || matches!(self, Self::Loss | Self::Accuracy) {
            Ok(())
        } else {
            Err(format!("{self} is watched but there is no validation part; set a validation split above 0")
                .into())
        }
    }

    /// What it was in each epoch of a history.
    fn over(self, history: &History) -> &[f64] {
        match self {
            Self::Loss => &history.loss,
            Self::Accuracy => &history.accuracy,
            Self::ValLoss => &history.val_loss,
            Self::ValAccuracy => &history.val_accuracy,
        }
    }

    fn of(self, log: &EpochLog) -> f64 {
        let value = match self {
            Self::Loss => Some(log.loss),
            Self::Accuracy => Some(log.accuracy),
            Self::ValLoss => log.val_loss,
            Self::ValAccuracy => log.val_accuracy,
        };
        value.unwrap_or(f64::NAN)
    }

    /// Whether `value` is better than `best` by more than `by`. The first value always is.
    fn is_better(self, value: f64, best: Option<f64>, by: f64) -> bool {
        match (self, best) {
            (_, None) => true,
            (Self::Loss | Self::ValLoss, Some(best)) => value + by < best,
            (Self::Accuracy | Self::ValAccuracy, Some(best)) => value - by > best,
        }
    }
}

impl fmt::Display for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
