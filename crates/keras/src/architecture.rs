//! The architecture in a file's JSON, `config.json` or the attribute `model_config`: a stack of layers that ziffer has.
//! Activations that are layers of their own fold into a Dense layer right before them; elsewhere they stay layers.

use serde_json::{Map, Value};
use ziffer_nn::{
    Activation, Config, Dense, Flatten, Initializer, Layer, LayerError, is_built_in, layer_from_config,
};

use crate::chain::{self, Described};
use crate::error::{Label, shown};
use crate::{Assumption, ImportError};

/// The longest JSON that is read, in bytes; that of a dense network has a thousand or so a layer.
const LONGEST: usize = 1 << 18;

/// What an architecture says.
#[derive(Debug, Default)]
pub(crate) struct Architecture {
    /// The shape of a sample, if it is said.
    pub(crate) input_shape: Option<Vec<usize>>,
    /// The layers behind the input, in order.
    pub(crate) layers: Vec<Entry>,
    /// What is left out of the file's network.
    pub(crate) assumptions: Vec<Assumption>,
}

/// A layer of an architecture.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) label: Label,
    /// The name in the file, whole.
    pub(crate) name: String,
    /// The layer's number among those of its class in the file, from 0.
    pub(crate) number: usize,
    pub(crate) kind: Kind,
    /// Whether training updates it.
    pub(crate) trainable: bool,
}

/// What a layer is made of.
#[derive(Debug)]
pub(crate) enum Kind {
    Dense {
        units: usize,
        activation: Activation,
        bias: bool,
        kernel_initializer: Initializer,
        bias_initializer: Initializer,
    },
    Flatten,
    /// A class of the registry's, with its settings.
    Registered {
        class: String,
        settings: Map<String, Value>,
        /// The axis that it works on, if the file says one; it must be the last.
        axis: Option<i64>,
    },
}

impl Kind {
    /// A Dense layer whose weights start as Keras's by default.
    pub(crate) fn dense(units: usize, activation: Activation, bias: bool) -> Self {
        let (kernel_initializer, bias_initializer) = (Initializer::GlorotUniform, Initializer::Zeros);
        Self::Dense { units, activation, bias, kernel_initializer, bias_initializer }
    }

    /// Makes the layer.
    pub(crate) fn layer(&self) -> Result<Box<dyn Layer<f32>>, LayerError> {
        match self {
            &Self::Dense { units, activation, bias, kernel_initializer, bias_initializer } => {
                let dense = Dense::new(units, activation)
                    .use_bias(bias)
                    .kernel_initializer(kernel_initializer)
                    .bias_initializer(bias_initializer);
                Ok(Box::new(dense))
            }
            Self::Flatten => Ok(Box::new(Flatten)),
            Self::Registered { class, settings, .. } => {
                Ok(layer_from_config(class, &Config::new(settings))?.expect("the class was looked up"))
            }
        }
    }

    /// The class, as Keras calls it.
    pub(crate) fn class(&self) -> &str {
        match self {
            Self::Dense { .. } => "Dense",
            Self::Flatten => "Flatten",
            Self::Registered { class, .. } => class,
        }
    }
}

/// Reads the JSON that is called `place`.
pub(crate) fn parse(json: &[u8], place: &'static str) -> Result<Value, ImportError> {
    if json.len() > LONGEST {
        let problem = format!("{} bytes, expected no more than {LONGEST}", json.len());
        return Err(ImportError::Json { place, problem, source: None });
    }
    serde_json::from_slice(json).map_err(|error| ImportError::Json {
        place,
        problem: "not whole JSON".to_owned(),
        source: Some(error),
    })
}

impl Architecture {
    /// Reads the JSON that is called `place`.
    pub(crate) fn read(json: &[u8], place: &'static str) -> Result<Self, ImportError> {
        let value = parse(json, place)?;
        let mut architecture = Self { input_shape: built_shape(&value["config"]), ..Self::default() };
        for layer in chain::layers(&value)? {
            architecture.add(&layer).map_err(|problem| layer.error(problem))?;
        }
        let dense = architecture.layers.iter().any(|entry| matches!(entry.kind, Kind::Dense { .. }));
        if !dense {
            return Err(ImportError::Model("has no Dense layer".to_owned()));
        }
        let last =
            architecture.layers.iter().rev().find(|entry| {
                !matches!(entry.kind.class(), "Dropout" | "Flatten" | "GaussianNoise" | "Reshape")
            });
        if let Some(Entry { label, kind, .. }) = last {
            let gives_logits = match kind {
                Kind::Dense { activation, .. } => *activation == Activation::Linear,
                Kind::Flatten => true,
                Kind::Registered { class, .. } => {
                    matches!(class.as_str(), "BatchNormalization" | "LayerNormalization" | "Rescaling")
                }
            };
            if gives_logits {
                return Err(ImportError::Model(format!(
                    "ends in {} without an activation, so that it gives logits; \
                     add a softmax in Keras, model.add(keras.layers.Softmax()), and save again",
                    label.name
                )));
            }
        }
        Ok(architecture)
    }

    /// Nothing but layers, for a file that has weights alone.
    pub(crate) fn assumed(layers: Vec<Entry>) -> Self {
        Self { input_shape: None, layers, assumptions: vec![Assumption::Architecture] }
    }

    /// Adds a layer, or says why it cannot be.
    fn add(&mut self, layer: &Described<'_>) -> Result<(), String> {
        if layer.position == 1 {
            self.input_shape = layer.input_shape()?.or(self.input_shape.take());
        }
        if layer.module.is_some() {
            return self.push_registered(layer, None);
        }
        let config = layer.config;
        match layer.class {
            "InputLayer" if layer.position == 1 => {}
            "InputLayer" => return Err("an input behind the first layer".to_owned()),
            "Flatten" => {
                let format = config["data_format"].as_str().unwrap_or("channels_last");
                if format != "channels_last" {
                    return Err(format!("data_format {format:?}, expected channels_last"));
                }
                self.push(layer, Kind::Flatten);
            }
            "Dense" => {
                let units = size(&config["units"]).ok_or("no number of units")?;
                let activation = activation(&config["activation"])?;
                let bias = config["use_bias"].as_bool().unwrap_or(true);
                let settings = self.settings(layer);
                let config = Config::new(&settings);
                let initializer = |setting, default| {
                    config.initializer(setting, default).map_err(|error| error.to_string())
                };
                let kernel_initializer = initializer("kernel_initializer", Initializer::GlorotUniform)?;
                let bias_initializer = initializer("bias_initializer", Initializer::Zeros)?;
                self.push(
                    layer,
                    Kind::Dense { units, activation, bias, kernel_initializer, bias_initializer },
                );
            }
            "Activation" => {
                let activation = activation(&config["activation"])?;
                if !self.fold(activation) {
                    let mut settings = self.settings(layer);
                    settings.insert("activation".to_owned(), activation.name().into());
                    self.push_settings(layer, settings, None)?;
                }
            }
            "ReLU" => {
                let is_zero =
                    |setting: &str| config[setting].is_null() || config[setting].as_f64() == Some(0.0);
                let plain =
                    config["max_value"].is_null() && is_zero("negative_slope") && is_zero("threshold");
                if !(plain && self.fold(Activation::Relu)) {
                    self.push_registered(layer, None)?;
                }
            }
            "LeakyReLU" => {
                let mut settings = self.settings(layer);
                // Its name before Keras 3.
                if let Some(slope) = settings.remove("alpha") {
                    settings.entry("negative_slope").or_insert(slope);
                }
                self.push_settings(layer, settings, None)?;
            }
            "Softmax" => {
                let axis = &config["axis"];
                // A Dense layer's outputs are flat.
                let is_last = axis.is_null() || matches!(axis.as_i64(), Some(-1 | 1));
                if !(is_last && self.fold(Activation::Softmax)) {
                    self.push_registered(layer, None)?;
                }
            }
            "Dropout" => {
                let shape = &config["noise_shape"];
                if !shape.is_null() {
                    return Err(format!("noise_shape is {}, expected none", json(shape)));
                }
                self.push_registered(layer, None)?;
            }
            "BatchNormalization" => {
                let axis = match &config["axis"] {
                    Value::Null => None,
                    // Before Keras 3 it may be a list.
                    axis => Some(
                        axis.as_i64()
                            .or_else(|| axis.as_array().filter(|axes| axes.len() == 1)?[0].as_i64())
                            .ok_or_else(|| format!("axis is {}, expected -1", json(axis)))?,
                    ),
                };
                if config["renorm"].as_bool() == Some(true) {
                    return Err("renorm is true, expected false".to_owned());
                }
                let virtual_batch_size = &config["virtual_batch_size"];
                if !virtual_batch_size.is_null() {
                    return Err(format!("virtual_batch_size is {}, expected none", json(virtual_batch_size)));
                }
                self.push_registered(layer, axis)?;
            }
            "AlphaDropout" | "GaussianDropout" | "ActivityRegularization" => {
                let Label { name, class, .. } = layer.label();
                self.assumptions.push(Assumption::TrainingOnly { layer: name, class });
            }
            _ => self.push_registered(layer, None)?,
        }
        Ok(())
    }

    /// A layer's settings.
    ///
    /// Initialisers do not matter to weights that are read, so that a layer of ziffer's is not refused because of one that ziffer
    /// has no equal of: it is left out.
    fn settings(&mut self, layer: &Described<'_>) -> Map<String, Value> {
        let mut settings = layer.config.as_object().cloned().unwrap_or_default();
        let is_ziffers = layer.module.is_none() && is_built_in(layer.class);
        let mut unknown = Vec::new();
        for (setting, value) in settings.iter_mut().filter(|(setting, _)| setting.ends_with("_initializer")) {
            if let Some(arguments) = value.get_mut("config").and_then(Value::as_object_mut) {
                // Weights have the number type of the model and are drawn with its seed.
                arguments.remove("dtype");
                arguments.remove("seed");
            }
            let alone = Map::from_iter([(setting.clone(), value.clone())]);
            if is_ziffers && Config::new(&alone).initializer(setting, Initializer::Zeros).is_err() {
                unknown.push(setting.clone());
            }
        }
        for setting in unknown {
            let value = settings.remove(&setting).unwrap_or_default();
            let name = value.as_str().or(value["class_name"].as_str());
            // Of one that is known the arguments are not.
            let name = name.filter(|name| name.parse::<Initializer>().is_err());
            let initializer = name.map_or_else(|| json(&value), shown);
            let Label { name, class, .. } = layer.label();
            self.assumptions.push(Assumption::Initializer { layer: name, class, setting, initializer });
        }
        settings
    }

    fn push(&mut self, layer: &Described<'_>, kind: Kind) {
        let trainable = layer.config["trainable"].as_bool().unwrap_or(true);
        let (label, name, number) = (layer.label(), layer.name.to_owned(), layer.number);
        self.layers.push(Entry { label, name, number, kind, trainable });
    }

    /// Adds a layer that ziffer or the program can make of its settings.
    fn push_registered(&mut self, layer: &Described<'_>, axis: Option<i64>) -> Result<(), String> {
        let settings = self.settings(layer);
        self.push_settings(layer, settings, axis)
    }

    /// The same, of settings that are not quite the file's.
    fn push_settings(
        &mut self,
        layer: &Described<'_>,
        settings: Map<String, Value>,
        axis: Option<i64>,
    ) -> Result<(), String> {
        // A class of the user's may be called as one of ziffer's.
        let is_namesake = layer.module.is_some() && is_built_in(layer.class);
        let known = if is_namesake {
            None
        } else {
            layer_from_config(layer.class, &Config::new(&settings)).map_err(|problem| problem.to_string())?
        };
        if known.is_none() {
            return Err("ziffer has no equal of it; InputLayer, Rescaling, Flatten, Reshape, Dense, Activation, ReLU, LeakyReLU, \
                        PReLU, ELU, Softmax, Dropout, GaussianNoise, BatchNormalization, LayerNormalization and registered \
                        classes are understood"
                .to_owned());
        }
        self.push(layer, Kind::Registered { class: layer.class.to_owned(), settings, axis });
        Ok(())
    }

    /// Gives a Dense layer right before it the activation that a layer of its own applies to its outputs, and says whether it
    /// did. What is linear is nothing.
    fn fold(&mut self, activation: Activation) -> bool {
        // A dropped number stays 0 and a kept one keeps its sign, so that relu may come first.
        let commutes = |entry: &&mut Entry| activation == Activation::Relu && entry.kind.class() == "Dropout";
        match self.layers.iter_mut().rev().find(|entry| !commutes(entry)) {
            _ if activation == Activation::Linear => true,
            Some(Entry { kind: Kind::Dense { activation: before, .. }, .. })
                if *before == Activation::Linear =>
            {
                *before = activation;
                true
            }
            _ => false,
        }
    }
}

/// The shape of a sample that a Sequential was built for, which it says if it has no input layer.
fn built_shape(config: &Value) -> Option<Vec<usize>> {
    chain::sample_shape(&config["build_input_shape"]).ok().flatten()
}

/// An activation: Keras's name of it, or nothing for none.
fn activation(value: &Value) -> Result<Activation, String> {
    match value {
        Value::Null => Ok(Activation::Linear),
        Value::String(name) => shown(name).parse::<Activation>().map_err(|error| error.to_string()),
        // A function or a layer in the place of a name.
        Value::Object(object) => {
            let name = object.get("config").and_then(Value::as_str);
            let name = name.or(object.get("class_name").and_then(Value::as_str)).unwrap_or("without a name");
            library_function(value).ok_or_else(|| {
                format!("an activation of its own, {}; only Keras's by name are understood", shown(name))
            })
        }
        other => Err(format!("activation {}, expected a name", json(other))),
    }
}

/// The activation that a function of Keras's, TensorFlow's or jax.nn is. A function of the program's own, whose module Keras 3
/// calls `builtins`, may have the same name and be another.
fn library_function(value: &Value) -> Option<Activation> {
    let (module, name) = (value["module"].as_str()?, value["config"].as_str()?);
    let is_of =
        |root: &str| module == root || module.strip_prefix(root).is_some_and(|rest| rest.starts_with('.'));
    let is_jax = is_of("jax.nn") || is_of("jax._src.nn");
    let is_known = is_jax || is_of("keras") || is_of("tf_keras") || is_of("tensorflow");
    if value["class_name"] != "function" || !is_known {
        return None;
    }
    match name.parse().ok()? {
        // By jax's defaults, gelu is that of tanh, and leaky_relu has the slope 0.01.
        Activation::Gelu if is_jax => Some(Activation::GeluTanh),
        Activation::LeakyRelu if is_jax => None,
        activation => Some(activation),
    }
}

fn size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|size| size.try_into().ok())
}

/// A value of the file in a message.
fn json(value: &Value) -> String {
    shown(&value.to_string())
}
