//! `summary`: prints the model summary, as Keras does.

use std::path::PathBuf;

use anyhow::anyhow;
use ziffer_dataset::catalog::{Content, Split};
use ziffer_nn::Model;
use ziffer_nn::layer::InputType;
use ziffer_nn::training::Plan;
use ziffer_trainer::available_threads;

use super::flag_values::at_least_one;
use crate::output::print;
use crate::recipe::Recipe;
use crate::run_folder;

/// The flags of `summary`.
#[derive(Clone, Debug, clap::Args)]
pub struct SummaryArgs {
    /// Model (a run folder or a .safetensors file) or recipe (a .toml file or the name of a built-in recipe)
    #[arg(value_name = "MODEL or RECIPE")]
    source: PathBuf,
    /// Also print the stages of a training step: what is divided among the threads, and what each thread does with its part
    #[arg(long)]
    plan: bool,
    /// Number of threads of the plan [default: all available CPUs]
    #[arg(long, value_name = "N", value_parser = at_least_one, requires = "plan")]
    threads: Option<usize>,
}

impl SummaryArgs {
    /// Prints the table of layers.
    ///
    /// # Errors
    /// One line that says what failed, and where.
    pub fn run(&self) -> anyhow::Result<()> {
        let is_model = self.source.is_dir()
            || self.source.extension().is_some_and(|extension| extension == "safetensors");
        let model = if is_model {
            Model::load(run_folder::model_file(&self.source))?
        } else {
            let recipe = Recipe::open(&self.source)?;
            let name = recipe.dataset_name()?;
            let is_pictures =
                |split: Split, content: Content| split == Split::Train && content == Content::Images;
            let pictures = name.files().iter().find(|file| is_pictures(file.split, file.content));
            let picture = pictures.and_then(|file| file.shape).and_then(|shape| shape.get(1..));
            let (picture, classes) = picture.zip(name.classes()).ok_or_else(|| {
                anyhow!("the shape of {name} images is not known in advance; train, then print the summary of the run folder")
            })?;
            recipe.network(picture, classes)?.build_zeroed()?
        };
        let mut text = model.summary();
        if self.plan {
            let threads = self.threads.unwrap_or_else(available_threads);
            // Images are the only samples of the command line.
            text += &format!("\n{}", Plan::for_threads(&model, InputType::Pixels, threads));
        }
        print(&text)
    }
}
