//! `evaluate`: loss and accuracy of a saved model on the test set.

use std::path::{Path, PathBuf};

use anyhow::Context;
use ziffer_dataset::catalog::Name;
use ziffer_nn::Model;
use ziffer_trainer::Evaluate as _;

use super::dataset_args::{self, DatasetArgs, SourceArgs};
use crate::output::print;
use crate::run_folder;

/// The flags of `evaluate`.
#[derive(Clone, Debug, clap::Args)]
pub struct EvaluateArgs {
    /// Model: a run folder or a .safetensors file
    model: PathBuf,
    #[command(flatten)]
    data: DatasetArgs,
}

impl EvaluateArgs {
    /// Evaluates the model and prints its loss and accuracy.
    ///
    /// # Errors
    /// One line that says what failed, and where.
    pub fn run(&self) -> anyhow::Result<()> {
        let model = Model::load(run_folder::model_file(&self.model))?;
        let (name, source) = dataset_of(&self.data, &self.model);
        let data = dataset_args::open(name, &source)?;
        let test = model.evaluate(&data.test).with_context(|| data.folder().display().to_string())?;
        print(&format!("Test Loss: {:.4}\nTest Accuracy: {:.2}%\n", test.loss, 100.0 * test.accuracy))
    }
}

/// The data set that the flags name, or else that of the model's run with its folder, or else MNIST.
pub(super) fn dataset_of(flags: &DatasetArgs, model: &Path) -> (Name, SourceArgs) {
    let summary = run_folder::summary_beside(model).filter(|_| flags.dataset.is_none());
    let name = summary.as_ref().and_then(|summary| summary.dataset.parse().ok());
    (
        flags.dataset.or(name).unwrap_or_default(),
        flags.source.or_in(summary.and_then(|summary| summary.data_dir)),
    )
}
