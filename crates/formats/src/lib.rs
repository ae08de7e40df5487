//! Models in other programs' files: import from Keras, export to ONNX.
//!
//! ```
//! # #[cfg(all(feature = "keras", feature = "onnx"))]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use ziffer_formats::{keras, onnx};
//!
//! let bytes = std::fs::read("tests/keras/fixtures/digits.keras")?;
//! let imported = keras::import(&bytes, &keras::Options::default())?;
//! for assumption in &imported.assumptions {
//!     eprintln!("digits.keras {assumption}");
//! }
//!
//! let bytes = onnx::export(&imported.model, onnx::PixelType::U8)?;
//! assert!(bytes.windows(13).any(|window| window == b"probabilities"));
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "keras", feature = "onnx")))]
//! # fn main() {}
//! ```
//!
//! # Modules
//! Each is a feature of its own; both are on by default.
//! * `keras` reads `.keras`, `.weights.h5` and `.h5` files.
//! * `onnx` writes ONNX files.
//!
//! Both work on bytes: reading and writing files is the caller's task. A model's own format, safetensors, is
//! [`Model::save`](ziffer_nn::Model::save) and [`Model::load`](ziffer_nn::Model::load).
#![forbid(unsafe_code)]

#[cfg(feature = "keras")]
pub mod keras;
#[cfg(feature = "onnx")]
pub mod onnx;
