//! Dense networks out of the files that Keras writes.
//!
//! ```no_run
//! use ziffer_keras::{Options, import};
//!
//! let imported = import(&std::fs::read("digits.keras")?, &Options::default())?;
//! for assumption in &imported.assumptions {
//!     eprintln!("digits.keras: {assumption}");
//! }
//! imported.model.save("model.safetensors")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | file | written by | architecture |
//! |---|---|---|
//! | `.keras` | `model.save` of Keras 3 | in the file |
//! | `.weights.h5` | `model.save_weights` of Keras 3 | assumed |
//! | `.h5` | `model.save` in the form before Keras 3 | in the file |
//! | `.h5` | `model.save_weights` in the form before Keras 3 | assumed |
//!
//! Which one it is, is told from the bytes. A network is a stack of InputLayer, Rescaling by 1/255, Flatten, Dense with
//! activations that [`Activation`] has, Activation, ReLU and Softmax behind a Dense, and Dropout and its like, which do nothing
//! outside training. Everything else is refused by name.
//!
//! A model takes pixels 0 to 255 as bytes and divides them by 255. So does a network of Keras's that begins with that
//! Rescaling; of any other it is assumed that its pictures were divided by 255 before they reached it.
//!
//! Files may be hostile: they are refused, and what is allocated on the way is a few times their length, beside some megabytes
//! for an architecture that is as long as it may be.
#![forbid(unsafe_code)]

mod architecture;
mod archive;
mod chain;
mod error;
mod hdf5;
mod weights;

use std::fmt;

use ziffer_nn::{Activation, Model, Sequential};

use crate::architecture::Architecture;
use crate::archive::Archive;
use crate::hdf5::Hdf5;
use crate::weights::Affine;

pub use crate::error::ImportError;

/// What is to be said of a file that it does not say itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The shape of a picture, in the place of the one that the file says or that is assumed.
    pub input_shape: Option<Vec<usize>>,
}

/// A network that was read.
#[derive(Debug)]
pub struct Imported {
    /// The network.
    pub model: Model,
    /// What the file does not say.
    pub assumptions: Vec<Assumption>,
}

/// Something that a file does not say, and what is taken for true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assumption {
    /// There is no architecture: hidden layers have a relu, the last one a softmax, and pixels are divided by 255.
    Architecture,
    /// There is no Rescaling: pictures were divided by 255 before they reached the network.
    Scale,
}

impl fmt::Display for Assumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Architecture => {
                "has no architecture; assumed are relu in hidden layers, softmax in the last, and pixels divided by 255"
            }
            Self::Scale => "has no Rescaling; assumed are pixels divided by 255",
        })
    }
}

/// Reads the bytes of a file that Keras wrote.
///
/// # Errors
/// If it is no such file, is damaged, or has a network that ziffer has no equal of.
pub fn import(bytes: &[u8], options: &Options) -> Result<Imported, ImportError> {
    if bytes.starts_with(hdf5::MAGIC) {
        from_hdf5(bytes, options)
    } else if bytes.starts_with(archive::MAGIC) {
        from_archive(bytes, options)
    } else {
        Err(ImportError::Unknown)
    }
}

fn from_archive(bytes: &[u8], options: &Options) -> Result<Imported, ImportError> {
    let mut archive = Archive::open(bytes)?;
    let architecture = Architecture::read(&archive.entry("config.json")?, "config.json")?;
    let bytes = archive.entry("model.weights.h5")?;
    let file = Hdf5::open(&bytes)?;
    let container = weights::container(&file)?.ok_or(ImportError::NoWeights)?;
    let weights = weights::by_place(&file, container, &architecture.dense)?;
    described(architecture, weights, options)
}

fn from_hdf5(bytes: &[u8], options: &Options) -> Result<Imported, ImportError> {
    let file = Hdf5::open(bytes)?;
    if let Some(json) = file.text("", "model_config")? {
        let architecture = Architecture::read(json.as_bytes(), "model_config")?;
        let weights = weights::by_name(&file, "model_weights", &architecture.dense)?;
        described(architecture, weights, options)
    } else if let Some(layer_names) = file.texts("", "layer_names")? {
        bare(weights::all_by_name(&file, &layer_names)?, options)
    } else if let Some(container) = weights::container(&file)? {
        bare(weights::all_by_place(&file, container)?, options)
    } else {
        Err(ImportError::NoWeights)
    }
}

/// The network of an architecture and its weights.
fn described(
    architecture: Architecture,
    weights: Vec<Affine>,
    options: &Options,
) -> Result<Imported, ImportError> {
    let Architecture { input_shape, flattens, rescales, dense } = architecture;
    let activations = dense.iter().map(|layer| layer.activation).collect();
    let shape = options.input_shape.clone().or(input_shape);
    let assumptions = if rescales { Vec::new() } else { vec![Assumption::Scale] };
    Ok(Imported { model: assemble(shape, flattens, activations, weights)?, assumptions })
}

/// The network of weights alone.
fn bare(weights: Vec<Affine>, options: &Options) -> Result<Imported, ImportError> {
    let mut activations = vec![Activation::Relu; weights.len()];
    if let Some(last) = activations.last_mut() {
        *last = Activation::Softmax;
    }
    let model = assemble(options.input_shape.clone(), false, activations, weights)?;
    Ok(Imported { model, assumptions: vec![Assumption::Architecture] })
}

/// Builds the model. A shape that is not known is a square, if the inputs are the pixels of one.
fn assemble(
    shape: Option<Vec<usize>>,
    flattens: bool,
    activations: Vec<Activation>,
    weights: Vec<Affine>,
) -> Result<Model, ImportError> {
    let inputs = weights.first().ok_or(ImportError::NoWeights)?.inputs;
    let shape = shape.unwrap_or_else(|| {
        let side = inputs.isqrt();
        if side * side == inputs { vec![side, side] } else { vec![inputs] }
    });
    if shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size)) != Some(inputs) {
        return Err(ImportError::InputShape { shape, inputs });
    }
    let mut sequential = Sequential::new(shape.clone());
    if flattens || shape.len() != 1 {
        sequential = sequential.flatten();
    }
    let mut width = inputs;
    for (position, (affine, activation)) in weights.iter().zip(activations).enumerate() {
        if affine.inputs != width {
            let (inputs, place) = (affine.inputs, position + 1);
            return Err(ImportError::Weights {
                path: format!("Dense layer {place}"),
                problem: format!("its kernel takes {inputs} numbers, the layer before it gives {width}"),
            });
        }
        width = affine.outputs;
        sequential = sequential.dense(width, activation);
    }
    let mut model = sequential.build_zeroed()?;
    let mut values = weights.into_iter().flat_map(|affine| [Some(affine.kernel), affine.bias]);
    // Without a bias it stays zero.
    model.for_each_weight_mut(|_, weight| {
        if let Some(values) = values.next().flatten() {
            weight.copy_from_slice(&values);
        }
    });
    Ok(model)
}
