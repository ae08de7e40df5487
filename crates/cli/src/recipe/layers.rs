//! The layers of a recipe.

use std::fmt::{self, Display, Formatter};

use serde_json::{Map, Value};
use ziffer_nn::{
    Activation, BuildError, Config, Dense, Flatten, Layer, LayerError, Sequential, known_classes,
    layer_from_config,
};

use super::toml_reader::TomlTable;

/// A layer: Keras's class and its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSettings {
    /// The class, such as `"Dense"`.
    pub class: String,
    /// The arguments by Keras's names. Missing arguments have Keras's defaults.
    pub settings: Map<String, Value>,
}

impl LayerSettings {
    /// Reads a table `[[layers]]`.
    pub(super) fn read(table: &TomlTable<'_>) -> Result<Self, String> {
        let expected = "the class of a layer, such as \"Dense\"";
        let Some(class) = table.text("type", expected)? else {
            return Err(table.error("type", format!("no type, expected {expected}")));
        };
        let layer = Self { class: class.to_owned(), settings: table.except(&["type"]) };
        let config = Config::new(&layer.settings);
        match layer_from_config(class, &config) {
            Ok(Some(_)) => match config.unknown() {
                None => Ok(layer),
                Some(key) => {
                    let known: Vec<String> = config.known().into_iter().chain(["type".to_owned()]).collect();
                    Err(table.unknown(key, &known))
                }
            },
            Ok(None) => table.refuse("type", format!("one of {}", known_classes())),
            Err(problem) => {
                let problem = problem.to_string();
                let is_of = |key: &&String| {
                    let rest = problem.strip_prefix(key.as_str());
                    rest.is_some_and(|rest| rest.starts_with([' ', '.']))
                };
                let key = layer.settings.keys().find(is_of);
                Err(table.error(key.map_or("type", |key| key.as_str()), problem))
            }
        }
    }

    /// Creates the layer.
    pub(super) fn layer(&self) -> Result<Box<dyn Layer<f32>>, LayerError> {
        let class = &self.class;
        layer_from_config(class, &Config::new(&self.settings))?
            .ok_or_else(|| format!("no class {class}, expected one of {}", known_classes()).into())
    }

    /// The same settings with every default filled in.
    pub(super) fn with_defaults(&self) -> Self {
        let settings = self.layer().map_or_else(|_| self.settings.clone(), |layer| layer.config());
        Self { class: self.class.clone(), settings }
    }
}

/// The layer with its settings, without default initializers, to keep messages short.
impl Display for LayerSettings {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut plain = self.clone();
        plain.settings.retain(|key, _| !is_initializer(key));
        let (Self { class, settings }, plain) = (self.with_defaults(), plain.with_defaults());
        let is_shown =
            |key: &str, value: &Value| !is_initializer(key) || plain.settings.get(key) != Some(value);
        let shown = settings.iter().filter(|(key, value)| is_shown(key, value));
        let shown: Vec<String> = shown.map(|(key, value)| format!("{key}={value}")).collect();
        write!(f, "{class}({})", shown.join(", "))
    }
}

fn is_initializer(key: &str) -> bool {
    key.ends_with("_initializer")
}

/// The network of these layers for images of this shape. A Flatten is added before a Dense whose input is not flat, and a Dense
/// of `classes` units with `activation` at the end, unless the last layer already is one.
///
/// # Errors
/// The first layer with a setting out of its range.
pub(super) fn network(
    layers: &[LayerSettings],
    image_shape: &[usize],
    classes: usize,
    activation: Activation,
) -> Result<Sequential, BuildError> {
    let mut sequential = Sequential::new(image_shape);
    let mut shape = Some(image_shape.to_vec());
    let mut last = None;
    for layer in layers {
        let made =
            || layer.layer().map_err(|problem| BuildError::Layer { layer: layer.class.clone(), problem });
        if layer.class == "Dense"
            && let Some(sizes) = shape.as_mut().filter(|sizes| sizes.len() > 1)
        {
            sequential = sequential.add(Flatten);
            *sizes = vec![sizes.iter().product()];
        }
        // Layers that do not fit are reported by name when the model is built.
        let mut probe = made()?;
        shape = shape.and_then(|shape| probe.build(&shape).ok());
        last = probe.output_activation();
        sequential = sequential.add_boxed(made()?);
    }
    let has_output = last == Some(activation) && shape.as_deref() == Some(&[classes]);
    if has_output {
        return Ok(sequential);
    }
    if shape.is_some_and(|shape| shape.len() > 1) {
        sequential = sequential.add(Flatten);
    }
    Ok(sequential.add(Dense::new(classes, activation)))
}
