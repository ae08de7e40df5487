//! `train`: gets the data, trains, evaluates, and writes the run's folder.

use std::io::{self, IsTerminal, Write};
use std::num::IntErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use anyhow::{Context, ensure};
use ziffer_base::chain;
use ziffer_nn::optimizer::LearningRateSchedule;
use ziffer_nn::team::Team;
use ziffer_report::confusion_table;
use ziffer_tensor::InstructionSet;
use ziffer_trainer::callback::Monitor;
use ziffer_trainer::{
    CheckpointInterval, Checkpoints, Evaluate, Progress, Shuffle, Trainer, available_threads,
};

use super::data::{self, DataArgs};
use super::watched::Watched;
use crate::account::{Account, REPORT_FILE};
use crate::host::{Host, rfc3339};
use crate::interrupt;
use crate::recipe::{CallbackSettings, OptimizerName, OptimizerSettings, Recipe};
use crate::run_folder::{self, RunSummary};
use crate::usage::{complain, print, whole_numbers};

/// Train a network and evaluate it on the test part
///
/// Without flags: the Keras tutorial's network on MNIST. Flags override the recipe.
#[derive(Clone, Debug, clap::Args)]
pub struct Train {
    #[command(flatten)]
    data: DataArgs,
    /// Units of the hidden layers, each with a relu [default: 128,64]
    #[arg(long, value_name = "UNITS,...", value_parser = hidden)]
    hidden: Option<Hidden>,
    /// How often each training sample is used [default: 5]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    epochs: Option<usize>,
    /// Samples of a step [default: 32]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    batch_size: Option<usize>,
    /// The share at the end of the training part set aside for validation, 0 to below 1 [default: 0.1]
    #[arg(long, value_name = "SHARE", value_parser = validation_split)]
    validation_split: Option<f64>,
    /// The step's size [default: the optimizer's in Keras: 0.001, for sgd 0.01]
    #[arg(long, value_name = "RATE", value_parser = learning_rate)]
    learning_rate: Option<f64>,
    /// The optimizer, with Keras's defaults [default: adam]
    #[arg(long, value_name = "NAME")]
    optimizer: Option<OptimizerName>,
    /// What all randomness is drawn from [default: 0]
    #[arg(long, value_name = "N", value_parser = seed)]
    seed: Option<u64>,
    /// An upper bound on threads; the result does not depend on it [default: the CPUs that the process may use]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    threads: Option<usize>,
    /// Start from the weights of this safetensors file, or of this run's folder [default: drawn by the seed]
    #[arg(long, value_name = "FILE or DIR")]
    init: Option<PathBuf>,
    /// How each epoch's order is drawn [default: full for pictures of up to 1 GiB, blocks for more]
    #[arg(long, value_name = "HOW")]
    shuffle: Option<How>,
    /// Keep the file's order in every epoch
    #[arg(long, conflicts_with = "shuffle")]
    no_shuffle: bool,
    /// The run's folder, made if missing [default: runs/NAME-SEED]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How often all is saved on the way, besides at the end: like 300steps or 2epochs [default: 1epoch]
    #[arg(long, value_name = "HOW OFTEN", value_parser = CheckpointInterval::from_str)]
    checkpoint_every: Option<CheckpointInterval>,
    /// Go on from the newest checkpoint in the run's folder, to the very same result; start if there is none
    #[arg(long)]
    resume: bool,
    /// Show the curves on a page of this machine while it trains, and go on serving it with the trained network, until Ctrl-C
    #[arg(long)]
    serve: bool,
    /// The page's port; 0 takes any that is free [default: 7878]
    #[arg(long, value_name = "N", requires = "serve")]
    port: Option<u16>,
    /// Stop when this number has not become better for --patience epochs: loss, accuracy, val_loss or val_accuracy
    #[arg(long, value_name = "MONITOR")]
    early_stopping: Option<Monitor>,
    /// Epochs without a better number after which --early-stopping stops [default: 0]
    #[arg(long, value_name = "N", requires = "early_stopping")]
    patience: Option<u32>,
    /// By how much a number must become better to count for --early-stopping [default: 0]
    #[arg(long, value_name = "DELTA", requires = "early_stopping", value_parser = finite)]
    min_delta: Option<f64>,
    /// End with the weights of the epoch that --early-stopping found best
    #[arg(long, requires = "early_stopping")]
    restore_best_weights: bool,
    /// Multiply the learning rate by 0.1 when this number has not become better for 10 epochs
    #[arg(long, value_name = "MONITOR")]
    reduce_lr_on_plateau: Option<Monitor>,
    /// Save the model to this file after each epoch; fields such as {epoch:02d} or {val_loss:.4f} are filled in
    #[arg(long, value_name = "FILE")]
    model_checkpoint: Option<String>,
    /// With --model-checkpoint, save only where val_loss is better than ever before
    #[arg(long, requires = "model_checkpoint")]
    save_best_only: bool,
    /// Write the numbers of each epoch to this file, separated by commas
    #[arg(long, value_name = "FILE")]
    csv_logger: Option<String>,
    /// End training without an error when a loss is not finite
    #[arg(long)]
    terminate_on_nan: bool,
    /// A TOML file, or a built-in name
    #[arg(long, value_name = "FILE or NAME", default_value = "tutorial")]
    recipe: PathBuf,
}

/// How orders are drawn.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum How {
    /// From all orders of all samples
    Full,
    /// Blocks of neighbouring samples, shuffled, and their samples inside a buffer: for files larger than the memory
    Blocks,
}

/// The units of hidden layers.
#[derive(Clone, Debug)]
struct Hidden(Vec<usize>);

fn hidden(text: &str) -> Result<Hidden, String> {
    whole_numbers(text, "number of units", "128,64").map(Hidden)
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => Err("too large".to_owned()),
        Ok(0) | Err(_) => Err("expected a whole number of at least 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

pub(super) fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

pub(super) fn validation_split(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..1.0).contains(share))
        .ok_or("expected a number from 0 to below 1".to_owned())
}

fn learning_rate(text: &str) -> Result<f64, String> {
    let is_right = |rate: &f64| *rate > 0.0 && rate.is_finite();
    text.parse().ok().filter(is_right).ok_or("expected a positive number".to_owned())
}

fn finite(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or("expected a finite number".to_owned())
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Trained {
    /// How it was trained.
    pub recipe: Recipe,
    /// What is in its summary.
    pub summary: RunSummary,
}

impl Train {
    /// The recipe with the flags on top of it.
    fn recipe(&self) -> anyhow::Result<Recipe> {
        let mut recipe = Recipe::open(&self.recipe)?;
        if let Some(name) = self.data.dataset {
            name.as_str().clone_into(&mut recipe.dataset);
        }
        if let Some(Hidden(units)) = &self.hidden {
            ensure!(
                recipe.layers.is_empty(),
                "--hidden and the recipe's layers are both there, expected one of them"
            );
            recipe.hidden.clone_from(units);
        }
        recipe.epochs = self.epochs.unwrap_or(recipe.epochs);
        recipe.batch_size = self.batch_size.unwrap_or(recipe.batch_size);
        recipe.validation_split = self.validation_split.unwrap_or(recipe.validation_split);
        recipe.learning_rate = self.learning_rate.or(recipe.learning_rate);
        recipe.optimizer = self.optimizer.map_or(recipe.optimizer, OptimizerSettings::from);
        recipe.seed = self.seed.unwrap_or(recipe.seed);
        recipe.shuffle = match self.shuffle {
            _ if self.no_shuffle => Shuffle::None,
            Some(How::Full) => Shuffle::Full,
            Some(How::Blocks) => Shuffle::Blocks,
            None => recipe.shuffle,
        };
        for callback in self.callbacks() {
            // One of the same class in the recipe gives way.
            recipe.callbacks.retain(|other| other.class() != callback.class());
            recipe.callbacks.push(callback);
        }
        recipe.validate()?;
        Ok(recipe)
    }

    /// The callbacks that flags ask for.
    fn callbacks(&self) -> Vec<CallbackSettings> {
        let mut callbacks = Vec::new();
        if let Some(monitor) = self.early_stopping {
            callbacks.push(CallbackSettings::new(
                "EarlyStopping",
                &[
                    ("monitor", monitor.name().into()),
                    ("patience", i64::from(self.patience.unwrap_or(0)).into()),
                    ("min_delta", self.min_delta.unwrap_or(0.0).into()),
                    ("restore_best_weights", self.restore_best_weights.into()),
                    ("verbose", true.into()),
                ],
            ));
        }
        if let Some(monitor) = self.reduce_lr_on_plateau {
            let settings = [("monitor", monitor.name().into()), ("verbose", true.into())];
            callbacks.push(CallbackSettings::new("ReduceLROnPlateau", &settings));
        }
        if let Some(filepath) = &self.model_checkpoint {
            let settings =
                [("filepath", filepath.as_str().into()), ("save_best_only", self.save_best_only.into())];
            callbacks.push(CallbackSettings::new("ModelCheckpoint", &settings));
        }
        if let Some(filename) = &self.csv_logger {
            callbacks.push(CallbackSettings::new("CSVLogger", &[("filename", filename.as_str().into())]));
        }
        if self.terminate_on_nan {
            callbacks.push(CallbackSettings::new("TerminateOnNaN", &[]));
        }
        callbacks
    }

    /// Trains, evaluates, writes the run's folder, and prints the test accuracy.
    ///
    /// # Errors
    /// Whatever went wrong, in one line that says what and where.
    pub fn run(&self) -> anyhow::Result<Trained> {
        let started = rfc3339(SystemTime::now());
        let recipe = self.recipe()?;
        let threads = self.threads.unwrap_or_else(available_threads);
        // More threads than CPUs are never faster.
        let threads_used = threads.min(available_threads());
        let folder = self
            .out
            .clone()
            .unwrap_or_else(|| Path::new("runs").join(format!("{}-{}", recipe.dataset, recipe.seed)));

        let name = recipe.dataset_name()?;
        let data = data::open(name, &self.data.places)?;
        let (network, settings) = recipe.network_settings();
        let mut model = recipe
            .network(data.train.image_shape(), data.train.classes())
            .and_then(|network| network.build(recipe.seed))
            .with_context(|| format!("{network} {settings}"))?;
        if let Some(init) = &self.init {
            model.load_weights(init)?;
        }
        let stop = interrupt::flag()?;
        let page = self.serve.then(|| Watched::open(self.port, name, &data, &folder, &stop)).transpose()?;
        let states = ziffer_nn::Optimizer::<f32>::state_names(&recipe.optimizer()).len();
        let lock = run_folder::prepare(&folder, model.parameters() * (1 + states) * size_of::<f32>())?;

        let checkpoints = Checkpoints::new(&folder)
            .every(self.checkpoint_every.unwrap_or_default())
            .resume(self.resume)
            .setting("dataset", &recipe.dataset)
            .setting("data", data::identity(&data))
            .setting(network, settings);
        let mut trainer = Trainer::new(recipe.optimizer(), recipe.loss)
            .epochs(recipe.epochs)
            .batch_size(recipe.batch_size)
            .validation_split(recipe.validation_split)
            .shuffle(recipe.shuffle)
            .seed(recipe.seed)
            .threads(threads_used)
            .checkpoints(checkpoints)
            .stop_when(&stop)
            .callback(Progress::default());
        let (train, _) = data.train.view().split(recipe.validation_split)?;
        let steps = train.len().div_ceil(recipe.batch_size);
        let schedule = recipe.schedule().map(|schedule| schedule.in_steps(steps));
        if let Some(schedule) = &schedule {
            trainer = trainer.schedule(schedule.clone());
        }
        if let Some(clip) = recipe.optimizer.clip {
            trainer = trainer.clip(clip);
        }
        if let Some(momentum) = recipe.optimizer.ema_momentum {
            trainer = trainer.ema(momentum);
        }
        if let Some(distortion) = recipe.augment.distortion() {
            trainer = trainer.augment(distortion);
        }
        if let Some(page) = &page {
            trainer = trainer.callback(page.callback());
        }
        for callback in &recipe.callbacks {
            trainer = trainer.callback(callback.callback());
        }
        let history = trainer.fit(&mut model, &data.train)?;
        let team = Team::new(threads_used).with_context(|| format!("cannot start {threads_used} threads"))?;
        let test = team.install(|| model.evaluate_with_loss(&recipe.loss, &data.test))?;

        let summary = RunSummary {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            dataset: recipe.dataset.clone(),
            // Wherever the run is looked at from.
            data_dir: self.data.places.data_dir.as_ref().and_then(|folder| std::path::absolute(folder).ok()),
            hidden: if recipe.layers.is_empty() { recipe.hidden.clone() } else { Vec::new() },
            layers: (!recipe.layers.is_empty()).then(|| recipe.network_settings().1),
            ema_momentum: recipe.optimizer.ema_momentum,
            seed: recipe.seed,
            threads,
            threads_used,
            instruction_set: InstructionSet::current().name().to_owned(),
            epochs: recipe.epochs,
            batch_size: recipe.batch_size,
            validation_split: recipe.validation_split,
            optimizer: ziffer_nn::Optimizer::<f32>::name(&recipe.optimizer()).to_owned(),
            learning_rate: schedule
                .as_ref()
                .map_or(recipe.learning_rate(), |schedule| schedule.learning_rate(0)),
            learning_rate_schedule: recipe.schedule().map(ToString::to_string),
            shuffle: recipe.shuffle,
            init: self.init.clone(),
            parameters: model.parameters(),
            fit_seconds: history.fit_seconds(),
            history,
            test_loss: test.loss,
            test_accuracy: test.accuracy,
            weights_sha256: model.weights_sha256(),
            started: Some(started),
            compiler: Some(env!("ZIFFER_COMPILER").to_owned()),
            host: Some(Host::current()),
        };
        run_folder::write(&folder, &model, &summary, &recipe)?;
        let account = team.install(|| {
            let account = Account::of(&folder, &summary, &model, &data)?;
            account.write(&folder).map(|()| account)
        });
        let saved = if account.is_ok() {
            "the model, its summary and its report"
        } else {
            "the model and its summary"
        };
        // Messages; that nobody reads them is no failure.
        let _ = writeln!(io::stderr(), "Saved {saved} to {}", folder.display());
        print(&format!("Test Accuracy: {:.2}%\n", 100.0 * test.accuracy))?;
        match account {
            Ok(account) if io::stderr().is_terminal() => {
                let table = confusion_table(account.assessment.confusion(), &account.class_names);
                let page = folder.join(REPORT_FILE);
                let _ = write!(io::stderr(), "\n{table}Report: {}\n", page.display());
            }
            Ok(_) => {}
            // The run is good and on the disk.
            Err(error) => complain(&format!("no report: {}", chain(&*error))),
        }
        // All is written; nobody else need wait for the page.
        drop(lock);
        if let Some(page) = page {
            page.keep(model, test.accuracy)?;
        }
        Ok(Trained { recipe, summary })
    }
}
