//! Learning rates that depend on the step.

use std::fmt::Debug;

/// The learning rate of each step, as Keras's `LearningRateSchedule`.
pub trait LearningRateSchedule: Debug + Send + Sync {
    /// The rate of the step after `step` others.
    fn learning_rate(&self, step: u64) -> f64;
}
