//! What can go wrong in training.

use std::error::Error;
use std::path::PathBuf;

use ziffer_dataset::DatasetError;
use ziffer_dataset::augment::AugmentError;
use ziffer_nn::{FitError, NoMemory, SamplesError};

use crate::CheckpointError;

/// An error of [`Trainer`](crate::Trainer) or [`Evaluate`](crate::Evaluate). The message does not repeat the cause, which
/// [`source`](Error::source) gives.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A setting of the trainer is out of its range.
    #[error("{setting} is {value}, expected {expected}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A setting of the optimizer is out of its range.
    #[error(transparent)]
    Optimizer(#[from] ziffer_nn::optimizer::SettingError),
    /// There are no samples.
    #[error("there are no samples")]
    Empty,
    /// The pictures do not fit the model.
    #[error("the data set has pictures of {found:?}, the model takes {expected:?}")]
    Pictures {
        /// The shape of a picture.
        found: Vec<usize>,
        /// The model's input shape.
        expected: Vec<usize>,
    },
    /// Samples that are no pictures of the shape that augmentation was asked for.
    #[error("the samples have {found} numbers, expected pictures of {} x {} pixels", shape[0], shape[1])]
    Shape {
        /// Numbers of a sample.
        found: usize,
        /// The rows and columns that were given.
        shape: [usize; 2],
    },
    /// Samples that have not rows and columns, so that they cannot be distorted.
    #[error("the data set has pictures of {found:?}, augmentation needs rows and columns")]
    NotFlat {
        /// The shape of a picture.
        found: Vec<usize>,
    },
    /// A setting of the augmentation is out of its range.
    #[error(transparent)]
    Augment(#[from] AugmentError),
    /// The data set has more classes than the model has outputs.
    #[error("the data set has {found} classes, the model has {expected} outputs")]
    Classes {
        /// Classes of the set.
        found: usize,
        /// Outputs of the model.
        expected: usize,
    },
    /// The model, the loss and the samples do not fit together.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The optimizer's state does not fit into memory.
    #[error("the optimizer's state does not fit into memory beside the model")]
    Memory(#[from] NoMemory),
    /// The data set cannot be split so, or its files were changed underneath.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The samples turned out to be wrong while they were in use. The weights are spoilt; the last checkpoint is not.
    #[error("the samples became invalid during training")]
    Samples(#[source] SamplesError),
    /// No more threads.
    #[error("cannot start {threads} threads: {reason}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// Why not.
        reason: String,
    },
    /// A batch's loss was NaN or infinite. The weights are those before that step.
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
    /// The loss over the validation part was NaN or infinite after an epoch.
    #[error(
        "the validation loss is {loss} after epoch {epoch}; try a smaller learning rate, or look for broken data"
    )]
    ValidationNotFinite {
        /// The epoch, from 1.
        epoch: usize,
        /// The loss.
        loss: f64,
    },
    /// The loss over a whole set was NaN or infinite.
    #[error("the loss is {loss}: the model's weights are broken")]
    Evaluation {
        /// The loss.
        loss: f64,
    },
    /// A checkpoint could not be written, or not be gone on from.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The flag of [`Trainer::stop_when`](crate::Trainer::stop_when) was set. The weights are those after that step.
    #[error("interrupted after step {step} of epoch {epoch}")]
    Interrupted {
        /// The epoch, from 1.
        epoch: usize,
        /// The steps of it that were made.
        step: usize,
        /// Where all is saved, if there are checkpoints.
        checkpoint: Option<PathBuf>,
    },
    /// A callback failed.
    #[error("the callback {callback} failed")]
    Callback {
        /// The callback's name.
        callback: &'static str,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

ziffer_base::debug_as_message!(TrainError);
