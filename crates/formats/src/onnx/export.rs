//! The export of a model.

use ziffer_nn::layer::InputType;
use ziffer_nn::{Activation, Config, Layer, Mode, Model};

use super::error::OnnxError;
use super::graph::Graph;
use super::layer::ExportedLayer;
use super::{built_in, converter};

/// The type of the pixels that an exported graph takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PixelType {
    /// Bytes.
    #[default]
    U8,
    /// The numbers 0 to 255 as `f32`.
    F32,
}

/// The bytes of an ONNX file of the model. The same model gives the same bytes.
///
/// The input is called `images`. The output is called `probabilities` after a softmax and `outputs` otherwise. A model that
/// [takes pixels](Model::takes_pixels) takes them as `pixels` says, 0 to 255, and the graph scales them. Any other model
/// takes numbers as `f32`, whatever `pixels` says.
///
/// # Errors
/// If a layer's class is neither built in nor registered with [`register_converter`](super::register_converter), or if its
/// converter returns an error.
pub fn export(model: &Model<f32>, pixels: PixelType) -> Result<Vec<u8>, OnnxError> {
    let mut layers: Vec<_> =
        model.layers().map(|info| (info, model.layer(info.name).expect("the model lists it"))).collect();
    let computes = |layer: &dyn Layer<f32>| !layer.is_identity(Mode::Inference, InputType::Real);
    // A Rescaling takes the pixel itself, even if it changes no number. Any other layer takes pixel / 255.
    let rescales = layers
        .iter()
        .find(|(info, layer)| info.class_name == "Rescaling" || computes(*layer))
        .is_some_and(|(info, _)| info.class_name == "Rescaling");
    layers.retain(|(_, layer)| computes(*layer));
    let mut graph = Graph::default();
    let takes_bytes = model.takes_pixels() && pixels == PixelType::U8;
    let mut value = "images".to_owned();
    if takes_bytes {
        value = graph.cast_to_float(&value, "pixels");
    }
    if model.takes_pixels() && !rescales {
        let scale = graph.constant("scale", &[], &[255.0]);
        value = graph.node("Div", &[&value, &scale], "scaled");
    }
    // Layers work on rows, whatever shape their samples have.
    value = graph.flatten(&value, "flat");
    for (info, layer) in &layers {
        let settings = layer.config();
        let exported = ExportedLayer {
            model,
            name: info.name,
            class_name: info.class_name,
            config: Config::new(&settings),
            output_shape: info.output_shape,
        };
        value = add(&mut graph, &exported, &value)?;
    }
    let is_softmax =
        layers.last().is_some_and(|(_, layer)| layer.output_activation() == Some(Activation::Softmax));
    let output = if is_softmax { "probabilities" } else { "outputs" };
    graph.node("Identity", &[&value], output);
    Ok(graph.finish(takes_bytes, model.input_shape(), output, model.output_shape()))
}

/// Adds a layer to the graph and returns the name of its output value.
fn add(graph: &mut Graph, layer: &ExportedLayer<'_>, input: &str) -> Result<String, OnnxError> {
    let (name, class) = (|| layer.name().to_owned(), || layer.class_name().to_owned());
    let output = match (built_in::convert(graph, layer, input), converter::converter(layer.class_name())) {
        (Some(output), _) => output,
        (None, Some(convert)) => convert(graph, layer, input),
        (None, None) => return Err(OnnxError::NoConverter { layer: name(), class: class() }),
    };
    output.map_err(|problem| OnnxError::Converter { layer: name(), class: class(), problem })
}
