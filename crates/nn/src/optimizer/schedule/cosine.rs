//! Learning rates along half a cosine.

use super::functions::half_cosine;
use super::learning_rate_schedule::LearningRateSchedule;
use super::settings::{require_from_0_to_1, require_positive, require_steps};
use crate::optimizer::{SettingError, require, require_not_negative};

/// initial_learning_rate ((1 - alpha) (1 + cos(pi step / decay_steps)) / 2 + alpha), and initial_learning_rate alpha from step
/// decay_steps on (Loshchilov and Hutter 2017), as Keras's `CosineDecay`.
///
/// With a warmup_target the rate first goes linearly from initial_learning_rate to warmup_target in warmup_steps steps. The
/// cosine follows and starts from warmup_target.
///
/// | setting | default | range |
/// |---|---|---|
/// | initial_learning_rate | | above 0, with a warmup_target at least 0 |
/// | decay_steps | | at least 1 |
/// | alpha | 0 | 0 to 1 |
/// | warmup_target | none | above 0 |
/// | warmup_steps | 0 | 0 without a warmup_target |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineDecay {
    /// The learning rate of the first step.
    pub initial_learning_rate: f64,
    /// The number of steps of the cosine.
    pub decay_steps: u64,
    /// The final learning rate, as a fraction of the cosine's first.
    pub alpha: f64,
    /// The learning rate after the warmup, if there is a warmup.
    pub warmup_target: Option<f64>,
    /// The number of steps of the warmup.
    pub warmup_steps: u64,
}

impl CosineDecay {
    /// The schedule with Keras's defaults for the other settings.
    pub fn new(initial_learning_rate: f64, decay_steps: u64) -> Self {
        Self { initial_learning_rate, decay_steps, alpha: 0.0, warmup_target: None, warmup_steps: 0 }
    }
}

impl LearningRateSchedule for CosineDecay {
    fn learning_rate(&self, step: u64) -> f64 {
        let (from, step) = match self.warmup_target {
            Some(target) if step < self.warmup_steps => {
                let completed = step as f64 / self.warmup_steps as f64;
                return (target - self.initial_learning_rate) * completed + self.initial_learning_rate;
            }
            Some(target) => (target, step - self.warmup_steps),
            None => (self.initial_learning_rate, step),
        };
        let share = half_cosine(step.min(self.decay_steps) as f64 / self.decay_steps as f64);
        from * ((1.0 - self.alpha) * share + self.alpha)
    }

    fn validate(&self) -> Result<(), SettingError> {
        const NAME: &str = "CosineDecay";
        match self.warmup_target {
            None => {
                require_positive(NAME, "initial_learning_rate", self.initial_learning_rate)?;
                let (steps, expected) = (self.warmup_steps as f64, "0 without a warmup_target");
                require(NAME, "warmup_steps", steps, expected, self.warmup_steps == 0)?;
            }
            Some(target) => {
                require_not_negative(NAME, "initial_learning_rate", self.initial_learning_rate)?;
                require_positive(NAME, "warmup_target", target)?;
            }
        }
        require_steps(NAME, "decay_steps", self.decay_steps, 1)?;
        require_from_0_to_1(NAME, "alpha", self.alpha)
    }
}

/// Cosines one after another (SGDR, Loshchilov and Hutter 2017), as Keras's `CosineDecayRestarts`: the i-th, from 0, has
/// first_decay_steps t_mul^i steps, and where x is the completed fraction of them, the rate is
/// initial_learning_rate ((1 - alpha) m_mul^i (1 + cos(pi x)) / 2 + alpha).
///
/// The start of a cosine is computed by a sum. Keras uses a logarithm, whose rounding can assign the first step of a cosine to the
/// end of the previous one.
///
/// | setting | default | range |
/// |---|---|---|
/// | initial_learning_rate | | above 0 |
/// | first_decay_steps | | at least 1 |
/// | t_mul | 2 | at least 1 |
/// | m_mul | 1 | at least 0 |
/// | alpha | 0 | 0 to 1 |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineDecayRestarts {
    /// The learning rate of the first step.
    pub initial_learning_rate: f64,
    /// The number of steps of the first cosine.
    pub first_decay_steps: u64,
    /// The factor from the number of steps of a cosine to that of the next.
    pub t_mul: f64,
    /// The factor from the height of a cosine above alpha to that of the next.
    pub m_mul: f64,
    /// The final learning rate of a cosine, as a fraction of the first step's.
    pub alpha: f64,
}

impl CosineDecayRestarts {
    /// The schedule with Keras's defaults for the other settings.
    pub fn new(initial_learning_rate: f64, first_decay_steps: u64) -> Self {
        Self { initial_learning_rate, first_decay_steps, t_mul: 2.0, m_mul: 1.0, alpha: 0.0 }
    }
}

impl LearningRateSchedule for CosineDecayRestarts {
    fn learning_rate(&self, step: u64) -> f64 {
        let mut rest = step as f64 / self.first_decay_steps as f64;
        let (mut length, mut height) = (1.0, 1.0);
        if self.t_mul == 1.0 {
            rest = (step % self.first_decay_steps) as f64 / self.first_decay_steps as f64;
            height = super::functions::pow(self.m_mul, (step / self.first_decay_steps) as f64);
        } else {
            let mut start = 0.0;
            while rest >= start + length {
                start += length;
                length *= self.t_mul;
                height *= self.m_mul;
            }
            rest -= start;
        }
        let share = height * half_cosine(rest / length);
        self.initial_learning_rate * ((1.0 - self.alpha) * share + self.alpha)
    }

    fn validate(&self) -> Result<(), SettingError> {
        const NAME: &str = "CosineDecayRestarts";
        require_positive(NAME, "initial_learning_rate", self.initial_learning_rate)?;
        require_steps(NAME, "first_decay_steps", self.first_decay_steps, 1)?;
        let holds = self.t_mul >= 1.0 && self.t_mul.is_finite();
        require(NAME, "t_mul", self.t_mul, "a number of at least 1", holds)?;
        require_not_negative(NAME, "m_mul", self.m_mul)?;
        require_from_0_to_1(NAME, "alpha", self.alpha)
    }
}

/// One rise and one fall (Smith and Topin 2019), as PyTorch's `OneCycleLR` with cosines (`torch/optim/lr_scheduler.py`).
///
/// The rate goes from max_learning_rate / div_factor to max_learning_rate at step pct_start total_steps - 1, and from there to
/// max_learning_rate / div_factor / final_div_factor at step total_steps - 1, where it stays. From a to b it is
/// b + (a - b) (1 + cos(pi x)) / 2, where x is the completed fraction of the steps. PyTorch's scheduler also moves the optimizer's momentum unless
/// `cycle_momentum=False`; this one does not.
///
/// | setting | default | range |
/// |---|---|---|
/// | max_learning_rate | | above 0 |
/// | total_steps | | at least 2 |
/// | pct_start | 0.3 | 0 to 1 |
/// | div_factor | 25 | above 0 |
/// | final_div_factor | 10000 | above 0 |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    /// The highest learning rate.
    pub max_learning_rate: f64,
    /// The number of steps of the cycle.
    pub total_steps: u64,
    /// The fraction of the steps in which the rate rises.
    pub pct_start: f64,
    /// The ratio of the highest learning rate to the first.
    pub div_factor: f64,
    /// The ratio of the first learning rate to the last.
    pub final_div_factor: f64,
}

impl OneCycle {
    /// The schedule with PyTorch's defaults for the other settings.
    pub fn new(max_learning_rate: f64, total_steps: u64) -> Self {
        Self { max_learning_rate, total_steps, pct_start: 0.3, div_factor: 25.0, final_div_factor: 1e4 }
    }
}

impl LearningRateSchedule for OneCycle {
    fn learning_rate(&self, step: u64) -> f64 {
        let last = self.total_steps.saturating_sub(1) as f64;
        let step = (step as f64).min(last);
        let top = self.pct_start * self.total_steps as f64 - 1.0;
        let first_rate = self.max_learning_rate / self.div_factor;
        let last_rate = first_rate / self.final_div_factor;
        let (from, to, done, steps) = if step <= top {
            (first_rate, self.max_learning_rate, step, top)
        } else {
            (self.max_learning_rate, last_rate, step - top, last - top)
        };
        // A rise of no steps ends at once.
        let share = if steps > 0.0 { half_cosine(done / steps) } else { 0.0 };
        to + (from - to) * share
    }

    fn validate(&self) -> Result<(), SettingError> {
        const NAME: &str = "OneCycle";
        require_positive(NAME, "max_learning_rate", self.max_learning_rate)?;
        require_steps(NAME, "total_steps", self.total_steps, 2)?;
        require_from_0_to_1(NAME, "pct_start", self.pct_start)?;
        require_positive(NAME, "div_factor", self.div_factor)?;
        require_positive(NAME, "final_div_factor", self.final_div_factor)
    }
}
