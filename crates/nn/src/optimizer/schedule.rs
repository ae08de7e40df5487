//! Learning rates that depend on the step.

use std::fmt::Debug;

/// The learning rate of each update, as Keras's `LearningRateSchedule`.
///
/// Its `Debug` text stands among the settings that a checkpoint is held to.
pub trait LearningRateSchedule: Debug + Send + Sync {
    /// The rate of the update after `step` others.
    ///
    /// It must depend on `step` alone. Sums, products, quotients and square roots have the same bits on every machine; the
    /// system's powers, exponentials and cosines need not.
    fn learning_rate(&self, step: u64) -> f64;
}
