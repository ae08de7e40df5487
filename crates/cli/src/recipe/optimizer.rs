//! The optimizer of a recipe, with Keras's arguments for gradient clipping and weight averaging.

use serde::{Deserialize, Serialize};
use ziffer_nn::optimizer::Clip;
use ziffer_nn::{Adam, AdamW, AnyOptimizer, Lion, Nadam, Optimizer, RmsProp, Sgd};

use super::schedule::ScheduleSettings;
use super::toml_reader::TomlTable;
use super::toml_writer::TomlWriter;

/// An optimizer, by Keras's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    /// Stochastic gradient descent; learning rate 0.01.
    Sgd,
    /// Adam; learning rate 0.001.
    Adam,
    /// Adam with weight decay 0.004; learning rate 0.001.
    #[value(name = "adamw")]
    AdamW,
    /// RMSprop; learning rate 0.001.
    #[value(name = "rmsprop")]
    RmsProp,
    /// Adam with Nesterov momentum; learning rate 0.001.
    Nadam,
    /// Lion; learning rate 0.001.
    Lion,
}

impl OptimizerName {
    const ALL: [(&'static str, Self); 6] = [
        ("sgd", Self::Sgd),
        ("adam", Self::Adam),
        ("adamw", Self::AdamW),
        ("rmsprop", Self::RmsProp),
        ("nadam", Self::Nadam),
        ("lion", Self::Lion),
    ];

    /// Finds an optimizer, ignoring case.
    fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, name)| name)
    }

    fn expected() -> String {
        Self::ALL.map(|(name, _)| name).join(", ")
    }

    /// The optimizer with Keras's defaults.
    pub fn with_defaults(self) -> AnyOptimizer {
        match self {
            Self::Sgd => Sgd::default().into(),
            Self::Adam => Adam::default().into(),
            Self::AdamW => AdamW::default().into(),
            Self::RmsProp => RmsProp::default().into(),
            Self::Nadam => Nadam::default().into(),
            Self::Lion => Lion::default().into(),
        }
    }
}

/// An optimizer and its settings.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerSettings {
    /// The optimizer.
    pub optimizer: AnyOptimizer,
    /// The schedule that replaces the optimizer's learning rate.
    pub schedule: Option<ScheduleSettings>,
    /// Gradient clipping.
    pub clip: Option<Clip>,
    /// The momentum of the moving average of the weights, if there is one.
    pub ema_momentum: Option<f64>,
}

impl From<OptimizerName> for OptimizerSettings {
    fn from(name: OptimizerName) -> Self {
        Self { optimizer: name.with_defaults(), schedule: None, clip: None, ema_momentum: None }
    }
}

pub(super) const LEARNING_RATE: &str = "learning_rate";

fn expected_of(key: &str) -> &'static str {
    if key == LEARNING_RATE { "a number, or a table with a schedule" } else { "a number" }
}

/// Settings of one type by key.
type Keyed<'a, T> = Vec<(&'static str, &'a mut T)>;

/// The settings of an optimizer by Keras's names: numbers, the learning rate first, and flags.
fn settings(optimizer: &mut AnyOptimizer) -> (Keyed<'_, f64>, Keyed<'_, bool>) {
    /// All fields, by name.
    macro_rules! keyed {
        ($optimizer:expr, $class:ident { $($number:ident),* }, [$($flag:ident),*]) => {{
            let $class { $($number,)* $($flag,)* } = $optimizer;
            (vec![$((stringify!($number), $number)),*], vec![$((stringify!($flag), $flag)),*])
        }};
    }
    match optimizer {
        AnyOptimizer::Sgd(sgd) => keyed!(sgd, Sgd { learning_rate, momentum, weight_decay }, [nesterov]),
        AnyOptimizer::Adam(adam) => {
            keyed!(adam, Adam { learning_rate, beta_1, beta_2, epsilon, weight_decay }, [])
        }
        AnyOptimizer::AdamW(adamw) => {
            keyed!(adamw, AdamW { learning_rate, beta_1, beta_2, epsilon, weight_decay }, [])
        }
        AnyOptimizer::RmsProp(rmsprop) => {
            keyed!(rmsprop, RmsProp { learning_rate, rho, momentum, epsilon, weight_decay }, [centered])
        }
        AnyOptimizer::Nadam(nadam) => {
            keyed!(nadam, Nadam { learning_rate, beta_1, beta_2, epsilon, weight_decay }, [])
        }
        AnyOptimizer::Lion(lion) => keyed!(lion, Lion { learning_rate, beta_1, beta_2, weight_decay }, []),
    }
}

/// Sets the learning rate of an optimizer.
pub(super) fn set_learning_rate(optimizer: &mut AnyOptimizer, rate: f64) {
    *settings(optimizer).0[0].1 = rate;
}

impl OptimizerSettings {
    /// Reads `optimizer = "NAME"` or the table `[optimizer]`.
    pub(super) fn read(root: &TomlTable<'_>) -> Result<Option<Self>, String> {
        let expected = OptimizerName::expected();
        let table = match root.any("optimizer") {
            None => return Ok(None),
            Some(toml::Value::String(name)) => match OptimizerName::find(name) {
                Some(name) => return Ok(Some(name.into())),
                None => return root.refuse("optimizer", format!("one of {expected}")),
            },
            Some(_) => root.table("optimizer"),
        };
        let Some(table) = table else {
            return root.refuse("optimizer", format!("one of {expected}, or a table [optimizer]"));
        };
        let name = table.text("name", &expected)?.unwrap_or("adam");
        let Some(name) = OptimizerName::find(name) else {
            return table.refuse("name", format!("one of {expected}"));
        };
        let mut optimizer = name.with_defaults();
        let schedule = table.table(LEARNING_RATE).map(|table| ScheduleSettings::read(&table)).transpose()?;
        let (numbers, flags) = settings(&mut optimizer);
        for (key, value) in numbers.into_iter().filter(|(key, _)| schedule.is_none() || *key != LEARNING_RATE)
        {
            // The optimizer itself checks the range.
            *value = table.number(key, expected_of(key), |_| true)?.unwrap_or(*value);
        }
        for (key, value) in flags {
            *value = table.flag(key)?.unwrap_or(*value);
        }
        let mut clip = None;
        for (key, of) in [
            ("clipvalue", Clip::Value as fn(f64) -> Clip),
            ("clipnorm", Clip::Norm),
            ("global_clipnorm", Clip::GlobalNorm),
        ] {
            let is_right = |bound: f64| bound > 0.0 && bound.is_finite();
            let bound = table.number(key, "a positive number", is_right)?;
            if let Some(bound) = bound
                && let Some(other) = clip.replace(of(bound))
            {
                let problem = format!("found both {key} and {}, expected one of them", other.name());
                return Err(table.error(key, problem));
            }
        }
        let momentum = table.number("ema_momentum", "a number from 0 to 1", |m| (0.0..=1.0).contains(&m))?;
        let uses_ema = table.flag("use_ema")?.unwrap_or(false);
        table.finish()?;
        Optimizer::<f32>::validate(&optimizer).map_err(|error| {
            let problem = format!("{} is {}, expected {}", error.setting, error.value, error.expected);
            table.error(error.setting, problem)
        })?;
        let ema_momentum = uses_ema.then_some(momentum.unwrap_or(0.99));
        Ok(Some(Self { optimizer, schedule, clip, ema_momentum }))
    }

    /// Writes the table `[optimizer]`.
    pub(super) fn write(&self, writer: &mut TomlWriter) {
        let mut optimizer = self.optimizer;
        writer.table("optimizer");
        writer.key("name", Optimizer::<f32>::name(&self.optimizer));
        let (numbers, flags) = settings(&mut optimizer);
        let is_said = |key: &str| key != LEARNING_RATE || self.schedule.is_none();
        for (key, value) in numbers.into_iter().filter(|(key, _)| is_said(key)) {
            writer.key(key, *value);
        }
        for (key, value) in flags {
            writer.key(key, *value);
        }
        if let Some(clip) = self.clip {
            writer.key(clip.name(), clip.bound());
        }
        writer.key("use_ema", self.ema_momentum.is_some());
        if let Some(momentum) = self.ema_momentum {
            writer.key("ema_momentum", momentum);
        }
        if let Some(schedule) = &self.schedule {
            writer.table("optimizer.learning_rate");
            schedule.write(writer);
        }
    }
}
