//! Exported graphs, run by another program's code.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

use ndarray::{Array2, Array3};
use rten::Value;
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::{Activation, LayerNormalization, Model, PixelType, Relu, Sequential};

const SAMPLES: usize = 1000;

fn pictures() -> Array3<u8> {
    let mut stream = Stream::new(3, Purpose::Other(0), 0);
    Array3::from_shape_simple_fn((SAMPLES, 7, 5), || {
        if stream.below(3) == 0 { stream.below(256) as u8 } else { 0 }
    })
}

/// What the exported graph says of the pictures, by rten.
fn run(model: &Model, pixels: PixelType) -> Array2<f32> {
    let graph = rten::Model::load(model.to_onnx(pixels).unwrap()).unwrap();
    let bytes: Vec<u8> = pictures().into_iter().collect();
    let input: Value = match pixels {
        PixelType::U8 => Value::from_shape([SAMPLES, 7, 5], bytes).unwrap(),
        PixelType::F32 => {
            let numbers: Vec<f32> = bytes.into_iter().map(f32::from).collect();
            Value::from_shape([SAMPLES, 7, 5], numbers).unwrap()
        }
    };
    let output = graph.run_one((&input).into(), None).unwrap();
    let (shape, numbers) = output.into_shape_vec::<f32, 2>().unwrap();
    Array2::from_shape_vec(shape, numbers).unwrap()
}

/// The largest difference between the model's outputs and those of its exported graph.
fn apart(model: &Model, pixels: PixelType) -> f32 {
    let pictures = pictures();
    let ours = model.predict(pictures.to_shape((SAMPLES, 35)).unwrap().view());
    let theirs = run(model, pixels);
    assert_eq!(theirs.dim(), ours.dim());
    ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn every_activation_has_its_operators() {
    for activation in Activation::ALL {
        let model = Sequential::new([7, 5])
            .rescaling(1.0 / 63.0, -1.5)
            .flatten()
            .dense(40, activation)
            .dense(10, Activation::Linear)
            .build(8)
            .unwrap();
        let apart = apart(&model, PixelType::U8);
        // Exponentials here are up to a hundred, all others up to ten.
        let tolerance = if activation == Activation::Exponential { 3e-5 } else { 3e-6 };
        assert!(apart <= tolerance, "{activation}: {apart} apart");
    }
}

#[test]
fn every_layer_has_its_operators() {
    let start = || Sequential::new([7, 5]).rescaling(1.0 / 63.0, -1.5);
    for stack in [
        start().layer_normalization().leaky_relu(0.3).flatten().dense(10, Activation::Linear),
        start().reshape([5, 7]).softmax().flatten().dense(10, Activation::Linear),
        start()
            .add(LayerNormalization::new().center(false).scale(false))
            .activation(Activation::Softmax)
            .p_relu(),
        start().relu().elu(0.6).gaussian_noise(0.1).activation(Activation::GeluTanh).reshape([-1]),
        start().add(Relu::new().max_value(0.9).negative_slope(0.25).threshold(0.5)),
        start().add(Relu::new().max_value(0.9)).flatten().layer_normalization().softmax(),
    ] {
        let mut model = stack.build(8).unwrap();
        // Not as they start, so that each has a part.
        model.for_each_weight_mut(|_, weight| {
            weight.iter_mut().zip(0..).for_each(|(w, place)| *w += 0.01 * (place % 50) as f32);
        });
        let apart = apart(&model, PixelType::U8);
        assert!(apart <= 5e-6, "{apart} apart:\n{}", model.summary());
    }
}

#[test]
fn another_program_gives_the_same_probabilities() {
    for (activation, last) in [
        (Activation::Relu, Activation::Softmax),
        (Activation::Sigmoid, Activation::Softmax),
        (Activation::Tanh, Activation::Sigmoid),
        (Activation::Linear, Activation::Linear),
    ] {
        let model = Sequential::new([7, 5])
            .rescaling(1.0 / 255.0, 0.0)
            .flatten()
            .dense(33, activation)
            .batch_normalization()
            .dropout(0.2)
            .dense(12, activation)
            .dense(10, last)
            .build(8)
            .unwrap();
        for pixels in [PixelType::U8, PixelType::F32] {
            let apart = apart(&model, pixels);
            assert!(apart <= 1e-6, "{activation} {pixels:?}: {apart} apart");
        }
    }
}
