//! Writes, finds and reads the checkpoints of a training.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use ziffer_base::chain;
use ziffer_base::fs::AtomicFile;
use ziffer_nn::optimizer::MAX_STATES;
use ziffer_nn::training::State;
use ziffer_nn::{Model, Optimizer, Training};

use super::settings::{Settings, differences, is_layer, set_layers, without_layers};
use super::train_state::{EpochLayout, TrainState};
use super::{CheckpointError, CheckpointInterval, Checkpoints};

/// The largest header of a checkpoint, in bytes. safetensors has the same limit.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// The largest number of callbacks with a state in a checkpoint.
const MAX_CALLBACKS: u64 = 64;

/// The largest state of a callback in bytes, in addition to a copy of the weights.
const MAX_STATE_BYTES: u64 = 1 << 20;

/// Files with this number or a larger one are not checkpoints.
const NUMBERS_END: u64 = 1_000_000_000_000;

/// The JSON text of a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
struct Text {
    #[serde(rename = "standing")]
    state: TrainState,
    settings: Settings,
}

/// The checkpoint that a training resumes from.
#[derive(Debug)]
pub(crate) struct LoadedCheckpoint {
    pub(crate) path: PathBuf,
    pub(crate) state: TrainState,
    /// The states of callbacks, by name.
    pub(crate) callbacks: BTreeMap<String, Vec<u8>>,
}

/// Writes the checkpoints of a training, and reads the one to resume from.
#[derive(Debug)]
pub(crate) struct CheckpointWriter {
    folder: PathBuf,
    interval: CheckpointInterval,
    settings: Settings,
    next: u64,
    /// The newest complete checkpoint.
    last_complete: Option<PathBuf>,
    writing: Option<JoinHandle<Result<PathBuf, CheckpointError>>>,
}

impl CheckpointWriter {
    pub(crate) fn new(checkpoints: &Checkpoints, settings: Settings) -> Result<Self, CheckpointError> {
        let folder = checkpoints.folder.clone();
        let next = files(&folder)?.last().map_or(1, |(number, _)| number + 1);
        Ok(Self {
            folder,
            interval: checkpoints.interval,
            settings,
            next,
            last_complete: None,
            writing: None,
        })
    }

    /// Restores the model and its training from the newest valid checkpoint. Returns `None` if there is none. Calls `on_skipped`
    /// with the path of each invalid checkpoint and the reason.
    pub(crate) fn resume<O: Optimizer<f32>>(
        &mut self,
        model: &mut Model,
        training: &mut Training<f32, O>,
        epochs: usize,
        layout: EpochLayout,
        mut on_skipped: impl FnMut(&Path, &str),
    ) -> Result<Option<LoadedCheckpoint>, CheckpointError> {
        set_layers(&mut self.settings, model);
        let limit = max_bytes(model);
        for (_, path) in files(&self.folder)?.into_iter().rev() {
            // A damaged checkpoint is skipped. Resuming from the one before only takes longer.
            let bytes = match read(&path, limit) {
                Ok(bytes) => bytes,
                Err(error) => {
                    on_skipped(&path, &chain(&error));
                    continue;
                }
            };
            let parsed = State::parse(&bytes).map_err(|error| chain(&error)).and_then(|state| {
                let text: Text = serde_json::from_str(state.text()).map_err(|error| chain(&error))?;
                Ok((state, text))
            });
            let (saved, Text { state, settings }) = match parsed {
                Ok(parsed) => parsed,
                Err(reason) => {
                    on_skipped(&path, &reason);
                    continue;
                }
            };
            let current = match settings.keys().any(|name| is_layer(name)) {
                true => &self.settings,
                // Older checkpoints have no layers among their settings.
                false => &without_layers(&self.settings),
            };
            if let Some(differences) = differences(&settings, current) {
                return Err(CheckpointError::Settings { path, differences });
            }
            if !layout.allows(&state, saved.batches()) {
                on_skipped(&path, "its numbers of steps, samples and epochs do not fit together");
                continue;
            }
            if (state.epoch, state.step) > (epochs, 0) {
                let (done, steps) = (state.epoch, state.step);
                return Err(CheckpointError::Beyond { path, done, steps, epochs });
            }
            if let Err(source) = training.restore(model, &saved) {
                return Err(CheckpointError::State { path, source });
            }
            self.last_complete = Some(path.clone());
            let callbacks = saved.attachments().into_iter().map(|(name, bytes)| (name, bytes.to_vec()));
            return Ok(Some(LoadedCheckpoint { path, state, callbacks: callbacks.collect() }));
        }
        Ok(None)
    }

    /// Writes a checkpoint before the first step, if the folder has checkpoints of an earlier training: a later resume must not
    /// continue the earlier training. The earlier checkpoints are removed with the next checkpoint.
    pub(crate) fn start_over<O: Optimizer<f32>>(
        &mut self,
        model: &Model,
        training: &Training<f32, O>,
        states: &[(String, Vec<u8>)],
    ) -> Result<(), CheckpointError> {
        set_layers(&mut self.settings, model);
        if !files(&self.folder)?.is_empty() {
            self.save(model, training, &TrainState::default(), states)?;
            self.wait()?;
        }
        Ok(())
    }

    /// The number of steps until the next checkpoint, if the interval is in steps.
    pub(crate) fn steps_left(&self, iteration: u64) -> Option<u64> {
        match self.interval {
            CheckpointInterval::Steps(every) => Some(every.get() - iteration % every),
            CheckpointInterval::Epochs(_) => None,
        }
    }

    /// Whether a checkpoint is due after this many epochs, if the interval is in epochs.
    pub(crate) fn is_due(&self, epochs_done: usize) -> bool {
        matches!(self.interval, CheckpointInterval::Epochs(every) if epochs_done.is_multiple_of(every.get()))
    }

    /// Starts writing a checkpoint, after the previous one is complete. Fails if writing the previous one failed.
    pub(crate) fn save<O: Optimizer<f32>>(
        &mut self,
        model: &Model,
        training: &Training<f32, O>,
        state: &TrainState,
        states: &[(String, Vec<u8>)],
    ) -> Result<(), CheckpointError> {
        let max = max_state_bytes(model);
        if let Some((name, state)) = states.iter().find(|(_, state)| state.len() as u64 > max) {
            let callback = name.strip_prefix("callback/").unwrap_or(name).to_owned();
            return Err(CheckpointError::Large { callback, bytes: state.len(), max });
        }
        let text = Text { state: state.clone(), settings: self.settings.clone() };
        let text = serde_json::to_string(&text).expect("numbers and texts");
        let bytes = training.to_safetensors_with(model, &text, states);
        self.wait()?;
        let number = self.next;
        let path = self.folder.join(format!("checkpoint-{number:06}.safetensors"));
        if bytes.len() as u64 > max_bytes(model) {
            // A checkpoint of this size would not be read.
            let source = io::Error::other("there are more callbacks than a checkpoint has room for");
            return Err(CheckpointError::Io { path, action: "write", source });
        }
        self.next += 1;
        let folder = self.folder.clone();
        let before = self.last_complete.clone();
        self.writing = Some(std::thread::spawn(move || {
            let failed = |source| CheckpointError::Io { path: path.clone(), action: "write", source };
            AtomicFile::write(&path, &bytes).map_err(failed)?;
            // Two complete checkpoints are kept. All older ones are removed: damaged ones, and those of earlier trainings.
            if let Some(before) = before {
                let is_kept = |path: &Path| path == before;
                for (_, old) in
                    files(&folder)?.into_iter().filter(|(other, path)| *other < number && !is_kept(path))
                {
                    // A checkpoint that cannot be removed only takes space.
                    let _ = std::fs::remove_file(old);
                }
            }
            Ok(path)
        }));
        Ok(())
    }

    /// Waits until the checkpoint is on the disk. Returns its path, if one was being written.
    pub(crate) fn wait(&mut self) -> Result<Option<PathBuf>, CheckpointError> {
        let Some(writing) = self.writing.take() else { return Ok(None) };
        let path = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        self.last_complete = Some(path.clone());
        Ok(Some(path))
    }
}

impl Drop for CheckpointWriter {
    /// Completes the checkpoint that is being written, also if training ends with an error.
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take() {
            let _ = writing.join();
        }
    }
}

/// The largest size of a checkpoint: the weights, the optimizer's state, the average, accumulated gradients, and the callbacks'
/// states.
fn max_bytes(model: &Model) -> u64 {
    4 * (3 + MAX_STATES) as u64 * model.parameters() as u64
        + MAX_CALLBACKS * max_state_bytes(model)
        + MAX_HEADER_BYTES
}

/// The largest state of one callback.
fn max_state_bytes(model: &Model) -> u64 {
    4 * model.parameters() as u64 + MAX_STATE_BYTES
}

/// The checkpoints of a folder with their numbers, in ascending order.
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
        // Reading from a pipe, for example, might never end.
        if let Some(number) = number.filter(|&number| number < NUMBERS_END && path.is_file()) {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a file of at most `limit` bytes.
fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other("it is larger than a checkpoint of this network can be"));
    }
    Ok(bytes)
}
