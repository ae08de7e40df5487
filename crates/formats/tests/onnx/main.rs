//! Export to ONNX. rten, another ONNX implementation, runs the exported graphs.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

use ndarray::{Array2, Array3};
use rten::Value;
use ziffer_formats::onnx::{self, PixelType};
use ziffer_nn::Model;
use ziffer_nn::random::{Purpose, Stream};

mod built_in;
mod own_layers;

const SAMPLES: usize = 1000;

/// Images of 7x5 pixels.
fn images() -> Array3<u8> {
    let mut stream = Stream::new(3, Purpose::Other(0), 0);
    Array3::from_shape_simple_fn((SAMPLES, 7, 5), || {
        if stream.below(3) == 0 { stream.below(256) as u8 } else { 0 }
    })
}

/// The outputs of the exported graph for the images, by rten.
fn run(model: &Model, pixels: PixelType) -> Array2<f32> {
    let graph = rten::Model::load(onnx::export(model, pixels).unwrap()).unwrap();
    let bytes: Vec<u8> = images().into_iter().collect();
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

/// The largest difference between the outputs of the model and of its exported graph.
fn difference(model: &Model, pixels: PixelType) -> f32 {
    let images = images();
    let expected = model.predict(images.to_shape((SAMPLES, 35)).unwrap().view());
    let found = run(model, pixels);
    assert_eq!(found.dim(), expected.dim());
    expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Changes every weight from its initial value, so that each has an effect.
fn perturb_weights(model: &mut Model) {
    model.for_each_weight_mut(|_, weight| {
        weight.iter_mut().zip(0..).for_each(|(w, index)| *w += 0.01 * (index % 50) as f32);
    });
}
