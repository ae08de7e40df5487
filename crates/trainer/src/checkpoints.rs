//! Checkpoints: the complete state of a training in files. A resumed training ends with the same bytes as an uninterrupted one.
//!
//! A checkpoint is a safetensors file `checkpoint-N.safetensors`, N counting up. It has the weights, the optimizer's state, and in
//! the metadata the progress of the training. The state of a callback is a tensor of bytes, `callback/early stopping/0`. All random
//! numbers depend on the seed and a position (epoch, step), so that no state of a random generator is stored.

mod settings;
mod train_state;
mod writer;

use std::fmt;
use std::io;
use std::num::NonZero;
use std::path::PathBuf;
use std::str::FromStr;

use ziffer_nn::training::StateError;

use crate::History;
use crate::callback_error::CallbackError;

pub(crate) use settings::{INITIAL_WEIGHTS, Settings};
pub(crate) use train_state::{EpochLayout, TrainState};
pub(crate) use writer::{CheckpointWriter, LoadedCheckpoint};

/// The interval between checkpoints. A final checkpoint is always written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointInterval {
    /// A number of steps.
    Steps(NonZero<u64>),
    /// A number of epochs.
    Epochs(NonZero<usize>),
}

impl Default for CheckpointInterval {
    /// One epoch.
    fn default() -> Self {
        Self::Epochs(NonZero::<usize>::MIN)
    }
}

/// A text is not an interval between checkpoints.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid interval {text:?}: expected e.g. 300steps or 2epochs")]
pub struct ParseIntervalError {
    text: String,
}

ziffer_base::debug_as_message!(ParseIntervalError);

impl FromStr for CheckpointInterval {
    type Err = ParseIntervalError;

    /// Parses a whole number of at least 1 and its unit: `300steps` or `2epochs`.
    ///
    /// # Errors
    /// If the text has another form, or the number is out of range.
    fn from_str(text: &str) -> Result<Self, ParseIntervalError> {
        let wrong = || ParseIntervalError { text: text.to_owned() };
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(digits);
        match unit {
            "step" | "steps" => number.parse().map(Self::Steps).map_err(|_| wrong()),
            "epoch" | "epochs" => number.parse().map(Self::Epochs).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for CheckpointInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(number) => write!(f, "{number}steps"),
            Self::Epochs(number) => write!(f, "{number}epochs"),
        }
    }
}

/// The folder and the interval of a training's checkpoints, and whether the training resumes.
///
/// A file appears completely or not at all. A separate thread writes it while training continues; training waits only if the next
/// checkpoint is due before. The two newest checkpoints are kept. If a checkpoint cannot be written, because the disk is full for
/// example, training ends with an error, and the previous checkpoints stay.
///
/// ```no_run
/// use ziffer_nn::{Adam, SparseCategoricalCrossentropy};
/// use ziffer_trainer::{Checkpoints, Trainer};
/// let checkpoints = Checkpoints::new("run").every("300steps".parse()?).resume(true);
/// let trainer = Trainer::new(Adam::default(), SparseCategoricalCrossentropy::default()).checkpoints(checkpoints);
/// # drop(trainer);
/// # Ok::<(), ziffer_trainer::ParseIntervalError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Checkpoints {
    pub(crate) folder: PathBuf,
    pub(crate) interval: CheckpointInterval,
    pub(crate) resume: bool,
    pub(crate) settings: Settings,
}

impl Checkpoints {
    /// Checkpoints in this folder, which must exist, after each epoch.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            interval: CheckpointInterval::default(),
            resume: false,
            settings: Settings::new(),
        }
    }

    /// Sets the interval.
    pub fn every(mut self, interval: CheckpointInterval) -> Self {
        self.interval = interval;
        self
    }

    /// Sets whether training resumes from the newest valid checkpoint in the folder, if there is one.
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Adds a setting that must not change when a training resumes. The trainer adds its own settings (except epochs and threads),
    /// the initial weights and the number of samples. The content of the samples should be added, as a digest or a name.
    pub fn setting(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.settings.insert(name.to_owned(), value.to_string());
        self
    }
}

/// The checkpoint that a training resumes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Resumed {
    /// The path of the checkpoint.
    pub path: PathBuf,
    /// The number of completed epochs.
    pub epoch: usize,
    /// The number of completed steps of the next epoch.
    pub step: usize,
    /// The history of the completed epochs.
    pub history: History,
    /// The state of the called callback in the checkpoint, see [`Callback::state`](crate::callback::Callback::state).
    pub state: Option<Vec<u8>>,
}

/// A checkpoint cannot be written, or a training cannot resume from it. The message does not repeat the cause: see
/// [`source`](std::error::Error::source).
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// An I/O error.
    #[error("{}: cannot {action}", path.display())]
    Io {
        /// The checkpoint, or its folder.
        path: PathBuf,
        /// `write` or `list`.
        action: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The settings differ from those of the checkpoint.
    #[error("{}: cannot resume with other settings: {differences}; give those of the checkpoint, or start over without resuming", path.display())]
    Settings {
        /// The checkpoint.
        path: PathBuf,
        /// `batch_size was 32, is 64`, ...
        differences: String,
    },
    /// The state does not fit the model or the optimizer.
    #[error("{}: cannot resume", path.display())]
    State {
        /// The checkpoint.
        path: PathBuf,
        /// The cause.
        source: StateError,
    },
    /// A callback cannot resume.
    #[error("{}: cannot resume the callback {callback}", path.display())]
    Callback {
        /// The checkpoint.
        path: PathBuf,
        /// The callback's name.
        callback: &'static str,
        /// The cause.
        source: CallbackError,
    },
    /// The state of a callback is too large.
    #[error("the state of the callback {callback} has {bytes} bytes, expected at most {max}")]
    Large {
        /// The callback's name, and its index among the callbacks of that name.
        callback: String,
        /// The size of the state.
        bytes: usize,
        /// The largest size.
        max: u64,
    },
    /// The checkpoint has more epochs than the training should have.
    #[error("{}: cannot resume: {done} epochs and {steps} steps are done, more than the {epochs} epochs asked for", path.display())]
    Beyond {
        /// The checkpoint.
        path: PathBuf,
        /// The number of completed epochs.
        done: usize,
        /// The number of completed steps of the next epoch.
        steps: usize,
        /// The requested number of epochs.
        epochs: usize,
    },
}

ziffer_base::debug_as_message!(CheckpointError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_a_number_and_a_unit() {
        for (text, interval) in [
            ("300steps", CheckpointInterval::Steps(NonZero::new(300).unwrap())),
            ("1step", CheckpointInterval::Steps(NonZero::<u64>::MIN)),
            ("2epochs", CheckpointInterval::Epochs(NonZero::new(2).unwrap())),
            ("1epoch", CheckpointInterval::default()),
        ] {
            assert_eq!(text.parse(), Ok(interval));
        }
        assert_eq!("300steps".parse::<CheckpointInterval>().unwrap().to_string(), "300steps");
        for text in [
            "",
            "300",
            "steps",
            "0steps",
            "0epochs",
            "-1steps",
            "1.5epochs",
            "3 steps",
            "99999999999999999999steps",
        ] {
            let line = format!("invalid interval {text:?}: expected e.g. 300steps or 2epochs");
            assert_eq!(text.parse::<CheckpointInterval>().unwrap_err().to_string(), line);
        }
    }
}
