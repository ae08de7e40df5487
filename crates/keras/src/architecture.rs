//! The architecture in a file's JSON, `config.json` or the attribute `model_config`: a stack of layers, as far as they are
//! or fold into Dense.

use serde_json::Value;
use ziffer_nn::Activation;

use crate::ImportError;
use crate::chain::{self, Described};
use crate::error::shown;

/// The longest JSON that is read, in bytes; that of a dense network has a thousand or so a layer.
const LONGEST: usize = 1 << 18;

/// The factor of pixels that ziffer's models apply themselves, and how near to it a Rescaling's must be.
const SCALE: f64 = 1.0 / 255.0;
const SCALE_TOLERANCE: f64 = 1e-9;

/// What an architecture says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Architecture {
    /// The shape of a sample, if it is said.
    pub(crate) input_shape: Option<Vec<usize>>,
    /// Whether there is a Flatten.
    pub(crate) flattens: bool,
    /// Whether there is a Rescaling by 1/255.
    pub(crate) rescales: bool,
    /// The Dense layers in order.
    pub(crate) dense: Vec<Dense>,
}

/// A Dense layer, with what follows it folded in.
#[derive(Debug, PartialEq)]
pub(crate) struct Dense {
    pub(crate) name: String,
    pub(crate) units: usize,
    pub(crate) activation: Activation,
    pub(crate) bias: bool,
}

impl Architecture {
    /// Reads the JSON that is called `place`.
    pub(crate) fn read(json: &[u8], place: &'static str) -> Result<Self, ImportError> {
        if json.len() > LONGEST {
            let problem = format!("{} bytes, expected no more than {LONGEST}", json.len());
            return Err(ImportError::Json { place, problem, source: None });
        }
        let value: Value = serde_json::from_slice(json).map_err(|error| ImportError::Json {
            place,
            problem: "not whole JSON".to_owned(),
            source: Some(error),
        })?;
        let mut architecture = Self { input_shape: built_shape(&value["config"]), ..Self::default() };
        for layer in chain::layers(&value)? {
            architecture.add(&layer).map_err(|problem| layer.error(problem))?;
        }
        match architecture.dense.last() {
            None => Err(ImportError::Model("has no Dense layer".to_owned())),
            Some(last) if last.activation == Activation::Linear => Err(ImportError::Model(format!(
                "ends in {} without an activation, so that it gives logits; \
                 add a softmax in Keras, model.add(keras.layers.Softmax()), and save again",
                shown(&last.name)
            ))),
            Some(_) => Ok(architecture),
        }
    }

    /// Adds a layer, or says why it cannot be.
    fn add(&mut self, layer: &Described<'_>) -> Result<(), String> {
        if layer.position == 1 {
            self.input_shape = layer.input_shape()?.or(self.input_shape.take());
        }
        let config = layer.config;
        match layer.class.as_str() {
            "InputLayer" if layer.position == 1 => {}
            "InputLayer" => return Err("an input behind the first layer".to_owned()),
            "Flatten" => {
                let format = config["data_format"].as_str().unwrap_or("channels_last");
                if format != "channels_last" {
                    return Err(format!("data_format {format:?}, expected channels_last"));
                }
                self.flattens = true;
            }
            "Rescaling" => {
                let (scale, offset) = (config["scale"].as_f64(), config["offset"].as_f64());
                let near = scale.is_some_and(|scale| (scale - SCALE).abs() <= SCALE * SCALE_TOLERANCE);
                if !near || offset != Some(0.0) {
                    let (scale, offset) = (json(&config["scale"]), json(&config["offset"]));
                    return Err(format!(
                        "scale {scale} and offset {offset}, expected 1/255 and 0, as ziffer scales pixels"
                    ));
                }
                if self.rescales || !self.dense.is_empty() {
                    return Err("expected no more than one, before the first Dense layer".to_owned());
                }
                self.rescales = true;
            }
            "Dense" => {
                if let Some(shape) =
                    self.input_shape.as_ref().filter(|shape| shape.len() > 1 && !self.flattens)
                {
                    return Err(format!("on pictures of {shape:?}, expected a Flatten before it"));
                }
                let units = size(&config["units"]).ok_or("no number of units")?;
                let activation = activation(&config["activation"])?;
                let bias = config["use_bias"].as_bool().unwrap_or(true);
                self.dense.push(Dense { name: layer.name.to_owned(), units, activation, bias });
            }
            "Activation" => self.fold(activation(&config["activation"])?)?,
            "ReLU" => {
                for (setting, plain) in
                    [("max_value", None), ("negative_slope", Some(0.0)), ("threshold", Some(0.0))]
                {
                    let found = &config[setting];
                    if !found.is_null() && found.as_f64() != plain {
                        return Err(format!("{setting} is {}, expected a plain ReLU", json(found)));
                    }
                }
                self.fold(Activation::Relu)?;
            }
            "Softmax" => {
                let axis = &config["axis"];
                if !axis.is_null() && !matches!(axis.as_i64(), Some(-1 | 1)) {
                    return Err(format!("axis is {}, expected -1", json(axis)));
                }
                self.fold(Activation::Softmax)?;
            }
            // They do something in training only.
            "Dropout" | "AlphaDropout" | "GaussianDropout" | "GaussianNoise" | "ActivityRegularization" => {}
            _ => {
                return Err(
                    "ziffer has no equal of it; InputLayer, Rescaling, Flatten, Dense, Activation, ReLU, \
                            Softmax and Dropout are understood"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }

    /// Gives the last Dense layer the activation that a layer of its own applies to its outputs.
    fn fold(&mut self, activation: Activation) -> Result<(), String> {
        match self.dense.last_mut() {
            Some(dense) if dense.activation == Activation::Linear => dense.activation = activation,
            Some(dense) if activation != Activation::Linear => {
                return Err(format!("{activation} on top of {}'s {}", shown(&dense.name), dense.activation));
            }
            None if activation != Activation::Linear => {
                return Err(format!("{activation} without a Dense layer before it"));
            }
            _ => {}
        }
        Ok(())
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
            Err(format!("an activation of its own, {}; only Keras's by name are understood", shown(name)))
        }
        other => Err(format!("activation {}, expected a name", json(other))),
    }
}

fn size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|size| size.try_into().ok())
}

/// A value of the file in a message.
fn json(value: &Value) -> String {
    shown(&value.to_string())
}
