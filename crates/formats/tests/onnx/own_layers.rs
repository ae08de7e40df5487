//! Layers that are written outside of ziffer, with registered converters.

use ndarray::{ArrayView2, ArrayViewMut2, Axis, s};
use serde_json::{Map, Value};
use ziffer_formats::onnx::{self, PixelType};
use ziffer_nn::{
    Activation, Context, GradientSink, Initializer, Input, Layer, LayerError, Mode, Model, Sequential,
    WeightSpec, Weights, layer::InputType,
};

use crate::{difference, perturb_weights};

/// y = strength * a * x, with a factor a for each number of a sample; y = x for strength 1.
#[derive(Clone, Debug)]
struct Gain {
    class: &'static str,
    strength: f32,
    inputs: usize,
}

impl Gain {
    fn new(class: &'static str, strength: f32) -> Self {
        Self { class, strength, inputs: 0 }
    }
}

impl Layer<f32> for Gain {
    fn class_name(&self) -> &'static str {
        self.class
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.inputs = input_shape.iter().product();
        Ok(input_shape.to_vec())
    }

    fn weights(&self) -> Vec<WeightSpec> {
        vec![WeightSpec::new("factor", [self.inputs], Initializer::Ones)]
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("strength".to_owned(), self.strength.into())])
    }

    fn is_identity(&self, mode: Mode, _: InputType) -> bool {
        mode == Mode::Inference && self.strength == 1.0
    }

    fn forward(
        &self,
        _: &mut Context<'_, f32>,
        weights: Weights<'_, f32>,
        x: Input<'_, f32>,
        mut y: ArrayViewMut2<'_, f32>,
    ) {
        y.assign(&x.to_real());
        y *= &weights.vector(0);
        y *= self.strength;
    }

    fn backward(
        &self,
        _: &mut Context<'_, f32>,
        weights: Weights<'_, f32>,
        _: Input<'_, f32>,
        _: ArrayView2<'_, f32>,
        mut d: ArrayViewMut2<'_, f32>,
        d_x: Option<ArrayViewMut2<'_, f32>>,
    ) {
        d *= self.strength;
        if let Some(mut d_x) = d_x {
            d_x.assign(&d);
            d_x *= &weights.vector(0);
        }
    }

    fn gradient(
        &self,
        x: Input<'_, f32>,
        d: ArrayView2<'_, f32>,
        _: &[f32],
        sink: &mut GradientSink<'_, f32>,
    ) {
        let owned = sink.range(0);
        let products = &x.to_real().slice(s![.., owned.clone()]) * &d.slice(s![.., owned]);
        sink.push(0, products.sum_axis(Axis(0)).as_slice().unwrap());
    }
}

/// A model with two gains.
fn model(class: &'static str, strength: f32) -> Model {
    let mut model = Sequential::new([7, 5])
        .rescaling(1.0 / 255.0, 0.0)
        .flatten()
        .add(Gain::new(class, strength))
        .dense(9, Activation::Tanh)
        .add(Gain::new(class, -0.5 * strength))
        .dense(4, Activation::Softmax)
        .build(2)
        .unwrap();
    perturb_weights(&mut model);
    model
}

/// Registers a converter that uses the layer's name, class, settings, weights and output shape.
fn register(class: &'static str) {
    onnx::register_converter(class, move |graph, layer, input| {
        assert_eq!(layer.class_name(), class);
        let (shape, elements) = layer.weight("factor")?;
        assert_eq!((shape.as_slice(), elements.len()), (layer.output_shape(), shape[0]));
        let factor = graph.weight(layer, "factor")?;
        assert_eq!(factor, format!("{}.factor", layer.name()));
        let product = graph.node("Mul", &[input, &factor], &layer.value("product"));
        let strength = layer.config().number("strength", None)? as f32;
        let strength = graph.constant(&layer.value("strength"), &[], &[strength]);
        Ok(graph.node("Mul", &[&product, &strength], &layer.value("strong")))
    })
    .unwrap();
}

#[test]
fn a_registered_converter_is_used() {
    register("Converted");
    let model = model("Converted", 1.5);
    for pixels in [PixelType::U8, PixelType::F32] {
        let difference = difference(&model, pixels);
        assert!(difference <= 1e-6, "{pixels:?}: {difference}");
    }
}

#[test]
fn a_layer_without_a_converter_is_named() {
    let error = onnx::export(&model("Private", 1.5), PixelType::U8).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer private is a Private, which cannot be exported to ONNX; register a converter with register_converter"
    );
    // The first gain is the identity at inference and needs none.
    let error = onnx::export(&model("Private", 1.0), PixelType::U8).unwrap_err();
    assert!(error.to_string().starts_with("layer private_1 is a Private"), "{error}");
}

#[test]
fn an_error_of_a_converter_names_the_layer() {
    onnx::register_converter("Faulty", |graph, layer, _| graph.weight(layer, "kernel")).unwrap();
    let error = onnx::export(&model("Faulty", 2.0), PixelType::U8).unwrap_err();
    assert_eq!(error.to_string(), "layer faulty (Faulty): it has no weight \"kernel\"");
    // A converter replaces the one before.
    register("Faulty");
    onnx::export(&model("Faulty", 2.0), PixelType::U8).unwrap();
}

#[test]
fn built_in_converters_cannot_be_replaced() {
    let error = onnx::register_converter("Dense", |_, _, input| Ok(input.to_owned())).unwrap_err();
    assert_eq!(error.to_string(), "Dense is the class of a built-in layer; choose another name");
}
