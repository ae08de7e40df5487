//! The classes of layers that can be made from their settings, as a model's file has them.

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

/// Makes a layer of its settings.
type Constructor = Arc<dyn Fn(&Config<'_>) -> Result<Box<dyn Layer<f32>>, LayerError> + Send + Sync>;

/// A layer's settings by name, as [`Layer::config`] gives them and Keras writes them. It knows which were asked for.
#[derive(Clone, Debug)]
pub struct Config<'a> {
    settings: &'a Map<String, Value>,
    asked: RefCell<Vec<String>>,
}

impl<'a> Config<'a> {
    /// Settings in JSON.
    pub fn new(settings: &'a Map<String, Value>) -> Self {
        Self { settings, asked: RefCell::default() }
    }

    /// The first setting that nobody asked for: in a file that a person wrote, a mistake.
    pub fn unknown(&self) -> Option<&'a str> {
        let asked = self.asked.borrow();
        self.settings.keys().map(String::as_str).find(|&name| !asked.iter().any(|asked| asked == name))
    }

    /// The settings that were asked for, in the order in which they were.
    pub fn known(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    /// A setting as it is; `null` if there is none.
    pub fn value(&self, name: &str) -> &'a Value {
        let mut asked = self.asked.borrow_mut();
        if !asked.iter().any(|asked| asked == name) {
            asked.push(name.to_owned());
        }
        self.settings.get(name).unwrap_or(&Value::Null)
    }

    /// A number, or the default if there is none.
    ///
    /// # Errors
    /// If there is something else, or neither a number nor a default.
    pub fn number(&self, name: &str, default: Option<f64>) -> Result<f64, LayerError> {
        self.get(name, default, "a number", Value::as_f64)
    }

    /// A whole number of at least 0, or the default if there is none.
    ///
    /// # Errors
    /// As for [`number`](Self::number).
    pub fn size(&self, name: &str, default: Option<usize>) -> Result<usize, LayerError> {
        self.get(name, default, "a whole number", |value| value.as_u64()?.try_into().ok())
    }

    /// `true` or `false`, or the default if there is none.
    ///
    /// # Errors
    /// As for [`number`](Self::number).
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, LayerError> {
        self.get(name, Some(default), "true or false", Value::as_bool)
    }

    /// An activation, by Keras's name; linear if there is none.
    ///
    /// # Errors
    /// If there is something else, or one that is not known.
    pub fn activation(&self, name: &str) -> Result<Activation, LayerError> {
        let text = self.get(name, Some("linear"), "the name of an activation", Value::as_str)?;
        text.parse().map_err(|problem: String| problem.into())
    }

    /// An initialiser, by Keras's name or as Keras writes it with its class and arguments, or the default if there is none. What
    /// is not said of the arguments is Keras's default.
    ///
    /// # Errors
    /// If there is something else, one that is not known, or an argument that it does not have or that is out of its range.
    pub fn initializer(&self, name: &str, default: Initializer) -> Result<Initializer, LayerError> {
        match self.value(name) {
            Value::Null => Ok(default),
            value => Initializer::from_config(name, value),
        }
    }

    /// Whole numbers, negative ones too, in a list.
    fn whole_numbers(&self, name: &str) -> Result<Vec<i64>, LayerError> {
        let read = |value: &Value| value.as_array()?.iter().map(Value::as_i64).collect();
        self.get(name, None, "a list of whole numbers", read)
    }

    /// The number of one axis, perhaps in a list, as Keras writes it of a layer that is built; -1, the last, if there is none.
    fn axis(&self, name: &str) -> Result<i64, LayerError> {
        self.get(name, Some(-1), "one axis", |value| match value.as_array() {
            Some(axes) if axes.len() == 1 => axes[0].as_i64(),
            _ => value.as_i64(),
        })
    }

    /// Checks that a setting is there.
    fn required(&self, name: &str, expected: &str) -> Result<(), LayerError> {
        if self.value(name).is_null() {
            Err(format!("no {name}, expected {expected}").into())
        } else {
            Ok(())
        }
    }

    /// Checks that a setting that is not understood is not there.
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

/// A value in a message, cut if it is long.
fn shown(value: &Value) -> String {
    crate::OneLine(value).to_string()
}

/// The classes that the crate has.
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

/// Whether the crate itself has a layer of this class, so that it cannot be registered.
pub fn is_built_in(class: &str) -> bool {
    BUILT_IN.contains(&class)
}

/// The classes that were registered.
fn registered() -> &'static RwLock<HashMap<String, Constructor>> {
    static REGISTERED: OnceLock<RwLock<HashMap<String, Constructor>>> = OnceLock::new();
    REGISTERED.get_or_init(RwLock::default)
}

/// A class name that cannot be registered.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class} is the class of a built-in layer; choose another name")]
pub struct RegisterError {
    /// The class.
    pub class: String,
}

ziffer_base::debug_as_message!(RegisterError);

/// Makes a class of layers known to this process, so that models with such layers can be loaded, as
/// `keras.saving.register_keras_serializable` does. A class that was registered before is replaced.
///
/// `from_config` makes a layer of the settings that its [`Layer::config`] gave.
///
/// # Errors
/// If it is the class of a built-in layer.
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

/// A layer of a built-in or registered class, made of its settings; `None` if the class is not known.
///
/// # Errors
/// What is wrong with the settings.
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

/// The known classes in alphabetical order, for messages.
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
