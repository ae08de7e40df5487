//! Models as safetensors files.
//!
//! The tensors are `f32`, with Keras's names of the weights: `dense.kernel` of shape \[I, O\], `dense.bias`, `dense_1.kernel`, ...
//! The metadata's only entry, `architecture`, is the network as JSON. So a model can be loaded from its file alone.

mod architecture;
mod error;
mod file;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::model::LayerSlot;
use crate::{Config, Layer, LayerError, Model, OneLine};

use architecture::{ARCHITECTURE, Custom, from_architecture};
pub use error::FormatError;
use file::{file, read, write};

impl Model<f32> {
    /// The model as the bytes of a safetensors file. The same model gives the same bytes.
    pub fn to_safetensors(&self) -> Vec<u8> {
        self.serialize(Some(HashMap::from([(ARCHITECTURE.to_owned(), self.architecture().to_string())])))
    }

    fn serialize(&self, metadata: Option<HashMap<String, String>>) -> Vec<u8> {
        let weights: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .weights()
            .map(|(name, weight)| {
                let bytes = weight.iter().flat_map(|x| x.to_le_bytes()).collect();
                (name, weight.shape().to_vec(), bytes)
            })
            .collect();
        let tensors = weights.iter().map(|(name, shape, bytes)| {
            (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("bytes that fill the shape"))
        });
        safetensors::serialize(tensors, metadata).expect("names and shapes that fit into a header")
    }

    /// Writes the weights without the architecture to a safetensors file, for [`load_weights`](Self::load_weights). The file
    /// appears completely or not at all.
    ///
    /// # Errors
    /// If the file cannot be written. An existing file is then unchanged.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<(), FormatError> {
        write(path.as_ref(), &self.serialize(None))
    }

    /// Writes the model to a safetensors file, which appears completely or not at all.
    ///
    /// # Errors
    /// If the file cannot be written. An existing file is then unchanged.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), FormatError> {
        write(path.as_ref(), &self.to_safetensors())
    }

    /// Reads a model from a file that [`save`](Self::save) wrote, or from a run folder, which has such a file named
    /// `model.safetensors`.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or has no architecture.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, FormatError> {
        let path = &file(path.as_ref());
        Self::parse(&read(path)?, path, &|_, _| Ok(None))
    }

    /// Like [`load`](Self::load), for a model with layers of classes that are not [registered](crate::register_layer).
    ///
    /// `custom` is called first for each layer, with its class and its settings, like Keras's `custom_objects`. If it returns
    /// `None`, the layer must be of a built-in or registered class.
    ///
    /// ```no_run
    /// use ziffer_nn::{Dropout, Layer, Model};
    /// let model = Model::load_with("model.safetensors", |class, config| match class {
    ///     "NoDropout" => Ok(Some(Box::new(Dropout::new(config.number("rate", None)?)) as Box<dyn Layer<f32>>)),
    ///     _ => Ok(None),
    /// })?;
    /// # Ok::<(), ziffer_nn::FormatError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`load`](Self::load), and the errors of `custom`.
    pub fn load_with(
        path: impl AsRef<Path>,
        custom: impl Fn(&str, &Config<'_>) -> Result<Option<Box<dyn Layer<f32>>>, LayerError>,
    ) -> Result<Self, FormatError> {
        let path = &file(path.as_ref());
        Self::parse(&read(path)?, path, &custom)
    }

    /// Reads a model from the bytes of a file that [`save`](Self::save) wrote, or from
    /// [`to_safetensors`](Self::to_safetensors).
    ///
    /// ```
    /// use ziffer_nn::{Activation, Model, Sequential};
    /// let model = Sequential::new([4]).dense(2, Activation::Softmax).build(0)?;
    /// let copy = Model::from_safetensors(&model.to_safetensors())?;
    /// assert_eq!(copy.weights_sha256(), model.weights_sha256());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, FormatError> {
        Self::parse(bytes, Path::new("the model's bytes"), &|_, _| Ok(None))
    }

    fn parse(bytes: &[u8], path: &Path, custom: &Custom<'_>) -> Result<Self, FormatError> {
        let mismatch = |problem| FormatError::Mismatch { path: path.to_owned(), problem };
        let damaged = |error| FormatError::Damaged { path: path.to_owned(), source: OneLine(error) };
        let invalid = |error| FormatError::Architecture { path: path.to_owned(), source: OneLine(error) };
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let architecture =
            metadata.metadata().as_ref().and_then(|metadata| metadata.get(ARCHITECTURE)).ok_or_else(
                || mismatch(format!("no \"{ARCHITECTURE}\" in its metadata; was it saved by ziffer?")),
            )?;
        let (sequential, info) = from_architecture(architecture, custom)
            .map_err(|problem| mismatch(format!("the architecture in the metadata is wrong: {problem}")))?;
        let (input_shape, mut layers) = sequential.build_layers().map_err(invalid)?;
        for (slot, trainable) in layers.iter_mut().zip(info.trainable) {
            slot.trainable = trainable;
        }
        // Checked before memory is allocated for the weights: the architecture of a small file may have large ones.
        let tensors = tensors(&file, layers.iter().flat_map(LayerSlot::weight_shapes)).map_err(mismatch)?;
        let mut model =
            Model::new(input_shape, layers, info.takes_pixels).map_err(|error| invalid(error.into()))?;
        model.set_weights(&tensors);
        Ok(model)
    }

    /// Sets all weights from a safetensors file, or a folder as for [`load`](Self::load). The file must have exactly the model's
    /// weights, by name and shape. Its metadata are ignored.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or has other tensors. The model is then unchanged.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<(), FormatError> {
        let path = &file(path.as_ref());
        let bytes = read(path)?;
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|error| FormatError::Damaged { path: path.to_owned(), source: OneLine(error) })?;
        let tensors = tensors(&file, self.slots().iter().flat_map(LayerSlot::weight_shapes))
            .map_err(|problem| FormatError::Mismatch { path: path.to_owned(), problem })?;
        self.set_weights(&tensors);
        Ok(())
    }

    /// Sets the weights for which the safetensors file has a tensor of the same name and shape, and for which `wanted` returns
    /// `true`. Returns their names.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged. The model is then unchanged.
    pub fn load_some_weights(
        &mut self,
        path: impl AsRef<Path>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, FormatError> {
        let path = &file(path.as_ref());
        let bytes = read(path)?;
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|error| FormatError::Damaged { path: path.to_owned(), source: OneLine(error) })?;
        let mut loaded = Vec::new();
        let layout = std::sync::Arc::clone(self.layout());
        for (name, shape, range) in layout.iter().filter(|(name, ..)| wanted(name)) {
            let tensor = file.tensor(name).ok();
            let fits = |tensor: &TensorView<'_>| tensor.shape() == shape && tensor.dtype() == Dtype::F32;
            if let Some(tensor) = tensor.filter(fits) {
                set(&mut self.block_mut()[range.clone()], tensor.data());
                loaded.push(name.clone());
            }
        }
        Ok(loaded)
    }

    /// Sets the weights to tensors of the same shapes, in layer order.
    fn set_weights(&mut self, tensors: &[TensorView<'_>]) {
        let mut tensors = tensors.iter();
        self.for_each_weight_mut(|_, weight| {
            set(weight, tensors.next().expect("a tensor for each weight").data());
        });
    }
}

/// Sets a weight to the bytes of a tensor.
fn set(weight: &mut [f32], bytes: &[u8]) {
    for (weight, bytes) in weight.iter_mut().zip(bytes.as_chunks().0) {
        *weight = f32::from_le_bytes(*bytes);
    }
}

/// The tensors of these names and shapes. Fails if the file lacks one or has others.
fn tensors<'data, 'shape>(
    file: &SafeTensors<'data>,
    expected: impl Iterator<Item = (String, &'shape [usize])>,
) -> Result<Vec<TensorView<'data>>, String> {
    let mut tensors = Vec::new();
    let mut known = HashSet::new();
    for (name, shape) in expected {
        let tensor = file
            .tensor(&name)
            .map_err(|_| format!("has no tensor {name}, expected one of shape {shape:?}"))?;
        if tensor.shape() != shape || tensor.dtype() != Dtype::F32 {
            let found = format!("{:?} of shape {:?}", tensor.dtype(), tensor.shape());
            return Err(format!("tensor {name} is {found}, expected F32 of shape {shape:?}"));
        }
        tensors.push(tensor);
        known.insert(name);
    }
    match file.names().into_iter().filter(|&name| !known.contains(name)).min() {
        Some(name) => Err(format!("has a tensor {name}, which the model does not have")),
        None => Ok(tensors),
    }
}
