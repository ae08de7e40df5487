//! Learning rates that decay exponentially, polynomially, with inverse time, or piecewise.

use super::functions::pow;
use super::learning_rate_schedule::LearningRateSchedule;
use super::settings::{require_positive, require_steps};
use crate::optimizer::{SettingError, require, require_not_negative};

/// initial_learning_rate decay_rate^(step / decay_steps), as Keras's `ExponentialDecay`.
///
/// | setting | default | range |
/// |---|---|---|
/// | initial_learning_rate | | above 0 |
/// | decay_steps | | at least 1 |
/// | decay_rate | | above 0 |
/// | staircase | false | |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExponentialDecay {
    /// The learning rate of the first step.
    pub initial_learning_rate: f64,
    /// The number of steps after which the rate is multiplied by `decay_rate`.
    pub decay_steps: u64,
    /// The factor.
    pub decay_rate: f64,
    /// Whether the exponent is rounded down, so that the rate changes once per `decay_steps` steps.
    pub staircase: bool,
}

impl ExponentialDecay {
    /// The schedule with Keras's defaults for the other settings.
    pub fn new(initial_learning_rate: f64, decay_steps: u64, decay_rate: f64) -> Self {
        Self { initial_learning_rate, decay_steps, decay_rate, staircase: false }
    }
}

impl LearningRateSchedule for ExponentialDecay {
    fn learning_rate(&self, step: u64) -> f64 {
        self.initial_learning_rate * pow(self.decay_rate, periods(step, self.decay_steps, self.staircase))
    }

    fn validate(&self) -> Result<(), SettingError> {
        const NAME: &str = "ExponentialDecay";
        require_positive(NAME, "initial_learning_rate", self.initial_learning_rate)?;
        require_steps(NAME, "decay_steps", self.decay_steps, 1)?;
        require_positive(NAME, "decay_rate", self.decay_rate)
    }
}

/// initial_learning_rate / (1 + decay_rate step / decay_steps), as Keras's `InverseTimeDecay`.
///
/// | setting | default | range |
/// |---|---|---|
/// | initial_learning_rate | | above 0 |
/// | decay_steps | | at least 1 |
/// | decay_rate | | at least 0 |
/// | staircase | false | |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InverseTimeDecay {
    /// The learning rate of the first step.
    pub initial_learning_rate: f64,
    /// The number of steps after which the denominator has grown by `decay_rate`.
    pub decay_steps: u64,
    /// The growth of the denominator.
    pub decay_rate: f64,
    /// Whether step / decay_steps is rounded down, so that the rate changes once per `decay_steps` steps.
    pub staircase: bool,
}

impl InverseTimeDecay {
    /// The schedule with Keras's defaults for the other settings.
    pub fn new(initial_learning_rate: f64, decay_steps: u64, decay_rate: f64) -> Self {
        Self { initial_learning_rate, decay_steps, decay_rate, staircase: false }
    }
}

impl LearningRateSchedule for InverseTimeDecay {
    fn learning_rate(&self, step: u64) -> f64 {
        let periods = periods(step, self.decay_steps, self.staircase);
        self.initial_learning_rate / (1.0 + self.decay_rate * periods)
    }

    fn validate(&self) -> Result<(), SettingError> {
        const NAME: &str = "InverseTimeDecay";
        require_positive(NAME, "initial_learning_rate", self.initial_learning_rate)?;
        require_steps(NAME, "decay_steps", self.decay_steps, 1)?;
        require_not_negative(NAME, "decay_rate", self.decay_rate)
    }
}

/// step / decay_steps, rounded down for a staircase.
fn periods(step: u64, decay_steps: u64, staircase: bool) -> f64 {
    if staircase { (step / decay_steps) as f64 } else { step as f64 / decay_steps as f64 }
}

/// A constant learning rate between boundaries, as Keras's `PiecewiseConstantDecay`: the first of `values` while step <= the
/// first of `boundaries`, ..., the last of `values` after the last boundary.
///
/// | setting | default | range |
/// |---|---|---|
/// | boundaries | | each above the one before it |
/// | values | | one more than boundaries, each at least 0 |
#[derive(Clone, Debug, PartialEq)]
pub struct PiecewiseConstantDecay {
    /// The last step of each interval except the last, counted from 0.
    pub boundaries: Vec<u64>,
    /// The learning rate of each interval.
    pub values: Vec<f64>,
}

impl PiecewiseConstantDecay {
    /// The schedule with these boundaries and learning rates.
    pub fn new(boundaries: impl Into<Vec<u64>>, values: impl Into<Vec<f64>>) -> Self {
        Self { boundaries: boundaries.into(), values: values.into() }
    }
}

impl LearningRateSchedule for PiecewiseConstantDecay {
    /// # Panics
    /// If [`validate`](Self::validate) fails because of the number of values.
    fn learning_rate(&self, step: u64) -> f64 {
        self.values[self.boundaries.partition_point(|&boundary| boundary < step)]
    }

    fn validate(&self) -> Result<(), SettingError> {
        const NAME: &str = "PiecewiseConstantDecay";
        for pair in self.boundaries.windows(2) {
            let expected = "a step above the one before it";
            require(NAME, "boundaries", pair[1] as f64, expected, pair[0] < pair[1])?;
        }
        let (values, boundaries) = (self.values.len(), self.boundaries.len());
        let expected = "one more than boundaries";
        require(NAME, "number of values", values as f64, expected, values == boundaries + 1)?;
        self.values.iter().try_for_each(|&value| require_not_negative(NAME, "values", value))
    }
}

/// (initial_learning_rate - end_learning_rate) (1 - step / decay_steps)^power + end_learning_rate, and end_learning_rate from
/// step decay_steps on, as Keras's `PolynomialDecay`.
///
/// | setting | default | range |
/// |---|---|---|
/// | initial_learning_rate | | above 0 |
/// | decay_steps | | at least 1 |
/// | end_learning_rate | 0.0001 | at least 0 |
/// | power | 1 | above 0 |
/// | cycle | false | |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolynomialDecay {
    /// The learning rate of the first step.
    pub initial_learning_rate: f64,
    /// The number of steps until the final learning rate.
    pub decay_steps: u64,
    /// The final learning rate.
    pub end_learning_rate: f64,
    /// The power of the polynomial; 1 is linear.
    pub power: f64,
    /// Whether the rate rises and decays again after decay_steps. decay_steps is then multiplied by the smallest whole number
    /// that reaches the step.
    pub cycle: bool,
}

impl PolynomialDecay {
    /// The schedule with Keras's defaults for the other settings.
    pub fn new(initial_learning_rate: f64, decay_steps: u64) -> Self {
        Self { initial_learning_rate, decay_steps, end_learning_rate: 0.0001, power: 1.0, cycle: false }
    }
}

impl LearningRateSchedule for PolynomialDecay {
    fn learning_rate(&self, step: u64) -> f64 {
        let (step, decay_steps) = if self.cycle {
            let cycles = step.div_ceil(self.decay_steps).max(1);
            (step as f64, self.decay_steps as f64 * cycles as f64)
        } else {
            (step.min(self.decay_steps) as f64, self.decay_steps as f64)
        };
        let share = pow(1.0 - step / decay_steps, self.power);
        (self.initial_learning_rate - self.end_learning_rate) * share + self.end_learning_rate
    }

    fn validate(&self) -> Result<(), SettingError> {
        const NAME: &str = "PolynomialDecay";
        require_positive(NAME, "initial_learning_rate", self.initial_learning_rate)?;
        require_steps(NAME, "decay_steps", self.decay_steps, 1)?;
        require_not_negative(NAME, "end_learning_rate", self.end_learning_rate)?;
        require_positive(NAME, "power", self.power)
    }
}
