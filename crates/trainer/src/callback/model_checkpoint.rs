//! Saves the model during training.

use std::fs;
use std::path::{Path, PathBuf};

use ziffer_nn::Model;

use super::filepath::{Filepath, Values};
use super::monitor::Criterion;
use super::{
    BatchLog, Callback, CallbackError, EpochEndContext, Flow, Mode, Monitor, TrainingParams, state_bytes,
};
use crate::{EpochLog, Resumed};

/// When the model is saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaveFreq {
    /// After each epoch.
    #[default]
    Epoch,
    /// After this many batches, counted across epochs. At least 1.
    Batches(usize),
}

/// Saves the model after each epoch or after a number of batches, always or only after an improvement of a metric, as Keras's
/// `ModelCheckpoint`.
///
/// | setting | meaning | default (Keras's) |
/// |---|---|---|
/// | filepath | the file, with fields as below; its folder is created if needed | |
/// | monitor | the metric | `val_loss` |
/// | verbose | whether messages report the saved files | false |
/// | save_best_only | whether to save only after an improvement | false |
/// | save_weights_only | whether to save the weights only, for [`Model::load_weights`] | false |
/// | mode | which values are better | auto |
/// | save_freq | after each epoch, or after a number of batches | epoch |
/// | initial_value_threshold | the value that the first one must improve on | none |
///
/// The fields are those of Python's `format`: `{epoch:02d}`, counted from 1, and `{loss}`, `{accuracy}`, `{val_loss}` and
/// `{val_accuracy}`, such as `{val_loss:.4f}`. Between batches there is also `{batch}`, counted from 1. `loss` and `accuracy` are
/// then means over the epoch so far, and the metrics of validation are not available. A brace that is part of the name is
/// doubled.
///
/// After an epoch the saved model has the average of the weights, if one is kept; between batches it has the current weights. A file
/// appears completely or not at all. An error, such as a full disk, ends training and leaves the previous file. As in Keras, the best
/// value persists from one training to the next.
#[derive(Clone, Debug)]
pub struct ModelCheckpoint {
    path: PathBuf,
    filepath: Result<Filepath, String>,
    criterion: Criterion,
    verbose: bool,
    save_best_only: bool,
    save_weights_only: bool,
    save_freq: SaveFreq,
    best: Option<f64>,
    /// The number of batches since the model was last saved or checked.
    batches: usize,
    messages: Vec<String>,
}

impl ModelCheckpoint {
    /// Saves to a safetensors file at `filepath` after each epoch.
    pub fn new(filepath: impl Into<PathBuf>) -> Self {
        let path = filepath.into();
        Self {
            filepath: Filepath::parse(&path),
            path,
            criterion: Criterion::default(),
            verbose: false,
            save_best_only: false,
            save_weights_only: false,
            save_freq: SaveFreq::Epoch,
            best: None,
            batches: 0,
            messages: Vec::new(),
        }
    }

    /// Sets the metric.
    pub fn monitor(mut self, monitor: Monitor) -> Self {
        self.criterion.monitor = monitor;
        self
    }

    /// Sets whether messages report the saved files.
    pub fn verbose(mut self, verbose: bool) -> Self {
        self.verbose = verbose;
        self
    }

    /// Sets whether to save only after an improvement.
    pub fn save_best_only(mut self, best_only: bool) -> Self {
        self.save_best_only = best_only;
        self
    }

    /// Sets whether to save the weights only.
    pub fn save_weights_only(mut self, weights_only: bool) -> Self {
        self.save_weights_only = weights_only;
        self
    }

    /// Sets which values are better.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.criterion.mode = mode;
        self
    }

    /// Sets when the model is saved.
    pub fn save_freq(mut self, save_freq: SaveFreq) -> Self {
        self.save_freq = save_freq;
        self
    }

    /// Sets the value that the first one must improve on.
    pub fn initial_value_threshold(mut self, value: f64) -> Self {
        self.best = Some(value);
        self
    }

    /// The file path with its fields.
    pub fn filepath(&self) -> &Path {
        &self.path
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
            let monitor = self.criterion.monitor;
            let Some(value) = (values.metric)(monitor) else { return Ok(()) };
            let best = self.best.map_or("None".to_owned(), |best| format!("{best:.5}"));
            if !self.criterion.is_improvement(value, self.best) {
                self.message(|| format!("Epoch {epoch}: {monitor} did not improve from {best}"));
                return Ok(());
            }
            self.best = Some(value);
            reason = format!("{monitor} improved from {best} to {value:.5}, ");
        }
        self.message(|| format!("Epoch {epoch}: {reason}saving model to {}", path.display()));
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)
                .map_err(|error| format!("{}: cannot create the folder: {error}", folder.display()))?;
        }
        if self.save_weights_only {
            model.save_weights(&path)?;
        } else {
            model.save(&path)?;
        }
        self.message(|| format!("Epoch {epoch}: finished saving model to {}", path.display()));
        Ok(())
    }

    /// Adds a message, if verbose.
    fn message(&mut self, message: impl FnOnce() -> String) {
        if self.verbose {
            self.messages.push(message());
        }
    }
}

impl Callback for ModelCheckpoint {
    fn name(&self) -> &'static str {
        "model checkpoint"
    }

    fn on_train_begin(&mut self, params: &TrainingParams, _: &mut Model) -> Result<(), CallbackError> {
        self.messages.clear();
        let is_by_batch = match self.save_freq {
            SaveFreq::Batches(0) => return Err("save_freq is 0, expected at least 1".into()),
            SaveFreq::Batches(_) => true,
            SaveFreq::Epoch => false,
        };
        self.filepath.as_ref().map_err(Clone::clone)?.check(params, is_by_batch)?;
        if !self.save_best_only {
            return Ok(());
        }
        let monitor = self.criterion.monitor;
        if is_by_batch && monitor.is_validation_metric() {
            return Err(format!(
                "{monitor} is monitored, which is not known between batches; monitor loss or accuracy"
            )
            .into());
        }
        self.criterion.check(params)
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

    fn on_batch_end_with_model(&mut self, log: &BatchLog, model: &Model) -> Result<(), CallbackError> {
        self.batches = 0;
        let metric = |monitor| match monitor {
            Monitor::Loss => Some(log.mean_loss),
            Monitor::Accuracy => log.mean_accuracy,
            Monitor::ValLoss | Monitor::ValAccuracy => None,
        };
        self.save(model, &Values { epoch: log.epoch + 1, batch: Some(log.step + 1), metric: &metric })
    }

    fn on_epoch_end(
        &mut self,
        log: &EpochLog,
        context: &mut EpochEndContext<'_>,
    ) -> Result<Flow, CallbackError> {
        if self.save_freq == SaveFreq::Epoch {
            let metric = |monitor: Monitor| monitor.in_log(log);
            self.save(context.model, &Values { epoch: log.epoch + 1, batch: None, metric: &metric })?;
        }
        Ok(Flow::Continue)
    }

    fn state(&self) -> Option<Vec<u8>> {
        let [is_some, best] = state_bytes::optional_to_numbers(self.best);
        Some(state_bytes::to_bytes(&[self.batches as u64, is_some, best]))
    }

    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        if let Some(state) = &resumed.state {
            let [batches, is_some, best] = state_bytes::from_bytes(state)?;
            self.batches = usize::try_from(batches).unwrap_or(usize::MAX);
            self.best = state_bytes::optional_from_numbers([is_some, best]);
            return Ok(());
        }
        for &value in self.criterion.monitor.in_history(&resumed.history) {
            if self.save_best_only && self.criterion.is_improvement(value, self.best) {
                self.best = Some(value);
            }
        }
        Ok(())
    }

    fn take_messages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.messages)
    }
}
