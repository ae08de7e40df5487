//! Networks out of the files that Keras writes.
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
//! Which one it is, is told from the bytes. A network is a stack of InputLayer, Rescaling, Flatten, Reshape, Dense, Activation, ReLU,
//! LeakyReLU, PReLU, ELU, Softmax, Dropout, GaussianNoise, BatchNormalization, LayerNormalization, with activations that
//! [`ziffer_nn::Activation`] has, and of the program's own classes that [`register_layer`](ziffer_nn::register_layer) made known.
//! An Activation, ReLU or Softmax right behind a Dense without an activation becomes that one's. GaussianDropout and its like,
//! which act in training only, are left out with a word in [`Imported::assumptions`]. Everything else is refused by name.
//!
//! Initialisers are kept, though the weights are read: they say how the same network starts anew. Keras's seeds are not. One that
//! ziffer has no equal of leaves its weight's default, with a word in [`Imported::assumptions`].
//!
//! A model takes pixels 0 to 255 as bytes. A network that begins with a Rescaling makes numbers of them itself; of any other
//! it is assumed that its pictures were divided by 255 before they reached it.
//!
//! Files may be hostile: they are refused, and what is allocated on the way is a few times their length, beside some megabytes
//! for an architecture that is as long as it may be.
#![forbid(unsafe_code)]

mod architecture;
mod archive;
mod chain;
mod error;
mod hdf5;
mod network;
mod weights;

use std::fmt;

use ziffer_nn::Model;

use crate::architecture::Architecture;
use crate::archive::Archive;
use crate::hdf5::Hdf5;
use crate::weights::Store;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assumption {
    /// There is no architecture: hidden layers have a relu, the last one a softmax, and pixels are divided by 255.
    Architecture,
    /// There is no Rescaling: pictures were divided by 255 before they reached the network.
    Scale,
    /// A layer that acts in training only, and that ziffer has no equal of, is left out.
    TrainingOnly {
        /// Its name.
        layer: String,
        /// Its class.
        class: String,
    },
    /// An initialiser that ziffer has no equal of is left out. The weights do not depend on it.
    Initializer {
        /// The layer's name.
        layer: String,
        /// The layer's class.
        class: String,
        /// Which of its initialisers.
        setting: String,
        /// What it is in the file.
        initializer: String,
    },
}

impl fmt::Display for Assumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Architecture => f.write_str(
                "has no architecture; assumed are relu in hidden layers, softmax in the last, and pixels divided by 255",
            ),
            Self::Scale => f.write_str("has no Rescaling; assumed are pixels divided by 255"),
            Self::TrainingOnly { layer, class } => {
                write!(f, "layer {layer} ({class}) acts in training only and is left out")
            }
            Self::Initializer { layer, class, setting, initializer } => {
                write!(
                    f,
                    "layer {layer} ({class}): {setting} is {initializer}, which ziffer has no equal of; \
                     assumed is the default"
                )
            }
        }
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
    let store = Store::by_number(&file)?.ok_or(ImportError::NoWeights)?;
    network::assemble(architecture, &store, options)
}

fn from_hdf5(bytes: &[u8], options: &Options) -> Result<Imported, ImportError> {
    let file = Hdf5::open(bytes)?;
    if let Some(json) = file.text("", "model_config")? {
        let architecture = Architecture::read(json.as_bytes(), "model_config")?;
        return network::assemble(architecture, &Store::by_name(&file, "model_weights"), options);
    }
    let (store, layer_names) = match file.texts("", "layer_names")? {
        Some(layer_names) => (Store::by_name(&file, ""), layer_names),
        None => (Store::by_number(&file)?.ok_or(ImportError::NoWeights)?, Vec::new()),
    };
    network::assemble(Architecture::assumed(store.dense_layers(&layer_names)?), &store, options)
}
