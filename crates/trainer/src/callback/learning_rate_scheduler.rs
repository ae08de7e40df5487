//! Sets the learning rate of each epoch by a function.

use std::fmt;

use super::{Callback, CallbackError, EpochBeginContext};

/// Sets the learning rate at the beginning of each epoch by a function, as Keras's `LearningRateScheduler`.
///
/// ```
/// use ziffer_trainer::callback::LearningRateScheduler;
///
/// // Reduces the learning rate by a tenth in each epoch from the sixth on.
/// let scheduler = LearningRateScheduler::new(|epoch, rate| if epoch < 5 { rate } else { 0.9 * rate });
/// # let _ = scheduler;
/// ```
///
/// The function takes the epoch, counted from 0, and the current rate. Its result replaces a schedule of the trainer. A training that
/// resumes in the middle of an epoch uses the epoch's rate, and calls the function for the next epoch.
pub struct LearningRateScheduler<F> {
    schedule: F,
    verbose: bool,
    messages: Vec<String>,
}

impl<F: FnMut(usize, f64) -> f64> LearningRateScheduler<F> {
    /// Calls `schedule` with the epoch and the current rate.
    pub fn new(schedule: F) -> Self {
        Self { schedule, verbose: false, messages: Vec::new() }
    }

    /// Sets whether a message reports each epoch's rate.
    pub fn verbose(mut self, verbose: bool) -> Self {
        self.verbose = verbose;
        self
    }
}

impl<F: FnMut(usize, f64) -> f64> Callback for LearningRateScheduler<F> {
    fn name(&self) -> &'static str {
        "learning rate scheduler"
    }

    fn sets_learning_rate(&self) -> bool {
        true
    }

    fn on_epoch_begin(&mut self, epoch: usize, context: &mut EpochBeginContext) -> Result<(), CallbackError> {
        if context.step() > 0 {
            return Ok(());
        }
        let rate = (self.schedule)(epoch, context.learning_rate());
        if self.verbose {
            let does = "LearningRateScheduler setting learning rate to";
            self.messages.push(format!("Epoch {}: {does} {}.", epoch + 1, crate::python::repr(rate)));
        }
        context.set_learning_rate(rate);
        Ok(())
    }

    fn take_messages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.messages)
    }
}

impl<F> fmt::Debug for LearningRateScheduler<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LearningRateScheduler").field("verbose", &self.verbose).finish_non_exhaustive()
    }
}
