//! `summary`: Keras's table of a model or a recipe.

use std::path::PathBuf;

use anyhow::anyhow;
use ziffer_dataset::catalogue::{Content, Part};
use ziffer_nn::Model;
use ziffer_nn::layer::InputType;
use ziffer_nn::training::Plan;
use ziffer_trainer::available_threads;

use super::train::at_least_one;
use crate::command_line::print;
use crate::recipe::Recipe;
use crate::run_folder;

/// Print the table of layers of a model, or of a recipe's network
#[derive(Clone, Debug, clap::Args)]
pub struct SummaryArgs {
    /// A run's folder, a .safetensors file, or a recipe: a .toml file or a built-in name
    #[arg(value_name = "MODEL or RECIPE")]
    what: PathBuf,
    /// Print the stages of a training step too: what the threads share out, and what each does with its share
    #[arg(long)]
    plan: bool,
    /// The threads that the plan is for [default: the CPUs that the process may use]
    #[arg(long, value_name = "N", value_parser = at_least_one, requires = "plan")]
    threads: Option<usize>,
}

impl SummaryArgs {
    /// Prints the table.
    ///
    /// # Errors
    /// Whatever went wrong, in one line that says what and where.
    pub fn run(&self) -> anyhow::Result<()> {
        let is_model =
            self.what.is_dir() || self.what.extension().is_some_and(|extension| extension == "safetensors");
        let model = if is_model {
            Model::load(run_folder::model_file(&self.what))?
        } else {
            let recipe = Recipe::open(&self.what)?;
            let name = recipe.dataset_name()?;
            let is_pictures =
                |part: Part, content: Content| part == Part::Train && content == Content::Images;
            let pictures = name.files().iter().find(|file| is_pictures(file.part, file.content));
            let picture = pictures.and_then(|file| file.shape).and_then(|shape| shape.get(1..));
            let (picture, classes) = picture.zip(name.classes()).ok_or_else(|| {
                anyhow!("the pictures of a {name} set are not known beforehand; train, then summarise the run's folder")
            })?;
            recipe.network(picture, classes)?.build_zeroed()?
        };
        let mut text = model.summary();
        if self.plan {
            let threads = self.threads.unwrap_or_else(available_threads);
            // The command line's samples are pixels.
            text += &format!("\n{}", Plan::for_threads(&model, InputType::Pixels, threads));
        }
        print(&text)
    }
}
