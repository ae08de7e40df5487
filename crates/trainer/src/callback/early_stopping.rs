//! Early stopping.

use ziffer_nn::Model;

use super::monitor::Criterion;
use super::{Callback, CallbackError, EpochEndContext, Flow, Mode, Monitor, TrainingParams, state_bytes};
use crate::{EpochLog, Resumed};

/// Stops training when a metric has not improved for some epochs, as Keras's `EarlyStopping`.
///
/// | setting | meaning | default (Keras's) |
/// |---|---|---|
/// | monitor | the metric | `val_loss` |
/// | min_delta | the least change, in absolute value, that counts as an improvement | 0 |
/// | patience | the number of epochs without an improvement after which to stop; 0 stops at the first | 0 |
/// | verbose | whether messages report the stop and the restored weights | false |
/// | mode | which values are better | auto |
/// | baseline | a value that the metric must also beat to reset the patience | none |
/// | restore_best_weights | whether the model ends with the best epoch's weights | false |
/// | start_from_epoch | the number of epochs at the start that are ignored | 0 |
///
/// The best weights are restored whether training stops early or after its last epoch. [Checkpoints](crate::Checkpoints) store them,
/// so that a resumed training restores them too.
#[derive(Clone, Debug, Default)]
pub struct EarlyStopping {
    criterion: Criterion,
    patience: usize,
    verbose: bool,
    baseline: Option<f64>,
    restore_best_weights: bool,
    start_from_epoch: usize,
    best: Option<Best>,
    wait: usize,
    stopped_epoch: Option<usize>,
    /// The number of the model's parameters.
    parameters: usize,
    messages: Vec<String>,
}

#[derive(Clone, Debug)]
struct Best {
    value: f64,
    epoch: usize,
    weights: Option<Vec<f32>>,
}

impl EarlyStopping {
    /// Monitors `monitor` with this patience.
    pub fn new(monitor: Monitor, patience: usize) -> Self {
        Self { criterion: Criterion { monitor, ..Criterion::default() }, patience, ..Self::default() }
    }

    /// Sets the least change that counts as an improvement.
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.criterion.min_delta = min_delta;
        self
    }

    /// Sets whether messages report the stop and the restored weights.
    pub fn verbose(mut self, verbose: bool) -> Self {
        self.verbose = verbose;
        self
    }

    /// Sets which values are better.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.criterion.mode = mode;
        self
    }

    /// Sets a value that the metric must also beat to reset the patience.
    pub fn baseline(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self
    }

    /// Sets whether the model ends with the best epoch's weights.
    pub fn restore_best_weights(mut self, restore: bool) -> Self {
        self.restore_best_weights = restore;
        self
    }

    /// Sets the number of epochs at the start that are ignored.
    pub fn start_from_epoch(mut self, epochs: usize) -> Self {
        self.start_from_epoch = epochs;
        self
    }

    /// The best epoch so far, from 0.
    pub fn best_epoch(&self) -> Option<usize> {
        self.best.as_ref().map(|best| best.epoch)
    }

    /// The epoch, from 0, after which training stopped.
    pub fn stopped_epoch(&self) -> Option<usize> {
        self.stopped_epoch
    }

    /// Records the metric of an epoch.
    fn record(&mut self, value: f64, epoch: usize) -> Flow {
        self.stopped_epoch = None;
        if epoch < self.start_from_epoch {
            return Flow::Continue;
        }
        self.wait += 1;
        if self.criterion.is_improvement(value, self.best.as_ref().map(|best| best.value)) {
            self.best = Some(Best { value, epoch, weights: None });
            // An improvement that does not beat the baseline neither stops training nor resets the patience.
            if self.baseline.is_none() || self.criterion.is_improvement(value, self.baseline) {
                self.wait = 0;
            }
            return Flow::Continue;
        }
        if self.wait < self.patience || epoch == 0 {
            return Flow::Continue;
        }
        self.stopped_epoch = Some(epoch);
        Flow::Stop
    }
}

impl Callback for EarlyStopping {
    fn name(&self) -> &'static str {
        "early stopping"
    }

    fn on_train_begin(&mut self, params: &TrainingParams, model: &mut Model) -> Result<(), CallbackError> {
        (self.best, self.wait, self.stopped_epoch) = (None, 0, None);
        self.parameters = model.parameters();
        self.messages.clear();
        if let Some(baseline) = self.baseline.filter(|baseline| baseline.is_nan()) {
            return Err(format!("baseline is {baseline}, expected a number").into());
        }
        self.criterion.check(params)
    }

    fn on_epoch_end(
        &mut self,
        log: &EpochLog,
        context: &mut EpochEndContext<'_>,
    ) -> Result<Flow, CallbackError> {
        let Some(value) = self.criterion.monitor.in_log(log) else { return Ok(Flow::Continue) };
        let flow = self.record(value, log.epoch);
        if let Some(best) = self.best.as_mut().filter(|best| best.epoch == log.epoch) {
            best.weights = self.restore_best_weights.then(|| weights(context.model));
        }
        Ok(flow)
    }

    fn on_train_end(&mut self, model: &mut Model) -> Result<(), CallbackError> {
        if let Some(epoch) = self.stopped_epoch.filter(|_| self.verbose) {
            self.messages.push(format!("Epoch {}: early stopping", epoch + 1));
        }
        if let Some(Best { weights: Some(weights), epoch, .. }) = &self.best {
            if self.verbose {
                let end = "Restoring model weights from the end of the best epoch";
                self.messages.push(format!("{end}: {}.", epoch + 1));
            }
            let mut rest = weights.as_slice();
            model.for_each_weight_mut(|_, weight| {
                let (first, others) = rest.split_at(weight.len());
                weight.copy_from_slice(first);
                rest = others;
            });
        }
        Ok(())
    }

    /// The best epoch and its weights. The rest follows from the history.
    fn state(&self) -> Option<Vec<u8>> {
        let Best { epoch, weights, .. } = self.best.as_ref()?;
        let weights = weights.as_ref()?;
        let mut state = Vec::with_capacity(8 + 4 * weights.len());
        state.extend((*epoch as u64).to_le_bytes());
        state.extend(weights.iter().flat_map(|weight| weight.to_le_bytes()));
        Some(state)
    }

    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        let values = self.criterion.monitor.in_history(&resumed.history);
        for (epoch, &value) in values.iter().enumerate() {
            self.record(value, epoch);
        }
        let Some(best) = self.best.as_mut().filter(|_| self.restore_best_weights) else { return Ok(()) };
        let Some(state) = &resumed.state else {
            return Err(
                "the checkpoint does not have the best epoch's weights; set restore_best_weights to false"
                    .into(),
            );
        };
        state_bytes::check_len(state, self.parameters.saturating_mul(4).saturating_add(8))?;
        let (epoch, weights) = state.split_first_chunk().ok_or("its state in the checkpoint is empty")?;
        let epoch = u64::from_le_bytes(*epoch);
        if epoch != best.epoch as u64 {
            let (found, expected) = (epoch.saturating_add(1), best.epoch + 1);
            let problem =
                format!("the weights in the checkpoint are of epoch {found}, the best one is {expected}");
            return Err(format!("{problem}; use the settings of the checkpoint").into());
        }
        best.weights = Some(weights.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect());
        Ok(())
    }

    fn take_messages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.messages)
    }
}

/// All weights, in layer order.
fn weights(model: &Model) -> Vec<f32> {
    let mut weights = Vec::with_capacity(model.parameters());
    model.weights().for_each(|(_, weight)| weights.extend(weight.iter()));
    weights
}
