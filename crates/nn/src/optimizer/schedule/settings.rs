//! Checks of a schedule's settings.

use crate::optimizer::{SettingError, require};

/// Requires a positive, finite number.
pub(super) fn require_positive(
    schedule: &'static str,
    setting: &'static str,
    value: f64,
) -> Result<(), SettingError> {
    require(schedule, setting, value, "a positive number", value > 0.0 && value.is_finite())
}

/// Requires a number from 0 to 1.
pub(super) fn require_from_0_to_1(
    schedule: &'static str,
    setting: &'static str,
    value: f64,
) -> Result<(), SettingError> {
    require(schedule, setting, value, "a number from 0 to 1", (0.0..=1.0).contains(&value))
}

/// Requires at least `least` steps, which is 1 or 2.
pub(super) fn require_steps(
    schedule: &'static str,
    setting: &'static str,
    value: u64,
    least: u64,
) -> Result<(), SettingError> {
    let expected = if least == 1 { "at least 1" } else { "at least 2" };
    require(schedule, setting, value as f64, expected, value >= least)
}
