//! A learning rate that falls where nothing gets better.

use ziffer_nn::Model;

use super::monitor::Watch;
use super::{Callback, CallbackError, Flow, Mode, Monitor, Plan, TrainingContext, states};
use crate::{EpochLog, Resumed};

/// Multiplies the learning rate by a factor when a number has not become better for some epochs, as Keras's
/// `ReduceLROnPlateau`.
///
/// | setting | meaning | default (Keras's) |
/// |---|---|---|
/// | monitor | the number | `val_loss` |
/// | factor | what the rate is multiplied by, above 0 and below 1 | 0.1 |
/// | patience | after how many epochs without a better one | 10 |
/// | verbose | whether a message tells each new rate | false |
/// | mode | which values are better | auto |
/// | min_delta | by how much the number must become better to count, as an absolute value | 0.0001 |
/// | cooldown | for how many epochs nothing is counted after the rate was reduced | 0 |
/// | min_lr | the lowest rate | 0 |
///
/// The first reduction replaces a schedule. Rates are `f64`; Keras's are `f32`.
#[derive(Clone, Debug)]
pub struct ReduceLROnPlateau {
    watch: Watch,
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
            watch: Watch { min_delta: 1e-4, ..Watch::default() },
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
    /// Watches `monitor` with Keras's defaults.
    pub fn new(monitor: Monitor) -> Self {
        let this = Self::default();
        Self { watch: Watch { monitor, ..this.watch }, ..this }
    }

    /// Sets what the rate is multiplied by.
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets after how many epochs without a better one the rate falls.
    pub fn patience(mut self, patience: usize) -> Self {
        self.patience = patience;
        self
    }

    /// Sets whether a message tells each new rate.
    pub fn verbose(mut self, verbose: bool) -> Self {
        self.verbose = verbose;
        self
    }

    /// Sets which values are better.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.watch.mode = mode;
        self
    }

    /// Sets by how much the number must become better to count.
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.watch.min_delta = min_delta;
        self
    }

    /// Sets for how many epochs nothing is counted after the rate was reduced.
    pub fn cooldown(mut self, epochs: usize) -> Self {
        self.cooldown = epochs;
        self
    }

    /// Sets the lowest rate.
    pub fn min_lr(mut self, min_lr: f64) -> Self {
        self.min_lr = min_lr;
        self
    }

    /// The rate after an epoch with this number at its end, if it is another one.
    fn see(&mut self, value: f64, rate: f64) -> Option<f64> {
        if self.cooldown_counter > 0 {
            self.cooldown_counter -= 1;
            self.wait = 0;
        }
        if self.watch.is_improvement(value, self.best) {
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
        // A product that is no number any more leaves the rate; training does not go on at 0.
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

    fn on_train_begin(&mut self, plan: &Plan, _: &mut Model) -> Result<(), CallbackError> {
        (self.best, self.wait, self.cooldown_counter) = (None, 0, 0);
        self.messages.clear();
        if !(self.factor > 0.0 && self.factor < 1.0) {
            return Err(format!("factor is {}, expected a number above 0 and below 1", self.factor).into());
        }
        if !(self.min_lr >= 0.0 && self.min_lr.is_finite()) {
            return Err(format!("min_lr is {}, expected a number of at least 0", self.min_lr).into());
        }
        self.watch.check(plan)
    }

    fn on_epoch_end(
        &mut self,
        log: &EpochLog,
        context: &mut TrainingContext<'_>,
    ) -> Result<Flow, CallbackError> {
        let Some(value) = self.watch.monitor.of(log) else { return Ok(Flow::Continue) };
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
        let [is_some, best] = states::optional_to_numbers(self.best);
        Some(states::to_bytes(&[self.wait as u64, self.cooldown_counter as u64, is_some, best]))
    }

    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        let Some(state) = &resumed.state else {
            // It was not there before. Nothing is waited for yet, but only what was never reached is better.
            for &value in self.watch.monitor.over(&resumed.history) {
                if self.watch.is_improvement(value, self.best) {
                    self.best = Some(value);
                }
            }
            return Ok(());
        };
        let [wait, cooldown, is_some, best] = states::from_bytes(state)?;
        self.wait = states::count("wait", wait, resumed.epoch)?;
        // Another cooldown may be asked for than before.
        self.cooldown_counter = usize::try_from(cooldown).unwrap_or(usize::MAX).min(self.cooldown);
        self.best = states::optional_from_numbers([is_some, best]);
        Ok(())
    }

    fn take_messages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.messages)
    }
}
