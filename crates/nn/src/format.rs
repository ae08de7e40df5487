//! Models as safetensors files.
//!
//! Tensors are `f32` and named as Keras names weights: `dense.kernel` of shape \[I, O\], `dense.bias`, `dense_1.kernel`, ...
//! The metadata's one entry, `architecture`, is the network in JSON, so that a file alone is enough to use it.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorView};
use serde_json::{Map, Value, json};
use ziffer_base::fs::AtomicFile;

use crate::model::LayerSlot;
use crate::registry;
use crate::{BuildError, Config, Layer, LayerError, Model, OneLine, Sequential};

/// Makes layers of classes that are not registered.
type Custom<'a> = dyn Fn(&str, &Config<'_>) -> Result<Option<Box<dyn Layer<f32>>>, LayerError> + 'a;

/// The most that a header may have, as the format has it.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// The metadata's key.
const ARCHITECTURE: &str = "architecture";

/// A model's file that cannot be read or written.
#[derive(thiserror::Error)]
pub enum FormatError {
    /// The system said no.
    #[error("{}: cannot {action}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `write`.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Not a safetensors file, or a damaged one.
    #[error("{}: not a whole safetensors file", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: OneLine<SafeTensorError>,
    },
    /// The tensors are not those of the model.
    #[error("{}: {}", path.display(), OneLine(problem))]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        problem: String,
    },
    /// The architecture does not fit together.
    #[error("{}: the architecture in the metadata is wrong", path.display())]
    Architecture {
        /// The file.
        path: PathBuf,
        /// Why.
        source: OneLine<BuildError>,
    },
}

ziffer_base::debug_as_message!(FormatError);

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

    /// Writes the weights alone to a safetensors file, which [`load_weights`](Self::load_weights) reads. The file appears
    /// whole or not at all.
    ///
    /// # Errors
    /// If the file cannot be written. What was there before is then still there.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<(), FormatError> {
        write(path.as_ref(), &self.serialize(None))
    }

    /// Writes the model to a safetensors file, which appears whole or not at all.
    ///
    /// # Errors
    /// If the file cannot be written. What was there before is then still there.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), FormatError> {
        write(path.as_ref(), &self.to_safetensors())
    }

    /// Reads a model from a file that [`save`](Self::save) wrote, or from a folder with such a file named
    /// `model.safetensors`, as a run of the command line leaves it.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, or says nothing of its architecture.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, FormatError> {
        let path = &file(path.as_ref());
        Self::parse(&read(path)?, path, &|_, _| Ok(None))
    }

    /// As [`load`](Self::load), for a model with layers of classes that are not [registered](crate::register_layer).
    ///
    /// `custom` is asked for each layer first, with its class and its settings, as Keras's `custom_objects`. `None` leaves a
    /// layer to the built-in and registered classes.
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
    /// As for [`load`](Self::load), and those of `custom`.
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
        let misfit = |error| FormatError::Architecture { path: path.to_owned(), source: OneLine(error) };
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let architecture =
            metadata.metadata().as_ref().and_then(|metadata| metadata.get(ARCHITECTURE)).ok_or_else(
                || mismatch(format!("no \"{ARCHITECTURE}\" in its metadata; was it saved by ziffer?")),
            )?;
        let (sequential, described) = from_architecture(architecture, custom)
            .map_err(|problem| mismatch(format!("the architecture in the metadata is wrong: {problem}")))?;
        let (input_shape, mut layers) = sequential.place().map_err(misfit)?;
        for (slot, trainable) in layers.iter_mut().zip(described.trainable) {
            slot.trainable = trainable;
        }
        // Before memory is taken for the weights: a small file may speak of large ones.
        let tensors = tensors(&file, layers.iter().flat_map(LayerSlot::weight_shapes)).map_err(mismatch)?;
        let mut model =
            Model::new(input_shape, layers, described.takes_pixels).map_err(|error| misfit(error.into()))?;
        model.set_weights(&tensors);
        Ok(model)
    }

    /// Sets all weights from a safetensors file, or a folder as for [`load`](Self::load), that has tensors of their names and
    /// shapes; metadata do not matter.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or has other tensors. The model is then as it was.
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

    /// Sets those weights that a safetensors file has tensors of the same name and shape for, and that `wanted` says yes to.
    /// Returns their names.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged. The model is then as it was.
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

    /// Sets the weights to tensors of their shapes, in layer order.
    fn set_weights(&mut self, tensors: &[TensorView<'_>]) {
        let mut tensors = tensors.iter();
        self.for_each_weight_mut(|_, weight| {
            set(weight, tensors.next().expect("a tensor for each weight").data());
        });
    }

    /// What a file says of each layer, in JSON and in Keras's words: class, name and settings, and of a frozen one that it is.
    pub fn described_layers(&self) -> Vec<Value> {
        self.slots()
            .iter()
            .map(|slot| {
                let layer = &slot.layer;
                let mut described = json!({
                    "class_name": layer.class_name(), "name": slot.name, "config": layer.config()
                });
                if !slot.trainable {
                    described["trainable"] = false.into();
                }
                described
            })
            .collect()
    }

    /// The network in JSON, in Keras's words.
    fn architecture(&self) -> Value {
        let input_type = if self.takes_pixels() { "pixels" } else { "numbers" };
        json!({
            "class_name": "Sequential",
            "input_shape": self.input_shape(),
            "input_type": input_type,
            "layers": self.described_layers(),
        })
    }
}

/// Sets a weight to the bytes of a tensor.
fn set(weight: &mut [f32], bytes: &[u8]) {
    for (weight, bytes) in weight.iter_mut().zip(bytes.as_chunks().0) {
        *weight = f32::from_le_bytes(*bytes);
    }
}

/// The file's tensors of these names and shapes, if it has them and no others.
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

/// What an architecture says beside the layers.
#[derive(Debug)]
struct Described {
    /// Whether each layer's weights are updated in training.
    trainable: Vec<bool>,
    takes_pixels: bool,
}

/// The network that the metadata describe, or what is wrong with them.
fn from_architecture(text: &str, custom: &Custom<'_>) -> Result<(Sequential, Described), String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let input_shape = value["input_shape"]
        .as_array()
        .and_then(|sizes| sizes.iter().map(as_size).collect::<Option<Vec<usize>>>())
        .ok_or("no input_shape of whole numbers")?;
    if input_shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size)).is_none() {
        return Err(format!("an input of shape {input_shape:?} is too large"));
    }
    // Files of older versions do not say it, and were trained on pixels.
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
                    "a layer of class {class:?}, which register_layer has not made known, expected one of {known}"
                ));
            }
        };
        trainable.push(layer["trainable"].as_bool().unwrap_or(true));
    }
    Ok((sequential, Described { trainable, takes_pixels }))
}

fn as_size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|size| size.try_into().ok())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), FormatError> {
    AtomicFile::write(path, bytes).map_err(|source| FormatError::Io {
        path: path.to_owned(),
        action: "write",
        source,
    })
}

/// The file itself, or the model's in a folder.
fn file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("model.safetensors") } else { path.to_owned() }
}

/// The file's bytes. Of one that has others than its header speaks of, no more than the header is read.
fn read(path: &Path) -> Result<Vec<u8>, FormatError> {
    let failed = |source| FormatError::Io { path: path.to_owned(), action: "read", source };
    // Of a device or a pipe there may be no end.
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::other("it is no file")));
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.by_ref().take(8).read_to_end(&mut bytes).map_err(failed)?;
    let header_len = bytes.first_chunk().map_or(0, |len| u64::from_le_bytes(*len));
    if header_len <= MAX_HEADER_BYTES {
        file.by_ref().take(header_len).read_to_end(&mut bytes).map_err(failed)?;
        // What is no header is told when the bytes are looked at.
        let header: Option<Metadata> = bytes.get(8..).and_then(|header| serde_json::from_slice(header).ok());
        if let Some(header) = header {
            let expected = (8 + header_len).checked_add(header.data_len() as u64);
            if expected != Some(metadata.len()) {
                let source = OneLine(SafeTensorError::MetadataIncompleteBuffer);
                return Err(FormatError::Damaged { path: path.to_owned(), source });
            }
            file.read_to_end(&mut bytes).map_err(failed)?;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Dense, Initializer};

    fn model(seed: u64) -> Model {
        Sequential::new([4, 3])
            .flatten()
            .dense(5, Activation::Tanh)
            .add(Dense::new(2, Activation::Softmax).kernel_initializer(Initializer::HeNormal))
            .build(seed)
            .unwrap()
    }

    #[test]
    fn comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let saved = model(1);
        saved.save(&path).unwrap();
        let loaded = Model::load(&path).unwrap();
        assert_eq!(loaded.weights_sha256(), saved.weights_sha256());
        assert_eq!(Model::load(folder.path()).unwrap().weights_sha256(), saved.weights_sha256());
        assert_eq!(loaded.summary(), saved.summary());
        assert_eq!(loaded.architecture(), saved.architecture());
        assert_eq!(loaded.to_safetensors(), fs::read(&path).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left in the folder");

        let mut other = model(2);
        other.load_weights(&path).unwrap();
        assert_eq!(other.weights_sha256(), saved.weights_sha256());

        let path = folder.path().join("weights.safetensors");
        saved.save_weights(&path).unwrap();
        let mut other = model(3);
        other.load_weights(&path).unwrap();
        assert_eq!(other.weights_sha256(), saved.weights_sha256());
        let error = Model::load(&path).unwrap_err().to_string();
        assert!(error.contains("no \"architecture\" in its metadata"), "{error}");
    }

    #[test]
    fn other_tensors_are_refused_and_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        model(1).save(&path).unwrap();
        let refuse = |sequential: Sequential| {
            let mut model = sequential.build(3).unwrap();
            let before = model.weights_sha256();
            let error = model.load_weights(&path).unwrap_err().to_string();
            assert_eq!(model.weights_sha256(), before);
            assert!(error.contains("model.safetensors") && !error.contains('\n'), "{error}");
            error
        };
        let error = refuse(Sequential::new([12]).dense(6, Activation::Relu).dense(2, Activation::Softmax));
        assert!(
            error.contains("tensor dense.kernel is F32 of shape [12, 5], expected F32 of shape [12, 6]"),
            "{error}"
        );
        let error = refuse(
            Sequential::new([12])
                .dense(5, Activation::Relu)
                .dense(2, Activation::Relu)
                .dense(2, Activation::Softmax),
        );
        assert!(error.contains("has no tensor dense_2.kernel"), "{error}");
        let error = refuse(Sequential::new([12]).dense(5, Activation::Relu));
        assert!(error.contains("has a tensor dense_1.bias, which the model does not have"), "{error}");
    }

    #[test]
    fn damaged_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let whole = model(1).to_safetensors();
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            let error = Model::load(&path).unwrap_err().to_string();
            assert!(error.contains("not a whole safetensors file"), "{len}: {error}");
        }
        assert!(
            Model::load(folder.path().join("none")).unwrap_err().to_string().contains("none: cannot read")
        );
        assert!(
            model(1).save(folder.path().join("none/model")).unwrap_err().to_string().contains("cannot write")
        );
        let no_metadata = safetensors::serialize(Vec::<(String, TensorView<'_>)>::new(), None).unwrap();
        fs::write(&path, no_metadata).unwrap();
        assert!(Model::load(&path).unwrap_err().to_string().contains("no \"architecture\""));
    }

    #[test]
    fn hostile_architectures_are_refused() {
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
