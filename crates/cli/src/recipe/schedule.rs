//! The learning rate schedule of a recipe.

use std::fmt;

use ziffer_nn::optimizer::schedule::{
    CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, OneCycle, PiecewiseConstantDecay,
    PolynomialDecay,
};
use ziffer_nn::optimizer::{AnySchedule, LearningRateSchedule};

use super::toml_reader::TomlTable;
use super::toml_writer::TomlWriter;

/// A learning rate schedule. Its numbers of steps can be given in epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleSettings {
    /// The schedule. Numbers of steps that are given in epochs are ignored.
    schedule: AnySchedule,
    /// The numbers of steps that are given in epochs, by the keys of the steps.
    in_epochs: Vec<(&'static str, Vec<f64>)>,
}

/// A setting: its key and its value.
enum Field<'a> {
    /// A number, NaN if there is no default.
    Number(&'static str, &'a mut f64),
    /// An optional number.
    Option(&'static str, &'a mut Option<f64>),
    /// Numbers without a default.
    Numbers(&'static str, &'a mut Vec<f64>),
    /// A number of steps: its keys for steps and for epochs, its value, and whether it has a default.
    Steps([&'static str; 2], &'a mut u64, bool),
    /// Numbers of steps without a default.
    Boundaries([&'static str; 2], &'a mut Vec<u64>),
    /// True or false.
    Flag(&'static str, &'a mut bool),
}

/// The schedules by class name. Settings without a default are NaN or 0.
fn templates() -> [(&'static str, AnySchedule); 7] {
    const NONE: f64 = f64::NAN;
    [
        ("ExponentialDecay", ExponentialDecay::new(NONE, 0, NONE).into()),
        ("PiecewiseConstantDecay", PiecewiseConstantDecay::new([], []).into()),
        ("PolynomialDecay", PolynomialDecay::new(NONE, 0).into()),
        ("InverseTimeDecay", InverseTimeDecay::new(NONE, 0, NONE).into()),
        ("CosineDecay", CosineDecay::new(NONE, 0).into()),
        ("CosineDecayRestarts", CosineDecayRestarts::new(NONE, 0).into()),
        ("OneCycle", OneCycle::new(NONE, 0).into()),
    ]
}

const DECAY_STEPS: [&str; 2] = ["decay_steps", "decay_epochs"];

/// The class name of a schedule and its settings by Keras's names.
fn fields(schedule: &mut AnySchedule) -> (&'static str, Vec<Field<'_>>) {
    use Field::{Boundaries, Flag, Number, Numbers, Steps};
    match schedule {
        AnySchedule::ExponentialDecay(ExponentialDecay {
            initial_learning_rate,
            decay_steps,
            decay_rate,
            staircase,
        }) => (
            "ExponentialDecay",
            vec![
                Number("initial_learning_rate", initial_learning_rate),
                Steps(DECAY_STEPS, decay_steps, false),
                Number("decay_rate", decay_rate),
                Flag("staircase", staircase),
            ],
        ),
        AnySchedule::InverseTimeDecay(InverseTimeDecay {
            initial_learning_rate,
            decay_steps,
            decay_rate,
            staircase,
        }) => (
            "InverseTimeDecay",
            vec![
                Number("initial_learning_rate", initial_learning_rate),
                Steps(DECAY_STEPS, decay_steps, false),
                Number("decay_rate", decay_rate),
                Flag("staircase", staircase),
            ],
        ),
        AnySchedule::PiecewiseConstantDecay(PiecewiseConstantDecay { boundaries, values }) => (
            "PiecewiseConstantDecay",
            vec![Boundaries(["boundaries", "boundaries_epochs"], boundaries), Numbers("values", values)],
        ),
        AnySchedule::PolynomialDecay(PolynomialDecay {
            initial_learning_rate,
            decay_steps,
            end_learning_rate,
            power,
            cycle,
        }) => (
            "PolynomialDecay",
            vec![
                Number("initial_learning_rate", initial_learning_rate),
                Steps(DECAY_STEPS, decay_steps, false),
                Number("end_learning_rate", end_learning_rate),
                Number("power", power),
                Flag("cycle", cycle),
            ],
        ),
        AnySchedule::CosineDecay(CosineDecay {
            initial_learning_rate,
            decay_steps,
            alpha,
            warmup_target,
            warmup_steps,
        }) => (
            "CosineDecay",
            vec![
                Number("initial_learning_rate", initial_learning_rate),
                Steps(DECAY_STEPS, decay_steps, false),
                Number("alpha", alpha),
                Field::Option("warmup_target", warmup_target),
                Steps(["warmup_steps", "warmup_epochs"], warmup_steps, true),
            ],
        ),
        AnySchedule::CosineDecayRestarts(CosineDecayRestarts {
            initial_learning_rate,
            first_decay_steps,
            t_mul,
            m_mul,
            alpha,
        }) => (
            "CosineDecayRestarts",
            vec![
                Number("initial_learning_rate", initial_learning_rate),
                Steps(["first_decay_steps", "first_decay_epochs"], first_decay_steps, false),
                Number("t_mul", t_mul),
                Number("m_mul", m_mul),
                Number("alpha", alpha),
            ],
        ),
        AnySchedule::OneCycle(OneCycle {
            max_learning_rate,
            total_steps,
            pct_start,
            div_factor,
            final_div_factor,
        }) => (
            "OneCycle",
            vec![
                Number("max_learning_rate", max_learning_rate),
                Steps(["total_steps", "total_epochs"], total_steps, false),
                Number("pct_start", pct_start),
                Number("div_factor", div_factor),
                Number("final_div_factor", final_div_factor),
            ],
        ),
    }
}

const NUMBER: &str = "a number";
const EPOCHS: &str = "a number of epochs of at least 0";

fn is_epochs(value: f64) -> bool {
    (0.0..=1e9).contains(&value)
}

/// Converts epochs to steps.
fn in_steps(epochs: f64, steps_per_epoch: usize) -> u64 {
    (epochs * steps_per_epoch as f64).round() as u64
}

impl ScheduleSettings {
    /// Reads a table with the key `schedule`.
    pub(super) fn read(table: &TomlTable<'_>) -> Result<Self, String> {
        let templates = templates();
        let expected = format!("one of {}", templates.each_ref().map(|(name, _)| *name).join(", "));
        let Some(name) = table.text("schedule", &expected)? else {
            return Err(table.error("schedule", format!("no schedule, expected {expected}")));
        };
        let Some((_, mut schedule)) = templates.into_iter().find(|(class, _)| *class == name) else {
            return table.refuse("schedule", expected);
        };
        let mut in_epochs = Vec::new();
        // A misspelled key is reported before the key that is missing because of it.
        let mut missing = None;
        for field in fields(&mut schedule).1 {
            let mut miss = |key: &str, expected: &str| {
                missing.get_or_insert_with(|| table.error(key, format!("no {key}, expected {expected}")));
            };
            match field {
                Field::Number(key, value) => match table.number(key, NUMBER, |_| true)? {
                    Some(number) => *value = number,
                    None if value.is_nan() => miss(key, NUMBER),
                    None => {}
                },
                Field::Option(key, value) => *value = table.number(key, NUMBER, |_| true)?,
                Field::Numbers(key, value) => match table.numbers(key, |_| true, "a list of numbers")? {
                    Some(numbers) => *value = numbers,
                    None => miss(key, "a list of numbers"),
                },
                Field::Flag(key, value) => *value = table.flag(key)?.unwrap_or(*value),
                Field::Steps([key, key_in_epochs], value, has_default) => {
                    let steps = table.size(key, 0)?;
                    let epochs = table.number(key_in_epochs, EPOCHS, is_epochs)?;
                    match (steps, epochs) {
                        (Some(_), Some(_)) => return Err(both(table, key, key_in_epochs)),
                        (Some(steps), None) => *value = steps,
                        (None, Some(epochs)) => in_epochs.push((key, vec![epochs])),
                        (None, None) if has_default => {}
                        (None, None) => {
                            miss(key, &format!("a number of steps, or {key_in_epochs}"));
                        }
                    }
                }
                Field::Boundaries([key, key_in_epochs], value) => {
                    let steps = table.sizes(key, 0)?;
                    let epochs = table.numbers(
                        key_in_epochs,
                        is_epochs,
                        "a list of numbers of epochs of at least 0",
                    )?;
                    match (steps, epochs) {
                        (Some(_), Some(_)) => return Err(both(table, key, key_in_epochs)),
                        (Some(steps), None) => *value = steps.into_iter().map(|step| step as u64).collect(),
                        (None, Some(epochs)) => in_epochs.push((key, epochs)),
                        (None, None) => {
                            miss(key, &format!("a list of steps, or {key_in_epochs}"));
                        }
                    }
                }
            }
        }
        table.finish()?;
        if let Some(missing) = missing {
            return Err(missing);
        }
        let settings = Self { schedule, in_epochs };
        // Epochs of maximum length: different numbers of epochs do not round to the same number of steps.
        settings.in_steps(u32::MAX as usize).validate().map_err(|error| {
            let problem = format!("{} is {}, expected {}", error.setting, error.value, error.expected);
            table.error(error.setting, problem)
        })?;
        Ok(settings)
    }

    /// The schedule in steps, for epochs of this many steps.
    pub fn in_steps(&self, steps_per_epoch: usize) -> AnySchedule {
        let mut schedule = self.schedule.clone();
        for field in fields(&mut schedule).1 {
            let epochs =
                |key: &str| self.in_epochs.iter().find(|(name, _)| *name == key).map(|(_, epochs)| epochs);
            match field {
                Field::Steps([key, _], value, _) => {
                    if let Some(&[epochs]) = epochs(key).map(Vec::as_slice) {
                        *value = in_steps(epochs, steps_per_epoch);
                    }
                }
                Field::Boundaries([key, _], value) => {
                    if let Some(epochs) = epochs(key) {
                        *value = epochs.iter().map(|&epochs| in_steps(epochs, steps_per_epoch)).collect();
                    }
                }
                _ => {}
            }
        }
        schedule
    }

    /// Writes the keys.
    pub(super) fn write(&self, writer: &mut TomlWriter) {
        let mut schedule = self.schedule.clone();
        let (class, fields) = fields(&mut schedule);
        writer.key("schedule", class);
        let list =
            |numbers: &[f64]| toml::Value::Array(numbers.iter().map(|&number| number.into()).collect());
        for field in fields {
            let epochs =
                |key: &str| self.in_epochs.iter().find(|(name, _)| *name == key).map(|(_, epochs)| epochs);
            match field {
                Field::Number(key, value) => writer.key(key, *value),
                Field::Option(key, value) => {
                    if let Some(value) = *value {
                        writer.key(key, value);
                    }
                }
                Field::Numbers(key, values) => writer.key(key, list(values)),
                Field::Flag(key, value) => writer.key(key, *value),
                Field::Steps([key, key_in_epochs], value, _) => match epochs(key).map(Vec::as_slice) {
                    Some(&[epochs]) => writer.key(key_in_epochs, epochs),
                    _ => writer.key(key, *value as i64),
                },
                Field::Boundaries([key, key_in_epochs], values) => match epochs(key) {
                    Some(epochs) => writer.key(key_in_epochs, list(epochs)),
                    None => {
                        let steps = values.iter().map(|&step| toml::Value::from(step as i64)).collect();
                        writer.key(key, toml::Value::Array(steps));
                    }
                },
            }
        }
    }
}

/// One line: `CosineDecay(initial_learning_rate=0.001, decay_epochs=5.0, alpha=0.0, warmup_steps=0)`.
impl fmt::Display for ScheduleSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut writer = TomlWriter::default();
        self.write(&mut writer);
        let text = writer.finish().replace(" = ", "=").replace('"', "");
        let (schedule, settings) = text.trim().split_once('\n').unwrap_or((&text, ""));
        write!(f, "{}({})", schedule.trim_start_matches("schedule="), settings.replace('\n', ", "))
    }
}

/// The error for two keys of which only one is allowed.
fn both(table: &TomlTable<'_>, key: &str, other: &str) -> String {
    table.error(other, format!("found both {key} and {other}, expected one of them"))
}
