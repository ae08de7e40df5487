//! Export of models to ONNX files, which other programs run.
//!
//! ```
//! use ziffer_formats::onnx::{self, PixelType};
//! use ziffer_nn::{Activation, Sequential};
//!
//! let model = Sequential::new([28, 28]).flatten().dense(10, Activation::Softmax).build(0)?;
//! let bytes = onnx::export(&model, PixelType::U8)?;
//! # assert!(bytes.windows(4).any(|window| window == b"Gemm"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The exported graph takes samples as the model was trained on them, pixels 0 to 255 or numbers, and returns the model's
//! outputs, `[N, O]`. Every built-in layer is converted. [`register_converter`] adds the conversion of a layer of one's own.
//!
//! The file is protobuf, after `onnx.proto` of ONNX 1.13 (IR version 8, opset 17). The encoder is written by hand: the few
//! messages in use do not justify a dependency.

mod activation;
mod built_in;
mod converter;
mod error;
mod export;
mod graph;
mod layer;
mod protobuf;

pub use converter::register_converter;
pub use error::OnnxError;
pub use export::{PixelType, export};
pub use graph::Graph;
pub use layer::ExportedLayer;
