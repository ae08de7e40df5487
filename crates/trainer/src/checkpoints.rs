//! Checkpoints: a training's whole state in files, from which a run that was killed goes on to the very same end.
//!
//! A checkpoint is a safetensors file `checkpoint-N.safetensors`, N counting up: the weights, the optimizer's state, and in the
//! metadata where the training stands; what a callback must know besides is a tensor of bytes, `callback/early stopping/0`.
//! Orders and weights are drawn by seed and epoch, so the state of a random stream is the epoch's number.

mod keeper;
mod settings;
mod standing;

use std::fmt;
use std::io;
use std::num::NonZero;
use std::path::PathBuf;
use std::str::FromStr;

use ziffer_nn::training::StateError;

use crate::History;
use crate::callback::CallbackError;

pub(crate) use keeper::{Found, Keeper};
pub(crate) use settings::{INITIAL_WEIGHTS, Settings};
pub(crate) use standing::{Epoch, Standing};

/// How often a checkpoint is written; there always is one at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// After so many steps, and at the end.
    Steps(NonZero<u64>),
    /// At the end of so many epochs.
    Epochs(NonZero<usize>),
}

impl Default for Every {
    /// Each epoch.
    fn default() -> Self {
        Self::Epochs(NonZero::<usize>::MIN)
    }
}

/// A text that is no interval between checkpoints.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid interval {text:?}: expected e.g. 300steps or 2epochs")]
pub struct ParseEveryError {
    text: String,
}

ziffer_base::debug_as_message!(ParseEveryError);

impl FromStr for Every {
    type Err = ParseEveryError;

    /// Parses a whole number of at least 1 and its unit: `300steps` or `2epochs`.
    ///
    /// # Errors
    /// If the text has another form, or the number is out of range.
    fn from_str(text: &str) -> Result<Self, ParseEveryError> {
        let wrong = || ParseEveryError { text: text.to_owned() };
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(digits);
        match unit {
            "step" | "steps" => number.parse().map(Self::Steps).map_err(|_| wrong()),
            "epoch" | "epochs" => number.parse().map(Self::Epochs).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(number) => write!(f, "{number}steps"),
            Self::Epochs(number) => write!(f, "{number}epochs"),
        }
    }
}

/// Where and how often a training is saved, and whether it goes on from what is there.
///
/// A file appears whole or not at all, written by a thread of its own while training goes on, unless the next one is due
/// before; once there are two, all older ones go. A checkpoint that cannot be written, for a full disk say, ends training and leaves the last good ones.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    pub(crate) folder: PathBuf,
    pub(crate) every: Every,
    pub(crate) resume: bool,
    pub(crate) settings: Settings,
}

impl Checkpoints {
    /// In this folder, which must exist, at the end of each epoch.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), every: Every::default(), resume: false, settings: Settings::new() }
    }

    /// Sets how often.
    pub fn every(mut self, every: Every) -> Self {
        self.every = every;
        self
    }

    /// Sets whether training goes on from the newest checkpoint in the folder that is whole, if there is one.
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Adds something that must be the same when a training goes on. What the trainer knows of (its own settings but for
    /// epochs and threads, the initial weights, the number of samples) need not be said. The samples' content should be,
    /// by a digest of it or a name that stands for it.
    pub fn setting(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.settings.insert(name.to_owned(), value.to_string());
        self
    }
}

/// From where a training went on.
#[derive(Clone, Debug, PartialEq)]
pub struct Resumed {
    /// The checkpoint.
    pub path: PathBuf,
    /// Epochs that were done.
    pub epoch: usize,
    /// Steps that were done in the epoch after them.
    pub step: usize,
    /// What the done epochs told.
    pub history: History,
    /// What the callback that is told this kept in the checkpoint, see [`Callback::state`](crate::callback::Callback::state).
    pub state: Option<Vec<u8>>,
}

/// A checkpoint that cannot be written, or not be gone on from. The message does not repeat the cause, which
/// [`source`](std::error::Error::source) gives.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The system said no.
    #[error("{}: cannot {action}", path.display())]
    Io {
        /// The checkpoint, or its folder.
        path: PathBuf,
        /// What was tried: `write` or `list`.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Another training.
    #[error("{}: cannot resume with other settings: {differences}; give those of the checkpoint, or start over without resuming", path.display())]
    Settings {
        /// The checkpoint.
        path: PathBuf,
        /// `batch_size was 32, is 64`, ...
        differences: String,
    },
    /// Another model.
    #[error("{}: cannot resume", path.display())]
    State {
        /// The checkpoint.
        path: PathBuf,
        /// Why.
        source: StateError,
    },
    /// A callback cannot go on from it.
    #[error("{}: cannot resume the callback {callback}", path.display())]
    Callback {
        /// The checkpoint.
        path: PathBuf,
        /// The callback's name.
        callback: &'static str,
        /// Why.
        source: CallbackError,
    },
    /// A callback keeps more than a checkpoint takes.
    #[error("the callback {callback} keeps {bytes} bytes, expected at most {most}")]
    Large {
        /// The callback's name, and its place among those of that name.
        callback: String,
        /// How many bytes it keeps.
        bytes: usize,
        /// How many it may keep.
        most: u64,
    },
    /// Trained further than it should be.
    #[error("{}: cannot resume: {done} epochs and {steps} steps are done, more than the {epochs} epochs asked for", path.display())]
    Beyond {
        /// The checkpoint.
        path: PathBuf,
        /// Epochs that are done.
        done: usize,
        /// Steps that are done in the epoch after them.
        steps: usize,
        /// Epochs that were asked for.
        epochs: usize,
    },
}

ziffer_base::debug_as_message!(CheckpointError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_often_is_a_number_with_its_unit() {
        for (text, every) in [
            ("300steps", Every::Steps(NonZero::new(300).unwrap())),
            ("1step", Every::Steps(NonZero::<u64>::MIN)),
            ("2epochs", Every::Epochs(NonZero::new(2).unwrap())),
            ("1epoch", Every::default()),
        ] {
            assert_eq!(text.parse(), Ok(every));
        }
        assert_eq!("300steps".parse::<Every>().unwrap().to_string(), "300steps");
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
            assert_eq!(text.parse::<Every>().unwrap_err().to_string(), line);
        }
    }
}
