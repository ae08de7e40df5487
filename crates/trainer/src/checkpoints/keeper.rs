//! The checkpoints of a training that runs: writing, finding and reading them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use ziffer_base::chain;
use ziffer_base::fs::AtomicFile;
use ziffer_nn::optimizer::MAX_SLOTS;
use ziffer_nn::training::State;
use ziffer_nn::{Model, Optimizer, Training};

use super::settings::{Settings, differences, is_layer, set_layers, without_layers};
use super::standing::{Epoch, Standing};
use super::{CheckpointError, Checkpoints, Every};

/// Bytes of a checkpoint beside its tensors that are read at most; safetensors takes no header beyond.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Callbacks whose states a file may have, more than any training has.
const MAX_CALLBACKS: u64 = 64;

/// Bytes of a callback's state beside a copy of the weights.
const MAX_STATE_BYTES: u64 = 1 << 20;

/// Numbers from here on are none of ours.
const NUMBERS_END: u64 = 1_000_000_000_000;

/// The text of a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
struct Text {
    standing: Standing,
    settings: Settings,
}

/// A checkpoint that a training goes on from.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) standing: Standing,
    /// What callbacks kept, by name.
    pub(crate) states: BTreeMap<String, Vec<u8>>,
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
    ) -> Result<Option<Found>, CheckpointError> {
        set_layers(&mut self.settings, model);
        let limit = max_bytes(model);
        for (_, path) in files(&self.folder)?.into_iter().rev() {
            // One that is damaged is passed over: the one before it is as good, but for the time.
            let bytes = match read(&path, limit) {
                Ok(bytes) => bytes,
                Err(error) => {
                    pass_over(&path, &chain(&error));
                    continue;
                }
            };
            let parsed = State::parse(&bytes).map_err(|error| chain(&error)).and_then(|state| {
                let text: Text = serde_json::from_str(state.text()).map_err(|error| chain(&error))?;
                Ok((state, text))
            });
            let (state, Text { standing, settings }) = match parsed {
                Ok(parsed) => parsed,
                Err(reason) => {
                    pass_over(&path, &reason);
                    continue;
                }
            };
            let is = match settings.keys().any(|name| is_layer(name)) {
                true => &self.settings,
                // Written when checkpoints did not say so.
                false => &without_layers(&self.settings),
            };
            if let Some(differences) = differences(&settings, is) {
                return Err(CheckpointError::Settings { path, differences });
            }
            if !epoch.admits(&standing, state.batches()) {
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
            let states = state.attachments().into_iter().map(|(name, bytes)| (name, bytes.to_vec()));
            return Ok(Some(Found { path, standing, states: states.collect() }));
        }
        Ok(None)
    }

    /// Where an earlier training left checkpoints, makes the first one of this training before its first step: what goes on
    /// after a kill must not be the other one, whose checkpoints go with the next.
    pub(crate) fn start_over<O: Optimizer<f32>>(
        &mut self,
        model: &Model,
        training: &Training<f32, O>,
        states: &[(String, Vec<u8>)],
    ) -> Result<(), CheckpointError> {
        set_layers(&mut self.settings, model);
        if !files(&self.folder)?.is_empty() {
            self.save(model, training, &Standing::default(), states)?;
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
        states: &[(String, Vec<u8>)],
    ) -> Result<(), CheckpointError> {
        let most = max_state_bytes(model);
        if let Some((name, state)) = states.iter().find(|(_, state)| state.len() as u64 > most) {
            let callback = name.strip_prefix("callback/").unwrap_or(name).to_owned();
            return Err(CheckpointError::Large { callback, bytes: state.len(), most });
        }
        let text = Text { standing: standing.clone(), settings: self.settings.clone() };
        let text = serde_json::to_string(&text).expect("numbers and texts");
        let bytes = training.to_safetensors_with(model, &text, states);
        self.wait()?;
        let number = self.next;
        let path = self.folder.join(format!("checkpoint-{number:06}.safetensors"));
        if bytes.len() as u64 > max_bytes(model) {
            // It would not be read.
            let source = io::Error::other("there are more callbacks than a checkpoint has room for");
            return Err(CheckpointError::Io { path, action: "write", source });
        }
        self.next += 1;
        let folder = self.folder.clone();
        let before = self.whole.clone();
        self.writing = Some(std::thread::spawn(move || {
            let failed = |source| CheckpointError::Io { path: path.clone(), action: "write", source };
            AtomicFile::write(&path, &bytes).map_err(failed)?;
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

/// The most that a checkpoint has: the weights, the optimizer's slots, their average, accumulated gradients, and what
/// callbacks keep.
fn max_bytes(model: &Model) -> u64 {
    4 * (3 + MAX_SLOTS) as u64 * model.parameters() as u64
        + MAX_CALLBACKS * max_state_bytes(model)
        + MAX_HEADER_BYTES
}

/// The most that one callback may keep.
fn max_state_bytes(model: &Model) -> u64 {
    4 * model.parameters() as u64 + MAX_STATE_BYTES
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
