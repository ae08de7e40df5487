//! Models as ONNX files, which other programs run.
//!
//! The graph takes samples as the model was trained on them: pixels 0 to 255, which it turns into numbers, or numbers. It
//! gives the model's outputs, `[N, O]`. Layers add themselves to a [`Graph`]. The file is protobuf, after `onnx.proto` of
//! ONNX 1.13 (IR version 8, opset 17), written by hand: messages of a dozen fields do not pay for a library.

mod graph;
mod protobuf;

use ziffer_tensor::Activation;

use crate::Model;
use crate::layer::{InputType, Mode};

pub use graph::{ExportedLayer, Graph, Unsupported};

/// The type of the pixels that an exported graph takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PixelType {
    /// Bytes.
    #[default]
    U8,
    /// The numbers 0 to 255 as `f32`.
    F32,
}

/// A model with a layer that cannot be exported to ONNX.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("layer {layer} is a {class}, which cannot be exported to ONNX; implement export_onnx for it")]
pub struct OnnxError {
    /// The layer's name.
    pub layer: String,
    /// Its class.
    pub class: String,
}

ziffer_base::debug_as_message!(OnnxError);

impl Model<f32> {
    /// The model as the bytes of an ONNX file. The same model gives the same bytes.
    ///
    /// The input is called `images`, the output `probabilities` after a softmax and `outputs` after anything else. A model
    /// that [takes pixels](Self::takes_pixels) gets them as `pixels` says, 0 to 255, and scales them itself; any other one
    /// gets its numbers as `f32`, whatever `pixels` says.
    ///
    /// # Errors
    /// If a layer says nothing of its export.
    pub fn to_onnx(&self, pixels: PixelType) -> Result<Vec<u8>, OnnxError> {
        let mut graph = Graph::new(self);
        let bytes = self.takes_pixels() && pixels == PixelType::U8;
        let mut value = "images".to_owned();
        if bytes {
            value = graph.cast_to_float(&value, "pixels");
        }
        let layers = self.computing(Mode::Inference, InputType::Real);
        let rescales = layers.first().is_some_and(|slot| slot.layer.class_name() == crate::rescaling::CLASS);
        if self.takes_pixels() && !rescales {
            let scale = graph.constant("scale", &[], &[255.0]);
            value = graph.node("Div", &[&value, &scale], "scaled");
        }
        // Layers work on rows, whatever the shape that they have for each other.
        value = graph.flatten(&value, "flat");
        for slot in &layers {
            let exported =
                ExportedLayer { name: &slot.name, output_shape: &slot.output_shape, specs: &slot.specs };
            value = slot.layer.export_onnx(&mut graph, &exported, &value).map_err(|Unsupported| {
                OnnxError { layer: slot.name.clone(), class: slot.layer.class_name().to_owned() }
            })?;
        }
        let is_softmax =
            layers.last().is_some_and(|slot| slot.layer.output_activation() == Some(Activation::Softmax));
        let output = if is_softmax { "probabilities" } else { "outputs" };
        graph.node("Identity", &[&value], output);
        Ok(graph.finish(bytes, self.input_shape(), output, self.output_shape()))
    }
}
