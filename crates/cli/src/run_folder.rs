//! A run's folder: the model and what is to be known of how it came about.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use ziffer_base::fs::{AtomicFile, FolderLock};
use ziffer_nn::Model;
use ziffer_trainer::{History, Shuffle};

use crate::host::Host;
use crate::recipe::Recipe;

/// The model's file in a run's folder.
pub const MODEL_FILE: &str = "model.safetensors";
/// The summary's.
pub const SUMMARY_FILE: &str = "summary.json";
/// The recipe of a run with every default filled in.
pub const RECIPE_FILE: &str = "recipe.toml";

/// What `summary.json` says of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The version of ziffer.
    pub version: String,
    /// The data set's name.
    pub dataset: String,
    /// The folder of the data set's files, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// The units of each hidden layer; none if the recipe has layers instead.
    pub hidden: Vec<usize>,
    /// The layers with their settings, if the recipe has layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<String>,
    /// The momentum of the average of the weights that the model's weights are, if one was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema_momentum: Option<f64>,
    /// What all randomness was drawn from.
    pub seed: u64,
    /// The upper bound on threads.
    pub threads: usize,
    /// The threads that trained: no more than the process may use CPUs.
    pub threads_used: usize,
    /// The instruction set of the kernels.
    pub instruction_set: String,
    /// Epochs.
    pub epochs: usize,
    /// Samples of a step.
    pub batch_size: usize,
    /// The share that was set aside.
    pub validation_split: f64,
    /// The optimizer's name.
    pub optimizer: String,
    /// The learning rate of the first step.
    pub learning_rate: f64,
    /// What says the learning rate of each step, if it is not the same in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate_schedule: Option<String>,
    /// Whether every epoch had an order of its own, and how it was drawn, as in the recipe.
    #[serde(with = "crate::recipe::shuffle")]
    pub shuffle: Shuffle,
    /// The file that the weights started from, if they were not drawn.
    pub init: Option<PathBuf>,
    /// The number of parameters.
    pub parameters: usize,
    /// One number per epoch.
    pub history: History,
    /// Seconds of all epochs with their validation.
    pub fit_seconds: f64,
    /// Mean loss over the test part.
    pub test_loss: f64,
    /// Accuracy over the test part, 0 to 1.
    pub test_accuracy: f64,
    /// SHA-256 of every parameter's little-endian bytes, in layer order, kernel before bias.
    pub weights_sha256: String,
    /// When it was started, in UTC by RFC 3339. Runs of older versions do not say, here and below.
    #[serde(default)]
    pub started: Option<String>,
    /// The compiler that the program was built with.
    #[serde(default)]
    pub compiler: Option<String>,
    /// The machine that trained it.
    #[serde(default)]
    pub host: Option<Host>,
}

/// Makes the folder, sees that this many bytes can be written there before time is spent on training, and takes it for this
/// run alone until what is returned is dropped.
pub(crate) fn prepare(folder: &Path, bytes: usize) -> anyhow::Result<FolderLock> {
    let lock = claim(folder, "wait for it to end, or choose another folder with --out")?;
    for name in [MODEL_FILE, SUMMARY_FILE, RECIPE_FILE] {
        let path = folder.join(name);
        ensure!(!path.is_dir(), "{}: cannot write: it is a folder", path.display());
    }
    // Written, brought to the disk, and dropped.
    AtomicFile::stage(folder.join(MODEL_FILE), &vec![0; bytes])
        .map(drop)
        .with_context(|| format!("{}: cannot write to the folder", folder.display()))?;
    Ok(lock)
}

/// Creates and locks a folder, and removes what killed processes left there. `advice` says what to do if another process has
/// locked it.
pub(crate) fn claim(folder: &Path, advice: &str) -> anyhow::Result<FolderLock> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("{}: cannot make the folder", folder.display()))?;
    let lock = FolderLock::try_lock(folder)
        .with_context(|| format!("{}: cannot write to the folder", folder.display()))?;
    lock.with_context(|| format!("{}: another process is writing to this folder; {advice}", folder.display()))
}

/// Writes the run's files: all are on the disk before one gets its name, so that a failure leaves an earlier run as it was.
pub(crate) fn write(
    folder: &Path,
    model: &Model,
    summary: &RunSummary,
    recipe: &Recipe,
) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(summary).context("the summary as JSON")?;
    text.push('\n');
    let files = [
        (RECIPE_FILE, recipe.to_toml().into_bytes()),
        (MODEL_FILE, model.to_safetensors()),
        (SUMMARY_FILE, text.into_bytes()),
    ];
    let mut staged = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        staged.push((AtomicFile::stage(&path, &bytes).with_context(|| cannot_write(&path))?, path));
    }
    staged.into_iter().try_for_each(|(file, path)| file.commit().with_context(|| cannot_write(&path)))
}

/// What is said of a file that cannot be written, before the cause.
pub(crate) fn cannot_write(path: &Path) -> String {
    format!("{}: cannot write", path.display())
}

/// Whether two paths lead to one place that is there.
pub(crate) fn is_same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// The model of a run's folder, or the file itself.
pub(crate) fn model_file(model: &Path) -> PathBuf {
    if model.is_dir() { model.join(MODEL_FILE) } else { model.to_owned() }
}

/// The summary beside a model, if there is one that can be read.
pub(crate) fn summary_beside(model: &Path) -> Option<RunSummary> {
    let folder = if model.is_dir() { model } else { model.parent()? };
    serde_json::from_str(&std::fs::read_to_string(folder.join(SUMMARY_FILE)).ok()?).ok()
}
