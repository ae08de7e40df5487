//! Import of the files that Keras writes.
//!
//! ```no_run
//! use ziffer_formats::keras::{self, Options};
//!
//! let imported = keras::import(&std::fs::read("digits.keras")?, &Options::default())?;
//! for assumption in &imported.assumptions {
//!     eprintln!("digits.keras {assumption}");
//! }
//! imported.model.save("model.safetensors")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | file | written by | architecture |
//! |---|---|---|
//! | `.keras` | `model.save` of Keras 3 | in the file |
//! | `.weights.h5` | `model.save_weights` of Keras 3 | assumed |
//! | `.h5` | `model.save` in the format before Keras 3 | in the file |
//! | `.h5` | `model.save_weights` in the format before Keras 3 | assumed |
//!
//! The import recognizes the format by content.
//!
//! **Layers.** The network must be a stack of InputLayer, Rescaling, Flatten, Reshape, Dense, Activation, ReLU, LeakyReLU,
//! PReLU, ELU, Softmax, Dropout, GaussianNoise, BatchNormalization and LayerNormalization, with the activations of
//! [`ziffer_nn::Activation`], and of classes registered with [`register_layer`](ziffer_nn::register_layer). An Activation, ReLU
//! or Softmax that follows a Dense without an activation becomes the activation of that Dense. GaussianDropout,
//! AlphaDropout and ActivityRegularization act in training only; they are left out and listed in
//! [`Imported::assumptions`]. Any other layer is an error that names it.
//!
//! **Initializers.** They are kept, so that the same network can be trained anew. Keras's seeds are not kept. An initializer
//! that ziffer does not have is replaced by the default and listed in [`Imported::assumptions`].
//!
//! **Pixels.** The imported model takes pixels 0 to 255 as bytes. If the network begins with a Rescaling, it scales the
//! pixels itself. Otherwise the import assumes that the network was trained on pixels divided by 255.
//!
//! **Hostile files.** They are refused. An import allocates a small multiple of the file's length, and some megabytes for an
//! architecture of maximum length.

mod architecture;
mod archive;
mod assumption;
mod chain;
mod error;
mod hdf5;
mod import;
mod model;
mod weights;

pub use assumption::Assumption;
pub use error::ImportError;
pub use import::{Imported, Options, import};
