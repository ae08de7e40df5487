//! `evaluate`: loss and accuracy of a saved model.

use std::path::{Path, PathBuf};

use anyhow::Context;
use ziffer_dataset::catalogue::Name;
use ziffer_nn::Model;
use ziffer_trainer::Evaluate as _;

use super::dataset_args::{self, DatasetArgs, SourceArgs};
use crate::command_line::print;
use crate::run_folder;

/// Print a model's loss and accuracy on the test part
#[derive(Clone, Debug, clap::Args)]
pub struct EvaluateArgs {
    /// A run's folder or a .safetensors file
    model: PathBuf,
    /// The data set's flags; by default the set that the model's run names, else mnist.
    #[command(flatten)]
    data: DatasetArgs,
}

impl EvaluateArgs {
    /// Evaluates the model and prints what came out.
    ///
    /// # Errors
    /// Whatever went wrong, in one line that says what and where.
    pub fn run(&self) -> anyhow::Result<()> {
        let model = Model::load(run_folder::model_file(&self.model))?;
        let (name, source) = dataset(&self.data, &self.model);
        let data = dataset_args::open(name, &source)?;
        let test = model.evaluate(&data.test).with_context(|| data.folder().display().to_string())?;
        print(&format!("Test Loss: {:.4}\nTest Accuracy: {:.2}%\n", test.loss, 100.0 * test.accuracy))
    }
}

/// The set that the flags name, else the one that the model's run was trained on, in the folder that it was in, else MNIST.
pub(super) fn dataset(flags: &DatasetArgs, model: &Path) -> (Name, SourceArgs) {
    let of_run = run_folder::summary_beside(model).filter(|_| flags.dataset.is_none());
    let name = of_run.as_ref().and_then(|summary| summary.dataset.parse().ok());
    (
        flags.dataset.or(name).unwrap_or_default(),
        flags.source.or_in(of_run.and_then(|summary| summary.data_dir)),
    )
}
