//! The callbacks of a recipe.

use toml::Value;
use ziffer_trainer::callback::{
    CSVLogger, Callback, EarlyStopping, LearningRateScheduler, Mode, ModelCheckpoint, Monitor,
    ReduceLROnPlateau, SaveFreq, TerminateOnNaN,
};

use super::toml_reader::TomlTable;
use super::toml_writer::TomlWriter;

/// A callback: Keras's class and its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct CallbackSettings {
    class: &'static str,
    /// The arguments by Keras's names, without those that are neither given nor have a default.
    settings: Vec<(&'static str, Value)>,
}

/// The type of an argument and its default.
#[derive(Clone, Copy)]
enum Argument {
    /// The name of a metric.
    Monitor,
    /// Whether lower or higher values are better.
    Mode,
    /// A finite number.
    Number(f64),
    /// A number above 0 and below 1.
    Factor(f64),
    /// A number of at least 0.
    NotNegative(f64),
    /// An optional number without a default.
    Optional,
    /// A whole number.
    Count(u64),
    /// True or false; also 0 and 1, which Keras accepts for `verbose`.
    Flag,
    /// A path, without a default.
    File,
    /// A character.
    Separator,
    /// `"epoch"` or a number of batches.
    SaveFreq,
    /// Learning rates by the first epoch that they apply to.
    Schedule,
}

use Argument::{Count, File, Flag, Number, Optional, Schedule, Separator};

/// The callbacks' classes and arguments, in Keras's order.
const CLASSES: [(&str, &[(&str, Argument)]); 6] = [
    (
        "EarlyStopping",
        &[
            ("monitor", Argument::Monitor),
            ("min_delta", Number(0.0)),
            ("patience", Count(0)),
            ("verbose", Flag),
            ("mode", Argument::Mode),
            ("baseline", Optional),
            ("restore_best_weights", Flag),
            ("start_from_epoch", Count(0)),
        ],
    ),
    (
        "ModelCheckpoint",
        &[
            ("filepath", File),
            ("monitor", Argument::Monitor),
            ("verbose", Flag),
            ("save_best_only", Flag),
            ("save_weights_only", Flag),
            ("mode", Argument::Mode),
            ("save_freq", Argument::SaveFreq),
            ("initial_value_threshold", Optional),
        ],
    ),
    (
        "ReduceLROnPlateau",
        &[
            ("monitor", Argument::Monitor),
            ("factor", Argument::Factor(0.1)),
            ("patience", Count(10)),
            ("verbose", Flag),
            ("mode", Argument::Mode),
            ("min_delta", Number(1e-4)),
            ("cooldown", Count(0)),
            ("min_lr", Argument::NotNegative(0.0)),
        ],
    ),
    ("LearningRateScheduler", &[("schedule", Schedule), ("verbose", Flag)]),
    ("CSVLogger", &[("filename", File), ("separator", Separator), ("append", Flag)]),
    ("TerminateOnNaN", &[("raise_error", Flag)]),
];

impl Argument {
    fn default(self) -> Option<Value> {
        Some(match self {
            Self::Monitor => Monitor::default().name().into(),
            Self::Mode => "auto".into(),
            Self::Number(number) | Self::Factor(number) | Self::NotNegative(number) => number.into(),
            Self::Count(count) => Value::Integer(count as i64),
            Self::Flag => false.into(),
            Self::Separator => ",".into(),
            Self::SaveFreq => "epoch".into(),
            Self::Optional | Self::File | Self::Schedule => return None,
        })
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Monitor => "loss, accuracy, val_loss or val_accuracy",
            Self::Mode => "auto, min or max",
            Self::Number(_) | Self::Optional => "a finite number",
            Self::Factor(_) => "a number above 0 and below 1",
            Self::NotNegative(_) => "a number of at least 0",
            Self::Count(_) => "a whole number of at least 0",
            Self::Flag => "true or false",
            Self::File => "a file's path",
            Self::Separator => "one character",
            Self::SaveFreq => "\"epoch\" or a number of batches of at least 1",
            Self::Schedule => {
                "a table of epochs, counted from 0, and learning rates, such as { 0 = 0.001, 5 = 0.0001 }"
            }
        }
    }

    /// The normalized value. `None` if it is invalid.
    fn read(self, value: &Value) -> Option<Value> {
        let in_range = |is_right: &dyn Fn(f64) -> bool| {
            number(value).filter(|&number| is_right(number)).map(Value::Float)
        };
        let at_least = |least: i64| value.as_integer().filter(|&count| count >= least).map(Value::Integer);
        match self {
            Self::Monitor => value.as_str()?.parse::<Monitor>().ok().map(|monitor| monitor.name().into()),
            Self::Mode => {
                value.as_str()?.parse::<Mode>().ok()?;
                Some(value.clone())
            }
            Self::Number(_) | Self::Optional => in_range(&|number| number.is_finite()),
            Self::Factor(_) => in_range(&|number| number > 0.0 && number < 1.0),
            Self::NotNegative(_) => in_range(&|number| number >= 0.0 && number.is_finite()),
            Self::Count(_) => at_least(0),
            Self::Flag => match value {
                Value::Boolean(_) => Some(value.clone()),
                Value::Integer(flag @ 0..=1) => Some((*flag == 1).into()),
                _ => None,
            },
            Self::File => value.as_str().filter(|path| !path.is_empty()).map(Value::from),
            Self::Separator => value.as_str().filter(|text| text.chars().count() == 1).map(Value::from),
            Self::SaveFreq if value.as_str() == Some("epoch") => Some(value.clone()),
            Self::SaveFreq => at_least(1),
            Self::Schedule => {
                let is_rate =
                    |value: &Value| number(value).is_some_and(|rate| rate > 0.0 && rate.is_finite());
                let table = value.as_table()?;
                let fits = table.iter().all(|(epoch, rate)| epoch.parse::<u32>().is_ok() && is_rate(rate));
                (fits && !table.is_empty()).then(|| value.clone())
            }
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_float().or(value.as_integer().map(|value| value as f64))
}

/// The learning rate of an epoch: that of the last key up to it, or else the current one.
pub(super) fn scheduled(table: &toml::Table, epoch: usize, current: f64) -> f64 {
    let starts = table.iter().filter_map(|(start, rate)| Some((start.parse::<usize>().ok()?, number(rate)?)));
    starts
        .filter(|(start, _)| *start <= epoch)
        .max_by_key(|(start, _)| *start)
        .map_or(current, |(_, rate)| rate)
}

impl CallbackSettings {
    /// A callback of this class with these arguments, and defaults for the others.
    ///
    /// # Panics
    /// If there is no such class or argument, or if a value is out of range.
    pub(crate) fn new(class: &str, given: &[(&str, Value)]) -> Self {
        let (class, arguments) = find(class).expect("a class");
        let is_known = |key: &str| arguments.iter().any(|(name, _)| *name == key);
        assert!(given.iter().all(|(key, _)| is_known(key)), "arguments of {class}");
        let settings = arguments.iter().filter_map(|(key, argument)| {
            let value = given.iter().find(|(name, _)| name == key);
            let value = match value {
                Some((_, value)) => Some(argument.read(value).expect("a value in its range")),
                None => argument.default(),
            };
            Some((*key, value?))
        });
        Self { class, settings: settings.collect() }
    }

    #[cfg(test)]
    pub(super) fn settings(&self) -> &[(&'static str, Value)] {
        &self.settings
    }

    /// The class, by Keras's name.
    pub fn class(&self) -> &'static str {
        self.class
    }

    /// Reads a table `[[callbacks]]`.
    pub(super) fn read(table: &TomlTable<'_>) -> Result<Self, String> {
        let expected = CLASSES.map(|(class, _)| class).join(", ");
        let Some(class) = table.text("type", &expected)? else {
            return Err(table.error("type", format!("no type, expected one of {expected}")));
        };
        let Some((class, arguments)) = find(class) else {
            return table.refuse("type", format!("one of {expected}"));
        };
        let mut settings = Vec::new();
        // A misspelled key is reported before the key that is missing because of it.
        let mut missing = None;
        for (key, argument) in arguments {
            let value = match table.any(key) {
                Some(value) => match argument.read(value) {
                    Some(value) => Some(value),
                    None => return table.refuse(key, argument.expected()),
                },
                None => argument.default(),
            };
            match (value, argument) {
                (Some(value), _) => settings.push((*key, value)),
                (None, Optional) => {}
                (None, _) => {
                    let problem = format!("no {key}, expected {}", argument.expected());
                    missing.get_or_insert_with(|| table.error(key, problem));
                }
            }
        }
        table.finish()?;
        missing.map_or(Ok(Self { class, settings }), Err)
    }

    /// Writes the table `[[callbacks]]`.
    pub(super) fn write(&self, writer: &mut TomlWriter) {
        writer.item("callbacks");
        writer.key("type", self.class);
        self.settings.iter().for_each(|(key, value)| writer.key(key, value.clone()));
    }

    /// Creates the callback.
    pub fn callback(&self) -> Box<dyn Callback> {
        let value = |key: &str| self.settings.iter().find(|(name, _)| *name == key).map(|(_, value)| value);
        let text = |key: &str| value(key).and_then(Value::as_str).unwrap_or_default();
        let optional = |key: &str| value(key).and_then(number);
        let float = |key: &str| optional(key).unwrap_or_default();
        let flag = |key: &str| value(key).and_then(Value::as_bool).unwrap_or_default();
        let count = |key: &str| {
            let count = value(key).and_then(Value::as_integer).unwrap_or_default();
            usize::try_from(count).unwrap_or(usize::MAX)
        };
        let monitor = || text("monitor").parse().unwrap_or_default();
        let mode = || text("mode").parse().unwrap_or_default();
        match self.class {
            "EarlyStopping" => {
                let callback = EarlyStopping::new(monitor(), count("patience"))
                    .min_delta(float("min_delta"))
                    .verbose(flag("verbose"))
                    .mode(mode())
                    .restore_best_weights(flag("restore_best_weights"))
                    .start_from_epoch(count("start_from_epoch"));
                let baseline = optional("baseline");
                Box::new(match baseline {
                    Some(baseline) => callback.baseline(baseline),
                    None => callback,
                })
            }
            "ModelCheckpoint" => {
                let save_freq = match count("save_freq") {
                    0 => SaveFreq::Epoch,
                    batches => SaveFreq::Batches(batches),
                };
                let callback = ModelCheckpoint::new(text("filepath"))
                    .monitor(monitor())
                    .verbose(flag("verbose"))
                    .save_best_only(flag("save_best_only"))
                    .save_weights_only(flag("save_weights_only"))
                    .mode(mode())
                    .save_freq(save_freq);
                Box::new(match optional("initial_value_threshold") {
                    Some(threshold) => callback.initial_value_threshold(threshold),
                    None => callback,
                })
            }
            "ReduceLROnPlateau" => Box::new(
                ReduceLROnPlateau::new(monitor())
                    .factor(float("factor"))
                    .patience(count("patience"))
                    .verbose(flag("verbose"))
                    .mode(mode())
                    .min_delta(float("min_delta"))
                    .cooldown(count("cooldown"))
                    .min_lr(float("min_lr")),
            ),
            "LearningRateScheduler" => {
                let table = value("schedule").and_then(Value::as_table).cloned().unwrap_or_default();
                let schedule = move |epoch, current| scheduled(&table, epoch, current);
                Box::new(LearningRateScheduler::new(schedule).verbose(flag("verbose")))
            }
            "CSVLogger" => {
                let separator = text("separator").chars().next().unwrap_or(',');
                Box::new(CSVLogger::new(text("filename")).separator(separator).append(flag("append")))
            }
            _ => Box::new(TerminateOnNaN::new().raise_error(flag("raise_error"))),
        }
    }
}

/// The class of this name, with its arguments.
fn find(class: &str) -> Option<(&'static str, &'static [(&'static str, Argument)])> {
    CLASSES.into_iter().find(|(name, _)| *name == class)
}
