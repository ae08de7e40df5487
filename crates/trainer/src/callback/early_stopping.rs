//! Early stopping.

use ziffer_nn::Model;

use super::monitor::Watch;
use super::{Callback, CallbackError, Flow, Mode, Monitor, Plan, TrainingContext, states};
use crate::{EpochLog, Resumed};

/// Stops when a number has not become better for some epochs, as Keras's `EarlyStopping`.
///
/// | setting | meaning | default (Keras's) |
/// |---|---|---|
/// | monitor | the number | `val_loss` |
/// | min_delta | by how much it must become better to count, as an absolute value | 0 |
/// | patience | after how many epochs without a better one to stop; 0 stops at the first | 0 |
/// | verbose | whether a message says where training stopped and which weights came back | false |
/// | mode | which values are better | auto |
/// | baseline | a value that must be beaten as well for patience to begin anew | none |
/// | restore_best_weights | whether the model ends with the best epoch's weights | false |
/// | start_from_epoch | epochs at the beginning that do not count | 0 |
///
/// The best weights come back however training ends, by patience or by its last epoch. They are in
/// [checkpoints](crate::Checkpoints), so that a training that goes on from one comes back to them too.
#[derive(Clone, Debug, Default)]
pub struct EarlyStopping {
    watch: Watch,
    patience: usize,
    verbose: bool,
    baseline: Option<f64>,
    restore_best_weights: bool,
    start_from_epoch: usize,
    best: Option<Best>,
    wait: usize,
    stopped_epoch: Option<usize>,
    /// Of the model.
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
    /// Watches `monitor` with this much patience.
    pub fn new(monitor: Monitor, patience: usize) -> Self {
        Self { watch: Watch { monitor, ..Watch::default() }, patience, ..Self::default() }
    }

    /// Sets by how much the number must become better to count.
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.watch.min_delta = min_delta;
        self
    }

    /// Sets whether a message says where training stopped and which weights came back.
    pub fn verbose(mut self, verbose: bool) -> Self {
        self.verbose = verbose;
        self
    }

    /// Sets which values are better.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.watch.mode = mode;
        self
    }

    /// Sets a value that must be beaten for patience to begin anew.
    pub fn baseline(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self
    }

    /// Sets whether the model ends with the best epoch's weights.
    pub fn restore_best_weights(mut self, restore: bool) -> Self {
        self.restore_best_weights = restore;
        self
    }

    /// Sets how many epochs at the beginning do not count.
    pub fn start_from_epoch(mut self, epochs: usize) -> Self {
        self.start_from_epoch = epochs;
        self
    }

    /// The best epoch so far, from 0.
    pub fn best_epoch(&self) -> Option<usize> {
        self.best.as_ref().map(|best| best.epoch)
    }

    /// The epoch, from 0, after which patience was at its end.
    pub fn stopped_epoch(&self) -> Option<usize> {
        self.stopped_epoch
    }

    /// Takes note of an epoch's number.
    fn see(&mut self, value: f64, epoch: usize) -> Flow {
        self.stopped_epoch = None;
        if epoch < self.start_from_epoch {
            return Flow::Continue;
        }
        self.wait += 1;
        if self.watch.is_improvement(value, self.best.as_ref().map(|best| best.value)) {
            self.best = Some(Best { value, epoch, weights: None });
            // One that is better than before, but not than the baseline, neither stops nor begins anew.
            if self.baseline.is_none() || self.watch.is_improvement(value, self.baseline) {
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

    fn on_train_begin(&mut self, plan: &Plan, model: &mut Model) -> Result<(), CallbackError> {
        (self.best, self.wait, self.stopped_epoch) = (None, 0, None);
        self.parameters = model.parameters();
        self.messages.clear();
        if let Some(baseline) = self.baseline.filter(|baseline| baseline.is_nan()) {
            return Err(format!("baseline is {baseline}, expected a number").into());
        }
        self.watch.check(plan)
    }

    fn on_epoch_end(
        &mut self,
        log: &EpochLog,
        context: &mut TrainingContext<'_>,
    ) -> Result<Flow, CallbackError> {
        let Some(value) = self.watch.monitor.of(log) else { return Ok(Flow::Continue) };
        let flow = self.see(value, log.epoch);
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

    /// The best epoch and its weights. All else follows from the history.
    fn state(&self) -> Option<Vec<u8>> {
        let Best { epoch, weights, .. } = self.best.as_ref()?;
        let weights = weights.as_ref()?;
        let mut state = Vec::with_capacity(8 + 4 * weights.len());
        state.extend((*epoch as u64).to_le_bytes());
        state.extend(weights.iter().flat_map(|weight| weight.to_le_bytes()));
        Some(state)
    }

    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        let values = self.watch.monitor.over(&resumed.history);
        for (epoch, &value) in values.iter().enumerate() {
            self.see(value, epoch);
        }
        let Some(best) = self.best.as_mut().filter(|_| self.restore_best_weights) else { return Ok(()) };
        let Some(state) = &resumed.state else {
            return Err(
                "the best epoch's weights are not in the checkpoint; set restore_best_weights to false"
                    .into(),
            );
        };
        states::check_len(state, self.parameters.saturating_mul(4).saturating_add(8))?;
        let (epoch, weights) = state.split_first_chunk().ok_or("its state in the checkpoint is empty")?;
        let epoch = u64::from_le_bytes(*epoch);
        if epoch != best.epoch as u64 {
            let (found, expected) = (epoch.saturating_add(1), best.epoch + 1);
            let problem =
                format!("the weights in the checkpoint are of epoch {found}, the best one is {expected}");
            return Err(format!("{problem}; give the settings that they were kept with").into());
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
