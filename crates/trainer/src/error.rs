//! The errors of training and evaluation.

use std::error::Error;
use std::path::PathBuf;

use ziffer_dataset::DatasetError;
use ziffer_dataset::augment::AugmentError;
use ziffer_nn::{FitError, NoMemory, SamplesError};

use crate::CheckpointError;

/// An error of [`Trainer`](crate::Trainer) or [`Evaluate`](crate::Evaluate). The message does not repeat the cause:
/// see [`source`](Error::source).
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A setting of the trainer is out of range.
    #[error("{setting} is {value}, expected {expected}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// The value found.
        value: String,
        /// The values allowed.
        expected: &'static str,
    },
    /// A setting of the optimizer is out of range.
    #[error(transparent)]
    Optimizer(#[from] ziffer_nn::optimizer::SettingError),
    /// There are no samples.
    #[error("there are no samples")]
    Empty,
    /// The images do not fit the model.
    #[error("the data set has images of shape {found:?}, the model takes {expected:?}")]
    ImageShape {
        /// The shape of an image.
        found: Vec<usize>,
        /// The model's input shape.
        expected: Vec<usize>,
    },
    /// The size of the samples does not fit the image shape of an augmentation.
    #[error("the samples have {found} numbers, expected images of {} x {} pixels", shape[0], shape[1])]
    SampleSize {
        /// The size of a sample.
        found: usize,
        /// The given rows and columns.
        shape: [usize; 2],
    },
    /// The images are not two-dimensional, so that they cannot be augmented.
    #[error("the data set has images of shape {found:?}, augmentation needs rows and columns")]
    NotTwoDimensional {
        /// The shape of an image.
        found: Vec<usize>,
    },
    /// A setting of the augmentation is out of range.
    #[error(transparent)]
    Augment(#[from] AugmentError),
    /// The data set has more classes than the model has outputs.
    #[error("the data set has {found} classes, the model has {expected} outputs")]
    Classes {
        /// The number of classes of the data set.
        found: usize,
        /// The number of outputs of the model.
        expected: usize,
    },
    /// The model, the loss and the samples do not fit together.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The optimizer's state does not fit into memory.
    #[error("the optimizer's state does not fit into memory beside the model")]
    Memory(#[from] NoMemory),
    /// The data set cannot be split as requested, or its files have changed.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The samples became invalid during training. The weights are wrong; the last checkpoint is not.
    #[error("the samples became invalid during training")]
    Samples(#[source] SamplesError),
    /// The threads cannot be started.
    #[error("cannot start {threads} threads: {reason}")]
    Threads {
        /// The requested number of threads.
        threads: usize,
        /// The reason.
        reason: String,
    },
    /// A batch's loss is NaN or infinite. The weights are those before that step.
    #[error(
        "the loss is {loss} at step {step} of epoch {epoch}; try a smaller learning rate, or look for broken data"
    )]
    NotFinite {
        /// The epoch, from 1.
        epoch: usize,
        /// The step within the epoch, from 1.
        step: usize,
        /// The loss.
        loss: f64,
    },
    /// The validation loss is NaN or infinite after an epoch.
    #[error(
        "the validation loss is {loss} after epoch {epoch}; try a smaller learning rate, or look for broken data"
    )]
    ValidationNotFinite {
        /// The epoch, from 1.
        epoch: usize,
        /// The loss.
        loss: f64,
    },
    /// The loss of an evaluation is NaN or infinite.
    #[error("the loss is {loss}: the model's weights are broken")]
    Evaluation {
        /// The loss.
        loss: f64,
    },
    /// A checkpoint cannot be written, or training cannot resume from it.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The flag of [`Trainer::stop_when`](crate::Trainer::stop_when) is set. The weights are those after that step.
    #[error("interrupted after step {step} of epoch {epoch}")]
    Interrupted {
        /// The epoch, from 1.
        epoch: usize,
        /// The number of completed steps of the epoch.
        step: usize,
        /// The path of the checkpoint, if there are checkpoints.
        checkpoint: Option<PathBuf>,
    },
    /// A callback failed.
    #[error("the callback {callback} failed")]
    Callback {
        /// The callback's name.
        callback: &'static str,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
}

ziffer_base::debug_as_message!(TrainError);

impl TrainError {
    /// The error of a setting that is out of range.
    pub(crate) fn setting(setting: &'static str, value: impl ToString, expected: &'static str) -> Self {
        Self::Setting { setting, value: value.to_string(), expected }
    }
}
