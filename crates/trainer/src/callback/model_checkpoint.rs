//! Saving the best model.

use std::path::{Path, PathBuf};

use ziffer_nn::Model;

use super::{Callback, CallbackError, Flow, Monitor, Plan, TrainingContext};
use crate::{EpochLog, Resumed};

/// Saves the model after each epoch in which a number has become better than ever before, as Keras's `ModelCheckpoint`
/// with `save_best_only`.
///
/// The file appears whole or not at all; a failure, a full disk say, ends training and leaves the last good one.
#[derive(Clone, Debug)]
pub struct ModelCheckpoint {
    path: PathBuf,
    monitor: Monitor,
    best: Option<f64>,
}

impl ModelCheckpoint {
    /// Saves to a safetensors file at `path` whenever `monitor` has become better.
    pub fn new(path: impl Into<PathBuf>, monitor: Monitor) -> Self {
        Self { path: path.into(), monitor, best: None }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Callback for ModelCheckpoint {
    fn name(&self) -> &'static str {
        "model checkpoint"
    }

    fn on_train_begin(&mut self, plan: &Plan, _: &mut Model) -> Result<(), CallbackError> {
        self.best = None;
        self.monitor.check(plan)
    }

    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        for &value in self.monitor.over(&resumed.history) {
            if self.monitor.is_better(value, self.best, 0.0) {
                self.best = Some(value);
            }
        }
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        log: &EpochLog,
        context: &mut TrainingContext<'_>,
    ) -> Result<Flow, CallbackError> {
        let value = self.monitor.of(log);
        if self.monitor.is_better(value, self.best, 0.0) {
            context.model.save(&self.path)?;
            self.best = Some(value);
        }
        Ok(Flow::Continue)
    }
}
