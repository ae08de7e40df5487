//! `data augment`: writes a data set with many distorted copies of each training image.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Context, anyhow, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use ziffer_base::thousands;
use ziffer_dataset::augment::{Augmentation, Distortion};
use ziffer_dataset::{Name, TrainTest};
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_trainer::available_threads;

use super::dataset_args::{self, DatasetArgs};
use super::flag_values::{at_least_one, seed, validation_split};
use crate::output::print;
use crate::{interrupt, output_folder, run_folder};

/// The flags of `data augment`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AugmentArgs {
    #[command(flatten)]
    data: DatasetArgs,
    /// Copies of each training image, the first one unchanged
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    times: usize,
    /// Folder for the files, created if missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Strength of the distortions; at 1: up to 12 degrees, 12% in size, 1.5 pixels of shift, elastic distortions of 0.9 pixels
    #[arg(long, value_name = "FACTOR", value_parser = strength, default_value_t = 1.0)]
    strength: f32,
    /// Share of the images at the end for validation: no copies of them are among the others
    #[arg(long, value_name = "SHARE", value_parser = validation_split, default_value_t = 0.1)]
    validation_split: f64,
    /// Random seed
    #[arg(long, value_name = "N", value_parser = seed, default_value_t = 0)]
    seed: u64,
    /// Maximum number of threads; the result does not depend on it [default: all available CPUs]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    threads: Option<usize>,
    /// Replace the files of an existing data set
    #[arg(long)]
    force: bool,
}

/// The strength. Above 6, shear can exceed the height of an image.
fn strength(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|factor| (0.0..=6.0).contains(factor))
        .ok_or("expected a number from 0 to 6".to_owned())
}

impl AugmentArgs {
    /// Writes the data set.
    ///
    /// # Errors
    /// One line that says what failed, and where.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let set = dataset_args::open(self.data.dataset.unwrap_or_default(), &self.data.source)?;
        self.check_out(&set)?;
        let augmentation = Augmentation {
            times: self.times,
            seed: self.seed,
            validation_split: self.validation_split,
            distortion: Distortion::default().times(self.strength),
        };
        let stop = interrupt::flag()?;
        let _lock =
            output_folder::lock(&self.out, "wait for it to end, or choose another folder with --out")?;
        let threads = self.threads.unwrap_or_else(available_threads).min(available_threads());
        let team = ThreadTeam::new(threads).with_context(|| format!("cannot start {threads} threads"))?;
        // Draws nothing if standard error is not a terminal.
        let bar = ProgressBar::no_length().with_style(style());
        let mut progress = |done, all| {
            bar.set_length(all);
            bar.set_position(done);
            !stop.load(Ordering::Relaxed)
        };
        let outcome = team.install(|| augmentation.write(&set, &self.out, &mut progress));
        bar.finish_and_clear();
        outcome?;
        print(&format!(
            "{} training and {} test images in {}\n",
            thousands(set.train.len() * self.times),
            thousands(set.test.len()),
            self.out.display()
        ))
    }

    /// Refuses the folder of the source data set, and a folder that has a data set.
    fn check_out(&self, set: &TrainTest) -> anyhow::Result<()> {
        ensure!(
            !run_folder::is_same(&self.out, set.folder()),
            "{}: the folder of the source data set; choose another folder with --out",
            self.out.display()
        );
        let names = Name::Custom.files().map(|file| self.out.join(file.name));
        let existing = names
            .into_iter()
            .flat_map(|path| [path.with_added_extension("gz"), path])
            .find(|path| path.exists());
        if let Some(path) = existing.filter(|_| !self.force) {
            return Err(anyhow!(
                "{}: already exists; --force replaces it, --out chooses another folder",
                path.display()
            ));
        }
        Ok(())
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{pos}/{len} images {bar:20.green/white} {per_sec} {eta} left")
        .expect("a template without errors")
        .progress_chars("━━━")
}
