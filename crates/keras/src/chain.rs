//! The layers of an architecture, one after the other: those of a Sequential, or of a Functional that branches nowhere.

use std::collections::HashMap;

use serde_json::Value;

use crate::ImportError;
use crate::error::{Label, listed, shown};

/// A layer as the file describes it.
pub(crate) struct Described<'a> {
    pub(crate) name: &'a str,
    pub(crate) class: &'a str,
    /// The module of a class that is not Keras's.
    pub(crate) module: Option<&'a str>,
    /// From 1.
    pub(crate) position: usize,
    /// The layer's number among those of its class, from 0.
    pub(crate) number: usize,
    pub(crate) config: &'a Value,
    /// What a Functional says of the layers that it takes from.
    inbound: &'a Value,
}

/// The layers, from the input on.
pub(crate) fn layers(model: &Value) -> Result<Vec<Described<'_>>, ImportError> {
    let refuse = |problem: String| Err(ImportError::Model(problem));
    let Some(class) = model["class_name"].as_str() else {
        return refuse("has no class_name; was it saved by Keras?".to_owned());
    };
    // Old files have the list of layers in the place of the configuration.
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
        .map(|(index, layer)| Described::new(index + 1, layer, &mut numbers))
        .collect();
    match class {
        "Sequential" => Ok(layers),
        "Functional" | "Model" => check_chain(config, &layers).map(|()| layers),
        _ => refuse(format!("is a {}, expected a Sequential or a Functional", shown(class))),
    }
}

/// Sees that each layer takes what the one before it gives, the first takes nothing, and the last gives the output.
fn check_chain(config: &Value, layers: &[Described<'_>]) -> Result<(), ImportError> {
    for (index, layer) in layers.iter().enumerate() {
        let mut from = Vec::new();
        sources(layer.inbound, &mut from);
        let before = index.checked_sub(1).map(|index| layers[index].name);
        if from != before.as_slice() {
            let from = if from.is_empty() { "nothing".to_owned() } else { listed(&from) };
            let before = shown(before.unwrap_or("nothing"));
            let problem =
                format!("takes from {from}, expected {before}: only a stack of layers is understood");
            return Err(layer.error(problem));
        }
    }
    let mut outputs = Vec::new();
    sources(&config["output_layers"], &mut outputs);
    let last = layers.last().map(|layer| layer.name);
    if outputs != last.as_slice() {
        let (outputs, last) = (listed(&outputs), shown(last.unwrap_or("nothing")));
        return Err(ImportError::Model(format!(
            "gives what comes from {outputs}, expected {last}, its last layer"
        )));
    }
    Ok(())
}

/// The names of the layers in every reference `[name, node, tensor, ...]` within a value.
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

/// The shape of a sample in that of a batch, `[null, 28, 28]`; nothing if there is none.
pub(crate) fn sample_shape(batch: &Value) -> Result<Option<Vec<usize>>, String> {
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
    known.map(Some).ok_or_else(|| format!("an input of {}, expected known sizes", shown(&batch.to_string())))
}

impl<'a> Described<'a> {
    fn new(position: usize, layer: &'a Value, numbers: &mut HashMap<&'a str, usize>) -> Self {
        let class = layer["class_name"].as_str().unwrap_or("no class_name");
        // A class of the user's may be called as one of Keras's.
        let module = layer["module"].as_str();
        let module = module.filter(|module| !matches!(module.split('.').next(), Some("keras" | "tf_keras")));
        let next = numbers.entry(class).or_default();
        let number = *next;
        *next += 1;
        let config = &layer["config"];
        let name = config["name"].as_str().or(layer["name"].as_str()).unwrap_or("without a name");
        Self { name, class, module, position, number, config, inbound: &layer["inbound_nodes"] }
    }

    /// The shape of a sample, which the first layer may say.
    pub(crate) fn input_shape(&self) -> Result<Option<Vec<usize>>, String> {
        let shapes = ["batch_shape", "batch_input_shape"].map(|key| &self.config[key]);
        sample_shape(shapes.into_iter().find(|shape| !shape.is_null()).unwrap_or(&Value::Null))
    }

    /// What messages call it.
    pub(crate) fn label(&self) -> Label {
        let class = self
            .module
            .map_or_else(|| shown(self.class), |module| shown(&format!("{module}.{}", self.class)));
        Label { position: self.position, name: shown(self.name), class }
    }

    /// What is wrong with this layer.
    pub(crate) fn error(&self, problem: String) -> ImportError {
        self.label().error(problem)
    }
}
