//! Saving models on the way.

use std::fs;
use std::path::{Path, PathBuf};

use ziffer_nn::Model;

use super::filepath::{Filepath, Values};
use super::monitor::Watch;
use super::{BatchLog, Callback, CallbackError, Flow, Mode, Monitor, Plan, TrainingContext, states};
use crate::{EpochLog, Resumed};

/// When a model is saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaveFreq {
    /// After each epoch.
    #[default]
    Epoch,
    /// After so many batches, over epochs; at least 1.
    Batches(usize),
}

/// Saves the model after each epoch or each so many batches, or only where a number has become better than ever before, as
/// Keras's `ModelCheckpoint`.
///
/// | setting | meaning | default (Keras's) |
/// |---|---|---|
/// | filepath | the file, which may have fields, see below; its folder is made if it is not there | |
/// | monitor | the number | `val_loss` |
/// | verbose | whether messages tell what is saved | false |
/// | save_best_only | whether it is saved only where the number is better than ever before | false |
/// | save_weights_only | whether the file has the weights alone, for [`Model::load_weights`] | false |
/// | mode | which values are better | auto |
/// | save_freq | after each epoch, or after so many batches | epoch |
/// | initial_value_threshold | what the first value must be better than | none |
///
/// The fields are those of Python's `format`: `{epoch:02d}`, counted from 1, and `{loss}`, `{accuracy}`, `{val_loss}` and
/// `{val_accuracy}`, such as `{val_loss:.4f}`. Between batches there is `{batch}`, counted from 1, and `loss` and `accuracy`
/// are means over the epoch so far; there is nothing of the validation part, as field or as number to watch. A brace that
/// is part of the name is written twice.
///
/// After an epoch the model has the average of the weights, where one is kept; between batches it has the weights that are
/// trained. A file appears whole or not at all; a failure, a full disk say, ends training and leaves the last good one. The
/// best value is kept from one training to the next, as Keras keeps it.
#[derive(Clone, Debug)]
pub struct ModelCheckpoint {
    given: PathBuf,
    filepath: Result<Filepath, String>,
    watch: Watch,
    verbose: bool,
    save_best_only: bool,
    save_weights_only: bool,
    save_freq: SaveFreq,
    best: Option<f64>,
    /// Batches since a model was saved, or might have been.
    batches: usize,
    messages: Vec<String>,
}

impl ModelCheckpoint {
    /// Saves to a safetensors file at `filepath` after each epoch.
    pub fn new(filepath: impl Into<PathBuf>) -> Self {
        let given = filepath.into();
        Self {
            filepath: Filepath::parse(&given),
            given,
            watch: Watch::default(),
            verbose: false,
            save_best_only: false,
            save_weights_only: false,
            save_freq: SaveFreq::Epoch,
            best: None,
            batches: 0,
            messages: Vec::new(),
        }
    }

    /// Sets the number that is watched.
    pub fn monitor(mut self, monitor: Monitor) -> Self {
        self.watch.monitor = monitor;
        self
    }

    /// Sets whether messages tell what is saved.
    pub fn verbose(mut self, verbose: bool) -> Self {
        self.verbose = verbose;
        self
    }

    /// Sets whether the model is saved only where the number is better than ever before.
    pub fn save_best_only(mut self, best_only: bool) -> Self {
        self.save_best_only = best_only;
        self
    }

    /// Sets whether the file has the weights alone.
    pub fn save_weights_only(mut self, weights_only: bool) -> Self {
        self.save_weights_only = weights_only;
        self
    }

    /// Sets which values are better.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.watch.mode = mode;
        self
    }

    /// Sets when the model is saved.
    pub fn save_freq(mut self, save_freq: SaveFreq) -> Self {
        self.save_freq = save_freq;
        self
    }

    /// Sets what the first value must be better than.
    pub fn initial_value_threshold(mut self, value: f64) -> Self {
        self.best = Some(value);
        self
    }

    /// The file as it was given, with its fields.
    pub fn filepath(&self) -> &Path {
        &self.given
    }

    /// The best value so far.
    pub fn best(&self) -> Option<f64> {
        self.best
    }

    fn save(&mut self, model: &Model, values: &Values<'_>) -> Result<(), CallbackError> {
        let path = self.filepath.as_ref().map_err(Clone::clone)?.fill(values);
        let epoch = values.epoch;
        let mut reason = String::new();
        if self.save_best_only {
            let monitor = self.watch.monitor;
            let Some(value) = (values.number)(monitor) else { return Ok(()) };
            let was = self.best.map_or("None".to_owned(), |best| format!("{best:.5}"));
            if !self.watch.is_improvement(value, self.best) {
                self.tell(|| format!("Epoch {epoch}: {monitor} did not improve from {was}"));
                return Ok(());
            }
            self.best = Some(value);
            reason = format!("{monitor} improved from {was} to {value:.5}, ");
        }
        self.tell(|| format!("Epoch {epoch}: {reason}saving model to {}", path.display()));
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)
                .map_err(|error| format!("{}: cannot make the folder: {error}", folder.display()))?;
        }
        if self.save_weights_only {
            model.save_weights(&path)?;
        } else {
            model.save(&path)?;
        }
        self.tell(|| format!("Epoch {epoch}: finished saving model to {}", path.display()));
        Ok(())
    }

    fn tell(&mut self, message: impl FnOnce() -> String) {
        if self.verbose {
            self.messages.push(message());
        }
    }
}

impl Callback for ModelCheckpoint {
    fn name(&self) -> &'static str {
        "model checkpoint"
    }

    fn on_train_begin(&mut self, plan: &Plan, _: &mut Model) -> Result<(), CallbackError> {
        self.messages.clear();
        let is_by_batch = match self.save_freq {
            SaveFreq::Batches(0) => return Err("save_freq is 0, expected at least 1".into()),
            SaveFreq::Batches(_) => true,
            SaveFreq::Epoch => false,
        };
        self.filepath.as_ref().map_err(Clone::clone)?.check(plan, is_by_batch)?;
        if !self.save_best_only {
            return Ok(());
        }
        let monitor = self.watch.monitor;
        if is_by_batch && monitor.is_of_validation() {
            return Err(format!(
                "{monitor} is watched, which is not known between batches; watch loss or accuracy"
            )
            .into());
        }
        self.watch.check(plan)
    }

    fn on_batch_end(&mut self, _: &BatchLog) {
        self.batches = self.batches.saturating_add(1);
    }

    fn steps_until_model(&self) -> Option<usize> {
        match self.save_freq {
            SaveFreq::Batches(every) => Some(every.saturating_sub(self.batches)),
            SaveFreq::Epoch => None,
        }
    }

    fn on_model(&mut self, log: &BatchLog, model: &Model) -> Result<(), CallbackError> {
        self.batches = 0;
        let number = |monitor| match monitor {
            Monitor::Loss => Some(log.mean_loss),
            Monitor::Accuracy => log.mean_accuracy,
            Monitor::ValLoss | Monitor::ValAccuracy => None,
        };
        self.save(model, &Values { epoch: log.epoch + 1, batch: Some(log.step + 1), number: &number })
    }

    fn on_epoch_end(
        &mut self,
        log: &EpochLog,
        context: &mut TrainingContext<'_>,
    ) -> Result<Flow, CallbackError> {
        if self.save_freq == SaveFreq::Epoch {
            let number = |monitor: Monitor| monitor.of(log);
            self.save(context.model, &Values { epoch: log.epoch + 1, batch: None, number: &number })?;
        }
        Ok(Flow::Continue)
    }

    fn state(&self) -> Option<Vec<u8>> {
        let [is_some, best] = states::optional_to_numbers(self.best);
        Some(states::to_bytes(&[self.batches as u64, is_some, best]))
    }

    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        if let Some(state) = &resumed.state {
            let [batches, is_some, best] = states::from_bytes(state)?;
            self.batches = usize::try_from(batches).unwrap_or(usize::MAX);
            self.best = states::optional_from_numbers([is_some, best]);
            return Ok(());
        }
        for &value in self.watch.monitor.over(&resumed.history) {
            if self.save_best_only && self.watch.is_improvement(value, self.best) {
                self.best = Some(value);
            }
        }
        Ok(())
    }

    fn take_messages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.messages)
    }
}
