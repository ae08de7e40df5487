//! Recipes: the settings of a training, from a TOML file or built in.

mod augment;
mod callbacks;
mod layers;
mod loss;
mod optimizer;
mod schedule;
pub(crate) mod shuffle;
#[cfg(test)]
mod tests;
mod toml_reader;
mod toml_writer;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ziffer_base::OneLine;
use ziffer_dataset::catalog::Name;
use ziffer_nn::{
    Activation, AnyLoss, AnyOptimizer, BuildError, Optimizer, Sequential, SparseCategoricalCrossentropy,
};
use ziffer_trainer::Shuffle;

pub use augment::AugmentSettings;
pub use callbacks::CallbackSettings;
pub use layers::LayerSettings;
pub use optimizer::{OptimizerName, OptimizerSettings};
pub use schedule::ScheduleSettings;

use toml_reader::TomlDocument;
use toml_writer::TomlWriter;

/// The largest recipe file. Reading a device might never end.
const MAX_BYTES: u64 = 1 << 20;

/// All settings that determine the result of a run, apart from the data and initial weights from a file.
///
/// In TOML, missing keys default to the tutorial's values. Keys, class names and defaults are Keras's where Keras has them:
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
/// [[layers]]               # instead of hidden = [128, 64]
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
/// [optimizer.learning_rate]   # or learning_rate = 0.001 in [optimizer]; both can be at the top level, too
/// schedule = "CosineDecay"
/// initial_learning_rate = 0.0
/// warmup_target = 0.004
/// warmup_epochs = 2        # or warmup_steps
/// decay_epochs = 12        # or decay_steps
///
/// [augment]                # drawn anew for each sample in each epoch; 0 turns it off
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
    /// The units of each hidden layer, with relu activation. Ignored if there are `layers`.
    pub hidden: Vec<usize>,
    /// The layers, instead of `hidden`.
    pub layers: Vec<LayerSettings>,
    /// Passes over the training data.
    pub epochs: usize,
    /// Samples per batch.
    pub batch_size: usize,
    /// The share of the training set used for validation, taken from its end, 0 to below 1.
    pub validation_split: f64,
    /// The loss.
    pub loss: AnyLoss,
    /// The optimizer with its settings.
    pub optimizer: OptimizerSettings,
    /// The learning rate, which overrides the optimizer's learning rate and schedule.
    pub learning_rate: Option<f64>,
    /// Random distortions of training images.
    pub augment: AugmentSettings,
    /// The callbacks, in the order of their calls.
    pub callbacks: Vec<CallbackSettings>,
    /// Whether and how samples are shuffled in each epoch: `true`, `false`, `"full"` or `"blocks"`.
    pub shuffle: Shuffle,
    /// The random seed.
    pub seed: u64,
}

/// An invalid recipe. The message does not include the cause, which [`source`](std::error::Error::source) returns.
#[derive(thiserror::Error)]
pub enum RecipeError {
    /// Neither the name of a built-in recipe nor a readable file.
    #[error("no recipe {}: not a built-in recipe (tutorial), and the file cannot be read", path.display())]
    Unknown {
        /// The name or path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is not TOML, or has invalid keys or values.
    #[error("{}: {}", path.display(), OneLine(problem))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The problem and its line.
        problem: String,
    },
    /// A value out of its range.
    #[error("{key} is {value}, expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// The valid values.
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
    /// The built-in recipes: names and descriptions.
    pub const BUILT_IN: [(&'static str, &'static str); 1] =
        [("tutorial", "the Keras tutorial: 128 and 64 relu, softmax, Adam, batches of 32, 5 epochs")];

    /// Returns the built-in recipe of this name, or reads the file at this path.
    ///
    /// # Errors
    /// If there is neither, or if the file is not a recipe.
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

    /// Parses TOML.
    ///
    /// # Errors
    /// The first problem and its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document = TomlDocument::parse(text)?;
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
            // TOML's integers end at 2^63.
            Some(toml::Value::String(text)) => {
                text.parse().or_else(|_| root.refuse("seed", "a whole number"))?
            }
            _ => root.size("seed", 0)?.unwrap_or(recipe.seed),
        };
        recipe.shuffle = shuffle::read(&root)?.unwrap_or(recipe.shuffle);
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
            return Err(root.error("layers", "found both layers and hidden, expected one of them"));
        }
        recipe.hidden = hidden.unwrap_or(recipe.hidden);
        recipe.layers = layers.iter().map(LayerSettings::read).collect::<Result<_, _>>()?;
        recipe.callbacks =
            root.tables("callbacks")?.iter().map(CallbackSettings::read).collect::<Result<_, _>>()?;
        root.finish()?;
        Ok(recipe)
    }

    /// The recipe as TOML, with every default filled in. [`parse`](Self::parse) reads it back to an equal recipe.
    pub fn to_toml(&self) -> String {
        let mut writer = TomlWriter::default();
        writer.key("dataset", self.dataset.as_str());
        writer.key("epochs", self.epochs as i64);
        writer.key("batch_size", self.batch_size as i64);
        writer.key("validation_split", self.validation_split);
        writer.key(
            "seed",
            i64::try_from(self.seed).map_or_else(|_| self.seed.to_string().into(), toml::Value::from),
        );
        shuffle::write(self.shuffle, &mut writer);
        loss::write(&self.loss, &mut writer);
        if self.layers.is_empty() {
            let hidden = self.hidden.iter().map(|&units| toml::Value::from(units as i64));
            writer.key("hidden", toml::Value::Array(hidden.collect()));
        }
        for layer in &self.layers {
            let LayerSettings { class, settings } = layer.with_defaults();
            writer.item("layers");
            writer.key("type", class);
            settings.iter().for_each(|(key, value)| writer.json(key, value));
        }
        let schedule = self.schedule().cloned();
        OptimizerSettings { optimizer: self.optimizer(), schedule, ..self.optimizer.clone() }
            .write(&mut writer);
        self.augment.write(&mut writer);
        self.callbacks.iter().for_each(|callback| callback.write(&mut writer));
        writer.finish()
    }

    /// Checks the ranges of all values.
    ///
    /// # Errors
    /// The first value out of its range.
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
    /// If there is no data set of this name.
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

    /// The learning rate schedule, unless the learning rate is a number.
    pub fn schedule(&self) -> Option<&ScheduleSettings> {
        self.optimizer.schedule.as_ref().filter(|_| self.learning_rate.is_none())
    }

    /// The learning rate, ignoring a schedule.
    pub fn learning_rate(&self) -> f64 {
        Optimizer::<f32>::learning_rate(&self.optimizer())
    }

    /// The network for images of this shape and this many classes. If the recipe has layers, a Flatten is added before a Dense
    /// whose input is not flat, and a Dense with one unit for each class at the end, unless the last layer already is one.
    ///
    /// # Errors
    /// The first layer with a setting out of its range.
    pub fn network(&self, image_shape: &[usize], classes: usize) -> Result<Sequential, BuildError> {
        let activation = loss::output_activation(&self.loss);
        if !self.layers.is_empty() {
            return layers::network(&self.layers, image_shape, classes, activation);
        }
        let start = Sequential::new(image_shape).flatten();
        let stack = self.hidden.iter().fold(start, |stack, &units| stack.dense(units, Activation::Relu));
        Ok(stack.dense(classes, activation))
    }

    /// The network in messages and checkpoints: the name and value of its setting.
    pub fn network_settings(&self) -> (&'static str, String) {
        if self.layers.is_empty() {
            return ("hidden", format!("{:?}", self.hidden));
        }
        ("layers", self.layers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    /// Whether the recipe is the tutorial's, with any seed.
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
