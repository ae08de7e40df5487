//! A custom class in a Keras file, imported through the registry.

use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use serde_json::{Map, Value, json};
use ziffer_formats::keras::{Options, import};
use ziffer_nn::layer::{Input, Parallelism};
use ziffer_nn::{
    BatchNormalization, Context, GradientSink, Initializer, Layer, LayerError, WeightSpec, Weights,
    register_layer,
};

use crate::support::{self, archive, entries, layers};

/// Batch normalization under another class name.
#[derive(Debug)]
struct ChannelAffineNorm(BatchNormalization);

impl Layer<f32> for ChannelAffineNorm {
    fn class_name(&self) -> &'static str {
        "ChannelAffineNorm"
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        Layer::<f32>::build(&mut self.0, input_shape)
    }

    fn weights(&self) -> Vec<WeightSpec> {
        Layer::<f32>::weights(&self.0)
    }

    fn config(&self) -> Map<String, Value> {
        Layer::<f32>::config(&self.0)
    }

    fn parallelism(&self) -> Parallelism {
        Layer::<f32>::parallelism(&self.0)
    }

    fn saved(&self) -> usize {
        Layer::<f32>::saved(&self.0)
    }

    fn scratch(&self) -> usize {
        Layer::<f32>::scratch(&self.0)
    }

    fn forward(
        &self,
        context: &mut Context<'_, f32>,
        weights: Weights<'_, f32>,
        x: Input<'_, f32>,
        y: ArrayViewMut2<'_, f32>,
    ) {
        self.0.forward(context, weights, x, y);
    }

    fn backward(
        &self,
        context: &mut Context<'_, f32>,
        weights: Weights<'_, f32>,
        x: Input<'_, f32>,
        y: ArrayView2<'_, f32>,
        d: ArrayViewMut2<'_, f32>,
        d_x: Option<ArrayViewMut2<'_, f32>>,
    ) {
        self.0.backward(context, weights, x, y, d, d_x);
    }

    fn gradient(
        &self,
        x: Input<'_, f32>,
        d: ArrayView2<'_, f32>,
        saved: &[f32],
        sink: &mut GradientSink<'_, f32>,
    ) {
        self.0.gradient(x, d, saved, sink);
    }
}

/// `norm.keras` with the custom class instead of BatchNormalization.
fn file(module: &str) -> Vec<u8> {
    let (mut config, mut weights) = entries("norm.keras");
    let layer = &mut layers(&mut config)[4];
    layer["module"] = json!(module);
    layer["class_name"] = json!("ChannelAffineNorm");
    layer["registered_name"] = json!("mine>ChannelAffineNorm");
    layer["config"]["gamma_initializer"] = json!({
        "module": "keras.initializers", "class_name": "RandomNormal",
        "config": { "mean": 1.0, "stddev": 0.5, "seed": 3 }, "registered_name": null
    });
    let (from, to) = (b"batch_normalization\0", b"channel_affine_norm\0");
    let places: Vec<usize> = (0..weights.len()).filter(|&at| weights[at..].starts_with(from)).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| weights[at..at + to.len()].copy_from_slice(to));
    archive(&[("config.json", config.to_string().as_bytes()), ("model.weights.h5", &weights)])
}

#[test]
fn a_registered_class_is_imported_with_its_weights() {
    let error = import(&file("mine.layers"), &Options::default()).unwrap_err().to_string();
    let start = "layer 5, batch_normalization (mine.layers.ChannelAffineNorm): this class is not supported";
    assert!(error.starts_with(start), "{error}");

    register_layer("ChannelAffineNorm", |config| {
        let norm = BatchNormalization::new();
        let momentum = config.number("momentum", Some(0.99))?;
        let norm = norm.momentum(momentum).epsilon(config.number("epsilon", Some(1e-3))?);
        let initializer = config.initializer("gamma_initializer", Initializer::Ones)?;
        Ok(ChannelAffineNorm(norm.gamma_initializer(initializer)))
    })
    .unwrap();
    let ours = import(&file("mine.layers"), &Options::default()).unwrap().model;
    let theirs = import(&support::fixture("norm.keras"), &Options::default()).unwrap().model;
    assert_eq!(ours.weights_sha256(), theirs.weights_sha256());
    assert!(ours.weight("channel_affine_norm.moving_variance").is_some());
    // The seed in the file is left out.
    let initializer = json!({ "class_name": "RandomNormal", "config": { "mean": 1.0, "stddev": 0.5 } });
    assert_eq!(ours.layer_configs()[3]["config"]["gamma_initializer"], initializer);
    let images = Array2::from_shape_fn((3, 784), |(row, column)| (7 * row * column % 256) as u8);
    assert_eq!(ours.predict(images.view()), theirs.predict(images.view()));
}
