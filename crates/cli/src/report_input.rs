//! The input of a run's report: its summary, and the model's predictions on the test set.

use std::path::Path;

use anyhow::Context;
use ndarray::{ArrayView2, Ix2};
use serde_json::Value;
use ziffer_base::fs::AtomicFile;
use ziffer_base::thousands;
use ziffer_dataset::{Dataset, TrainTest};
use ziffer_nn::Model;
use ziffer_report::{Assessment, Fact, Run, RunHistory, RunReport};
use ziffer_trainer::Evaluate as _;

use crate::run_folder::{SUMMARY_FILE, cannot_write};
use crate::run_summary::RunSummary;

/// The file name of the report's page.
pub const REPORT_FILE: &str = "report.html";

/// Images per prediction. Memory holds the probabilities of one block.
const BLOCK: usize = 4096;

/// A run with the assessment of its model on the test set.
pub(crate) struct ReportInput {
    name: String,
    subject: String,
    summary: RunSummary,
    pub(crate) class_names: Vec<String>,
    pub(crate) assessment: Assessment,
    kernel: Option<ndarray::Array2<f32>>,
}

impl ReportInput {
    /// Predicts the test set. Runs in parallel on rayon's threads.
    ///
    /// # Errors
    /// If the model does not fit the data, or the summary's history is inconsistent.
    pub(crate) fn new(
        folder: &Path,
        summary: &RunSummary,
        model: &Model,
        data: &TrainTest,
    ) -> anyhow::Result<Self> {
        let assessment = assess(model, &data.test).with_context(|| data.folder().display().to_string())?;
        let class_names = match data.name.class_names() {
            names if names.len() == model.outputs() => names.iter().map(|&name| name.to_owned()).collect(),
            _ => (0..model.outputs()).map(|class| class.to_string()).collect(),
        };
        let first = model.weights().next().and_then(|(_, weight)| weight.into_dimensionality::<Ix2>().ok());
        let kernel = first.filter(|kernel| kernel.nrows() == model.inputs()).map(|kernel| kernel.to_owned());
        let samples = assessment.confusion().samples();
        let input = Self {
            name: name(folder),
            subject: format!(
                "{} with {} test images, seed {}",
                data.name.title(),
                thousands(samples),
                summary.seed
            ),
            summary: summary.clone(),
            class_names,
            assessment,
            kernel,
        };
        // A history from a file may have any length.
        let fits = input.run()?.check();
        fits.with_context(|| folder.join(SUMMARY_FILE).display().to_string())?;
        Ok(input)
    }

    /// The run in the form that reports take.
    pub(crate) fn run(&self) -> anyhow::Result<Run<'_>> {
        let facts = Facts::of(&self.summary)?;
        let history = &self.summary.history;
        Ok(Run {
            name: &self.name,
            subject: &self.subject,
            results: facts.named(&RESULTS),
            settings: facts.named(&SETTINGS),
            origin: facts.named(&ORIGIN),
            history: RunHistory {
                loss: &history.loss,
                accuracy: &history.accuracy,
                val_loss: &history.val_loss,
                val_accuracy: &history.val_accuracy,
                learning_rate: &history.learning_rate,
                seconds: &history.seconds,
            },
            class_names: &self.class_names,
            assessment: &self.assessment,
            kernel: self.kernel.as_ref().map(ArrayView2::from),
        })
    }

    /// Writes the files of the report into the run folder, each atomically, the page last.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn write_report(&self, folder: &Path) -> anyhow::Result<()> {
        let report = RunReport::new(&self.run()?)?;
        // All files are on the disk before the first gets its name.
        let mut files = Vec::new();
        for (name, bytes) in report.files() {
            let path = folder.join(name);
            files.push((AtomicFile::stage(&path, bytes).with_context(|| cannot_write(&path))?, path));
        }
        files.into_iter().try_for_each(|(file, path)| file.commit().with_context(|| cannot_write(&path)))
    }
}

/// The name of a folder, without the path to it.
fn name(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole.file_name().map_or_else(|| whole.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Assesses the predictions of a model on a test set.
fn assess(model: &Model, test: &Dataset) -> anyhow::Result<Assessment> {
    let mut assessment = Assessment::new(model.outputs(), test.image_shape());
    for start in (0..test.len()).step_by(BLOCK) {
        let block = test.view().slice(start..test.len().min(start + BLOCK));
        let probabilities = model.predict_dataset(block)?;
        for (sample, probabilities) in probabilities.rows().into_iter().enumerate() {
            let probabilities = probabilities.as_slice().expect("contiguous rows");
            assessment.add(block.label(sample), probabilities, block.image(sample))?;
        }
    }
    Ok(assessment)
}

/// Keys of the summary by sections of the report, with the labels shown for them.
const RESULTS: [(&str, &str); 4] = [
    ("test_accuracy", "Test accuracy"),
    ("test_loss", "Test loss"),
    ("parameters", "Parameters"),
    ("fit_seconds", "Training"),
];
const SETTINGS: [(&str, &str); 14] = [
    ("dataset", "Data set"),
    ("data_dir", "Data folder"),
    ("hidden", "Hidden layers"),
    ("layers", "Layers"),
    ("epochs", "Epochs"),
    ("batch_size", "Batch size"),
    ("validation_split", "Validation split"),
    ("optimizer", "Optimizer"),
    ("learning_rate", "Learning rate"),
    ("learning_rate_schedule", "Learning rate schedule"),
    ("ema_momentum", "Momentum of the weight average"),
    ("shuffle", "Shuffle"),
    ("init", "Initial weights"),
    ("seed", "Seed"),
];
const ORIGIN: [(&str, &str); 10] = [
    ("weights_sha256", "SHA-256 of the weights"),
    ("version", "Version of ziffer"),
    ("compiler", "Built with"),
    ("started", "Started"),
    ("host.processor", "Processor"),
    ("host.cpus", "CPUs"),
    ("host.os", "System"),
    ("instruction_set", "Instruction set"),
    ("threads", "Maximum threads"),
    ("threads_used", "Threads used"),
];

/// The summary as JSON.
struct Facts(Value);

impl Facts {
    fn of(summary: &RunSummary) -> anyhow::Result<Self> {
        Ok(Self(serde_json::to_value(summary).context("the summary as JSON")?))
    }

    /// The facts of these keys, without those that the summary lacks.
    fn named(&self, keys: &[(&str, &str)]) -> Vec<Fact> {
        let fact = |&(key, name): &(&str, &str)| {
            let value = key.split('.').try_fold(&self.0, |value, part| value.get(part))?;
            let shown = match (key, value) {
                ("test_accuracy", Value::Number(share)) => format!("{:.2}%", 100.0 * share.as_f64()?),
                ("test_loss", Value::Number(loss)) => format!("{:.4}", loss.as_f64()?),
                ("parameters", Value::Number(count)) => thousands(usize::try_from(count.as_u64()?).ok()?),
                ("fit_seconds", Value::Number(seconds)) => format!("{:.2} s", seconds.as_f64()?),
                ("init", Value::Null) => "drawn from the seed (Glorot uniform)".to_owned(),
                ("shuffle", Value::Bool(true)) => "anew in every epoch".to_owned(),
                ("shuffle", Value::Bool(false)) => "none".to_owned(),
                ("shuffle", Value::String(how)) => format!("anew in every epoch, {how}"),
                ("hidden", Value::Array(layers)) if layers.is_empty() => "none".to_owned(),
                ("hidden", Value::Array(layers)) => {
                    layers.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
                }
                // Unknown for runs of older versions.
                (_, Value::Null) => return None,
                (_, Value::String(text)) => text.clone(),
                (_, value) => value.to_string(),
            };
            // Text unquoted, other values as JSON.
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some(Fact { key: key.to_owned(), name: name.to_owned(), value: text, shown })
        };
        keys.iter().filter_map(fact).collect()
    }
}
