//! The classes of layers that can be created from their settings in a model's file.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use serde_json::{Map, Value};
use ziffer_tensor::Activation;

use crate::layer::{Layer, LayerError};
use crate::{
    ActivationLayer, BatchNormalization, Dense, Dropout, Elu, Flatten, GaussianNoise, Initializer,
    LayerNormalization, LeakyRelu, PRelu, Relu, Rescaling, Reshape, Softmax,
};

/// Creates a layer from its settings.
type Constructor = Arc<dyn Fn(&Config<'_>) -> Result<Box<dyn Layer<f32>>, LayerError> + Send + Sync>;

/// A layer's settings by name, as [`Layer::config`] returns them and Keras writes them. It records which settings are read.
#[derive(Clone, Debug)]
pub struct Config<'a> {
    settings: &'a Map<String, Value>,
    read: RefCell<Vec<String>>,
}

impl<'a> Config<'a> {
    /// The settings of a JSON object.
    pub fn new(settings: &'a Map<String, Value>) -> Self {
        Self { settings, read: RefCell::default() }
    }

    /// The first setting that was not read: a mistake, in a file that a person wrote.
    pub fn unknown(&self) -> Option<&'a str> {
        let read = self.read.borrow();
        self.settings.keys().map(String::as_str).find(|&name| !read.iter().any(|read| read == name))
    }

    /// The settings that were read, in the order of reading.
    pub fn known(&self) -> Vec<String> {
        self.read.borrow().clone()
    }

    /// A setting as JSON, or `null` if it is missing.
    pub fn value(&self, name: &str) -> &'a Value {
        let mut read = self.read.borrow_mut();
        if !read.iter().any(|read| read == name) {
            read.push(name.to_owned());
        }
        self.settings.get(name).unwrap_or(&Value::Null)
    }

    /// A number, or the default if the setting is missing.
    ///
    /// # Errors
    /// If the setting is not a number, or is missing without a default.
    pub fn number(&self, name: &str, default: Option<f64>) -> Result<f64, LayerError> {
        self.get(name, default, "a number", Value::as_f64)
    }

    /// A whole number of at least 0, or the default if the setting is missing.
    ///
    /// # Errors
    /// As for [`number`](Self::number).
    pub fn size(&self, name: &str, default: Option<usize>) -> Result<usize, LayerError> {
        self.get(name, default, "a whole number", |value| value.as_u64()?.try_into().ok())
    }

    /// `true` or `false`, or the default if the setting is missing.
    ///
    /// # Errors
    /// As for [`number`](Self::number).
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, LayerError> {
        self.get(name, Some(default), "true or false", Value::as_bool)
    }

    /// An activation by Keras's name, or linear if the setting is missing.
    ///
    /// # Errors
    /// If the setting is not the name of a known activation.
    pub fn activation(&self, name: &str) -> Result<Activation, LayerError> {
        let text = self.get(name, Some("linear"), "the name of an activation", Value::as_str)?;
        text.parse().map_err(|problem: String| problem.into())
    }

    /// An initializer by Keras's name, or by class and arguments as Keras writes it, or the default if the setting is missing.
    /// Missing arguments have Keras's defaults.
    ///
    /// # Errors
    /// If the setting is not a known initializer, or has an unknown argument or one that is out of range.
    pub fn initializer(&self, name: &str, default: Initializer) -> Result<Initializer, LayerError> {
        match self.value(name) {
            Value::Null => Ok(default),
            value => Initializer::from_config(name, value),
        }
    }

    /// A list of whole numbers, which may be negative.
    fn whole_numbers(&self, name: &str) -> Result<Vec<i64>, LayerError> {
        let read = |value: &Value| value.as_array()?.iter().map(Value::as_i64).collect();
        self.get(name, None, "a list of whole numbers", read)
    }

    /// One axis, possibly in a list, as Keras writes it for built layers. If the setting is missing, -1: the last axis.
    fn axis(&self, name: &str) -> Result<i64, LayerError> {
        self.get(name, Some(-1), "one axis", |value| match value.as_array() {
            Some(axes) if axes.len() == 1 => axes[0].as_i64(),
            _ => value.as_i64(),
        })
    }

    /// Checks that a setting is present.
    fn required(&self, name: &str, expected: &str) -> Result<(), LayerError> {
        if self.value(name).is_null() {
            Err(format!("no {name}, expected {expected}").into())
        } else {
            Ok(())
        }
    }

    /// Checks that an unsupported setting is missing.
    fn none(&self, name: &str) -> Result<(), LayerError> {
        match self.value(name) {
            Value::Null => Ok(()),
            value => Err(format!("{name} is {}, expected none", shown(value)).into()),
        }
    }

    fn get<T>(
        &self,
        name: &str,
        default: Option<T>,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<T, LayerError> {
        let value = self.value(name);
        if value.is_null() {
            return default.ok_or_else(|| format!("no {name}, expected {expected}").into());
        }
        read(value).ok_or_else(|| format!("{name} is {}, expected {expected}", shown(value)).into())
    }
}

/// A value for a message, shortened if it is long.
fn shown(value: &Value) -> String {
    crate::OneLine(value).to_string()
}

/// The built-in classes.
const BUILT_IN: [&str; 14] = [
    "Activation",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "ELU",
    "Flatten",
    "GaussianNoise",
    "LayerNormalization",
    "LeakyReLU",
    "PReLU",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Softmax",
];

/// Whether this is the class of a built-in layer, which cannot be registered.
pub fn is_built_in(class: &str) -> bool {
    BUILT_IN.contains(&class)
}

/// The registered classes.
fn registered() -> &'static RwLock<HashMap<String, Constructor>> {
    static REGISTERED: OnceLock<RwLock<HashMap<String, Constructor>>> = OnceLock::new();
    REGISTERED.get_or_init(RwLock::default)
}

/// A class name cannot be registered.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class} is the class of a built-in layer; choose another name")]
pub struct RegisterError {
    /// The class.
    pub class: String,
}

ziffer_base::debug_as_message!(RegisterError);

/// Registers a class of layers in this process, so that models with such layers can be loaded, as
/// `keras.saving.register_keras_serializable` does. It replaces a class of the same name.
///
/// `from_config` creates a layer from the settings that [`Layer::config`] returns.
///
/// # Errors
/// If the class is built in.
pub fn register_layer<L: Layer<f32> + 'static>(
    class: &str,
    from_config: impl Fn(&Config<'_>) -> Result<L, LayerError> + Send + Sync + 'static,
) -> Result<(), RegisterError> {
    if is_built_in(class) {
        return Err(RegisterError { class: class.to_owned() });
    }
    let constructor: Constructor = Arc::new(move |config| Ok(Box::new(from_config(config)?)));
    let mut registered = registered().write().unwrap_or_else(PoisonError::into_inner);
    registered.insert(class.to_owned(), constructor);
    Ok(())
}

/// Creates a layer of a built-in or registered class from its settings. Returns `None` if the class is unknown.
///
/// # Errors
/// If the settings are wrong.
pub fn layer_from_config(
    class: &str,
    config: &Config<'_>,
) -> Result<Option<Box<dyn Layer<f32>>>, LayerError> {
    Ok(Some(match class {
        "Dense" => Box::new(dense(config)?),
        "Flatten" => Box::new(Flatten),
        "Dropout" => Box::new(Dropout::new(config.number("rate", None)?)),
        "Rescaling" => {
            Box::new(Rescaling::new(config.number("scale", None)?, config.number("offset", Some(0.0))?))
        }
        "BatchNormalization" => Box::new(batch_normalization(config)?),
        "Activation" => {
            config.required("activation", "the name of an activation")?;
            Box::new(ActivationLayer::new(config.activation("activation")?))
        }
        "LeakyReLU" => Box::new(LeakyRelu::new(config.number("negative_slope", Some(0.3))?)),
        "ReLU" => Box::new(relu(config)?),
        "ELU" => Box::new(Elu::new(config.number("alpha", Some(1.0))?)),
        "Softmax" => Box::new(Softmax::new().axis(config.axis("axis")?)),
        "PReLU" => {
            config.none("shared_axes")?;
            let initializer = config.initializer("alpha_initializer", Initializer::Zeros)?;
            Box::new(PRelu::new().alpha_initializer(initializer))
        }
        "Reshape" => Box::new(Reshape::new(config.whole_numbers("target_shape")?)),
        "GaussianNoise" => Box::new(GaussianNoise::new(config.number("stddev", None)?)),
        "LayerNormalization" => Box::new(layer_normalization(config)?),
        _ => {
            let registered = registered().read().unwrap_or_else(PoisonError::into_inner).get(class).cloned();
            return registered.map(|from_config| from_config(config)).transpose();
        }
    }))
}

/// The known classes in alphabetical order, separated by commas, for messages.
pub fn known_classes() -> String {
    let registered = registered().read().unwrap_or_else(PoisonError::into_inner);
    let mut known: Vec<&str> = BUILT_IN.into_iter().chain(registered.keys().map(String::as_str)).collect();
    known.sort_unstable();
    known.join(", ")
}

fn dense(config: &Config<'_>) -> Result<Dense, LayerError> {
    let kernel = config.initializer("kernel_initializer", Initializer::GlorotUniform)?;
    let bias = config.initializer("bias_initializer", Initializer::Zeros)?;
    Ok(Dense::new(config.size("units", None)?, config.activation("activation")?)
        .use_bias(config.flag("use_bias", true)?)
        .kernel_initializer(kernel)
        .bias_initializer(bias))
}

fn relu(config: &Config<'_>) -> Result<Relu, LayerError> {
    let relu = Relu::new()
        .negative_slope(config.number("negative_slope", Some(0.0))?)
        .threshold(config.number("threshold", Some(0.0))?);
    if config.value("max_value").is_null() {
        return Ok(relu);
    }
    Ok(relu.max_value(config.number("max_value", None)?))
}

fn layer_normalization(config: &Config<'_>) -> Result<LayerNormalization, LayerError> {
    if config.flag("rms_scaling", false)? {
        return Err("rms_scaling is true, expected false".into());
    }
    Ok(LayerNormalization::new()
        .axis(config.axis("axis")?)
        .epsilon(config.number("epsilon", Some(1e-3))?)
        .center(config.flag("center", true)?)
        .scale(config.flag("scale", true)?)
        .beta_initializer(config.initializer("beta_initializer", Initializer::Zeros)?)
        .gamma_initializer(config.initializer("gamma_initializer", Initializer::Ones)?))
}

fn batch_normalization(config: &Config<'_>) -> Result<BatchNormalization, LayerError> {
    let (zeros, ones) = (Initializer::Zeros, Initializer::Ones);
    Ok(BatchNormalization::new()
        .momentum(config.number("momentum", Some(0.99))?)
        .epsilon(config.number("epsilon", Some(1e-3))?)
        .center(config.flag("center", true)?)
        .scale(config.flag("scale", true)?)
        .beta_initializer(config.initializer("beta_initializer", zeros)?)
        .gamma_initializer(config.initializer("gamma_initializer", ones)?)
        .moving_mean_initializer(config.initializer("moving_mean_initializer", zeros)?)
        .moving_variance_initializer(config.initializer("moving_variance_initializer", ones)?))
}
