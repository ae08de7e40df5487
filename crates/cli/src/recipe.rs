//! Recipes: how a network is trained, as a TOML file or by a built-in name.

mod augment;
mod callbacks;
mod layers;
mod loss;
mod optimizer;
mod reader;
mod schedule;
#[cfg(test)]
mod tests;
mod write;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ziffer_base::OneLine;
use ziffer_dataset::catalogue::Name;
use ziffer_nn::{
    Activation, AnyLoss, AnyOptimizer, BuildError, Optimizer, Sequential, SparseCategoricalCrossentropy,
};
use ziffer_trainer::Shuffle;

pub use augment::AugmentSettings;
pub use callbacks::CallbackSettings;
pub use layers::LayerSettings;
pub use optimizer::{OptimizerName, OptimizerSettings};
pub use schedule::ScheduleSettings;

use reader::{Document, Table};
use write::Lines;

/// Of a recipe's file: a device has no end.
const MAX_BYTES: u64 = 1 << 20;

/// Everything that decides a run's result, but for the data themselves and initial weights from a file.
///
/// As TOML, each key may be left out; what is not said is the tutorial's. Keys, class names and defaults are Keras's where Keras
/// has them:
///
/// ```toml
/// dataset = "mnist"
/// epochs = 5
/// batch_size = 32
/// validation_split = 0.1
/// seed = 0
/// shuffle = true
/// loss = { name = "sparse_categorical_crossentropy", label_smoothing = 0.05 }
///
/// [[layers]]               # in the place of hidden = [128, 64]
/// type = "Dense"
/// units = 128
/// use_bias = false
/// [[layers]]
/// type = "BatchNormalization"
/// momentum = 0.9
/// [[layers]]
/// type = "Dropout"
/// rate = 0.2
///
/// [optimizer]              # or optimizer = "adam"
/// name = "adamw"
/// weight_decay = 0.02
/// global_clipnorm = 1.0    # or clipnorm, clipvalue
/// use_ema = true
/// ema_momentum = 0.998
///
/// [optimizer.learning_rate]   # or learning_rate = 0.001 in [optimizer]; either may stand at the top
/// schedule = "CosineDecay"
/// initial_learning_rate = 0.0
/// warmup_target = 0.004
/// warmup_epochs = 2        # or warmup_steps
/// decay_epochs = 12        # or decay_steps
///
/// [augment]                # drawn anew for each sample of each epoch; 0 is off
/// rotation = 10.0          # degrees
/// zoom = 0.1
/// shear = 0.1
/// shift = 2.0              # pixels
/// elastic = 1.1            # standard deviation of the displacement in pixels
/// elastic_sigma = 5.0      # its correlation length in pixels
///
/// [[callbacks]]
/// type = "EarlyStopping"
/// monitor = "val_loss"
/// patience = 3
/// restore_best_weights = true
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// The data set's name.
    pub dataset: String,
    /// The units of each hidden layer, of which each has a relu. Not looked at if there are `layers`.
    pub hidden: Vec<usize>,
    /// The layers, if the network is not one of hidden layers with a relu.
    pub layers: Vec<LayerSettings>,
    /// Passes over the training data.
    pub epochs: usize,
    /// Samples per batch.
    pub batch_size: usize,
    /// The share at the end of the training part that is set aside, 0 to below 1.
    pub validation_split: f64,
    /// The loss.
    pub loss: AnyLoss,
    /// The optimizer with its settings.
    pub optimizer: OptimizerSettings,
    /// The learning rate, in the place of the optimizer's and its schedule.
    pub learning_rate: Option<f64>,
    /// How pictures are changed in training.
    pub augment: AugmentSettings,
    /// What is called while it trains, in this order.
    pub callbacks: Vec<CallbackSettings>,
    /// Whether every epoch has an order of its own, and how it is drawn: `true`, `false`, `"full"` or `"blocks"`.
    pub shuffle: Shuffle,
    /// The random seed.
    pub seed: u64,
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
#[derive(thiserror::Error)]
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

ziffer_base::debug_as_message!(RecipeError);

impl Default for Recipe {
    /// The tutorial.
    fn default() -> Self {
        Self {
            dataset: "mnist".to_owned(),
            hidden: vec![128, 64],
            layers: Vec::new(),
            epochs: 5,
            batch_size: 32,
            validation_split: 0.1,
            loss: AnyLoss::SparseCategoricalCrossentropy(SparseCategoricalCrossentropy::default()),
            optimizer: OptimizerName::Adam.into(),
            learning_rate: None,
            augment: AugmentSettings::default(),
            callbacks: Vec::new(),
            shuffle: Shuffle::Auto,
            seed: 0,
        }
    }
}

impl Recipe {
    /// The built-in recipes: their names, and what they are.
    pub const BUILT_IN: [(&'static str, &'static str); 1] =
        [("tutorial", "the Keras tutorial: 128 and 64 relu, softmax, Adam, batches of 32, 5 epochs")];

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
        Self::parse(&text).map_err(|problem| RecipeError::Malformed { path, problem })
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// The first mistake, with its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document = Document::parse(text)?;
        let root = document.root();
        let mut recipe = Self::default();
        if let Some(dataset) = root.text("dataset", "a data set's name")? {
            dataset.clone_into(&mut recipe.dataset);
        }
        recipe.dataset_name().or_else(|_| root.refuse("dataset", data_sets()))?;
        for (key, value) in [("epochs", &mut recipe.epochs), ("batch_size", &mut recipe.batch_size)] {
            if let Some(size) = root.size(key, 1)? {
                *value = usize::try_from(size).or_else(|_| root.refuse(key, "a smaller number"))?;
            }
        }
        let is_share = |share: f64| (0.0..1.0).contains(&share);
        let split = root.number("validation_split", "a number from 0 to below 1", is_share)?;
        recipe.validation_split = split.unwrap_or(recipe.validation_split);
        recipe.seed = match root.any("seed") {
            // TOML's numbers end at 2^63.
            Some(toml::Value::String(text)) => {
                text.parse().or_else(|_| root.refuse("seed", "a whole number"))?
            }
            _ => root.size("seed", 0)?.unwrap_or(recipe.seed),
        };
        recipe.shuffle = read_shuffle(&root)?.unwrap_or(recipe.shuffle);
        recipe.loss = loss::read(&root)?.unwrap_or(recipe.loss);
        recipe.optimizer = OptimizerSettings::read(&root)?.unwrap_or(recipe.optimizer);
        let is_rate = |rate: f64| rate > 0.0 && rate.is_finite();
        match root.table(optimizer::LEARNING_RATE) {
            Some(table) => recipe.optimizer.schedule = Some(ScheduleSettings::read(&table)?),
            None => {
                let expected = "a positive number, or a table with a schedule";
                recipe.learning_rate = root.number(optimizer::LEARNING_RATE, expected, is_rate)?;
            }
        }
        recipe.augment = AugmentSettings::read(&root)?;
        let hidden = root.sizes("hidden", 1)?;
        let layers = root.tables("layers")?;
        if hidden.is_some() && root.has("layers") {
            return Err(root.error("layers", "layers and hidden are both there, expected one of them"));
        }
        recipe.hidden = hidden.unwrap_or(recipe.hidden);
        recipe.layers = layers.iter().map(LayerSettings::read).collect::<Result<_, _>>()?;
        recipe.callbacks =
            root.tables("callbacks")?.iter().map(CallbackSettings::read).collect::<Result<_, _>>()?;
        root.finish()?;
        Ok(recipe)
    }

    /// The recipe as TOML, with every default filled in. [`parse`](Self::parse) makes the same recipe of it.
    pub fn to_toml(&self) -> String {
        let mut lines = Lines::default();
        lines.key("dataset", self.dataset.as_str());
        lines.key("epochs", self.epochs as i64);
        lines.key("batch_size", self.batch_size as i64);
        lines.key("validation_split", self.validation_split);
        lines.key(
            "seed",
            i64::try_from(self.seed).map_or_else(|_| self.seed.to_string().into(), toml::Value::from),
        );
        match self.shuffle {
            Shuffle::None => lines.key("shuffle", false),
            Shuffle::Auto => lines.key("shuffle", true),
            Shuffle::Full => lines.key("shuffle", "full"),
            Shuffle::Blocks => lines.key("shuffle", "blocks"),
        }
        loss::write(&self.loss, &mut lines);
        if self.layers.is_empty() {
            let hidden = self.hidden.iter().map(|&units| toml::Value::from(units as i64));
            lines.key("hidden", toml::Value::Array(hidden.collect()));
        }
        for layer in &self.layers {
            let LayerSettings { class, settings } = layer.whole();
            lines.item("layers");
            lines.key("type", class);
            settings.iter().for_each(|(key, value)| lines.json(key, value));
        }
        let schedule = self.schedule().cloned();
        OptimizerSettings { optimizer: self.optimizer(), schedule, ..self.optimizer.clone() }
            .write(&mut lines);
        self.augment.write(&mut lines);
        self.callbacks.iter().for_each(|callback| callback.write(&mut lines));
        lines.finish()
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
        let wrong =
            |_| RecipeError::Value { key: "dataset", value: self.dataset.clone(), expected: data_sets() };
        self.dataset.parse().map_err(wrong)
    }

    /// The optimizer with its settings.
    pub fn optimizer(&self) -> AnyOptimizer {
        let mut optimizer = self.optimizer.optimizer;
        if let Some(rate) = self.learning_rate {
            optimizer::set_learning_rate(&mut optimizer, rate);
        }
        optimizer
    }

    /// The schedule of the learning rate, if it is not one number.
    pub fn schedule(&self) -> Option<&ScheduleSettings> {
        self.optimizer.schedule.as_ref().filter(|_| self.learning_rate.is_none())
    }

    /// The learning rate without a schedule.
    pub fn learning_rate(&self) -> f64 {
        Optimizer::<f32>::learning_rate(&self.optimizer())
    }

    /// The network, for pictures of this shape and this many classes. Where the recipe has layers, a Flatten goes in front of a
    /// Dense that would not get a flat input, and a Dense with one output for each class comes last, unless the last layer is
    /// that.
    ///
    /// # Errors
    /// The first layer with a setting out of its range.
    pub fn network(&self, picture: &[usize], classes: usize) -> Result<Sequential, BuildError> {
        let activation = loss::output_activation(&self.loss);
        if !self.layers.is_empty() {
            return layers::network(&self.layers, picture, classes, activation);
        }
        let start = Sequential::new(picture).flatten();
        let stack = self.hidden.iter().fold(start, |stack, &units| stack.dense(units, Activation::Relu));
        Ok(stack.dense(classes, activation))
    }

    /// What messages and checkpoints say of the network.
    pub fn network_settings(&self) -> (&'static str, String) {
        if self.layers.is_empty() {
            return ("hidden", format!("{:?}", self.hidden));
        }
        ("layers", self.layers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    /// Whether it is the tutorial, whatever the seed.
    pub fn is_tutorial(&self) -> bool {
        let seed = self.seed;
        let with_rate = |recipe: Self| Self { learning_rate: Some(recipe.learning_rate()), ..recipe };
        with_rate(self.clone()) == with_rate(Self { seed, ..Self::default() })
    }
}

/// The names of data sets, for messages.
fn data_sets() -> String {
    Name::ALL.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
}

fn read_shuffle(root: &Table<'_>) -> Result<Option<Shuffle>, String> {
    Ok(Some(match root.any("shuffle") {
        None => return Ok(None),
        Some(toml::Value::Boolean(shuffle)) => (*shuffle).into(),
        Some(toml::Value::String(how)) if how == "full" => Shuffle::Full,
        Some(toml::Value::String(how)) if how == "blocks" => Shuffle::Blocks,
        Some(_) => return root.refuse("shuffle", "true, false, \"full\" or \"blocks\""),
    }))
}
