//! The trait of all schedules.

use std::fmt::Debug;

use crate::optimizer::SettingError;

/// The learning rate of each update, as Keras's `LearningRateSchedule`.
///
/// A checkpoint stores the `Debug` text among the settings that must not change when training resumes.
pub trait LearningRateSchedule: Debug + Send + Sync {
    /// The learning rate of the update after `step` others.
    ///
    /// It must depend on `step` only. Sums, products, quotients and square roots have the same bits on every machine. Powers,
    /// exponentials and cosines of the system's math library may differ.
    fn learning_rate(&self, step: u64) -> f64;

    /// Checks the settings. By default there are none.
    ///
    /// # Errors
    /// The first setting that is out of range, with its value and the range.
    fn validate(&self) -> Result<(), SettingError> {
        Ok(())
    }
}
