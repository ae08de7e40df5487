//! The architecture of a model as JSON, in Keras's form.

use serde_json::{Map, Value, json};

use crate::registry::{self, Config};
use crate::{Layer, LayerError, Model, Sequential};

/// The key of the architecture in a file's metadata.
pub(super) const ARCHITECTURE: &str = "architecture";

/// Creates layers of classes that are not registered.
pub(super) type Custom<'a> =
    dyn Fn(&str, &Config<'_>) -> Result<Option<Box<dyn Layer<f32>>>, LayerError> + 'a;

impl Model<f32> {
    /// Each layer as JSON in Keras's form: class, name and settings, and `trainable: false` for a frozen layer.
    pub fn layer_configs(&self) -> Vec<Value> {
        self.slots()
            .iter()
            .map(|slot| {
                let layer = &slot.layer;
                let mut layer_config = json!({
                    "class_name": layer.class_name(), "name": slot.name, "config": layer.config()
                });
                if !slot.trainable {
                    layer_config["trainable"] = false.into();
                }
                layer_config
            })
            .collect()
    }

    /// The network as JSON, in Keras's form.
    pub(super) fn architecture(&self) -> Value {
        let input_type = if self.takes_pixels() { "pixels" } else { "numbers" };
        json!({
            "class_name": "Sequential",
            "input_shape": self.input_shape(),
            "input_type": input_type,
            "layers": self.layer_configs(),
        })
    }
}

/// The entries of an architecture beside the layers.
#[derive(Debug)]
pub(super) struct ArchitectureInfo {
    /// For each layer, whether training updates its weights.
    pub(super) trainable: Vec<bool>,
    pub(super) takes_pixels: bool,
}

/// Parses the network in a file's metadata. The error is a message of one line.
pub(super) fn from_architecture(
    text: &str,
    custom: &Custom<'_>,
) -> Result<(Sequential, ArchitectureInfo), String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let input_shape = value["input_shape"]
        .as_array()
        .and_then(|sizes| sizes.iter().map(as_size).collect::<Option<Vec<usize>>>())
        .ok_or("no input_shape of whole numbers")?;
    if input_shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size)).is_none() {
        return Err(format!("an input of shape {input_shape:?} is too large"));
    }
    // Files of older versions have no input_type. Their models were trained on pixels.
    let takes_pixels = match &value["input_type"] {
        Value::Null => true,
        Value::String(text) if text == "pixels" => true,
        Value::String(text) if text == "numbers" => false,
        other => return Err(format!("input_type is {other}, expected \"pixels\" or \"numbers\"")),
    };
    let mut sequential = Sequential::new(input_shape);
    let mut trainable = Vec::new();
    for layer in value["layers"].as_array().ok_or("no list of layers")? {
        let class = layer["class_name"].as_str().ok_or("a layer without a class_name")?;
        let nothing = Map::new();
        let config = layer["config"].as_object().unwrap_or(&nothing);
        let config = Config::new(config);
        let made = match custom(class, &config) {
            Ok(None) => registry::layer_from_config(class, &config),
            made => made,
        };
        sequential = match made.map_err(|problem| format!("a layer of class {class:?}: {problem}"))? {
            Some(layer) => sequential.add_boxed(layer),
            None => {
                let known = registry::known_classes();
                return Err(format!(
                    "a layer of class {class:?}, which is not registered with register_layer, expected one of {known}"
                ));
            }
        };
        trainable.push(layer["trainable"].as_bool().unwrap_or(true));
    }
    Ok((sequential, ArchitectureInfo { trainable, takes_pixels }))
}

fn as_size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|size| size.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_architectures_are_rejected() {
        for (text, part) in [
            ("", "EOF"),
            ("{}", "input_shape"),
            (r#"{"input_shape":[-1],"layers":[]}"#, "input_shape"),
            (r#"{"input_shape":[18446744073709551615, 2],"layers":[]}"#, "too large"),
            (r#"{"input_shape":[2],"layers":[{"class_name":"Conv2D"}]}"#, "Conv2D"),
            (r#"{"input_shape":[2],"layers":[{"class_name":"Dense","config":{}}]}"#, "no units"),
            (
                r#"{"input_shape":[2],"layers":[{"class_name":"Dense","config":{"units":2,"activation":7}}]}"#,
                "activation is 7, expected the name of an activation",
            ),
            (
                r#"{"input_shape":[2],"layers":[{"class_name":"Dense","config":{"units":2,"activation":"glu"}}]}"#,
                "unknown activation \"glu\"",
            ),
        ] {
            let problem = from_architecture(text, &|_, _| Ok(None)).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }
}
