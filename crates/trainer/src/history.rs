//! What is kept of each epoch.

use serde::{Deserialize, Serialize};

/// One number per epoch of everything that an epoch tells, as Keras's `History.history` has them.
///
/// `loss` and `accuracy` are means over the training samples, each batch measured before its update, while the weights
/// move; `val_loss` and `val_accuracy` are measured after the epoch, and empty without a validation part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Mean training loss.
    pub loss: Vec<f64>,
    /// Training accuracy, 0 to 1; like `val_accuracy` empty where targets name no classes.
    pub accuracy: Vec<f64>,
    /// Mean validation loss.
    pub val_loss: Vec<f64>,
    /// Validation accuracy, 0 to 1.
    pub val_accuracy: Vec<f64>,
    /// Seconds, validation included.
    pub seconds: Vec<f64>,
    /// The learning rate after the epoch, see [`EpochLog::learning_rate`]. Older files do not have it.
    #[serde(default)]
    pub learning_rate: Vec<f64>,
}

/// What an epoch tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochLog {
    /// The epoch, from 0.
    pub epoch: usize,
    /// How many there will be.
    pub epochs: usize,
    /// Steps of the epoch.
    pub steps: usize,
    /// Mean training loss.
    pub loss: f64,
    /// Training accuracy, 0 to 1, if targets name classes.
    pub accuracy: Option<f64>,
    /// Mean validation loss, if there is a validation part.
    pub val_loss: Option<f64>,
    /// Validation accuracy, if there is a validation part and targets name classes.
    pub val_accuracy: Option<f64>,
    /// Seconds, validation included.
    pub seconds: f64,
    /// The learning rate of the next update, before callbacks set it: without a schedule, the epoch's.
    pub learning_rate: f64,
}

impl History {
    /// The number of epochs.
    pub fn epochs(&self) -> usize {
        self.loss.len()
    }

    /// Adds an epoch.
    pub fn push(&mut self, log: &EpochLog) {
        self.loss.push(log.loss);
        self.accuracy.extend(log.accuracy);
        self.val_loss.extend(log.val_loss);
        self.val_accuracy.extend(log.val_accuracy);
        self.seconds.push(log.seconds);
        self.learning_rate.push(log.learning_rate);
    }

    /// Seconds of all epochs with their validation.
    pub fn fit_seconds(&self) -> f64 {
        self.seconds.iter().sum()
    }
}
