//! Checkpoints: a training's whole state in files, from which a run that was killed goes on to the very same end.
//!
//! A checkpoint is a safetensors file `checkpoint-N.safetensors`, N counting up: the weights, the optimizer's state, and in the
//! metadata where the training stands. Orders and weights are drawn by seed and epoch, so the state of a random stream is the
//! epoch's number.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use ziffer_nn::optimizer::MAX_SLOTS;
use ziffer_nn::training::{State, StateError, StepResult};
use ziffer_nn::{Model, OneLine, Optimizer, Staged, Training};

use crate::History;

/// Bytes of a checkpoint beside its tensors that are read at most; safetensors takes no header beyond.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Numbers from here on are none of ours.
const NUMBERS_END: u64 = 1_000_000_000_000;

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

impl FromStr for Every {
    type Err = String;
    /// `300steps` or `2epochs`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?} says not how often, expected a number with its unit like 300steps or 2epochs")
        };
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

/// Everything that must be the same when a training goes on, as `name: value`.
pub(crate) type Settings = BTreeMap<String, String>;

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

/// Where a training stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Epochs that are done, with their validation.
    pub(crate) epoch: usize,
    /// Steps that are done in the epoch after them.
    pub(crate) step: usize,
    /// The sums over these steps, and the seconds that they took.
    pub(crate) loss_sum: f64,
    pub(crate) hits: usize,
    pub(crate) samples: usize,
    pub(crate) seconds: f64,
    /// Whether a callback has ended the training.
    pub(crate) stopped: bool,
    pub(crate) history: History,
}

impl Standing {
    pub(crate) fn sum(&self) -> StepResult {
        StepResult { loss_sum: self.loss_sum, hits: self.hits, samples: self.samples }
    }

    pub(crate) fn set_sum(&mut self, sum: StepResult) {
        (self.loss_sum, self.hits, self.samples) = (sum.loss_sum, sum.hits, sum.samples);
    }
}

/// The text of a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
struct Text {
    standing: Standing,
    settings: Settings,
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
}

/// A checkpoint that cannot be written, or not be gone on from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The system said no.
    #[error("{}: cannot {action}: {source}", path.display())]
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
    #[error("{}: cannot resume: {source}", path.display())]
    State {
        /// The checkpoint.
        path: PathBuf,
        /// Why.
        source: StateError,
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

/// The checkpoints of a training that runs.
#[derive(Debug)]
pub(crate) struct Keeper {
    folder: PathBuf,
    pub(crate) every: Every,
    settings: Settings,
    next: u64,
    /// The newest that is known to be whole.
    whole: Option<PathBuf>,
    writing: Option<JoinHandle<Result<PathBuf, CheckpointError>>>,
}

/// What a standing is held against: the steps of an epoch, its samples, and whether it ends with a validation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    pub(crate) steps: usize,
    pub(crate) batch_size: usize,
    pub(crate) samples: usize,
    pub(crate) validates: bool,
}

impl Epoch {
    /// Whether a training can stand so.
    fn admits(&self, standing: &Standing, iteration: u64) -> bool {
        let Standing { epoch, step, samples, hits, ref history, .. } = *standing;
        let History { loss, accuracy, val_loss, val_accuracy, seconds } = history;
        let steps = epoch.checked_mul(self.steps).and_then(|steps| steps.checked_add(step));
        let validated = if self.validates { epoch } else { 0 };
        let is_share = |share: &f64| (0.0..=1.0).contains(share);
        step <= self.steps
            && steps.is_some_and(|steps| steps as u64 == iteration)
            && samples == (step * self.batch_size).min(self.samples)
            && hits <= samples
            && [loss, accuracy, seconds].iter().all(|list| list.len() == epoch)
            && [val_loss, val_accuracy].iter().all(|list| list.len() == validated)
            && accuracy.iter().chain(val_accuracy).all(is_share)
            && seconds.iter().chain([&standing.seconds]).all(|&seconds| seconds >= 0.0)
    }
}

impl Keeper {
    pub(crate) fn new(checkpoints: &Checkpoints, settings: Settings) -> Result<Self, CheckpointError> {
        let folder = checkpoints.folder.clone();
        let next = files(&folder)?.last().map_or(1, |(number, _)| number + 1);
        Ok(Self { folder, every: checkpoints.every, settings, next, whole: None, writing: None })
    }

    /// Brings the model and its training to the newest checkpoint that is whole; `None` if there is none. `pass_over` is told
    /// of those that are not, and why.
    pub(crate) fn resume<O: Optimizer<f32>>(
        &mut self,
        model: &mut Model,
        training: &mut Training<f32, O>,
        (epochs, epoch): (usize, Epoch),
        mut pass_over: impl FnMut(&Path, &str),
    ) -> Result<Option<(PathBuf, Standing)>, CheckpointError> {
        let limit = 4 * (1 + MAX_SLOTS) as u64 * model.parameters() as u64 + MAX_HEADER_BYTES;
        for (_, path) in files(&self.folder)?.into_iter().rev() {
            // One that is damaged is passed over: the one before it is as good, but for the time.
            let bytes = match read(&path, limit) {
                Ok(bytes) => bytes,
                Err(error) => {
                    pass_over(&path, &error.to_string());
                    continue;
                }
            };
            let parsed = State::parse(&bytes).map_err(|error| error.to_string()).and_then(|state| {
                let text: Text =
                    serde_json::from_str(state.text()).map_err(|error| OneLine(error).to_string())?;
                Ok((state, text))
            });
            let (state, Text { standing, settings }) = match parsed {
                Ok(parsed) => parsed,
                Err(reason) => {
                    pass_over(&path, &reason);
                    continue;
                }
            };
            if let Some(differences) = differences(&settings, &self.settings) {
                return Err(CheckpointError::Settings { path, differences });
            }
            if !epoch.admits(&standing, state.iteration()) {
                pass_over(&path, "its numbers of steps, samples and epochs do not fit together");
                continue;
            }
            if (standing.epoch, standing.step) > (epochs, 0) {
                let (done, steps) = (standing.epoch, standing.step);
                return Err(CheckpointError::Beyond { path, done, steps, epochs });
            }
            if let Err(source) = training.restore(model, &state) {
                return Err(CheckpointError::State { path, source });
            }
            self.whole = Some(path.clone());
            return Ok(Some((path, standing)));
        }
        Ok(None)
    }

    /// Where an earlier training left checkpoints, makes the first one of this training before its first step: what goes on
    /// after a kill must not be the other one, whose checkpoints go with the next.
    pub(crate) fn start_over<O: Optimizer<f32>>(
        &mut self,
        model: &Model,
        training: &Training<f32, O>,
    ) -> Result<(), CheckpointError> {
        if !files(&self.folder)?.is_empty() {
            self.save(model, training, &Standing::default())?;
            self.wait()?;
        }
        Ok(())
    }

    /// Steps until a checkpoint is due, if they are counted.
    pub(crate) fn steps_left(&self, iteration: u64) -> Option<u64> {
        match self.every {
            Every::Steps(every) => Some(every.get() - iteration % every),
            Every::Epochs(_) => None,
        }
    }

    /// Whether a checkpoint is due at the end of an epoch, if epochs are counted.
    pub(crate) fn is_due(&self, epochs_done: usize) -> bool {
        matches!(self.every, Every::Epochs(every) if epochs_done.is_multiple_of(every.get()))
    }

    /// Has a checkpoint written, after the one that is being written; fails if that one did.
    pub(crate) fn save<O: Optimizer<f32>>(
        &mut self,
        model: &Model,
        training: &Training<f32, O>,
        standing: &Standing,
    ) -> Result<(), CheckpointError> {
        let text = Text { standing: standing.clone(), settings: self.settings.clone() };
        let text = serde_json::to_string(&text).expect("numbers and texts");
        let bytes = training.to_safetensors(model, &text);
        self.wait()?;
        let number = self.next;
        let path = self.folder.join(format!("checkpoint-{number:06}.safetensors"));
        self.next += 1;
        let folder = self.folder.clone();
        let before = self.whole.clone();
        self.writing = Some(std::thread::spawn(move || {
            let failed = |source| CheckpointError::Io { path: path.clone(), action: "write", source };
            Staged::write(&path, &bytes).and_then(Staged::publish).map_err(failed)?;
            // With two that are whole, all before them can go: damaged ones, and those of earlier trainings.
            if let Some(before) = before {
                let is_kept = |path: &Path| path == before;
                for (_, old) in
                    files(&folder)?.into_iter().filter(|(other, path)| *other < number && !is_kept(path))
                {
                    // One that stays takes room and does no other harm.
                    let _ = std::fs::remove_file(old);
                }
            }
            Ok(path)
        }));
        Ok(())
    }

    /// Waits until all is on the disk; the last checkpoint, if one was being written.
    pub(crate) fn wait(&mut self) -> Result<Option<PathBuf>, CheckpointError> {
        let Some(writing) = self.writing.take() else { return Ok(None) };
        let path = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        self.whole = Some(path.clone());
        Ok(Some(path))
    }
}

impl Drop for Keeper {
    /// What was begun is finished, also where training ends with an error.
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take() {
            let _ = writing.join();
        }
    }
}

/// The checkpoints of a folder with their numbers, in order.
fn files(folder: &Path) -> Result<Vec<(u64, PathBuf)>, CheckpointError> {
    let failed = |source| CheckpointError::Io { path: folder.to_owned(), action: "list", source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let number = name.to_str().and_then(|name| {
            let number = name.strip_prefix("checkpoint-")?.strip_suffix(".safetensors")?;
            // `parse` takes a sign as well.
            number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())?
        });
        let path = folder.join(&name);
        // Reading something else, a pipe say, could take for ever.
        if let Some(number) = number.filter(|&number| number < NUMBERS_END && path.is_file()) {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files)
}

/// The file's bytes, if they are not more than a checkpoint has.
fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other("it is larger than a checkpoint of this network can be"));
    }
    Ok(bytes)
}

/// More than a recipe has settings; a file that was not written by ziffer may say more.
const MOST_DIFFERENCES: usize = 20;

/// What differs, in words; `None` if nothing does.
fn differences(was: &Settings, is: &Settings) -> Option<String> {
    let mut names: Vec<&String> = was.keys().chain(is.keys()).collect();
    names.sort();
    names.dedup();
    let value = |settings: &Settings, name| settings.get(name).map_or("not set", String::as_str).to_owned();
    let mut different: Vec<_> = names
        .into_iter()
        .map(|name| (name, value(was, name), value(is, name)))
        .filter(|(_, was, is)| was != is)
        .collect();
    // They follow from the seed or the layers, which then say more.
    if different.len() > 1 {
        different.retain(|(name, ..)| *name != INITIAL_WEIGHTS);
    }
    let mut texts: Vec<_> = (different.iter().take(MOST_DIFFERENCES))
        .map(|(name, was, is)| format!("{} was {}, is {}", OneLine(name), OneLine(was), OneLine(is)))
        .collect();
    if different.len() > MOST_DIFFERENCES {
        texts.push(format!("and {} more", different.len() - MOST_DIFFERENCES));
    }
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// The setting that has the digest of the weights that training started from.
pub(crate) const INITIAL_WEIGHTS: &str = "initial weights";

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
            assert!(text.parse::<Every>().unwrap_err().contains("like 300steps or 2epochs"), "{text}");
        }
    }

    #[test]
    fn a_standing_that_no_training_can_have_is_not_admitted() {
        let history = History {
            loss: vec![0.5, 0.4],
            accuracy: vec![0.8, 1.0],
            val_loss: vec![0.6, 0.5],
            val_accuracy: vec![0.0, 0.7],
            seconds: vec![0.1, 0.1],
        };
        let good = Standing { epoch: 2, step: 1, hits: 3, samples: 4, history, ..Standing::default() };
        let epoch = Epoch { steps: 3, batch_size: 4, samples: 10, validates: true };
        assert!(epoch.admits(&good, 7));
        assert!(!epoch.admits(&good, 8));
        let spoilt: [fn(&mut Standing); 11] = [
            |s| s.epoch = 1,
            |s| s.epoch = usize::MAX,
            |s| s.step = 4,
            |s| s.step = usize::MAX,
            |s| s.samples = 5,
            |s| s.hits = 5,
            |s| s.seconds = -1.0,
            |s| s.history.val_loss.clear(),
            |s| s.history.accuracy[0] = 1.5,
            |s| s.history.val_accuracy[1] = -0.5,
            |s| s.history.seconds.push(0.1),
        ];
        for (index, spoil) in spoilt.into_iter().enumerate() {
            let mut standing = good.clone();
            spoil(&mut standing);
            assert!(!epoch.admits(&standing, 7), "{index}: {standing:?}");
        }
        assert!(!Epoch { validates: false, ..epoch }.admits(&good, 7));
    }

    #[test]
    fn what_differs_is_shown() {
        let settings = |entries: &[(&str, &str)]| -> Settings {
            entries.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let was = settings(&[("batch_size", "32"), ("seed", "0"), (INITIAL_WEIGHTS, "ab")]);
        assert_eq!(differences(&was, &was), None);
        let is = settings(&[("batch_size", "64"), ("hidden", "[3]"), ("seed", "0"), (INITIAL_WEIGHTS, "cd")]);
        assert_eq!(differences(&was, &is).unwrap(), "batch_size was 32, is 64; hidden was not set, is [3]");
        let is = settings(&[("batch_size", "32"), ("seed", "0"), (INITIAL_WEIGHTS, "cd")]);
        assert_eq!(differences(&was, &is).unwrap(), "initial weights was ab, is cd");
        let is = (0..MOST_DIFFERENCES + 1).map(|i| (format!("{i:02}\n"), "9".repeat(1000))).collect();
        let shown = differences(&Settings::new(), &is).unwrap();
        assert!(shown.ends_with("9...; and 1 more") && !shown.contains('\n'), "{shown}");
    }
}
