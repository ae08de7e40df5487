//! Reduces the learning rate when a metric stops improving.

use ziffer_nn::Model;

use super::monitor::Criterion;
use super::{Callback, CallbackError, EpochEndContext, Flow, Mode, Monitor, TrainingParams, state_bytes};
use crate::{EpochLog, Resumed};

/// Multiplies the learning rate by a factor when a metric has not improved for some epochs, as Keras's `ReduceLROnPlateau`.
///
/// | setting | meaning | default (Keras's) |
/// |---|---|---|
/// | monitor | the metric | `val_loss` |
/// | factor | the factor, above 0 and below 1 | 0.1 |
/// | patience | the number of epochs without an improvement after which to reduce the rate | 10 |
/// | verbose | whether a message reports each new rate | false |
/// | mode | which values are better | auto |
/// | min_delta | the least change, in absolute value, that counts as an improvement | 0.0001 |
/// | cooldown | the number of epochs after a reduction that are not counted | 0 |
/// | min_lr | the lowest rate | 0 |
///
/// The first reduction replaces a schedule. Rates are `f64`; Keras's are `f32`.
#[derive(Clone, Debug)]
pub struct ReduceLROnPlateau {
    criterion: Criterion,
    factor: f64,
    patience: usize,
    verbose: bool,
    cooldown: usize,
    min_lr: f64,
    best: Option<f64>,
    wait: usize,
    cooldown_counter: usize,
    messages: Vec<String>,
}

impl Default for ReduceLROnPlateau {
    fn default() -> Self {
        Self {
            criterion: Criterion { min_delta: 1e-4, ..Criterion::default() },
            factor: 0.1,
            patience: 10,
            verbose: false,
            cooldown: 0,
            min_lr: 0.0,
            best: None,
            wait: 0,
            cooldown_counter: 0,
            messages: Vec::new(),
        }
    }
}

impl ReduceLROnPlateau {
    /// Monitors `monitor` with Keras's defaults.
    pub fn new(monitor: Monitor) -> Self {
        let this = Self::default();
        Self { criterion: Criterion { monitor, ..this.criterion }, ..this }
    }

    /// Sets the factor.
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets the number of epochs without an improvement after which to reduce the rate.
    pub fn patience(mut self, patience: usize) -> Self {
        self.patience = patience;
        self
    }

    /// Sets whether a message reports each new rate.
    pub fn verbose(mut self, verbose: bool) -> Self {
        self.verbose = verbose;
        self
    }

    /// Sets which values are better.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.criterion.mode = mode;
        self
    }

    /// Sets the least change that counts as an improvement.
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.criterion.min_delta = min_delta;
        self
    }

    /// Sets the number of epochs after a reduction that are not counted.
    pub fn cooldown(mut self, epochs: usize) -> Self {
        self.cooldown = epochs;
        self
    }

    /// Sets the lowest rate.
    pub fn min_lr(mut self, min_lr: f64) -> Self {
        self.min_lr = min_lr;
        self
    }

    /// Records the metric of an epoch. Returns the new rate, if it changes.
    fn see(&mut self, value: f64, rate: f64) -> Option<f64> {
        if self.cooldown_counter > 0 {
            self.cooldown_counter -= 1;
            self.wait = 0;
        }
        if self.criterion.is_improvement(value, self.best) {
            self.best = Some(value);
            self.wait = 0;
            return None;
        }
        if self.cooldown_counter > 0 {
            return None;
        }
        self.wait += 1;
        if self.wait < self.patience || rate <= self.min_lr {
            return None;
        }
        let reduced = (rate * self.factor).max(self.min_lr);
        self.cooldown_counter = self.cooldown;
        self.wait = 0;
        // The rate does not change if the product is not a positive number: training never continues at 0.
        (reduced > 0.0).then_some(reduced)
    }
}

impl Callback for ReduceLROnPlateau {
    fn name(&self) -> &'static str {
        "reduce lr on plateau"
    }

    fn sets_learning_rate(&self) -> bool {
        true
    }

    fn on_train_begin(&mut self, params: &TrainingParams, _: &mut Model) -> Result<(), CallbackError> {
        (self.best, self.wait, self.cooldown_counter) = (None, 0, 0);
        self.messages.clear();
        if !(self.factor > 0.0 && self.factor < 1.0) {
            return Err(format!("factor is {}, expected a number above 0 and below 1", self.factor).into());
        }
        if !(self.min_lr >= 0.0 && self.min_lr.is_finite()) {
            return Err(format!("min_lr is {}, expected a number of at least 0", self.min_lr).into());
        }
        self.criterion.check(params)
    }

    fn on_epoch_end(
        &mut self,
        log: &EpochLog,
        context: &mut EpochEndContext<'_>,
    ) -> Result<Flow, CallbackError> {
        let Some(value) = self.criterion.monitor.in_log(log) else { return Ok(Flow::Continue) };
        if let Some(rate) = self.see(value, context.learning_rate) {
            context.learning_rate = rate;
            if self.verbose {
                let epoch = log.epoch + 1;
                let does = "ReduceLROnPlateau reducing learning rate to";
                self.messages.push(format!("Epoch {epoch}: {does} {}.", crate::python::repr(rate)));
            }
        }
        Ok(Flow::Continue)
    }

    fn state(&self) -> Option<Vec<u8>> {
        let [is_some, best] = state_bytes::optional_to_numbers(self.best);
        Some(state_bytes::to_bytes(&[self.wait as u64, self.cooldown_counter as u64, is_some, best]))
    }

    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        let Some(state) = &resumed.state else {
            // The callback is new in this training. It starts to wait now, and the best value is that of the history.
            for &value in self.criterion.monitor.in_history(&resumed.history) {
                if self.criterion.is_improvement(value, self.best) {
                    self.best = Some(value);
                }
            }
            return Ok(());
        };
        let [wait, cooldown, is_some, best] = state_bytes::from_bytes(state)?;
        self.wait = state_bytes::count("wait", wait, resumed.epoch)?;
        // The cooldown may differ from that of the checkpoint.
        self.cooldown_counter = usize::try_from(cooldown).unwrap_or(usize::MAX).min(self.cooldown);
        self.best = state_bytes::optional_from_numbers([is_some, best]);
        Ok(())
    }

    fn take_messages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.messages)
    }
}
