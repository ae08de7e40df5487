//! The metrics of each epoch.

use serde::{Deserialize, Serialize};

/// The metrics of all epochs, as Keras's `History.history`: one number per epoch.
///
/// `loss` and `accuracy` are means over the training samples. Each batch is measured before its update, so that the weights change
/// in between. `val_loss` and `val_accuracy` are measured after the epoch, and are empty without a validation set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Mean training loss.
    pub loss: Vec<f64>,
    /// Training accuracy, 0 to 1. Like `val_accuracy`, it is empty if the targets are not classes.
    pub accuracy: Vec<f64>,
    /// Mean validation loss.
    pub val_loss: Vec<f64>,
    /// Validation accuracy, 0 to 1.
    pub val_accuracy: Vec<f64>,
    /// Seconds, validation included.
    pub seconds: Vec<f64>,
    /// The learning rate after the epoch, see [`EpochLog::learning_rate`]. Older files lack it.
    #[serde(default)]
    pub learning_rate: Vec<f64>,
}

/// The metrics of an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochLog {
    /// The epoch, from 0.
    pub epoch: usize,
    /// The number of epochs of the training.
    pub epochs: usize,
    /// The number of steps of the epoch.
    pub steps: usize,
    /// Mean training loss.
    pub loss: f64,
    /// Training accuracy, 0 to 1, if the targets are classes.
    pub accuracy: Option<f64>,
    /// Mean validation loss, if there is a validation set.
    pub val_loss: Option<f64>,
    /// Validation accuracy, if there is a validation set and the targets are classes.
    pub val_accuracy: Option<f64>,
    /// Seconds, validation included.
    pub seconds: f64,
    /// The learning rate of the next update, before callbacks set it. Without a schedule it is the epoch's.
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

    /// The seconds of all epochs, validation included.
    pub fn fit_seconds(&self) -> f64 {
        self.seconds.iter().sum()
    }
}
