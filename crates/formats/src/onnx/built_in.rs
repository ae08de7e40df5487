//! The ONNX operators of the built-in layers, which are converted by class, settings and weights.

use ziffer_nn::{Activation, LayerError};

use super::graph::Graph;
use super::layer::ExportedLayer;

/// Adds a built-in layer, as it is at inference, and returns the name of its output value; `None` if its class is not built in.
pub(super) fn convert(
    graph: &mut Graph,
    layer: &ExportedLayer<'_>,
    input: &str,
) -> Option<Result<String, LayerError>> {
    Some(match layer.class_name() {
        "Activation" => activation(graph, layer, input),
        "BatchNormalization" => batch_normalization(graph, layer, input),
        "Dense" => dense(graph, layer, input),
        "ELU" => elu(graph, layer, input),
        "LayerNormalization" => layer_normalization(graph, layer, input),
        "LeakyReLU" => leaky_relu(graph, layer, input),
        "PReLU" => p_relu(graph, layer, input),
        "ReLU" => relu(graph, layer, input),
        "Rescaling" => rescaling(graph, layer, input),
        "Softmax" => Ok(activation_of_samples(graph, layer, Activation::Softmax, input)),
        // They pass on every number at inference, and samples are rows in the graph.
        "Dropout" | "Flatten" | "GaussianNoise" | "Reshape" => Ok(input.to_owned()),
        _ => return None,
    })
}

/// A setting as a number.
fn number(layer: &ExportedLayer<'_>, setting: &str) -> Result<f32, LayerError> {
    Ok(layer.config().number(setting, None)? as f32)
}

fn activation(graph: &mut Graph, layer: &ExportedLayer<'_>, input: &str) -> Result<String, LayerError> {
    let activation = layer.config().activation("activation")?;
    Ok(activation_of_samples(graph, layer, activation, input))
}

/// An activation of samples of any shape. A softmax goes over their last axis.
fn activation_of_samples(
    graph: &mut Graph,
    layer: &ExportedLayer<'_>,
    activation: Activation,
    input: &str,
) -> String {
    let name = layer.value("activated");
    if activation != Activation::Softmax || layer.output_shape().len() == 1 {
        return graph.activation(activation, input, &name);
    }
    let rows = rows_of_last_axis(graph, layer, input);
    let softmax = graph.activation(activation, &rows, &name);
    samples(graph, layer, &softmax)
}

/// A Reshape of samples of several axes to rows of the last axis. A converter calls it once.
fn rows_of_last_axis(graph: &mut Graph, layer: &ExportedLayer<'_>, input: &str) -> String {
    let [_, .., columns] = layer.output_shape() else { return input.to_owned() };
    let shape = graph.constant_i64(&layer.value("shape_of_rows"), &[-1, *columns as i64]);
    graph.node("Reshape", &[input, &shape], &layer.value("rows"))
}

/// A Reshape of rows of the last axis to samples, after [`rows_of_last_axis`].
fn samples(graph: &mut Graph, layer: &ExportedLayer<'_>, input: &str) -> String {
    if layer.output_shape().len() < 2 {
        return input.to_owned();
    }
    let outputs = layer.output_shape().iter().product::<usize>() as i64;
    let shape = graph.constant_i64(&layer.value("shape_of_samples"), &[-1, outputs]);
    graph.node("Reshape", &[input, &shape], &layer.value("samples"))
}

/// The weight of this name, or a constant of one value for each index of the last axis where the layer does without it.
fn weight_or(
    graph: &mut Graph,
    layer: &ExportedLayer<'_>,
    name: &str,
    is_weight: bool,
    value: f32,
) -> Result<String, LayerError> {
    if is_weight {
        return graph.weight(layer, name);
    }
    let columns = layer.columns();
    Ok(graph.constant(&layer.value(name), &[columns], &vec![value; columns]))
}

fn batch_normalization(
    graph: &mut Graph,
    layer: &ExportedLayer<'_>,
    input: &str,
) -> Result<String, LayerError> {
    let config = layer.config();
    let gamma = weight_or(graph, layer, "gamma", config.flag("scale", true)?, 1.0)?;
    let beta = weight_or(graph, layer, "beta", config.flag("center", true)?, 0.0)?;
    let mean = graph.weight(layer, "moving_mean")?;
    let variance = graph.weight(layer, "moving_variance")?;
    // The operator takes the second axis for channels.
    let rows = graph.constant_i64(&layer.value("rows"), &[-1, layer.columns() as i64]);
    let by_channel = graph.node("Reshape", &[input, &rows], &layer.value("channels"));
    let inputs = [by_channel.as_str(), &gamma, &beta, &mean, &variance];
    let epsilon = [("epsilon", number(layer, "epsilon")?)];
    let normalized =
        graph.node_with("BatchNormalization", &inputs, &layer.value("normalized"), &[], &epsilon);
    let outputs = layer.output_shape().iter().product::<usize>() as i64;
    let samples = graph.constant_i64(&layer.value("samples"), &[-1, outputs]);
    Ok(graph.node("Reshape", &[&normalized, &samples], &layer.value("output")))
}

fn dense(graph: &mut Graph, layer: &ExportedLayer<'_>, input: &str) -> Result<String, LayerError> {
    let config = layer.config();
    let mut inputs = vec![input.to_owned(), graph.weight(layer, "kernel")?];
    if config.flag("use_bias", true)? {
        inputs.push(graph.weight(layer, "bias")?);
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let affine = graph.node("Gemm", &inputs, &layer.value("affine"));
    Ok(graph.activation(config.activation("activation")?, &affine, &layer.value("activated")))
}

fn elu(graph: &mut Graph, layer: &ExportedLayer<'_>, input: &str) -> Result<String, LayerError> {
    let alpha = [("alpha", number(layer, "alpha")?)];
    Ok(graph.node_with("Elu", &[input], &layer.value("activated"), &[], &alpha))
}

fn layer_normalization(
    graph: &mut Graph,
    layer: &ExportedLayer<'_>,
    input: &str,
) -> Result<String, LayerError> {
    let config = layer.config();
    // The operator needs a scale and can do without a bias.
    let gamma = weight_or(graph, layer, "gamma", config.flag("scale", true)?, 1.0)?;
    let mut inputs = vec![rows_of_last_axis(graph, layer, input), gamma];
    if config.flag("center", true)? {
        inputs.push(graph.weight(layer, "beta")?);
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let (axis, epsilon) = ([("axis", 1)], [("epsilon", number(layer, "epsilon")?)]);
    let normalized =
        graph.node_with("LayerNormalization", &inputs, &layer.value("normalized"), &axis, &epsilon);
    Ok(samples(graph, layer, &normalized))
}

fn leaky_relu(graph: &mut Graph, layer: &ExportedLayer<'_>, input: &str) -> Result<String, LayerError> {
    let alpha = [("alpha", number(layer, "negative_slope")?)];
    Ok(graph.node_with("LeakyRelu", &[input], &layer.value("activated"), &[], &alpha))
}

fn p_relu(graph: &mut Graph, layer: &ExportedLayer<'_>, input: &str) -> Result<String, LayerError> {
    let (_, alpha) = layer.weight("alpha")?;
    let alpha = graph.constant(&layer.value("alpha"), &[alpha.len()], &alpha);
    Ok(graph.node("PRelu", &[input, &alpha], &layer.value("activated")))
}

fn relu(graph: &mut Graph, layer: &ExportedLayer<'_>, input: &str) -> Result<String, LayerError> {
    let config = layer.config();
    let (has_maximum, threshold) = (!config.value("max_value").is_null(), config.number("threshold", None)?);
    if !has_maximum && threshold == 0.0 {
        return leaky_relu(graph, layer, input);
    }
    let mut above = input.to_owned();
    if has_maximum {
        let maximum = graph.constant(&layer.value("max_value"), &[], &[number(layer, "max_value")?]);
        above = graph.node("Min", &[input, &maximum], &layer.value("above"));
    }
    let threshold = graph.constant(&layer.value("threshold"), &[], &[threshold as f32]);
    let slope = [number(layer, "negative_slope")?];
    let slope = graph.constant(&layer.value("negative_slope"), &[], &slope);
    let is_above = graph.node("Greater", &[input, &threshold], &layer.value("is_above"));
    let distance = graph.node("Sub", &[input, &threshold], &layer.value("distance"));
    let below = graph.node("Mul", &[&distance, &slope], &layer.value("below"));
    Ok(graph.node("Where", &[&is_above, &above, &below], &layer.value("activated")))
}

fn rescaling(graph: &mut Graph, layer: &ExportedLayer<'_>, input: &str) -> Result<String, LayerError> {
    let (scale, offset) = (number(layer, "scale")?, layer.config().number("offset", None)?);
    let scale = graph.constant(&layer.value("scale"), &[], &[scale]);
    let scaled = graph.node("Mul", &[input, &scale], &layer.value("scaled"));
    if offset == 0.0 {
        return Ok(scaled);
    }
    let offset = graph.constant(&layer.value("offset"), &[], &[offset as f32]);
    Ok(graph.node("Add", &[&scaled, &offset], &layer.value("rescaled")))
}
