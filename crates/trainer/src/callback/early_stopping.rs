//! Early stopping.

use ziffer_nn::{Model, Snapshot};

use super::{Callback, CallbackError, Flow, Monitor, Plan, TrainingContext};
use crate::{EpochLog, Resumed};

/// Stops when a number has not become better for some epochs, and goes back to the weights of the best, as Keras's
/// `EarlyStopping`.
///
/// | setting | meaning | default (Keras's) |
/// |---|---|---|
/// | monitor | the number | `val_loss` |
/// | min_delta | by how much it must become better to count, at least 0 | 0 |
/// | patience | after how many epochs without a better one to stop; 0 stops at the first | 0 |
/// | restore_best_weights | whether the model ends with the best epoch's weights | true (Keras: false) |
///
/// The best weights come back however training ends, by patience or by its last epoch.
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    monitor: Monitor,
    min_delta: f64,
    patience: usize,
    restore_best_weights: bool,
    best: Option<Best>,
    waited: usize,
}

#[derive(Clone, Debug)]
struct Best {
    value: f64,
    epoch: usize,
    weights: Option<Snapshot<f32>>,
}

impl Default for EarlyStopping {
    fn default() -> Self {
        Self {
            monitor: Monitor::default(),
            min_delta: 0.0,
            patience: 0,
            restore_best_weights: true,
            best: None,
            waited: 0,
        }
    }
}

impl EarlyStopping {
    /// Watches `monitor` with this much patience.
    pub fn new(monitor: Monitor, patience: usize) -> Self {
        Self { monitor, patience, ..Self::default() }
    }

    /// Sets by how much the number must become better to count.
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.min_delta = min_delta;
        self
    }

    /// Sets whether the model ends with the best epoch's weights.
    pub fn restore_best_weights(mut self, restore: bool) -> Self {
        self.restore_best_weights = restore;
        self
    }

    /// The best epoch so far, from 0.
    pub fn best_epoch(&self) -> Option<usize> {
        self.best.as_ref().map(|best| best.epoch)
    }
}

impl EarlyStopping {
    /// Takes note of an epoch's number.
    fn see(&mut self, value: f64, epoch: usize) -> Flow {
        if self.monitor.is_better(value, self.best.as_ref().map(|best| best.value), self.min_delta) {
            self.best = Some(Best { value, epoch, weights: None });
            self.waited = 0;
            return Flow::Continue;
        }
        self.waited += 1;
        if self.waited >= self.patience { Flow::Stop } else { Flow::Continue }
    }
}

impl Callback for EarlyStopping {
    fn name(&self) -> &'static str {
        "early stopping"
    }

    fn on_train_begin(&mut self, plan: &Plan, _: &mut Model) -> Result<(), CallbackError> {
        self.best = None;
        self.waited = 0;
        // Written so that NaN does not pass.
        if !(self.min_delta >= 0.0 && self.min_delta.is_finite()) {
            return Err(format!("min_delta is {}, expected a number of at least 0", self.min_delta).into());
        }
        self.monitor.check(plan)
    }

    fn on_epoch_end(
        &mut self,
        log: &EpochLog,
        context: &mut TrainingContext<'_>,
    ) -> Result<Flow, CallbackError> {
        let flow = self.see(self.monitor.of(log), log.epoch);
        if let Some(best) = self.best.as_mut().filter(|best| best.epoch == log.epoch) {
            best.weights = self.restore_best_weights.then(|| context.model.snapshot());
        }
        Ok(flow)
    }

    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        if self.restore_best_weights && resumed.history.epochs() > 0 {
            return Err("cannot resume: the best epoch's weights are not in a checkpoint; set restore_best_weights to false".into());
        }
        for (epoch, &value) in self.monitor.over(&resumed.history).iter().enumerate() {
            self.see(value, epoch);
        }
        Ok(())
    }

    fn on_train_end(&mut self, model: &mut Model) -> Result<(), CallbackError> {
        if let Some(Best { weights: Some(weights), .. }) = &self.best {
            model.restore(weights);
        }
        Ok(())
    }
}
