//! A layer as converters see it.

use ziffer_nn::{Config, LayerError, Model};

/// A layer that is being exported: its name, class, settings, weights and output shape, as in a model's file.
#[derive(Clone, Debug)]
pub struct ExportedLayer<'a> {
    pub(super) model: &'a Model<f32>,
    pub(super) name: &'a str,
    pub(super) class_name: &'a str,
    pub(super) config: Config<'a>,
    pub(super) output_shape: &'a [usize],
}

impl<'a> ExportedLayer<'a> {
    /// The layer's name in the model: `dense_1`.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The layer's class: `Dense`.
    pub fn class_name(&self) -> &'a str {
        self.class_name
    }

    /// The layer's settings, as its [`Layer::config`](ziffer_nn::Layer::config) returns them.
    pub fn config(&self) -> &Config<'a> {
        &self.config
    }

    /// The shape of an output sample.
    pub fn output_shape(&self) -> &'a [usize] {
        self.output_shape
    }

    /// A name for a value or a constant of this layer, unique in the graph: `dense_1.NAME`.
    pub fn value(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    /// The shape and the elements, in C order, of the weight that the layer calls `name`: `kernel`.
    ///
    /// # Errors
    /// If the layer has no such weight.
    pub fn weight(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), LayerError> {
        let weight = self.model.weight(&self.value(name));
        let weight = weight.ok_or_else(|| LayerError::from(format!("it has no weight {name:?}")))?;
        Ok((weight.shape().to_vec(), weight.iter().copied().collect()))
    }

    /// The size of the last axis of an output sample; 1 if it has no axes.
    pub(super) fn columns(&self) -> usize {
        self.output_shape.last().copied().unwrap_or(1)
    }
}
