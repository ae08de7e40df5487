//! Compares training with each layer, activation, loss and schedule with a reference in `f64` and with Keras, recorded by
//! `tests/keras/networks.py`.

use std::collections::BTreeMap;

use ndarray::{Array1, Array2, ArrayView2};
use serde_json::Value;
use ziffer_dataset::View;
use ziffer_nn::optimizer::AnySchedule;
use ziffer_nn::optimizer::schedule::{
    CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, OneCycle, PiecewiseConstantDecay,
    PolynomialDecay,
};
use ziffer_nn::{
    Activation, Adam, AnyLoss, AnyOptimizer, BinaryCrossentropy, CategoricalCrossentropy, Config,
    MeanAbsoluteError, MeanSquaredError, Model, Nadam, Sequential, SparseCategoricalCrossentropy, WithLabels,
    WithTargets, layer_from_config,
};
use ziffer_trainer::Trainer;

use crate::support::{Losses, farthest, keras, numbers};

const UNITS: usize = 24;

fn recorded() -> Value {
    serde_json::from_str(&std::fs::read_to_string(keras("networks.json")).unwrap()).unwrap()
}

/// The recorded kernels and biases by name.
fn initial() -> BTreeMap<String, Array1<f32>> {
    let bytes = std::fs::read(keras("networks.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |data: &[u8]| {
        data.chunks_exact(4).map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap())).collect()
    };
    file.iter().map(|(name, tensor)| (name.to_owned(), numbers(tensor.data()))).collect()
}

fn number(settings: &Value, name: &str) -> f64 {
    settings[name].as_f64().unwrap_or_else(|| panic!("no {name} in {settings}"))
}

fn count(settings: &Value, name: &str) -> u64 {
    settings[name].as_u64().unwrap_or_else(|| panic!("no {name} in {settings}"))
}

fn schedule(settings: &Value) -> AnySchedule {
    let number = |name: &str| number(settings, name);
    let count = |name: &str| count(settings, name);
    let initial = settings["initial_learning_rate"].as_f64().unwrap_or_default();
    match settings["class"].as_str().unwrap() {
        "ExponentialDecay" => ExponentialDecay {
            staircase: settings["staircase"].as_bool().unwrap(),
            ..ExponentialDecay::new(initial, count("decay_steps"), number("decay_rate"))
        }
        .into(),
        "PiecewiseConstantDecay" => {
            let boundaries: Vec<u64> = settings["boundaries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|step| step.as_u64().unwrap())
                .collect();
            PiecewiseConstantDecay::new(boundaries, numbers(&settings["values"])).into()
        }
        "PolynomialDecay" => PolynomialDecay {
            end_learning_rate: number("end_learning_rate"),
            power: number("power"),
            ..PolynomialDecay::new(initial, count("decay_steps"))
        }
        .into(),
        "InverseTimeDecay" => {
            InverseTimeDecay::new(initial, count("decay_steps"), number("decay_rate")).into()
        }
        "CosineDecay" => CosineDecay {
            alpha: number("alpha"),
            warmup_target: settings["warmup_target"].as_f64(),
            warmup_steps: count("warmup_steps"),
            ..CosineDecay::new(initial, count("decay_steps"))
        }
        .into(),
        "CosineDecayRestarts" => CosineDecayRestarts {
            t_mul: number("t_mul"),
            m_mul: number("m_mul"),
            alpha: number("alpha"),
            ..CosineDecayRestarts::new(initial, count("first_decay_steps"))
        }
        .into(),
        "OneCycle" => OneCycle {
            pct_start: number("pct_start"),
            div_factor: number("div_factor"),
            final_div_factor: number("final_div_factor"),
            ..OneCycle::new(number("max_learning_rate"), count("total_steps"))
        }
        .into(),
        other => panic!("unknown schedule {other}"),
    }
}

fn loss(class_and_settings: &Value) -> AnyLoss {
    let settings = &class_and_settings[1];
    let label_smoothing = settings["label_smoothing"].as_f64().unwrap_or(0.0);
    let from_logits = false;
    match class_and_settings[0].as_str().unwrap() {
        "SparseCategoricalCrossentropy" => {
            AnyLoss::SparseCategoricalCrossentropy(SparseCategoricalCrossentropy {
                from_logits,
                label_smoothing,
            })
        }
        "CategoricalCrossentropy" => {
            AnyLoss::CategoricalCrossentropy(CategoricalCrossentropy { from_logits, label_smoothing })
        }
        "BinaryCrossentropy" => {
            AnyLoss::BinaryCrossentropy(BinaryCrossentropy { from_logits, label_smoothing })
        }
        "MeanSquaredError" => AnyLoss::MeanSquaredError(MeanSquaredError),
        "MeanAbsoluteError" => AnyLoss::MeanAbsoluteError(MeanAbsoluteError),
        other => panic!("unknown loss {other}"),
    }
}

/// The layers of a list of class names and settings.
fn with_layers(stack: Sequential, layers: &Value) -> Sequential {
    layers.as_array().unwrap().iter().fold(stack, |stack, layer| {
        let config = layer[1].as_object().unwrap();
        stack.add_boxed(layer_from_config(layer[0].as_str().unwrap(), &Config::new(config)).unwrap().unwrap())
    })
}

fn set_dense(model: &mut Model, layer: &str, initial: &BTreeMap<String, Array1<f32>>, name: &str) {
    for part in ["kernel", "bias"] {
        let numbers = initial[&format!("{name}.{part}")].clone();
        let of_model = format!("{layer}.{part}");
        let shape = model.weight(&of_model).unwrap().raw_dim();
        let numbers = numbers.into_shape_with_order(shape).unwrap();
        model.set_weight(&of_model, numbers.view()).unwrap();
    }
}

/// A run's network with its recorded weights.
fn network(run: &Value, outputs: usize) -> Model {
    let stack =
        with_layers(Sequential::new([28, 28]).flatten().dense(UNITS, Activation::Linear), &run["layers"]);
    let mut model = stack.dense(outputs, run["last"].as_str().unwrap().parse().unwrap()).build(0).unwrap();
    let initial = initial();
    set_dense(&mut model, "dense", &initial, "first");
    set_dense(&mut model, "dense_1", &initial, &format!("last_{outputs}"));
    model
}

/// The losses of a recorded run.
fn ours(run: &Value, adam: Adam, data: View<'_>) -> Vec<f64> {
    let x = ArrayView2::from_shape((data.len(), data.features()), data.pixels()).unwrap();
    let labels: Vec<usize> = (0..data.len()).map(|sample| data.label(sample)).collect();
    let mut losses = Losses::default();
    let rate = &run["learning_rate"];
    let adam = Adam { learning_rate: rate.as_f64().unwrap_or(1.0), ..adam };
    let mut trainer = Trainer::new(AnyOptimizer::from(adam), loss(&run["loss"]))
        .shuffle(false)
        .threads(2)
        .callback(&mut losses);
    if rate.is_object() {
        trainer = trainer.schedule(schedule(rate));
    }
    let history = match run["target"].as_str().unwrap() {
        "class" => trainer.fit(&mut network(run, 10), &WithLabels::new(x, &labels)),
        "one_hot" => {
            let t = Array2::from_shape_fn((labels.len(), 10), |(sample, class)| {
                f32::from(u8::from(labels[sample] == class))
            });
            trainer.fit(&mut network(run, 10), &WithTargets::new(x, t.view()))
        }
        "is_odd" => {
            let t = Array2::from_shape_fn((labels.len(), 1), |(sample, _)| (labels[sample] % 2) as f32);
            trainer.fit(&mut network(run, 1), &WithTargets::new(x, t.view()))
        }
        other => panic!("unknown target {other}"),
    };
    history.unwrap();
    drop(trainer);
    losses.0
}

#[test]
fn every_step_is_as_close_to_the_reference_as_keras() {
    let set = crate::support::mnist();
    let recorded = recorded();
    let settings = &recorded["adam"];
    let adam = Adam {
        beta_1: number(settings, "beta_1"),
        beta_2: number(settings, "beta_2"),
        epsilon: number(settings, "epsilon"),
        ..Adam::default()
    };
    let runs = recorded["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 32, "the recorded runs");
    let mut farther = Vec::new();
    for run in runs {
        let reference = numbers(&run["reference"]);
        assert_eq!(reference.len(), 50);
        let backends = run["keras"].as_object().unwrap();
        let keras =
            backends.values().map(|losses| farthest(&numbers(losses), &reference)).fold(0.0, f64::max);
        let distance = farthest(&ours(run, adam, set.train.view().slice(0..32 * 50)), &reference);
        let line = format!("{}: Keras's farthest {keras:.2e}, ours {distance:.2e}", run["name"]);
        println!("{line}");
        if distance > 2.0 * keras {
            farther.push(line);
        }
    }
    assert!(farther.is_empty(), "{farther:?}");
}

#[test]
fn four_epochs_with_nadam_match_keras() {
    let set = crate::support::mnist();
    let recorded = &recorded()["epochs"];
    let settings = &recorded["nadam"];
    let nadam = Nadam {
        learning_rate: number(settings, "learning_rate"),
        beta_1: number(settings, "beta_1"),
        beta_2: number(settings, "beta_2"),
        epsilon: number(settings, "epsilon"),
        ..Nadam::default()
    };
    let mut model = with_layers(Sequential::new([28, 28]).flatten(), &recorded["layers"]).build(0).unwrap();
    let initial = initial();
    for layer in ["dense", "dense_1", "dense_2", "dense_3"] {
        set_dense(&mut model, layer, &initial, &format!("epochs.{layer}"));
    }
    let mut trainer = Trainer::new(
        AnyOptimizer::from(nadam),
        loss(&serde_json::json!(["SparseCategoricalCrossentropy", {}])),
    )
    .epochs(4)
    .validation_split(0.1)
    .shuffle(false)
    .threads(2);
    let history = trainer.fit(&mut model, &set.train).unwrap();
    let distance = farthest(&history.loss, &numbers(&recorded["loss"]));
    let val_distance = farthest(&history.val_loss, &numbers(&recorded["val_loss"]));
    println!("training loss {distance:.2e}, validation loss {val_distance:.2e}");
    assert!(distance <= 0.002 && val_distance <= 0.02, "{history:?}");
}
