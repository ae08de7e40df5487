//! The commands that `ziffer` and `cargo xtask` share: their flags, and what they do.
//!
//! [`Command`] is the one table of them. Each command is a module with the type of its flags, whose `run` does the work.

mod augment;
mod data;
mod dataset_args;
mod download;
mod evaluate;
mod export;
mod flag_values;
mod import;
mod predict;
mod recipe;
mod report;
mod serve;
mod summary;
mod train;
mod training_page;

use clap::Subcommand;

pub use train::{FinishedRun, TrainArgs};

/// A command and its flags.
///
/// `ziffer` takes it as its subcommand; `cargo xtask` adds commands to it with `#[command(flatten)]`. The comments on the
/// variants are the help texts.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Train a network and evaluate it on the test set
    ///
    /// Without flags: the network of the Keras tutorial on MNIST. Flags override the recipe.
    Train(Box<TrainArgs>),
    /// Print a model's loss and accuracy on the test set
    ///
    /// Without --dataset, the model is evaluated on the data set of its run, or on mnist if there is no run summary beside it.
    Evaluate(evaluate::EvaluateArgs),
    /// Classify pictures and print the probabilities
    Predict(predict::PredictArgs),
    /// Regenerate the reports of runs, and compare several runs on one page
    Report(report::ReportArgs),
    /// Serve a page to draw digits on that shows a model's predictions, and an API for programs
    ///
    /// The page's examples are from the data set of the model's run, or from --dataset, if it is on this machine. Nothing is
    /// downloaded.
    Serve(serve::ServeArgs),
    /// Write a model as an ONNX file that other programs run
    Export(export::ExportArgs),
    /// Convert a network that Keras saved
    ///
    /// The file is a .keras, .weights.h5 or .h5 file with a stack of Dense, BatchNormalization, LayerNormalization, Dropout,
    /// GaussianNoise, Rescaling, Flatten, Reshape and activation layers. Without a Rescaling layer, pixels are divided by 255. If
    /// only weights are stored, relu is assumed for hidden layers and softmax for the last. Every assumption is printed.
    Import(import::ImportArgs),
    /// Print the table of layers of a model or of a recipe's network
    Summary(summary::SummaryArgs),
    /// List the built-in recipes, or print a recipe in full
    Recipe(recipe::RecipeArgs),
    /// Download data sets into the cache folder, or one data set into --data-dir
    Download(download::DownloadArgs),
    /// List data sets, check the cache folder, or write an augmented data set
    Data(data::DataArgs),
}

impl Command {
    /// Runs the command. Returns the run if the command was `train`.
    ///
    /// # Errors
    /// One line that says what failed, and where.
    pub fn run(&self) -> anyhow::Result<Option<FinishedRun>> {
        match self {
            Self::Train(train) => return train.run().map(Some),
            Self::Evaluate(evaluate) => evaluate.run()?,
            Self::Predict(predict) => predict.run()?,
            Self::Report(report) => report.run()?,
            Self::Serve(serve) => serve.run()?,
            Self::Export(export) => export.run()?,
            Self::Import(import) => import.run()?,
            Self::Summary(summary) => summary.run()?,
            Self::Recipe(recipe) => recipe.run()?,
            Self::Download(download) => download.run()?,
            Self::Data(data) => data.run()?,
        }
        Ok(None)
    }
}
