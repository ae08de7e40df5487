//! The summary of a run: `summary.json`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use ziffer_trainer::{History, Shuffle};

use crate::host::Host;

/// The contents of a run's `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The version of ziffer.
    pub version: String,
    /// The data set's name.
    pub dataset: String,
    /// The folder of the data set's files, if `--data-dir` named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// The units of each hidden layer. Empty if the recipe has `layers`.
    pub hidden: Vec<usize>,
    /// The layers with their settings, if the recipe has `layers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<String>,
    /// The momentum of the moving average of the weights, if the model's weights are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema_momentum: Option<f64>,
    /// The random seed.
    pub seed: u64,
    /// The upper bound on threads.
    pub threads: usize,
    /// The threads that trained: at most the CPUs available to the process.
    pub threads_used: usize,
    /// The instruction set of the kernels.
    pub instruction_set: String,
    /// The epochs asked for.
    pub epochs: usize,
    /// Samples per batch.
    pub batch_size: usize,
    /// The share of the training set used for validation.
    pub validation_split: f64,
    /// The optimizer's name.
    pub optimizer: String,
    /// The learning rate of the first step.
    pub learning_rate: f64,
    /// The learning rate schedule, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate_schedule: Option<String>,
    /// Whether and how samples were shuffled in each epoch, as in the recipe.
    #[serde(with = "crate::recipe::shuffle")]
    pub shuffle: Shuffle,
    /// The file with the initial weights, if `--init` named one.
    pub init: Option<PathBuf>,
    /// The number of parameters.
    pub parameters: usize,
    /// The metrics of each epoch.
    pub history: History,
    /// Seconds of all epochs, including validation.
    pub fit_seconds: f64,
    /// Mean loss on the test set.
    pub test_loss: f64,
    /// Accuracy on the test set, 0 to 1.
    pub test_accuracy: f64,
    /// The SHA-256 digest of all parameters' little-endian bytes, in layer order, kernel before bias.
    pub weights_sha256: String,
    /// The start time in UTC, in the format of RFC 3339. Summaries of older versions lack this field and those below.
    #[serde(default)]
    pub started: Option<String>,
    /// The compiler that built the program.
    #[serde(default)]
    pub compiler: Option<String>,
    /// The machine that trained the model.
    #[serde(default)]
    pub host: Option<Host>,
}
