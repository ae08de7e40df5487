//! What can prevent an export.

use ziffer_nn::LayerError;

/// A model with a layer that cannot be exported.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnnxError {
    /// The layer's class is neither built in nor registered.
    #[error(
        "layer {layer} is a {class}, which cannot be exported to ONNX; register a converter with register_converter"
    )]
    NoConverter {
        /// The layer's name.
        layer: String,
        /// The layer's class.
        class: String,
    },
    /// The layer's converter returned an error.
    #[error("layer {layer} ({class}): {problem}")]
    Converter {
        /// The layer's name.
        layer: String,
        /// The layer's class.
        class: String,
        /// The converter's error.
        problem: LayerError,
    },
}

ziffer_base::debug_as_message!(OnnxError);
