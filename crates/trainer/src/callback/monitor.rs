//! What callbacks watch, and what is better.

use std::fmt;
use std::str::FromStr;

use super::{CallbackError, Plan};
use crate::{EpochLog, History};

/// A number that callbacks watch, by Keras's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Monitor {
    /// `loss`: lower is better.
    Loss,
    /// `accuracy`: higher is better.
    Accuracy,
    /// `val_loss`, Keras's default: lower is better.
    #[default]
    ValLoss,
    /// `val_accuracy`: higher is better.
    ValAccuracy,
}

/// Which values of a number are better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// `auto`: lower ones of a loss, higher ones of an accuracy.
    #[default]
    Auto,
    /// `min`: lower ones.
    Min,
    /// `max`: higher ones.
    Max,
}

/// A text that is no name of a number to watch.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown monitor {text:?}: expected loss, accuracy, val_loss or val_accuracy")]
pub struct ParseMonitorError {
    text: String,
}

ziffer_base::debug_as_message!(ParseMonitorError);

/// A text that is no mode.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown mode {text:?}: expected auto, min or max")]
pub struct ParseModeError {
    text: String,
}

ziffer_base::debug_as_message!(ParseModeError);

impl Monitor {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Loss, Self::Accuracy, Self::ValLoss, Self::ValAccuracy];

    /// Keras's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
            Self::ValLoss => "val_loss",
            Self::ValAccuracy => "val_accuracy",
        }
    }

    /// Whether it is measured on the validation part, after an epoch.
    pub fn is_of_validation(self) -> bool {
        matches!(self, Self::ValLoss | Self::ValAccuracy)
    }

    /// Fails if the plan does not have it.
    pub(super) fn check(self, plan: &Plan) -> Result<(), CallbackError> {
        let problem = match self {
            Self::ValLoss | Self::ValAccuracy if !plan.validates => {
                "there is no validation part; set a validation split above 0"
            }
            Self::Accuracy | Self::ValAccuracy if !plan.has_accuracy => {
                "the targets name no classes; watch a loss"
            }
            _ => return Ok(()),
        };
        Err(format!("{self} is watched but {problem}").into())
    }

    /// What it was in each epoch of a history.
    pub(super) fn over(self, history: &History) -> &[f64] {
        match self {
            Self::Loss => &history.loss,
            Self::Accuracy => &history.accuracy,
            Self::ValLoss => &history.val_loss,
            Self::ValAccuracy => &history.val_accuracy,
        }
    }

    pub(super) fn of(self, log: &EpochLog) -> Option<f64> {
        match self {
            Self::Loss => Some(log.loss),
            Self::Accuracy => log.accuracy,
            Self::ValLoss => log.val_loss,
            Self::ValAccuracy => log.val_accuracy,
        }
    }
}

/// A number, which of its values are better, and by how much they must be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch {
    pub(super) monitor: Monitor,
    pub(super) mode: Mode,
    pub(super) min_delta: f64,
}

impl Watch {
    /// Fails if the plan does not have the number, or the least difference is none.
    pub(super) fn check(&self, plan: &Plan) -> Result<(), CallbackError> {
        if !self.min_delta.is_finite() {
            return Err(format!("min_delta is {}, expected a finite number", self.min_delta).into());
        }
        self.monitor.check(plan)
    }

    /// Whether `value` is better than `reference` by more than the least difference, of which Keras takes the absolute
    /// value. Without a reference it always is; NaN never is, and nothing is better than NaN.
    pub(super) fn is_improvement(&self, value: f64, reference: Option<f64>) -> bool {
        let Some(reference) = reference else { return true };
        let is_lower_better = match self.mode {
            Mode::Min => true,
            Mode::Max => false,
            Mode::Auto => matches!(self.monitor, Monitor::Loss | Monitor::ValLoss),
        };
        let by = self.min_delta.abs();
        if is_lower_better { value + by < reference } else { value - by > reference }
    }
}

impl fmt::Display for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Monitor {
    type Err = ParseMonitorError;

    /// Parses Keras's name.
    ///
    /// # Errors
    /// If it is another text.
    fn from_str(text: &str) -> Result<Self, ParseMonitorError> {
        let found = Self::ALL.into_iter().find(|monitor| monitor.name() == text);
        found.ok_or_else(|| ParseMonitorError { text: text.to_owned() })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::Min => "min",
            Self::Max => "max",
        })
    }
}

impl FromStr for Mode {
    type Err = ParseModeError;

    /// Parses Keras's name.
    ///
    /// # Errors
    /// If it is another text.
    fn from_str(text: &str) -> Result<Self, ParseModeError> {
        match text {
            "auto" => Ok(Self::Auto),
            "min" => Ok(Self::Min),
            "max" => Ok(Self::Max),
            _ => Err(ParseModeError { text: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_keras_s() {
        for monitor in Monitor::ALL {
            assert_eq!(monitor.to_string().parse(), Ok(monitor));
        }
        for mode in [Mode::Auto, Mode::Min, Mode::Max] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        for text in ["", "acc", "Loss", " loss", "val_\nloss"] {
            let line = format!("unknown monitor {text:?}: expected loss, accuracy, val_loss or val_accuracy");
            assert_eq!(text.parse::<Monitor>().unwrap_err().to_string(), line);
            let line = format!("unknown mode {text:?}: expected auto, min or max");
            assert_eq!(text.parse::<Mode>().unwrap_err().to_string(), line);
        }
    }

    #[test]
    fn better_is_lower_or_higher_by_the_mode() {
        let is_better = |monitor, mode, min_delta, value, reference| {
            Watch { monitor, mode, min_delta }.is_improvement(value, Some(reference))
        };
        use {Mode::*, Monitor::*};
        for (monitor, mode, lower) in [
            (Loss, Auto, true),
            (ValLoss, Auto, true),
            (Accuracy, Auto, false),
            (ValAccuracy, Auto, false),
            (Loss, Max, false),
            (ValAccuracy, Min, true),
        ] {
            assert_eq!(is_better(monitor, mode, 0.0, 1.0, 2.0), lower);
            assert_eq!(is_better(monitor, mode, 0.0, 2.0, 1.0), !lower);
            assert!(!is_better(monitor, mode, 0.0, 1.0, 1.0));
            // Not by more than a half.
            for by in [0.5, -0.5] {
                assert!(!is_better(monitor, mode, by, 1.0, 1.5) && !is_better(monitor, mode, by, 1.5, 1.0));
                assert_eq!(is_better(monitor, mode, by, 1.0, 1.75), lower);
                assert_eq!(is_better(monitor, mode, by, 1.75, 1.0), !lower);
            }
            assert!(!is_better(monitor, mode, 0.0, f64::NAN, 1.0));
            assert!(!is_better(monitor, mode, 0.0, 1.0, f64::NAN));
        }
        assert!(Watch::default().is_improvement(f64::NAN, None));
    }
}
