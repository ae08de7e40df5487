//! Learning rates that depend on the step, by Keras's names, formulas and defaults
//! (`keras/src/optimizers/schedules/learning_rate_schedule.py`), and PyTorch's `OneCycleLR`.
//!
//! Learning rates are computed in `f64` without the system's math library, so that they are the same bits on every machine.

mod cosine;
mod decay;
mod functions;
mod learning_rate_schedule;
mod settings;

pub use cosine::{CosineDecay, CosineDecayRestarts, OneCycle};
pub use decay::{ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay};
pub use learning_rate_schedule::LearningRateSchedule;

use super::SettingError;

/// One of the schedules of this crate.
#[derive(Clone, Debug, PartialEq)]
pub enum AnySchedule {
    /// [`ExponentialDecay`].
    ExponentialDecay(ExponentialDecay),
    /// [`PiecewiseConstantDecay`].
    PiecewiseConstantDecay(PiecewiseConstantDecay),
    /// [`PolynomialDecay`].
    PolynomialDecay(PolynomialDecay),
    /// [`InverseTimeDecay`].
    InverseTimeDecay(InverseTimeDecay),
    /// [`CosineDecay`].
    CosineDecay(CosineDecay),
    /// [`CosineDecayRestarts`].
    CosineDecayRestarts(CosineDecayRestarts),
    /// [`OneCycle`].
    OneCycle(OneCycle),
}

impl AnySchedule {
    fn inner(&self) -> &dyn LearningRateSchedule {
        match self {
            Self::ExponentialDecay(schedule) => schedule,
            Self::PiecewiseConstantDecay(schedule) => schedule,
            Self::PolynomialDecay(schedule) => schedule,
            Self::InverseTimeDecay(schedule) => schedule,
            Self::CosineDecay(schedule) => schedule,
            Self::CosineDecayRestarts(schedule) => schedule,
            Self::OneCycle(schedule) => schedule,
        }
    }
}

impl LearningRateSchedule for AnySchedule {
    fn learning_rate(&self, step: u64) -> f64 {
        self.inner().learning_rate(step)
    }

    fn validate(&self) -> Result<(), SettingError> {
        self.inner().validate()
    }
}

macro_rules! from {
    ($($schedule:ident),*) => {
        $(
            impl From<$schedule> for AnySchedule {
                fn from(schedule: $schedule) -> Self {
                    Self::$schedule(schedule)
                }
            }
        )*
    };
}

from!(
    ExponentialDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
    InverseTimeDecay,
    CosineDecay,
    CosineDecayRestarts,
    OneCycle
);

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::Value;

    /// The learning rates of Keras and PyTorch in `f64`, recorded by `tests/keras/schedules.py`.
    const RECORDED: &str = include_str!("../../tests/keras/schedules.json");

    fn schedule(class: &str, config: &Value) -> AnySchedule {
        let number = |key: &str| config[key].as_f64().unwrap();
        let count = |key: &str| config[key].as_u64().unwrap();
        let flag = |key: &str| config[key].as_bool().unwrap();
        let list = |key: &str| config[key].as_array().unwrap().clone();
        match class {
            "ExponentialDecay" => ExponentialDecay {
                initial_learning_rate: number("initial_learning_rate"),
                decay_steps: count("decay_steps"),
                decay_rate: number("decay_rate"),
                staircase: flag("staircase"),
            }
            .into(),
            "InverseTimeDecay" => InverseTimeDecay {
                initial_learning_rate: number("initial_learning_rate"),
                decay_steps: count("decay_steps"),
                decay_rate: number("decay_rate"),
                staircase: flag("staircase"),
            }
            .into(),
            "PiecewiseConstantDecay" => PiecewiseConstantDecay {
                boundaries: list("boundaries").iter().map(|value| value.as_u64().unwrap()).collect(),
                values: list("values").iter().map(|value| value.as_f64().unwrap()).collect(),
            }
            .into(),
            "PolynomialDecay" => PolynomialDecay {
                initial_learning_rate: number("initial_learning_rate"),
                decay_steps: count("decay_steps"),
                end_learning_rate: number("end_learning_rate"),
                power: number("power"),
                cycle: flag("cycle"),
            }
            .into(),
            "CosineDecay" => CosineDecay {
                initial_learning_rate: number("initial_learning_rate"),
                decay_steps: count("decay_steps"),
                alpha: number("alpha"),
                warmup_target: config["warmup_target"].as_f64(),
                warmup_steps: count("warmup_steps"),
            }
            .into(),
            "CosineDecayRestarts" => CosineDecayRestarts {
                initial_learning_rate: number("initial_learning_rate"),
                first_decay_steps: count("first_decay_steps"),
                t_mul: number("t_mul"),
                m_mul: number("m_mul"),
                alpha: number("alpha"),
            }
            .into(),
            "OneCycleLR" => OneCycle {
                max_learning_rate: number("max_lr"),
                total_steps: count("total_steps"),
                pct_start: number("pct_start"),
                div_factor: number("div_factor"),
                final_div_factor: number("final_div_factor"),
            }
            .into(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn rates_match_keras_and_pytorch() {
        let recorded: Value = serde_json::from_str(RECORDED).unwrap();
        let mut classes = Vec::new();
        for case in recorded["cases"].as_array().unwrap() {
            let class = case["class"].as_str().unwrap();
            let schedule = schedule(class, &case["config"]);
            schedule.validate().unwrap();
            let rates = case["rates"].as_array().unwrap();
            let steps = case["steps"].as_array().unwrap();
            assert!(rates.len() == steps.len() && rates.len() > 10);
            let largest = rates.iter().map(|rate| rate.as_f64().unwrap()).fold(0.0, f64::max);
            for (step, rate) in steps.iter().zip(rates) {
                let (step, expected) = (step.as_u64().unwrap(), rate.as_f64().unwrap());
                let ours = schedule.learning_rate(step);
                // Near the end of a cosine, theirs is 1 plus a number close to -1, exact to 1e-16 of the largest rate.
                let bound = 1e-12 * expected + 1e-15 * largest;
                assert!((ours - expected).abs() <= bound, "{schedule:?} {step}: {ours}, {expected}");
            }
            classes.push(class);
        }
        classes.dedup();
        assert_eq!(classes.len(), 7, "{classes:?}");
    }

    #[test]
    fn settings_out_of_range_are_rejected() {
        let exponential = ExponentialDecay::new(0.1, 10, 0.5);
        let piecewise = |boundaries: &[u64], values: &[f64]| PiecewiseConstantDecay::new(boundaries, values);
        let polynomial = PolynomialDecay::new(0.1, 10);
        let cosine = CosineDecay::new(0.1, 10);
        let restarts = CosineDecayRestarts::new(0.1, 10);
        let one_cycle = OneCycle::new(0.1, 10);
        let refused: Vec<(AnySchedule, &str)> = vec![
            (
                ExponentialDecay { initial_learning_rate: 0.0, ..exponential }.into(),
                "ExponentialDecay: initial_learning_rate is 0, expected a positive number",
            ),
            (
                ExponentialDecay { decay_steps: 0, ..exponential }.into(),
                "ExponentialDecay: decay_steps is 0, expected at least 1",
            ),
            (
                ExponentialDecay { decay_rate: f64::NAN, ..exponential }.into(),
                "ExponentialDecay: decay_rate is NaN, expected a positive number",
            ),
            (
                InverseTimeDecay::new(0.1, 10, -0.5).into(),
                "InverseTimeDecay: decay_rate is -0.5, expected a number of at least 0",
            ),
            (
                InverseTimeDecay::new(0.1, 0, 0.5).into(),
                "InverseTimeDecay: decay_steps is 0, expected at least 1",
            ),
            (
                piecewise(&[5, 5], &[1.0, 0.5, 0.1]).into(),
                "PiecewiseConstantDecay: boundaries is 5, expected a step above the one before it",
            ),
            (
                piecewise(&[5, 9], &[1.0, 0.5]).into(),
                "PiecewiseConstantDecay: number of values is 2, expected one more than boundaries",
            ),
            (
                piecewise(&[5], &[1.0, f64::INFINITY]).into(),
                "PiecewiseConstantDecay: values is inf, expected a number of at least 0",
            ),
            (
                PolynomialDecay { end_learning_rate: -1.0, ..polynomial }.into(),
                "PolynomialDecay: end_learning_rate is -1, expected a number of at least 0",
            ),
            (
                PolynomialDecay { power: 0.0, ..polynomial }.into(),
                "PolynomialDecay: power is 0, expected a positive number",
            ),
            (
                CosineDecay { alpha: 1.5, ..cosine }.into(),
                "CosineDecay: alpha is 1.5, expected a number from 0 to 1",
            ),
            (
                CosineDecay { initial_learning_rate: 0.0, ..cosine }.into(),
                "CosineDecay: initial_learning_rate is 0, expected a positive number",
            ),
            (
                CosineDecay { warmup_steps: 5, ..cosine }.into(),
                "CosineDecay: warmup_steps is 5, expected 0 without a warmup_target",
            ),
            (
                CosineDecay { warmup_steps: 5, warmup_target: Some(0.0), ..cosine }.into(),
                "CosineDecay: warmup_target is 0, expected a positive number",
            ),
            (
                CosineDecayRestarts { t_mul: 0.5, ..restarts }.into(),
                "CosineDecayRestarts: t_mul is 0.5, expected a number of at least 1",
            ),
            (
                CosineDecayRestarts { m_mul: -1.0, ..restarts }.into(),
                "CosineDecayRestarts: m_mul is -1, expected a number of at least 0",
            ),
            (
                CosineDecayRestarts { first_decay_steps: 0, ..restarts }.into(),
                "CosineDecayRestarts: first_decay_steps is 0, expected at least 1",
            ),
            (
                OneCycle { total_steps: 1, ..one_cycle }.into(),
                "OneCycle: total_steps is 1, expected at least 2",
            ),
            (
                OneCycle { pct_start: -0.1, ..one_cycle }.into(),
                "OneCycle: pct_start is -0.1, expected a number from 0 to 1",
            ),
            (
                OneCycle { div_factor: 0.0, ..one_cycle }.into(),
                "OneCycle: div_factor is 0, expected a positive number",
            ),
        ];
        for (schedule, message) in refused {
            assert_eq!(schedule.validate().unwrap_err().to_string(), message);
        }
        // A warmup may begin at zero.
        let warmup = CosineDecay { warmup_steps: 5, warmup_target: Some(0.1), ..CosineDecay::new(0.0, 10) };
        warmup.validate().unwrap();
        assert_eq!((warmup.learning_rate(0), warmup.learning_rate(5)), (0.0, 0.1));
    }
}
