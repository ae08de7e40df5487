//! `data augment`: a data set with many changed copies of each picture.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Context, anyhow, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use ziffer_augment::{Augmentation, Distortion};
use ziffer_dataset::{Name, TrainTest};
use ziffer_nn::team::Team;
use ziffer_trainer::available_threads;

use super::dataset_args::{self, DatasetArgs};
use super::train::{at_least_one, seed, validation_split};
use crate::command_line::print;
use crate::{interrupt, run_folder};

/// Write a set with many copies of each training picture, changed a little by chance, as four IDX files
///
/// Each copy but the first is turned, scaled, sheared, moved and bent a little. Train on it with --dataset custom --data-dir DIR.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AugmentArgs {
    #[command(flatten)]
    data: DatasetArgs,
    /// Copies of each training picture, the first one unchanged
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    times: usize,
    /// The folder that they are written into, made if missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How far pictures are changed; at 1: up to 12 degrees, 12 % in size, 1.5 pixels, and bent by 0.9 pixels
    #[arg(long, value_name = "FACTOR", value_parser = strength, default_value_t = 1.0)]
    strength: f32,
    /// The share at the end that is for validation: no copies of its pictures are among the others
    #[arg(long, value_name = "SHARE", value_parser = validation_split, default_value_t = 0.1)]
    validation_split: f64,
    /// What the changes are drawn from
    #[arg(long, value_name = "N", value_parser = seed, default_value_t = 0)]
    seed: u64,
    /// An upper bound on threads; the result does not depend on it [default: the CPUs that the process may use]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    threads: Option<usize>,
    /// Replace the files of a set that is there
    #[arg(long)]
    force: bool,
}

/// Beyond 6 a column may be sheared by its whole height.
fn strength(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|factor| (0.0..=6.0).contains(factor))
        .ok_or("expected a number from 0 to 6".to_owned())
}

impl AugmentArgs {
    /// Writes the set.
    ///
    /// # Errors
    /// Whatever went wrong, in one line that says what and where.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let set = dataset_args::open(self.data.dataset.unwrap_or_default(), &self.data.source)?;
        self.check_place(&set)?;
        let augmentation = Augmentation {
            times: self.times,
            seed: self.seed,
            validation_split: self.validation_split,
            distortion: Distortion::default().times(self.strength),
        };
        let stop = interrupt::flag()?;
        let _lock = run_folder::claim(&self.out, "wait for it to end, or choose another folder with --out")?;
        let threads = self.threads.unwrap_or_else(available_threads).min(available_threads());
        let team = Team::new(threads).with_context(|| format!("cannot start {threads} threads"))?;
        // Draws nothing where standard error is no terminal.
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
            "{} training and {} test pictures in {}\n",
            set.train.len() * self.times,
            set.test.len(),
            self.out.display()
        ))
    }

    /// Refuses the folder of the set itself, and one that has a set.
    fn check_place(&self, set: &TrainTest) -> anyhow::Result<()> {
        ensure!(
            !run_folder::is_same(&self.out, set.folder()),
            "{}: the set itself lies there; choose another folder with --out",
            self.out.display()
        );
        let names = Name::Custom.files().map(|file| self.out.join(file.name));
        let there = names
            .into_iter()
            .flat_map(|path| [path.with_added_extension("gz"), path])
            .find(|path| path.exists());
        if let Some(path) = there.filter(|_| !self.force) {
            return Err(anyhow!(
                "{}: is there already; --force replaces it, --out chooses another folder",
                path.display()
            ));
        }
        Ok(())
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{pos}/{len} pictures {bar:20.green/white} {per_sec} {eta} left")
        .expect("a template without errors")
        .progress_chars("━━━")
}
