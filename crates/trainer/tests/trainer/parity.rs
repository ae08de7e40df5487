//! Compares the losses of each step with Keras and with a NumPy reference in f64, for the same runs.
//!
//! `tests/keras/parity.py` recorded the files. The distance of Keras from the reference is the bound for `f32`.

use ndarray::ArrayView2;
use serde_json::Value;
use ziffer_dataset::View;
use ziffer_nn::optimizer::schedule::ExponentialDecay;
use ziffer_nn::{
    Activation, Adam, AdamW, AnyOptimizer, Lion, Model, Nadam, RmsProp, Sequential, Sgd,
    SparseCategoricalCrossentropy, WithLabels,
};
use ziffer_trainer::{DatasetSamples, Trainer};

use crate::support::{Losses, farthest, keras, numbers};

fn recorded() -> Value {
    serde_json::from_str(&std::fs::read_to_string(keras("parity.json")).unwrap()).unwrap()
}

fn number(settings: &Value, name: &str) -> f64 {
    settings[name].as_f64().unwrap_or_else(|| panic!("no {name} in {settings}"))
}

fn optimizer(settings: &Value) -> AnyOptimizer {
    let get = |name: &str| number(settings, name);
    let flag = |name: &str| settings[name].as_bool().unwrap();
    // A schedule replaces this rate.
    let learning_rate = settings["learning_rate"].as_f64().unwrap_or(1.0);
    let weight_decay = settings["weight_decay"].as_f64().unwrap_or(0.0);
    match settings["kind"].as_str().unwrap() {
        "adam" => {
            let (beta_1, beta_2, epsilon) = (get("beta_1"), get("beta_2"), get("epsilon"));
            Adam { learning_rate, beta_1, beta_2, epsilon, weight_decay }.into()
        }
        "adamw" => {
            let (beta_1, beta_2, epsilon) = (get("beta_1"), get("beta_2"), get("epsilon"));
            AdamW { learning_rate, beta_1, beta_2, epsilon, weight_decay }.into()
        }
        "nadam" => {
            let (beta_1, beta_2, epsilon) = (get("beta_1"), get("beta_2"), get("epsilon"));
            Nadam { learning_rate, beta_1, beta_2, epsilon, weight_decay }.into()
        }
        "lion" => {
            let (beta_1, beta_2) = (get("beta_1"), get("beta_2"));
            Lion { learning_rate, beta_1, beta_2, weight_decay }.into()
        }
        "sgd" => {
            let (momentum, nesterov) = (get("momentum"), flag("nesterov"));
            Sgd { learning_rate, momentum, nesterov, weight_decay }.into()
        }
        "rmsprop" => {
            let (rho, momentum, epsilon) = (get("rho"), get("momentum"), get("epsilon"));
            let centered = flag("centered");
            RmsProp { learning_rate, rho, momentum, epsilon, centered, weight_decay }.into()
        }
        other => panic!("unknown optimizer {other}"),
    }
}

fn schedule(settings: &Value) -> Option<ExponentialDecay> {
    let settings = settings["learning_rate"].as_object().map(|_| &settings["learning_rate"])?;
    assert_eq!(settings["class"], "ExponentialDecay");
    let steps = settings["decay_steps"].as_u64().unwrap();
    let (initial, rate) = (number(settings, "initial_learning_rate"), number(settings, "decay_rate"));
    Some(ExponentialDecay::new(initial, steps, rate))
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

/// The losses of a recorded run, on this many threads.
fn ours(run: &Value, data: View<'_>, threads: usize) -> Vec<f64> {
    let steps = run["steps"].as_u64().unwrap() as usize;
    let mut losses = Losses::default();
    let mut trainer = Trainer::new(optimizer(&run["optimizer"]), SparseCategoricalCrossentropy::default());
    if let Some(schedule) = schedule(&run["optimizer"]) {
        trainer = trainer.schedule(schedule);
    }
    trainer
        .batch_size(32)
        .shuffle(false)
        .threads(threads)
        .callback(&mut losses)
        .fit(&mut initial_model(), &DatasetSamples(data.slice(0..32 * steps)))
        .unwrap();
    losses.0
}

#[test]
fn every_step_is_as_close_to_the_reference_as_keras() {
    let set = crate::support::mnist();
    let recorded = recorded();
    let runs = recorded["runs"].as_array().unwrap();
    let names: Vec<_> =
        runs.iter().map(|run| (run["name"].as_str().unwrap(), run["steps"].as_u64().unwrap())).collect();
    assert_eq!(
        names,
        [
            ("adam", 200),
            ("sgd_momentum", 50),
            ("sgd_nesterov", 50),
            ("rmsprop", 50),
            ("adamw", 50),
            ("sgd_decay", 50),
            ("rmsprop_centered", 50),
            ("nadam", 50),
            ("lion", 50),
            ("adam_schedule", 50),
        ],
        "the recorded runs"
    );
    for run in runs {
        let reference = numbers(&run["reference"]);
        let backends = run["keras"].as_object().unwrap();
        let keras =
            backends.values().map(|losses| farthest(&numbers(losses), &reference)).fold(0.0, f64::max);
        let ours = ours(run, set.train.view(), 1);
        let distance = farthest(&ours, &reference);
        println!("{:16} Keras's farthest {keras:.2e}, ours {distance:.2e}", run["name"].as_str().unwrap());
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
fn numbers_or_more_threads_give_the_same_result() {
    let set = crate::support::mnist();
    let recorded = recorded();
    let run = &recorded["runs"][0];
    let one = ours(run, set.train.view(), 1);
    assert_eq!(one, ours(run, set.train.view(), 3));

    // Pixels are converted to numbers beforehand, so that the first layer uses the dense kernels.
    let data = set.train.view().slice(0..32 * 200);
    let real: Vec<f32> = data.pixels().iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    let classes: Vec<usize> = (0..data.len()).map(|i| data.label(i)).collect();
    let x = ArrayView2::from_shape((data.len(), 784), &real).unwrap();
    let mut losses = Losses::default();
    Trainer::new(Adam::default(), SparseCategoricalCrossentropy::default())
        .shuffle(false)
        .threads(2)
        .callback(&mut losses)
        .fit(&mut initial_model(), &WithLabels::new(x, &classes))
        .unwrap();
    assert_eq!(one, losses.0);
}
