//! The account of a run: what its report says, out of its summary, its model and its data.

use std::path::Path;

use anyhow::Context;
use ndarray::{ArrayView2, Ix2};
use serde_json::Value;
use ziffer_base::fs::AtomicFile;
use ziffer_base::thousands;
use ziffer_dataset::{Dataset, TrainTest};
use ziffer_nn::Model;
use ziffer_report::{Assessment, Fact, History, Report, Run};
use ziffer_trainer::Evaluate as _;

use crate::run_folder::{RunSummary, SUMMARY_FILE, cannot_write};

/// The page of a report.
pub const REPORT_FILE: &str = "report.html";

/// Pictures that a model is asked about at a time: their probabilities are all that is kept meanwhile.
const BLOCK: usize = 4096;

/// A run with what its model makes of the test part.
pub(crate) struct Account {
    name: String,
    subject: String,
    summary: RunSummary,
    pub(crate) class_names: Vec<String>,
    pub(crate) assessment: Assessment,
    kernel: Option<ndarray::Array2<f32>>,
}

impl Account {
    /// Asks the model about the test part. Parallel over rayon's threads.
    ///
    /// # Errors
    /// If the model does not take the data, or the summary's history is not one.
    pub(crate) fn of(
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
        let account = Self {
            name: name(folder),
            subject: format!(
                "{} with {} test pictures, seed {}",
                data.name.title(),
                thousands(samples),
                summary.seed
            ),
            summary: summary.clone(),
            class_names,
            assessment,
            kernel,
        };
        // Only the history is still to be judged, which a file may have of any length.
        let fits = account.run()?.check();
        fits.with_context(|| folder.join(SUMMARY_FILE).display().to_string())?;
        Ok(account)
    }

    /// What a report is made of.
    pub(crate) fn run(&self) -> anyhow::Result<Run<'_>> {
        let facts = Facts::of(&self.summary)?;
        let history = &self.summary.history;
        Ok(Run {
            name: &self.name,
            subject: &self.subject,
            results: facts.named(&RESULTS),
            settings: facts.named(&SETTINGS),
            origin: facts.named(&ORIGIN),
            history: History {
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

    /// Makes the report and writes its files into the run's folder: each appears whole or not at all, the page last.
    ///
    /// # Errors
    /// If one cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let report = Report::of(&self.run()?)?;
        // All are on the disk before the first gets its name.
        let mut staged = Vec::new();
        for (name, bytes) in report.files() {
            let path = folder.join(name);
            staged.push((AtomicFile::stage(&path, bytes).with_context(|| cannot_write(&path))?, path));
        }
        staged.into_iter().try_for_each(|(file, path)| file.commit().with_context(|| cannot_write(&path)))
    }
}

/// The folder's own name, which says more than how it was reached.
fn name(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole.file_name().map_or_else(|| whole.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// What a model makes of a test part.
fn assess(model: &Model, test: &Dataset) -> anyhow::Result<Assessment> {
    let mut assessment = Assessment::new(model.outputs(), test.image_shape());
    for start in (0..test.len()).step_by(BLOCK) {
        let block = test.view().slice(start..test.len().min(start + BLOCK));
        let probabilities = model.predict_dataset(block)?;
        for (sample, probabilities) in probabilities.rows().into_iter().enumerate() {
            let probabilities = probabilities.as_slice().expect("rows that lie one after the other");
            assessment.add(block.label(sample), probabilities, block.image(sample))?;
        }
    }
    Ok(assessment)
}

/// The summary's keys in the parts of a report, with their names for people.
const RESULTS: [(&str, &str); 4] = [
    ("test_accuracy", "Test accuracy"),
    ("test_loss", "Test loss"),
    ("parameters", "Parameters"),
    ("fit_seconds", "Training"),
];
const SETTINGS: [(&str, &str); 14] = [
    ("dataset", "Data set"),
    ("data_dir", "Its folder"),
    ("hidden", "Hidden layers"),
    ("layers", "Layers"),
    ("epochs", "Epochs"),
    ("batch_size", "Batch size"),
    ("validation_split", "Validation split"),
    ("optimizer", "Optimizer"),
    ("learning_rate", "Learning rate"),
    ("learning_rate_schedule", "Learning rate schedule"),
    ("ema_momentum", "Momentum of the weights' average"),
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
    ("threads", "Threads at most"),
    ("threads_used", "Threads used"),
];

/// The summary as JSON.
struct Facts(Value);

impl Facts {
    fn of(summary: &RunSummary) -> anyhow::Result<Self> {
        Ok(Self(serde_json::to_value(summary).context("the summary as JSON")?))
    }

    /// Those of these keys that the summary has.
    fn named(&self, keys: &[(&str, &str)]) -> Vec<Fact> {
        let fact = |&(key, name): &(&str, &str)| {
            let value = key.split('.').try_fold(&self.0, |value, part| value.get(part))?;
            let shown = match (key, value) {
                ("test_accuracy", Value::Number(share)) => format!("{:.2}%", 100.0 * share.as_f64()?),
                ("test_loss", Value::Number(loss)) => format!("{:.4}", loss.as_f64()?),
                ("parameters", Value::Number(count)) => thousands(usize::try_from(count.as_u64()?).ok()?),
                ("fit_seconds", Value::Number(seconds)) => format!("{:.2} s", seconds.as_f64()?),
                ("init", Value::Null) => "drawn by the seed (Glorot uniform)".to_owned(),
                ("shuffle", Value::Bool(true)) => "every epoch anew".to_owned(),
                ("shuffle", Value::Bool(false)) => "none: the file's order".to_owned(),
                ("shuffle", Value::String(how)) => format!("every epoch anew, {how}"),
                ("hidden", Value::Array(layers)) if layers.is_empty() => "none".to_owned(),
                ("hidden", Value::Array(layers)) => {
                    layers.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
                }
                // Not known of an older run.
                (_, Value::Null) => return None,
                (_, Value::String(text)) => text.clone(),
                (_, value) => value.to_string(),
            };
            // Text as it is, all else as JSON.
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some(Fact { key: key.to_owned(), name: name.to_owned(), value: text, shown })
        };
        keys.iter().filter_map(fact).collect()
    }
}
