//! Recipes: how a network is trained, as a TOML file or by a built-in name.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use ziffer_dataset::catalogue::Name;
use ziffer_nn::{Activation, Adam, AdamW, AnyOptimizer, OneLine, RmsProp, Sequential, Sgd};
use ziffer_trainer::Shuffle;

/// Of a recipe's file: a device has no end.
const MAX_BYTES: u64 = 1 << 20;

/// Everything that decides a run's result, but for the data themselves and initial weights from a file.
///
/// As TOML, each key may be left out; what is not said is the tutorial's:
///
/// ```toml
/// dataset = "mnist"
/// hidden = [128, 64]
/// epochs = 5
/// batch_size = 32
/// validation_split = 0.1
/// optimizer = "adam"
/// learning_rate = 0.001
/// shuffle = true
/// seed = 0
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// The data set's name.
    pub dataset: String,
    /// The units of each hidden layer, of which each has a relu.
    pub hidden: Vec<usize>,
    /// How often each training sample is used.
    pub epochs: usize,
    /// Samples of a step.
    pub batch_size: usize,
    /// The share at the end of the training part that is set aside, 0 to below 1.
    pub validation_split: f64,
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// The step's size; if not given, the optimizer's default in Keras.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Whether every epoch has an order of its own, and how it is drawn: `true`, `false`, `"full"` or `"blocks"`.
    #[serde(with = "shuffle")]
    pub shuffle: Shuffle,
    /// What all randomness is drawn from.
    pub seed: u64,
}

/// An optimizer, by Keras's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    /// Gradient descent; learning rate 0.01.
    Sgd,
    /// Adam; learning rate 0.001.
    Adam,
    /// Adam with weight decay 0.004; learning rate 0.001.
    #[value(name = "adamw")]
    AdamW,
    /// RMSprop; learning rate 0.001.
    #[value(name = "rmsprop")]
    RmsProp,
}

/// The forms of `shuffle` in a file.
pub(crate) mod shuffle {
    use std::fmt;

    use serde::de::{Deserializer, Error, Unexpected, Visitor};
    use serde::ser::Serializer;
    use ziffer_trainer::Shuffle;

    pub(crate) fn serialize<S: Serializer>(shuffle: &Shuffle, to: S) -> Result<S::Ok, S::Error> {
        match shuffle {
            Shuffle::None => to.serialize_bool(false),
            Shuffle::Auto => to.serialize_bool(true),
            Shuffle::Full => to.serialize_str("full"),
            Shuffle::Blocks => to.serialize_str("blocks"),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Shuffle, D::Error> {
        struct Forms;
        impl Visitor<'_> for Forms {
            type Value = Shuffle;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, \"full\" or \"blocks\"")
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Shuffle, E> {
                Ok(value.into())
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Shuffle, E> {
                match value {
                    "full" => Ok(Shuffle::Full),
                    "blocks" => Ok(Shuffle::Blocks),
                    _ => Err(E::invalid_value(Unexpected::Str(value), &self)),
                }
            }
        }
        from.deserialize_any(Forms)
    }
}

/// A recipe that cannot be used. The message does not repeat the cause, which [`source`](std::error::Error::source) gives.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// Neither a built-in name nor a file that can be read.
    #[error("no recipe {}, expected a built-in one (tutorial) or a file: cannot read", path.display())]
    Unknown {
        /// What was asked for.
        path: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// Not TOML, or not a recipe's keys and values.
    #[error("{}: {}", path.display(), OneLine(problem))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which line.
        problem: String,
    },
    /// A value out of its range.
    #[error("{key} is {value}, expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        expected: String,
    },
}

impl Default for Recipe {
    /// The tutorial.
    fn default() -> Self {
        Self {
            dataset: "mnist".to_owned(),
            hidden: vec![128, 64],
            epochs: 5,
            batch_size: 32,
            validation_split: 0.1,
            optimizer: OptimizerName::Adam,
            learning_rate: None,
            shuffle: Shuffle::Auto,
            seed: 0,
        }
    }
}

impl Recipe {
    /// The built-in recipe of that name, or the file at that path.
    ///
    /// # Errors
    /// If there is neither, or the file is not a recipe.
    pub fn open(name_or_path: &Path) -> Result<Self, RecipeError> {
        if name_or_path == Path::new("tutorial") {
            return Ok(Self::default());
        }
        let path = name_or_path.to_owned();
        let mut text = String::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
            .map_err(|source| RecipeError::Unknown { path: path.clone(), source })?;
        if text.len() as u64 > MAX_BYTES {
            let problem = "found more than 1 MiB, expected a recipe".to_owned();
            return Err(RecipeError::Malformed { path, problem });
        }
        let recipe: Self = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count());
            let message =
                error.message().lines().collect::<Vec<_>>().join(" ").replace("usize", "a whole number");
            let said = text.lines().nth(line).unwrap_or_default().trim();
            let problem = format!("line {}: {message}, in `{said}`", line + 1);
            RecipeError::Malformed { path: path.clone(), problem }
        })?;
        recipe.validate().map_err(|error| RecipeError::Malformed { path, problem: error.to_string() })?;
        Ok(recipe)
    }

    /// Checks that each value is in its range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn validate(&self) -> Result<(), RecipeError> {
        let wrong = |key, value: &dyn ToString, expected: &str| {
            Err(RecipeError::Value { key, value: value.to_string(), expected: expected.to_owned() })
        };
        self.dataset_name()?;
        if let Some(position) = self.hidden.iter().position(|&units| units == 0) {
            return wrong(
                "hidden",
                &format!("0 at position {}", position + 1),
                "at least 1 unit in each layer",
            );
        }
        for (key, value) in [("epochs", self.epochs), ("batch_size", self.batch_size)] {
            if value == 0 {
                return wrong(key, &value, "at least 1");
            }
        }
        if !(0.0..1.0).contains(&self.validation_split) {
            return wrong("validation_split", &self.validation_split, "a number from 0 to below 1");
        }
        match self.learning_rate {
            Some(rate) if !(rate > 0.0 && rate.is_finite()) => {
                wrong("learning_rate", &rate, "a positive number")
            }
            _ => Ok(()),
        }
    }

    /// The data set.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn dataset_name(&self) -> Result<Name, RecipeError> {
        self.dataset.parse().map_err(|_| RecipeError::Value {
            key: "dataset",
            value: self.dataset.clone(),
            expected: Name::ALL.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// The optimizer with its settings.
    pub fn optimizer(&self) -> AnyOptimizer {
        match self.optimizer {
            OptimizerName::Sgd => {
                let sgd = Sgd::default();
                Sgd { learning_rate: self.learning_rate.unwrap_or(sgd.learning_rate), ..sgd }.into()
            }
            OptimizerName::RmsProp => {
                let rmsprop = RmsProp::default();
                RmsProp { learning_rate: self.learning_rate.unwrap_or(rmsprop.learning_rate), ..rmsprop }
                    .into()
            }
            OptimizerName::Adam => self.adam().into(),
            OptimizerName::AdamW => AdamW { adam: self.adam(), ..AdamW::default() }.into(),
        }
    }

    fn adam(&self) -> Adam {
        let adam = Adam::default();
        Adam { learning_rate: self.learning_rate.unwrap_or(adam.learning_rate), ..adam }
    }

    /// The step's size.
    pub fn learning_rate(&self) -> f64 {
        match self.optimizer() {
            AnyOptimizer::Sgd(sgd) => sgd.learning_rate,
            AnyOptimizer::Adam(adam) => adam.learning_rate,
            AnyOptimizer::AdamW(adamw) => adamw.adam.learning_rate,
            AnyOptimizer::RmsProp(rmsprop) => rmsprop.learning_rate,
        }
    }

    /// The network, for pictures of this shape and this many classes.
    pub fn network(&self, picture: &[usize], classes: usize) -> Sequential {
        let start = Sequential::new(picture).flatten();
        let stack = self.hidden.iter().fold(start, |stack, &units| stack.dense(units, Activation::Relu));
        stack.dense(classes, Activation::Softmax)
    }

    /// Whether it is the tutorial, whatever the seed.
    pub fn is_tutorial(&self) -> bool {
        let seed = self.seed;
        let tutorial = Self { seed, ..Self::default() };
        Self { learning_rate: Some(self.learning_rate()), ..self.clone() }
            == Self { learning_rate: Some(tutorial.learning_rate()), ..tutorial }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_file(text: &str) -> Result<Recipe, RecipeError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recipe.toml");
        std::fs::write(&path, text).unwrap();
        Recipe::open(&path)
    }

    #[test]
    fn what_is_not_said_is_the_tutorial_s() {
        assert_eq!(from_file("").unwrap(), Recipe::open(Path::new("tutorial")).unwrap());
        let recipe = from_file("hidden = [300]\noptimizer = \"sgd\"\nshuffle = false\n").unwrap();
        assert_eq!((recipe.hidden.as_slice(), recipe.epochs, recipe.shuffle), (&[300][..], 5, Shuffle::None));
        assert_eq!(recipe.learning_rate(), 0.01);
        assert!(!recipe.is_tutorial());
        assert!(from_file("seed = 9\nlearning_rate = 0.001").unwrap().is_tutorial());
        for shuffle in [Shuffle::None, Shuffle::Auto, Shuffle::Full, Shuffle::Blocks] {
            let recipe = Recipe { shuffle, ..recipe.clone() };
            assert_eq!(from_file(&toml::to_string(&recipe).unwrap()).unwrap(), recipe);
        }
    }

    #[test]
    fn mistakes_say_where() {
        for (text, part) in [
            ("epoch = 5", "line 1: unknown field `epoch`"),
            ("epochs = 5\nbatch_size = \"many\"", "line 2: "),
            ("epochs = 0", "epochs is 0, expected at least 1"),
            ("validation_split = nan", "validation_split is NaN"),
            ("hidden = [10, 0]", "hidden is 0 at position 2"),
            ("learning_rate = -1", "learning_rate is -1"),
            ("dataset = \"cifar\"", "dataset is cifar, expected mnist"),
            ("optimizer = \"lion\"", "line 1: unknown variant `lion`"),
            (
                "shuffle = \"some\"",
                "line 1: invalid value: string \"some\", expected true, false, \"full\" or \"blocks\"",
            ),
            ("shuffle = 1", "line 1: invalid type: integer `1`, expected true, false"),
            ("epochs = ", "line 1: "),
        ] {
            let message = from_file(text).unwrap_err().to_string();
            assert!(message.contains(part) && message.contains("recipe.toml"), "{text}: {message}");
            assert!(!message.contains('\n'), "{message}");
        }
        assert!(Recipe::open(Path::new("none")).unwrap_err().to_string().starts_with("no recipe none"));
    }
}
