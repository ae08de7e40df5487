//! Step for step, the arithmetic is Keras's: losses of the same runs by Keras, by a NumPy reference in f64, and by us.
//!
//! `keras/parity.py` made the files and says how. Keras's own distance from the reference is the measure of what `f32`
//! can be asked for.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

mod support;

use ndarray::ArrayView2;
use serde_json::Value;
use ziffer_dataset::View;
use ziffer_nn::{
    Activation, Adam, AdamW, AnyOptimizer, Model, RmsProp, Sequential, Sgd, SparseCategoricalCrossentropy,
    WithClasses,
};
use ziffer_trainer::{Pixels, Trainer};

use support::{Losses, farthest, keras, numbers};

fn recorded() -> Value {
    serde_json::from_str(&std::fs::read_to_string(keras("parity.json")).unwrap()).unwrap()
}

fn optimizer(settings: &Value) -> AnyOptimizer {
    let get = |name: &str| settings[name].as_f64().unwrap_or_else(|| panic!("no {name} in {settings}"));
    let adam = || Adam {
        learning_rate: get("learning_rate"),
        beta_1: get("beta_1"),
        beta_2: get("beta_2"),
        epsilon: get("epsilon"),
    };
    match settings["kind"].as_str().unwrap() {
        "adam" => adam().into(),
        "adamw" => AdamW { adam: adam(), weight_decay: get("weight_decay") }.into(),
        "sgd" => Sgd {
            learning_rate: get("learning_rate"),
            momentum: get("momentum"),
            nesterov: settings["nesterov"].as_bool().unwrap(),
        }
        .into(),
        "rmsprop" => {
            assert_eq!(get("momentum"), 0.0);
            RmsProp { learning_rate: get("learning_rate"), rho: get("rho"), epsilon: get("epsilon") }.into()
        }
        other => panic!("unknown optimizer {other}"),
    }
}

fn initial_model() -> Model {
    let mut model = Sequential::new([28, 28])
        .flatten()
        .dense(128, Activation::Relu)
        .dense(64, Activation::Relu)
        .dense(10, Activation::Softmax)
        .build(0)
        .unwrap();
    model.load_weights(keras("initial.safetensors")).unwrap();
    model
}

/// Our losses of a recorded run, on this many threads.
fn ours(run: &Value, data: View<'_>, threads: usize) -> Vec<f64> {
    let steps = run["steps"].as_u64().unwrap() as usize;
    let mut losses = Losses::default();
    Trainer::new(optimizer(&run["optimizer"]), SparseCategoricalCrossentropy::default())
        .batch_size(32)
        .shuffle(false)
        .threads(threads)
        .callback(&mut losses)
        .fit_samples(&mut initial_model(), &Pixels(data.slice(0..32 * steps)), None)
        .unwrap();
    losses.0
}

#[test]
fn every_step_is_as_close_to_the_reference_as_keras_is() {
    let set = support::mnist();
    let recorded = recorded();
    let runs = recorded["runs"].as_array().unwrap();
    let names: Vec<_> =
        runs.iter().map(|run| (run["name"].as_str().unwrap(), run["steps"].as_u64().unwrap())).collect();
    assert_eq!(
        names,
        [("adam", 200), ("sgd_momentum", 50), ("sgd_nesterov", 50), ("rmsprop", 50), ("adamw", 50)],
        "the recorded runs"
    );
    for run in runs {
        let reference = numbers(&run["reference"]);
        let backends = run["keras"].as_object().unwrap();
        let keras =
            backends.values().map(|losses| farthest(&numbers(losses), &reference)).fold(0.0, f64::max);
        let ours = ours(run, set.train.view(), 1);
        let distance = farthest(&ours, &reference);
        println!("{:12} Keras's farthest {keras:.2e}, ours {distance:.2e}", run["name"].as_str().unwrap());
        for (step, (ours, reference)) in ours.iter().zip(&reference).enumerate() {
            assert!(
                (ours - reference).abs() <= 2.0 * keras,
                "{}: step {step}: {ours}, {reference}",
                run["name"]
            );
        }
    }
}

#[test]
fn a_run_from_numbers_or_on_more_threads_is_the_same() {
    let set = support::mnist();
    let recorded = recorded();
    let run = &recorded["runs"][0];
    let one = ours(run, set.train.view(), 1);
    assert_eq!(one, ours(run, set.train.view(), 3));

    // Pixels turned into numbers beforehand, so that the dense kernels do the first layer.
    let data = set.train.view().slice(0..32 * 200);
    let real: Vec<f32> = data.pixels().iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    let classes: Vec<usize> = (0..data.len()).map(|i| data.label(i)).collect();
    let x = ArrayView2::from_shape((data.len(), 784), &real).unwrap();
    let mut losses = Losses::default();
    Trainer::new(Adam::default(), SparseCategoricalCrossentropy::default())
        .shuffle(false)
        .threads(2)
        .callback(&mut losses)
        .fit_samples(&mut initial_model(), &WithClasses::new(x, &classes), None)
        .unwrap();
    assert_eq!(one, losses.0);
}
