//! `train`: trains a network, evaluates it, and writes the run folder.

use std::io::{self, IsTerminal, Write as _};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::SystemTime;

use anyhow::{Context, ensure};
use ziffer_base::chain;
use ziffer_dataset::TrainTest;
use ziffer_nn::optimizer::{AnySchedule, LearningRateSchedule};
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::{AnyLoss, AnyOptimizer, Evaluation, Model};
use ziffer_report::confusion_table;
use ziffer_tensor::InstructionSet;
use ziffer_trainer::callback::Monitor;
use ziffer_trainer::{
    CheckpointInterval, Checkpoints, Evaluate, History, Progress, Shuffle, Trainer, available_threads,
};

use super::dataset_args::{self, DatasetArgs};
use super::flag_values::{at_least_one, finite, positive, seed, validation_split, whole_numbers};
use super::training_page::TrainingPage;
use crate::host::{Host, rfc3339};
use crate::interrupt;
use crate::output::{print, print_message};
use crate::output_folder::FolderFlags;
use crate::recipe::{CallbackSettings, OptimizerName, OptimizerSettings, Recipe};
use crate::report_input::{REPORT_FILE, ReportInput};
use crate::run_folder;
use crate::run_summary::RunSummary;

/// The flags of `train`.
#[derive(Clone, Debug, clap::Args)]
pub struct TrainArgs {
    #[command(flatten)]
    data: DatasetArgs,
    /// Units of each hidden layer, with relu activation [default: 128,64]
    #[arg(long, value_name = "UNITS,...", value_parser = hidden)]
    hidden: Option<Hidden>,
    /// Passes over the training data [default: 5]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    epochs: Option<usize>,
    /// Samples per batch [default: 32]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    batch_size: Option<usize>,
    /// Share of the training set used for validation, taken from its end, 0 to below 1 [default: 0.1]
    #[arg(long, value_name = "SHARE", value_parser = validation_split)]
    validation_split: Option<f64>,
    /// Learning rate [default: the optimizer's default in Keras: 0.001, for sgd 0.01]
    #[arg(long, value_name = "RATE", value_parser = positive)]
    learning_rate: Option<f64>,
    /// Optimizer, with Keras's defaults [default: adam]
    #[arg(long, value_name = "NAME")]
    optimizer: Option<OptimizerName>,
    /// Random seed [default: 0]
    #[arg(long, value_name = "N", value_parser = seed)]
    seed: Option<u64>,
    /// Maximum number of threads; the result does not depend on it [default: all available CPUs]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    threads: Option<usize>,
    /// Initial weights: a .safetensors file or a run folder [default: drawn from the seed]
    #[arg(long, value_name = "FILE or DIR")]
    init: Option<PathBuf>,
    /// How to shuffle the training data in each epoch [default: full for up to 1 GiB of images, blocks for more]
    #[arg(long, value_name = "METHOD")]
    shuffle: Option<ShuffleMethod>,
    /// Do not shuffle the training data
    #[arg(long, conflicts_with = "shuffle")]
    no_shuffle: bool,
    /// Run folder, created if missing [default: runs/NAME-SEED, or runs/NAME-SEED-2, -3, ... if that is taken]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace the finished run in the run folder
    #[arg(long)]
    force: bool,
    /// Checkpoint interval, e.g. 300steps or 2epochs (a final one is always written) [default: 1epoch]
    #[arg(long, value_name = "INTERVAL", value_parser = CheckpointInterval::from_str)]
    checkpoint_every: Option<CheckpointInterval>,
    /// Continue from the newest checkpoint in the run folder, or start if there is none; the result is that of an uninterrupted
    /// run. Without --out: the folder of runs/NAME-SEED, -2, -3, ... with the newest checkpoint
    #[arg(long)]
    resume: bool,
    /// Show the learning curves on a local web page during training, and serve the trained model there until Ctrl-C
    #[arg(long)]
    serve: bool,
    /// Port of the web page; 0 selects a free port [default: 7878]
    #[arg(long, value_name = "N", requires = "serve")]
    port: Option<u16>,
    /// Stop when this metric has not improved for --patience epochs: loss, accuracy, val_loss or val_accuracy
    #[arg(long, value_name = "METRIC")]
    early_stopping: Option<Monitor>,
    /// Epochs without improvement before --early-stopping stops the training [default: 0]
    #[arg(long, value_name = "N", requires = "early_stopping")]
    patience: Option<u32>,
    /// Minimum change that counts as an improvement for --early-stopping [default: 0]
    #[arg(long, value_name = "DELTA", requires = "early_stopping", value_parser = finite)]
    min_delta: Option<f64>,
    /// Restore the weights of the best epoch at the end, as judged by --early-stopping
    #[arg(long, requires = "early_stopping")]
    restore_best_weights: bool,
    /// Multiply the learning rate by 0.1 when this metric has not improved for 10 epochs
    #[arg(long, value_name = "METRIC")]
    reduce_lr_on_plateau: Option<Monitor>,
    /// Save the model to this file after each epoch; placeholders such as {epoch:02d} or {val_loss:.4f} are filled in
    #[arg(long, value_name = "FILE")]
    model_checkpoint: Option<String>,
    /// Save the --model-checkpoint only when val_loss has improved
    #[arg(long, requires = "model_checkpoint")]
    save_best_only: bool,
    /// Write the metrics of each epoch to this CSV file
    #[arg(long, value_name = "FILE")]
    csv_logger: Option<String>,
    /// Stop without an error when the loss is NaN or infinite
    #[arg(long)]
    terminate_on_nan: bool,
    /// Recipe: a TOML file or the name of a built-in recipe
    #[arg(long, value_name = "FILE or NAME", default_value = "tutorial")]
    recipe: PathBuf,
}

/// How samples are shuffled.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ShuffleMethod {
    /// Shuffle all samples at once
    Full,
    /// Shuffle blocks of neighboring samples, then the samples in a buffer: for files larger than the memory
    Blocks,
}

/// The units of hidden layers.
#[derive(Clone, Debug)]
struct Hidden(Vec<usize>);

fn hidden(text: &str) -> Result<Hidden, String> {
    whole_numbers(text, "number of units", "128,64").map(Hidden)
}

/// A run that was trained to its end.
#[derive(Clone, Debug)]
pub struct FinishedRun {
    /// The recipe that it was trained by.
    pub recipe: Recipe,
    /// Its summary.
    pub summary: RunSummary,
}

impl TrainArgs {
    /// The recipe, overridden by the flags.
    fn recipe(&self) -> anyhow::Result<Recipe> {
        let mut recipe = Recipe::open(&self.recipe)?;
        if let Some(name) = self.data.dataset {
            name.as_str().clone_into(&mut recipe.dataset);
        }
        if let Some(Hidden(units)) = &self.hidden {
            ensure!(
                recipe.layers.is_empty(),
                "--hidden does not apply to a recipe with layers: remove --hidden, or change the layers"
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
            Some(ShuffleMethod::Full) => Shuffle::Full,
            Some(ShuffleMethod::Blocks) => Shuffle::Blocks,
            None => recipe.shuffle,
        };
        for callback in self.callbacks() {
            // It replaces a callback of the same class in the recipe.
            recipe.callbacks.retain(|other| other.class() != callback.class());
            recipe.callbacks.push(callback);
        }
        recipe.validate()?;
        Ok(recipe)
    }

    /// The callbacks that the flags add.
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

    /// Trains and evaluates the network, writes the run folder, and prints the test accuracy.
    ///
    /// # Errors
    /// One line that says what failed, and where.
    pub fn run(&self) -> anyhow::Result<FinishedRun> {
        let started = rfc3339(SystemTime::now());
        let recipe = self.recipe()?;
        let run_name = format!("{}-{}", recipe.dataset, recipe.seed);
        let folder_flags =
            FolderFlags { out: self.out.as_deref(), name: &run_name, force: self.force, resume: self.resume };
        folder_flags.check()?;

        let name = recipe.dataset_name()?;
        let data = dataset_args::open(name, &self.data.source)?;
        let mut model = self.model(&recipe, &data)?;
        let stop = interrupt::flag()?;
        let mut output = folder_flags.lock()?;
        let first = folder_flags.default_folder(1);
        if self.out.is_none() && !self.resume && output.path() != first {
            let (first, path) = (first.display(), output.path().display());
            print_message(&format!("{first} already has a run; writing this one to {path}"));
        }
        let folder = output.path().to_owned();
        let page =
            self.serve.then(|| TrainingPage::open(self.port, name, &data, &folder, &stop)).transpose()?;
        let states = ziffer_nn::Optimizer::<f32>::state_names(&recipe.optimizer()).len();
        output.check_space(model.parameters() * (1 + states) * size_of::<f32>())?;

        let threads_used = self.threads_used();
        let (network, settings) = recipe.network_settings();
        let checkpoints = Checkpoints::new(&folder)
            .every(self.checkpoint_every.unwrap_or_default())
            .resume(self.resume)
            .setting("dataset", &recipe.dataset)
            .setting("data", dataset_args::identity(&data))
            .setting(network, settings);
        let mut trainer = trainer(&recipe, &data)?
            .threads(threads_used)
            .checkpoints(checkpoints)
            .stop_when(&stop)
            .callback(Progress::default());
        if let Some(page) = &page {
            trainer = trainer.callback(page.callback());
        }
        for callback in &recipe.callbacks {
            trainer = trainer.callback(callback.callback());
        }
        let history = trainer.fit(&mut model, &data.train)?;
        let team =
            ThreadTeam::new(threads_used).with_context(|| format!("cannot start {threads_used} threads"))?;
        let test = team.install(|| model.evaluate_with_loss(&recipe.loss, &data.test))?;

        let summary = self.summary(&recipe, &data, &model, history, &test, started)?;
        run_folder::write(&folder, &model, &summary, &recipe)?;
        output.remove_replaced();
        let report = team.install(|| {
            let input = ReportInput::new(&folder, &summary, &model, &data)?;
            input.write_report(&folder).map(|()| input)
        });
        let saved = if report.is_ok() {
            "the model, its summary and its report"
        } else {
            "the model and its summary"
        };
        print_message(&format!("Saved {saved} to {}", folder.display()));
        print(&format!("Test Accuracy: {:.2}%\n", 100.0 * test.accuracy))?;
        match report {
            Ok(input) if io::stderr().is_terminal() => {
                let table = confusion_table(input.assessment.confusion(), &input.class_names);
                let page = folder.join(REPORT_FILE);
                // A closed standard error is ignored.
                let _ = write!(io::stderr(), "\n{table}Report: {}\n", page.display());
            }
            Ok(_) => {}
            // The run itself is complete and saved.
            Err(error) => print_message(&format!("cannot write the report: {}", chain(&*error))),
        }
        // Everything is written: other processes need not wait until the page is closed.
        drop(output);
        if let Some(page) = page {
            page.keep(model, test.accuracy)?;
        }
        Ok(FinishedRun { recipe, summary })
    }

    /// The upper bound on threads.
    fn threads(&self) -> usize {
        self.threads.unwrap_or_else(available_threads)
    }

    /// The number of threads to start: more threads than CPUs are never faster.
    fn threads_used(&self) -> usize {
        self.threads().min(available_threads())
    }

    /// Builds the model with its initial weights.
    fn model(&self, recipe: &Recipe, data: &TrainTest) -> anyhow::Result<Model> {
        let mut model = recipe
            .network(data.train.image_shape(), data.train.classes())
            .and_then(|network| network.build(recipe.seed))
            .with_context(|| {
                let (network, settings) = recipe.network_settings();
                format!("{network} {settings}")
            })?;
        if let Some(init) = &self.init {
            model.load_weights(init)?;
        }
        Ok(model)
    }

    fn summary(
        &self,
        recipe: &Recipe,
        data: &TrainTest,
        model: &Model,
        history: History,
        test: &Evaluation,
        started: String,
    ) -> anyhow::Result<RunSummary> {
        let schedule = schedule(recipe, data)?;
        Ok(RunSummary {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            dataset: recipe.dataset.clone(),
            // Absolute: valid in any working directory.
            data_dir: self.data.source.data_dir.as_ref().and_then(|folder| std::path::absolute(folder).ok()),
            hidden: if recipe.layers.is_empty() { recipe.hidden.clone() } else { Vec::new() },
            layers: (!recipe.layers.is_empty()).then(|| recipe.network_settings().1),
            ema_momentum: recipe.optimizer.ema_momentum,
            seed: recipe.seed,
            threads: self.threads(),
            threads_used: self.threads_used(),
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
        })
    }
}

/// The trainer with the settings of a recipe, but for its callbacks.
fn trainer(recipe: &Recipe, data: &TrainTest) -> anyhow::Result<Trainer<'static, AnyOptimizer, AnyLoss>> {
    let mut trainer = Trainer::new(recipe.optimizer(), recipe.loss)
        .epochs(recipe.epochs)
        .batch_size(recipe.batch_size)
        .validation_split(recipe.validation_split)
        .shuffle(recipe.shuffle)
        .seed(recipe.seed);
    if let Some(schedule) = schedule(recipe, data)? {
        trainer = trainer.schedule(schedule);
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
    Ok(trainer)
}

/// The learning rate schedule of a recipe in steps.
fn schedule(recipe: &Recipe, data: &TrainTest) -> anyhow::Result<Option<AnySchedule>> {
    let (train, _) = data.train.view().split(recipe.validation_split)?;
    let steps = train.len().div_ceil(recipe.batch_size);
    Ok(recipe.schedule().map(|schedule| schedule.in_steps(steps)))
}
