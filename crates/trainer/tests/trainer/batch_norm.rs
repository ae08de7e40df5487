//! Compares training with batch normalization with Keras: steps, moving averages, epochs and evaluations of the same runs.
//!
//! `tests/keras/batch_norm.py` recorded the files. The first steps must be as close to a reference in f64 as Keras's backends. Runs of
//! several epochs diverge, because rounding moves a pre-activation across relu's kink. Their bounds are about twice the distance
//! between runs of Keras that differ by rounding.

use serde_json::Value;
use ziffer_dataset::View;
use ziffer_nn::{Activation, Adam, BatchNormalization, Model, Sequential, SparseCategoricalCrossentropy};
use ziffer_trainer::{DatasetSamples, Evaluate, Trainer};

use crate::support::{Losses, farthest, keras, numbers};

fn recorded() -> Value {
    serde_json::from_str(&std::fs::read_to_string(keras("batch_norm.json")).unwrap()).unwrap()
}

fn initial_model(recorded: &Value) -> Model {
    let get = |name: &str| recorded[name].as_f64().unwrap();
    let norm = BatchNormalization::new().momentum(get("momentum")).epsilon(get("epsilon"));
    let mut model = Sequential::new([28, 28])
        .flatten()
        .dense(64, Activation::Relu)
        .add(norm)
        .dense(32, Activation::Relu)
        .add(norm)
        .dense(10, Activation::Softmax)
        .build(0)
        .unwrap();
    model.load_weights(keras("batch_norm_initial.safetensors")).unwrap();
    model
}

fn trainer<'a>(recorded: &Value) -> Trainer<'a, Adam, SparseCategoricalCrossentropy> {
    let settings = &recorded["optimizer"];
    assert_eq!((&settings["kind"], &settings["amsgrad"]), (&"adam".into(), &false.into()));
    let get = |name: &str| settings[name].as_f64().unwrap();
    let adam = Adam {
        learning_rate: get("learning_rate"),
        beta_1: get("beta_1"),
        beta_2: get("beta_2"),
        epsilon: get("epsilon"),
        ..Adam::default()
    };
    Trainer::new(adam, SparseCategoricalCrossentropy::default())
        .batch_size(recorded["batch_size"].as_u64().unwrap() as usize)
        .shuffle(false)
}

/// The losses of the first steps, and the model after them, on this many threads.
fn steps(recorded: &Value, data: View<'_>, threads: usize) -> (Vec<f64>, Model) {
    let steps = recorded["steps"]["steps"].as_u64().unwrap() as usize;
    let mut losses = Losses::default();
    let mut model = initial_model(recorded);
    trainer(recorded)
        .threads(threads)
        .callback(&mut losses)
        .fit(&mut model, &DatasetSamples(data.slice(0..32 * steps)))
        .unwrap();
    (losses.0, model)
}

#[test]
fn steps_and_moving_averages_are_as_close_to_the_reference_as_keras() {
    let set = crate::support::mnist();
    let recorded = recorded();
    let (losses, model) = steps(&recorded, set.train.view(), 1);
    let reference = &recorded["steps"]["reference"];
    let backends = recorded["steps"]["keras"].as_object().unwrap();
    assert_eq!((losses.len(), backends.len()), (50, 2), "the recorded runs");
    let hold = |name: &str, ours: &[f64], of: &dyn Fn(&Value) -> Vec<f64>| {
        let reference = of(reference);
        let keras = backends.values().map(|run| farthest(&of(run), &reference)).fold(0.0, f64::max);
        let ours = farthest(ours, &reference);
        println!("{name:40} Keras's farthest {keras:.2e}, ours {ours:.2e}");
        assert!(keras > 0.0 && ours <= 2.0 * keras, "{name}: Keras's farthest {keras:.2e}, ours {ours:.2e}");
    };
    hold("losses", &losses, &|run| numbers(&run["losses"]));
    let moving = reference["moving"].as_object().unwrap();
    assert_eq!(moving.len(), 4, "moving averages");
    for name in moving.keys() {
        let ours: Vec<f64> = model.weight(name).unwrap().iter().map(|&x| f64::from(x)).collect();
        hold(name, &ours, &|run| numbers(&run["moving"][name]));
    }

    let (on_three, other) = steps(&recorded, set.train.view(), 3);
    assert_eq!(on_three, losses);
    assert_eq!(other.weights_sha256(), model.weights_sha256());
}

#[test]
fn epochs_match_keras() {
    let set = crate::support::mnist();
    let recorded = recorded();
    let epochs = &recorded["epochs"];
    let keras = &epochs["keras"][0];
    assert!(keras["noise_seed"].is_null(), "the run from the initial weights comes first");
    let mut model = initial_model(&recorded);
    let history = trainer(&recorded)
        .epochs(epochs["epochs"].as_u64().unwrap() as usize)
        .validation_split(epochs["validation_split"].as_f64().unwrap())
        .threads(2)
        .fit(&mut model, &set.train)
        .unwrap();
    assert_eq!(history.epochs(), 5);
    let test = model.evaluate(&set.test).unwrap();
    let distances = |name: &str, ours: &[f64]| -> Vec<f64> {
        let keras = numbers(&keras[name]);
        assert_eq!(ours.len(), keras.len());
        ours.iter().zip(&keras).map(|(ours, keras)| (ours - keras).abs()).collect()
    };
    let test_accuracy = (test.accuracy - keras["test_accuracy"].as_f64().unwrap()).abs();
    let loss = distances("loss", &history.loss);
    let val_loss = distances("val_loss", &history.val_loss);
    println!("distances from Keras: loss {loss:?}, val_loss {val_loss:?}, test accuracy {test_accuracy:.4}");
    assert!(loss.iter().all(|&distance| distance <= 0.004), "loss: {loss:?}");
    assert!(val_loss.iter().all(|&distance| distance <= 0.035), "val_loss: {val_loss:?}");
    assert!(test_accuracy <= 0.006, "test accuracy: {} of ours, {test_accuracy} from Keras's", test.accuracy);
}
