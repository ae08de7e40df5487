//! The layers of an architecture in order: those of a Sequential, or of a Functional without branches.

use std::collections::HashMap;

use serde_json::Value;

use super::error::{ImportError, LayerId, listed, shown};

/// A layer as the file describes it.
pub(super) struct LayerDescription<'a> {
    pub(super) name: &'a str,
    pub(super) class: &'a str,
    /// The module, if the class is not one of Keras.
    pub(super) module: Option<&'a str>,
    /// The position in the list, from 1.
    pub(super) position: usize,
    /// The layer's number among those of its class, from 0.
    pub(super) number: usize,
    pub(super) config: &'a Value,
    /// The references of a Functional to the layers whose outputs this layer takes.
    inbound: &'a Value,
}

/// The layers in order, from the input on.
pub(super) fn layers(model: &Value) -> Result<Vec<LayerDescription<'_>>, ImportError> {
    let refuse = |problem: String| Err(ImportError::Model(problem));
    let Some(class) = model["class_name"].as_str() else {
        return refuse("has no class_name; was the file saved by Keras?".to_owned());
    };
    // In old files the configuration is the list of layers itself.
    let config = &model["config"];
    let Some(list) = config["layers"].as_array().or(config.as_array()) else {
        return refuse(format!(
            "is a {} without a list of layers, expected a Sequential or a Functional",
            shown(class)
        ));
    };
    let mut numbers = HashMap::new();
    let layers: Vec<_> = list
        .iter()
        .enumerate()
        .map(|(index, layer)| LayerDescription::new(index + 1, layer, &mut numbers))
        .collect();
    match class {
        "Sequential" => Ok(layers),
        "Functional" | "Model" => check_chain(config, &layers).map(|()| layers),
        _ => refuse(format!("is a {}, expected a Sequential or a Functional", shown(class))),
    }
}

/// Checks that the first layer takes nothing, each other layer takes the output of the one before it, and the last layer's output
/// is the model's.
fn check_chain(config: &Value, layers: &[LayerDescription<'_>]) -> Result<(), ImportError> {
    for (index, layer) in layers.iter().enumerate() {
        let mut from = Vec::new();
        sources(layer.inbound, &mut from);
        let before = index.checked_sub(1).map(|index| layers[index].name);
        if from != before.as_slice() {
            let from = if from.is_empty() { "nothing".to_owned() } else { listed(&from) };
            let before = shown(before.unwrap_or("nothing"));
            let problem =
                format!("takes the output of {from}, expected {before}: only a stack of layers is supported");
            return Err(layer.error(problem));
        }
    }
    let mut outputs = Vec::new();
    sources(&config["output_layers"], &mut outputs);
    let last = layers.last().map(|layer| layer.name);
    if outputs != last.as_slice() {
        let (outputs, last) = (listed(&outputs), shown(last.unwrap_or("nothing")));
        return Err(ImportError::Model(format!(
            "returns the output of {outputs}, expected {last}, its last layer"
        )));
    }
    Ok(())
}

/// Collects the names of the layers in every reference `[name, node, tensor, ...]` within a value.
fn sources<'a>(value: &'a Value, names: &mut Vec<&'a str>) {
    match value {
        Value::Array(items) => match items.as_slice() {
            [Value::String(name), Value::Number(_), Value::Number(_), ..] => names.push(name),
            items => items.iter().for_each(|item| sources(item, names)),
        },
        Value::Object(members) => members.values().for_each(|member| sources(member, names)),
        _ => {}
    }
}

/// The shape of a sample, from that of a batch, `[null, 28, 28]`; `None` if there is none.
pub(super) fn sample_shape(batch: &Value) -> Result<Option<Vec<usize>>, String> {
    if batch.is_null() {
        return Ok(None);
    }
    let sizes = batch.as_array().and_then(|sizes| sizes.get(1..)).unwrap_or(&[]);
    let sizes: Option<Vec<usize>> =
        sizes.iter().map(|size| size.as_u64().and_then(|size| size.try_into().ok())).collect();
    let known = sizes.filter(|sizes| {
        !sizes.is_empty()
            && sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size)).is_some()
    });
    known
        .map(Some)
        .ok_or_else(|| format!("its input has shape {}, expected known sizes", shown(&batch.to_string())))
}

impl<'a> LayerDescription<'a> {
    fn new(position: usize, layer: &'a Value, numbers: &mut HashMap<&'a str, usize>) -> Self {
        let class = layer["class_name"].as_str().unwrap_or("no class_name");
        // A class of another module may have the name of a Keras class.
        let module = layer["module"].as_str();
        let module = module.filter(|module| !matches!(module.split('.').next(), Some("keras" | "tf_keras")));
        let next = numbers.entry(class).or_default();
        let number = *next;
        *next += 1;
        let config = &layer["config"];
        let name = config["name"].as_str().or(layer["name"].as_str()).unwrap_or("without a name");
        Self { name, class, module, position, number, config, inbound: &layer["inbound_nodes"] }
    }

    /// The shape of a sample, which the first layer may have.
    pub(super) fn input_shape(&self) -> Result<Option<Vec<usize>>, String> {
        let shapes = ["batch_shape", "batch_input_shape"].map(|key| &self.config[key]);
        sample_shape(shapes.into_iter().find(|shape| !shape.is_null()).unwrap_or(&Value::Null))
    }

    /// The layer as messages name it.
    pub(super) fn id(&self) -> LayerId {
        let class = self
            .module
            .map_or_else(|| shown(self.class), |module| shown(&format!("{module}.{}", self.class)));
        LayerId { position: self.position, name: shown(self.name), class }
    }

    /// An error about this layer.
    pub(super) fn error(&self, problem: String) -> ImportError {
        self.id().error(problem)
    }
}
