//! The average of the weights, with frozen layers and in the place of the weights.

use ndarray::Array2;
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::{Activation, Model, Sequential, Sgd, SparseCategoricalCrossentropy, Training, WithLabels};

use super::setup::{CLASSES, FEATURES};
use crate::common::{classes, numbers};

/// The average of a layer that is unfrozen during training starts from its weights, not from zeros. A second swap restores the
/// weights, also if layers were frozen or unfrozen in between.
#[test]
fn the_average_of_an_unfrozen_layer_starts_from_its_weights() {
    let x = numbers(32, FEATURES, 4);
    let classes = classes(32, CLASSES);
    let samples = WithLabels::new(x.view(), &classes);
    let (loss, team) = (SparseCategoricalCrossentropy::default(), ThreadTeam::new(1).unwrap());
    let stack = Sequential::new([FEATURES]).dense(8, Activation::Tanh).dense(CLASSES, Activation::Softmax);
    let mut model = stack.build(1).unwrap();
    model.set_trainable("dense", false).unwrap();
    let kernel = |model: &Model| model.weight("dense.kernel").unwrap().to_owned();
    let initial = kernel(&model);
    let mut training = Training::new(&model, Sgd::default(), 8).unwrap().ema(0.5).unwrap();
    let order: Vec<u32> = (0..32).collect();
    training.run(&mut model, &loss, &samples, &order, (&team).into()).unwrap();
    // Swapped while the layer is frozen, and swapped back after it is unfrozen, as a callback may do.
    let raw = model.weights_sha256();
    training.swap_average(&mut model).unwrap();
    assert_eq!(kernel(&model), initial);
    model.set_trainable("dense", true).unwrap();
    training.swap_average(&mut model).unwrap();
    assert_eq!(model.weights_sha256(), raw);
    training.run(&mut model, &loss, &samples, &order[..8], (&team).into()).unwrap();
    let moved = kernel(&model);
    training.swap_average(&mut model).unwrap();
    let middle = (&initial + &moved) * 0.5;
    assert!(moved != initial && kernel(&model).iter().zip(&middle).all(|(a, b)| (a - b).abs() < 1e-7));
}

fn average_of_a_step() -> (Training<f32, Sgd>, Model, Array2<f32>) {
    let x = numbers(8, FEATURES, 4);
    let mut model = Sequential::new([FEATURES]).dense(CLASSES, Activation::Softmax).build(1).unwrap();
    let mut training = Training::new(&model, Sgd::default(), 8).unwrap().ema(0.5).unwrap();
    let samples = WithLabels::new(x.view(), &[0; 8]);
    let (loss, team) = (SparseCategoricalCrossentropy::default(), ThreadTeam::new(1).unwrap());
    training.run(&mut model, &loss, &samples, &[0, 1, 2, 3], (&team).into()).unwrap();
    (training, model, x)
}

#[test]
#[should_panic(expected = "call swap_average again before training continues")]
fn training_does_not_continue_from_the_average() {
    let (mut training, mut model, x) = average_of_a_step();
    training.swap_average(&mut model).unwrap();
    let samples = WithLabels::new(x.view(), &[0; 8]);
    let (loss, team) = (SparseCategoricalCrossentropy::default(), ThreadTeam::new(1).unwrap());
    let gradients = training.gradients(&mut model, &loss, &samples, &[0, 1], (&team).into()).unwrap();
    assert!(gradients.global_norm() > 0.0);
    let _ = training.run(&mut model, &loss, &samples, &[0, 1], (&team).into());
}

#[test]
#[should_panic(expected = "the order has sample 8, there are 8 samples")]
fn an_order_beyond_the_samples_is_rejected() {
    let (mut training, mut model, x) = average_of_a_step();
    let samples = WithLabels::new(x.view(), &[0; 8]);
    let (loss, team) = (SparseCategoricalCrossentropy::default(), ThreadTeam::new(2).unwrap());
    let _ = training.run(&mut model, &loss, &samples, &[0, 8], (&team).into());
}
