//! The import of a file.

use ziffer_nn::Model;

use super::architecture::Architecture;
use super::archive::{self, Archive};
use super::assumption::Assumption;
use super::error::ImportError;
use super::hdf5::{self, Hdf5};
use super::model::build_model;
use super::weights::StoredWeights;

/// Options of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The shape of an image. It overrides the shape in the file and the assumed one.
    pub input_shape: Option<Vec<usize>>,
}

/// An imported model.
#[derive(Debug)]
pub struct Imported {
    /// The model.
    pub model: Model,
    /// What the file does not say and the import assumes.
    pub assumptions: Vec<Assumption>,
}

/// Imports the bytes of a file that Keras wrote.
///
/// # Errors
/// If the bytes are no such file or are damaged, or if the network has a layer or a setting that is not supported.
pub fn import(bytes: &[u8], options: &Options) -> Result<Imported, ImportError> {
    if bytes.starts_with(hdf5::MAGIC) {
        from_hdf5(bytes, options)
    } else if bytes.starts_with(archive::MAGIC) {
        from_archive(bytes, options)
    } else {
        Err(ImportError::UnknownFormat)
    }
}

fn from_archive(bytes: &[u8], options: &Options) -> Result<Imported, ImportError> {
    let mut archive = Archive::open(bytes)?;
    let architecture = Architecture::read(&archive.entry("config.json")?, "config.json")?;
    let bytes = archive.entry("model.weights.h5")?;
    let file = Hdf5::open(&bytes)?;
    let weights = StoredWeights::by_number(&file)?.ok_or(ImportError::NoWeights)?;
    build(architecture, &weights, options)
}

fn from_hdf5(bytes: &[u8], options: &Options) -> Result<Imported, ImportError> {
    let file = Hdf5::open(bytes)?;
    if let Some(json) = file.text("", "model_config")? {
        let architecture = Architecture::read(json.as_bytes(), "model_config")?;
        return build(architecture, &StoredWeights::by_name(&file, "model_weights"), options);
    }
    let (weights, layer_names) = match file.texts("", "layer_names")? {
        Some(layer_names) => (StoredWeights::by_name(&file, ""), layer_names),
        None => (StoredWeights::by_number(&file)?.ok_or(ImportError::NoWeights)?, Vec::new()),
    };
    build(Architecture::assumed(weights.dense_layers(&layer_names)?), &weights, options)
}

fn build(
    architecture: Architecture,
    weights: &StoredWeights<'_>,
    options: &Options,
) -> Result<Imported, ImportError> {
    let (model, assumptions) = build_model(architecture, weights, options.input_shape.as_deref())?;
    Ok(Imported { model, assumptions })
}
