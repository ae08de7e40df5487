//! The metrics that callbacks monitor, and the criteria for improvements.

use std::fmt;
use std::str::FromStr;

use super::{CallbackError, TrainingParams};
use crate::{EpochLog, History};

/// A metric that callbacks monitor, by Keras's name.
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

/// Which values of a metric are better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// `auto`: lower values of a loss, higher values of an accuracy.
    #[default]
    Auto,
    /// `min`: lower values.
    Min,
    /// `max`: higher values.
    Max,
}

/// A text is not the name of a metric.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown monitor {text:?}: expected loss, accuracy, val_loss or val_accuracy")]
pub struct ParseMonitorError {
    text: String,
}

ziffer_base::debug_as_message!(ParseMonitorError);

/// A text is not a mode.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown mode {text:?}: expected auto, min or max")]
pub struct ParseModeError {
    text: String,
}

ziffer_base::debug_as_message!(ParseModeError);

impl Monitor {
    /// All metrics.
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

    /// Whether the metric is measured on the validation set, after an epoch.
    pub fn is_validation_metric(self) -> bool {
        matches!(self, Self::ValLoss | Self::ValAccuracy)
    }

    /// Fails if a training with these parameters does not have the metric.
    pub(super) fn check(self, params: &TrainingParams) -> Result<(), CallbackError> {
        let problem = match self {
            Self::ValLoss | Self::ValAccuracy if !params.has_validation => {
                "there is no validation set; set a validation split above 0"
            }
            Self::Accuracy | Self::ValAccuracy if !params.has_accuracy => {
                "the targets are not classes; monitor a loss"
            }
            _ => return Ok(()),
        };
        Err(format!("{self} is monitored but {problem}").into())
    }

    /// The values of the metric in a history.
    pub(super) fn in_history(self, history: &History) -> &[f64] {
        match self {
            Self::Loss => &history.loss,
            Self::Accuracy => &history.accuracy,
            Self::ValLoss => &history.val_loss,
            Self::ValAccuracy => &history.val_accuracy,
        }
    }

    /// The value of the metric in a log.
    pub(super) fn in_log(self, log: &EpochLog) -> Option<f64> {
        match self {
            Self::Loss => Some(log.loss),
            Self::Accuracy => log.accuracy,
            Self::ValLoss => log.val_loss,
            Self::ValAccuracy => log.val_accuracy,
        }
    }
}

/// The criterion for an improvement: a metric, which of its values are better, and by how much.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Criterion {
    pub(super) monitor: Monitor,
    pub(super) mode: Mode,
    pub(super) min_delta: f64,
}

impl Criterion {
    /// Fails if the training does not have the metric, or min_delta is not finite.
    pub(super) fn check(&self, params: &TrainingParams) -> Result<(), CallbackError> {
        if !self.min_delta.is_finite() {
            return Err(format!("min_delta is {}, expected a finite number", self.min_delta).into());
        }
        self.monitor.check(params)
    }

    /// Whether `value` is better than `reference` by more than the absolute value of min_delta, as in Keras. Without a reference it
    /// always is. NaN is never better, and nothing is better than NaN.
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
    fn names_are_those_of_keras() {
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
    fn the_mode_decides_whether_lower_or_higher_is_better() {
        let is_better = |monitor, mode, min_delta, value, reference| {
            Criterion { monitor, mode, min_delta }.is_improvement(value, Some(reference))
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
            // The difference must exceed 1/2.
            for by in [0.5, -0.5] {
                assert!(!is_better(monitor, mode, by, 1.0, 1.5) && !is_better(monitor, mode, by, 1.5, 1.0));
                assert_eq!(is_better(monitor, mode, by, 1.0, 1.75), lower);
                assert_eq!(is_better(monitor, mode, by, 1.75, 1.0), !lower);
            }
            assert!(!is_better(monitor, mode, 0.0, f64::NAN, 1.0));
            assert!(!is_better(monitor, mode, 0.0, 1.0, f64::NAN));
        }
        assert!(Criterion::default().is_improvement(f64::NAN, None));
    }
}
