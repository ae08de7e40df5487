//! The built-in layers and activations.

use std::collections::BTreeSet;

use ziffer_formats::onnx::PixelType;
use ziffer_nn::{Activation, LayerNormalization, Relu, Sequential, is_built_in, known_classes};

use crate::{difference, perturb_weights};

#[test]
fn every_activation_is_converted() {
    for activation in Activation::ALL {
        let model = Sequential::new([7, 5])
            .rescaling(1.0 / 63.0, -1.5)
            .flatten()
            .dense(40, activation)
            .dense(10, Activation::Linear)
            .build(8)
            .unwrap();
        let difference = difference(&model, PixelType::U8);
        // Exponentials here are up to a hundred, all others up to ten.
        let tolerance = if activation == Activation::Exponential { 3e-5 } else { 3e-6 };
        assert!(difference <= tolerance, "{activation}: {difference}");
    }
}

#[test]
fn every_layer_is_converted() {
    let start = || Sequential::new([7, 5]).rescaling(1.0 / 63.0, -1.5);
    let mut tested = BTreeSet::new();
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
        start().batch_normalization().dropout(0.2),
    ] {
        let mut model = stack.build(8).unwrap();
        perturb_weights(&mut model);
        let difference = difference(&model, PixelType::U8);
        assert!(difference <= 5e-6, "{difference}:\n{}", model.summary());
        tested.extend(model.layers().map(|layer| layer.class_name.to_owned()));
    }
    let known = known_classes();
    let built_in: BTreeSet<String> =
        known.split(", ").filter(|class| is_built_in(class)).map(ToOwned::to_owned).collect();
    assert_eq!(tested, built_in);
}

#[test]
fn pixels_of_both_types_give_the_same_probabilities() {
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
            let difference = difference(&model, pixels);
            assert!(difference <= 1e-6, "{activation} {pixels:?}: {difference}");
        }
    }
}

#[test]
fn pixels_are_scaled_as_in_the_model() {
    let network = |rescaling: &[(f64, f64)]| {
        let start = Sequential::new([7, 5]).flatten();
        let stack = rescaling.iter().fold(start, |stack, &(scale, offset)| stack.rescaling(scale, offset));
        let mut model = stack.dense(4, Activation::Softmax).build(8).unwrap();
        model.set_takes_pixels(true);
        model
    };
    for rescaling in [
        // A pixel stands for pixel / 255.
        &[][..],
        &[(1.0 / 255.0, 0.0)],
        &[(0.01, -1.0)],
        &[(1.0 / 255.0, 0.0), (2.0, 0.5)],
        // A Rescaling takes the pixel itself, also one that changes no number.
        &[(1.0, 0.0)],
        &[(1.0, 0.0), (0.01, 0.0)],
    ] {
        for pixels in [PixelType::U8, PixelType::F32] {
            let difference = difference(&network(rescaling), pixels);
            assert!(difference <= 1e-5, "{rescaling:?} {pixels:?}: {difference}");
        }
    }
}
