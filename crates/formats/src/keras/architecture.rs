//! The architecture in a file's JSON, `config.json` or the attribute `model_config`: a stack of layers that ziffer has.
//! An activation layer right behind a Dense layer becomes the activation of that layer. Elsewhere it stays a layer.

use serde_json::{Map, Value};
use ziffer_nn::{
    Activation, Config, Dense, Flatten, Initializer, Layer, LayerError, is_built_in, layer_from_config,
};

use super::assumption::Assumption;
use super::chain::{self, LayerDescription};
use super::error::{ImportError, LayerId, shown};

/// The longest JSON that is read, in bytes. That of a dense network has about a thousand bytes a layer.
const MAX_JSON_LEN: usize = 1 << 18;

/// An architecture.
#[derive(Debug, Default)]
pub(super) struct Architecture {
    /// The shape of a sample, if the file has it.
    pub(super) input_shape: Option<Vec<usize>>,
    /// The layers behind the input layer, in order.
    pub(super) layers: Vec<Entry>,
    /// What the import assumes and leaves out.
    pub(super) assumptions: Vec<Assumption>,
}

/// A layer of an architecture.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: LayerId,
    /// The name in the file, uncut.
    pub(super) name: String,
    /// The layer's number among those of its class in the file, from 0.
    pub(super) number: usize,
    pub(super) kind: Kind,
    /// Whether training updates the weights.
    pub(super) trainable: bool,
}

/// What a layer is built from.
#[derive(Debug)]
pub(super) enum Kind {
    Dense {
        units: usize,
        activation: Activation,
        bias: bool,
        kernel_initializer: Initializer,
        bias_initializer: Initializer,
    },
    Flatten,
    /// A class of the registry, with its settings.
    Registered {
        class: String,
        settings: Map<String, Value>,
        /// The axis that the layer works on, if the file has one. It must be the last.
        axis: Option<i64>,
    },
}

impl Kind {
    /// A Dense layer with the default initializers.
    pub(super) fn dense(units: usize, activation: Activation, bias: bool) -> Self {
        let (kernel_initializer, bias_initializer) = (Initializer::GlorotUniform, Initializer::Zeros);
        Self::Dense { units, activation, bias, kernel_initializer, bias_initializer }
    }

    /// Creates the layer.
    pub(super) fn layer(&self) -> Result<Box<dyn Layer<f32>>, LayerError> {
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

    /// The class, by Keras's name.
    pub(super) fn class(&self) -> &str {
        match self {
            Self::Dense { .. } => "Dense",
            Self::Flatten => "Flatten",
            Self::Registered { class, .. } => class,
        }
    }
}

/// Parses JSON. Errors name `location`.
fn parse(json: &[u8], location: &'static str) -> Result<Value, ImportError> {
    if json.len() > MAX_JSON_LEN {
        let problem = format!("{} bytes, expected at most {MAX_JSON_LEN}", json.len());
        return Err(ImportError::Json { location, problem, source: None });
    }
    serde_json::from_slice(json).map_err(|error| ImportError::Json {
        location,
        problem: "not valid JSON".to_owned(),
        source: Some(error),
    })
}

impl Architecture {
    /// Reads an architecture from JSON. Errors name `location`.
    pub(super) fn read(json: &[u8], location: &'static str) -> Result<Self, ImportError> {
        let value = parse(json, location)?;
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
        if let Some(Entry { id, kind, .. }) = last {
            let gives_logits = match kind {
                Kind::Dense { activation, .. } => *activation == Activation::Linear,
                Kind::Flatten => true,
                Kind::Registered { class, .. } => {
                    matches!(class.as_str(), "BatchNormalization" | "LayerNormalization" | "Rescaling")
                }
            };
            if gives_logits {
                return Err(ImportError::Model(format!(
                    "ends in {} without an activation, so that it returns logits; \
                     add a softmax in Keras, model.add(keras.layers.Softmax()), and save again",
                    id.name
                )));
            }
        }
        Ok(architecture)
    }

    /// The assumed architecture of a file that has only weights.
    pub(super) fn assumed(layers: Vec<Entry>) -> Self {
        Self { input_shape: None, layers, assumptions: vec![Assumption::Architecture] }
    }

    /// Adds a layer, or returns what is wrong with it.
    fn add(&mut self, layer: &LayerDescription<'_>) -> Result<(), String> {
        if layer.position == 1 {
            self.input_shape = layer.input_shape()?.or(self.input_shape.take());
        }
        if layer.module.is_some() {
            return self.push_registered(layer, None);
        }
        let config = layer.config;
        match layer.class {
            "InputLayer" if layer.position == 1 => {}
            "InputLayer" => return Err("an input layer behind the first layer".to_owned()),
            "Flatten" => {
                let format = config["data_format"].as_str().unwrap_or("channels_last");
                if format != "channels_last" {
                    return Err(format!("data_format {format:?}, expected channels_last"));
                }
                self.push(layer, Kind::Flatten);
            }
            "Dense" => {
                let units = size(&config["units"]).ok_or("no units, expected a positive integer")?;
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
                    // Before Keras 3 it can be a list.
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
                let LayerId { name, class, .. } = layer.id();
                self.assumptions.push(Assumption::TrainingOnly { layer: name, class });
            }
            _ => self.push_registered(layer, None)?,
        }
        Ok(())
    }

    /// A layer's settings.
    ///
    /// Weights that are read do not depend on initializers. An initializer of a built-in layer that is not supported is therefore
    /// left out.
    fn settings(&mut self, layer: &LayerDescription<'_>) -> Map<String, Value> {
        let mut settings = layer.config.as_object().cloned().unwrap_or_default();
        let is_built_in_layer = layer.module.is_none() && is_built_in(layer.class);
        let mut unknown = Vec::new();
        for (setting, value) in settings.iter_mut().filter(|(setting, _)| setting.ends_with("_initializer")) {
            if let Some(arguments) = value.get_mut("config").and_then(Value::as_object_mut) {
                // Weights have the model's number type and are drawn with its seed.
                arguments.remove("dtype");
                arguments.remove("seed");
            }
            let alone = Map::from_iter([(setting.clone(), value.clone())]);
            if is_built_in_layer && Config::new(&alone).initializer(setting, Initializer::Zeros).is_err() {
                unknown.push(setting.clone());
            }
        }
        for setting in unknown {
            let value = settings.remove(&setting).unwrap_or_default();
            let name = value.as_str().or(value["class_name"].as_str());
            // The name of a supported initializer does not tell what is wrong: its arguments do.
            let name = name.filter(|name| name.parse::<Initializer>().is_err());
            let initializer = name.map_or_else(|| json(&value), shown);
            let LayerId { name, class, .. } = layer.id();
            self.assumptions.push(Assumption::Initializer { layer: name, class, setting, initializer });
        }
        settings
    }

    fn push(&mut self, layer: &LayerDescription<'_>, kind: Kind) {
        let trainable = layer.config["trainable"].as_bool().unwrap_or(true);
        let (id, name, number) = (layer.id(), layer.name.to_owned(), layer.number);
        self.layers.push(Entry { id, name, number, kind, trainable });
    }

    /// Adds a layer of a built-in or registered class.
    fn push_registered(&mut self, layer: &LayerDescription<'_>, axis: Option<i64>) -> Result<(), String> {
        let settings = self.settings(layer);
        self.push_settings(layer, settings, axis)
    }

    /// Adds a layer of a built-in or registered class with these settings.
    fn push_settings(
        &mut self,
        layer: &LayerDescription<'_>,
        settings: Map<String, Value>,
        axis: Option<i64>,
    ) -> Result<(), String> {
        // A class of another module may have the name of a built-in class.
        let is_namesake = layer.module.is_some() && is_built_in(layer.class);
        let known = if is_namesake {
            None
        } else {
            layer_from_config(layer.class, &Config::new(&settings)).map_err(|problem| problem.to_string())?
        };
        if known.is_none() {
            return Err("this class is not supported, expected InputLayer, Rescaling, Flatten, Reshape, Dense, Activation, ReLU, \
                        LeakyReLU, PReLU, ELU, Softmax, Dropout, GaussianNoise, BatchNormalization, LayerNormalization or a \
                        registered class"
                .to_owned());
        }
        self.push(layer, Kind::Registered { class: layer.class.to_owned(), settings, axis });
        Ok(())
    }

    /// Makes the activation of an activation layer that of the Dense layer right before it, if that one has none. Returns
    /// whether the activation layer is no longer needed, as is always true of a linear one.
    fn fold(&mut self, activation: Activation) -> bool {
        // Dropout sets numbers to 0 or scales them by a positive factor, so relu can be applied before it.
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

/// The shape of a sample that a Sequential without an input layer was built for.
fn built_shape(config: &Value) -> Option<Vec<usize>> {
    chain::sample_shape(&config["build_input_shape"]).ok().flatten()
}

/// An activation by Keras's name; linear for `null`.
fn activation(value: &Value) -> Result<Activation, String> {
    match value {
        Value::Null => Ok(Activation::Linear),
        Value::String(name) => shown(name).parse::<Activation>().map_err(|error| error.to_string()),
        // A function or a layer instead of a name.
        Value::Object(object) => {
            let name = object.get("config").and_then(Value::as_str);
            let name = name.or(object.get("class_name").and_then(Value::as_str)).unwrap_or("without a name");
            library_function(value).ok_or_else(|| {
                format!("a custom activation, {}; only Keras's own are supported", shown(name))
            })
        }
        other => Err(format!("activation {}, expected a name", json(other))),
    }
}

/// The activation of a function of Keras, TensorFlow or jax.nn. A custom function, whose module Keras 3 calls `builtins`, can
/// have the same name and compute something else.
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
        // In jax the default gelu is the one by tanh, and the slope of leaky_relu is 0.01.
        Activation::Gelu if is_jax => Some(Activation::GeluTanh),
        Activation::LeakyRelu if is_jax => None,
        activation => Some(activation),
    }
}

fn size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|size| size.try_into().ok())
}

/// A value of the file for a message.
fn json(value: &Value) -> String {
    shown(&value.to_string())
}
