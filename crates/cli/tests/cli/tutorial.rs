//! The main use: `train` without flags, and the predictions of its model.

use std::fs;
use std::time::Instant;

use serde_json::Value;

use crate::idx::mnist;
use crate::sandbox::{Sandbox, finish, summary};
use crate::tensors;

/// The minimum accuracy of the tutorial's recipe.
const FLOOR: f64 = 0.965;
const EPOCHS: usize = 5;

#[test]
fn the_tutorial_from_its_command_to_its_predictions() {
    let sandbox = Sandbox::new();
    let start = Instant::now();
    let outcome = finish(sandbox.command().arg("train").arg("--data-dir").arg(mnist())).succeeded();
    let wall_seconds = start.elapsed().as_secs_f64();

    let percent = outcome
        .stdout
        .strip_prefix("Test Accuracy: ")
        .and_then(|rest| rest.strip_suffix("%\n"))
        .unwrap_or_else(|| panic!("nothing but the accuracy: {outcome:?}"));
    let digits: Vec<_> = percent.split('.').map(str::len).collect();
    assert_eq!(digits, [2, 2], "{percent}");

    assert!(outcome.stderr.bytes().all(|b| b == b'\n' || b >= b' '), "plain lines: {outcome:?}");
    let epochs: Vec<_> = outcome.stderr.lines().filter(|line| line.starts_with("Epoch ")).collect();
    assert_eq!(epochs.len(), EPOCHS, "a line an epoch: {outcome:?}");
    for (index, line) in epochs.iter().enumerate() {
        assert!(line.starts_with(&format!("Epoch {}/5", index + 1)), "{line}");
        assert!(line.contains("accuracy"), "{line}");
    }

    // The default run folder.
    let run = sandbox.path("runs/mnist-0");
    let summary = summary(&run);
    assert_eq!(summary["dataset"], "mnist");
    assert_eq!(summary["seed"], 0);
    assert_eq!(summary["epochs"], 5);
    assert_eq!(summary["batch_size"], 32);
    assert_eq!(summary["parameters"], 109_386);
    assert!(summary["threads"].as_u64().is_some_and(|threads| threads >= 1), "{summary}");
    for key in ["loss", "accuracy", "val_loss", "val_accuracy", "seconds"] {
        let values = numbers(&summary["history"][key]);
        assert_eq!(values.len(), EPOCHS, "{key}");
        assert!(values.iter().all(|value| value.is_finite() && *value >= 0.0), "{key}: {values:?}");
        if key == "loss" {
            assert!(values.is_sorted_by(|a, b| a > b), "{key} falls: {values:?}");
        } else if key.ends_with("accuracy") {
            assert!(values.iter().all(|value| (0.9..1.0).contains(value)), "{key}: {values:?}");
        }
    }
    let fit_seconds = summary["fit_seconds"].as_f64().expect("a number");
    let longest = numbers(&summary["history"]["seconds"]).into_iter().fold(0.0, f64::max);
    assert!((longest..=wall_seconds).contains(&fit_seconds), "{longest} {fit_seconds} {wall_seconds}");
    assert!(summary["test_loss"].as_f64().is_some_and(|loss| (0.0..0.2).contains(&loss)), "{summary}");
    let accuracy = summary["test_accuracy"].as_f64().expect("a number");
    assert!(accuracy > FLOOR && accuracy < 1.0, "{accuracy}");
    assert_eq!(format!("{:.2}", accuracy * 100.0), percent);

    let layers = tensors::layers(&run.join("model.safetensors"));
    let shapes: Vec<_> = layers.iter().map(|layer| (layer.name.as_str(), layer.shape.as_slice())).collect();
    let expected: [(&str, &[usize]); 6] = [
        ("dense.kernel", &[784, 128]),
        ("dense.bias", &[128]),
        ("dense_1.kernel", &[128, 64]),
        ("dense_1.bias", &[64]),
        ("dense_2.kernel", &[64, 10]),
        ("dense_2.bias", &[10]),
    ];
    assert_eq!(shapes, expected);
    assert_eq!(summary["weights_sha256"], tensors::sha256(&layers));

    // The folder, the file in it and the file alone are the same model.
    fs::copy(run.join("model.safetensors"), sandbox.path("alone.safetensors")).unwrap();
    for model in ["runs/mnist-0", "runs/mnist-0/model.safetensors", "alone.safetensors"] {
        let evaluate = sandbox
            .command()
            .args(["evaluate", model, "--dataset", "mnist", "--data-dir"])
            .arg(mnist())
            .output()
            .unwrap();
        let printed = String::from_utf8(evaluate.stdout).unwrap();
        assert!(printed.contains(&format!("{percent}%")), "{model}: {printed}");
        let loss = format!("{:.4}", summary["test_loss"].as_f64().unwrap());
        assert!(printed.contains(&loss), "{model}: {loss} in {printed}");
    }

    // The first test images of MNIST are a clear 7, 2, 1 and 0.
    let mut predict = sandbox.command();
    predict.args(["predict", "alone.safetensors", "0", "1", "2", "3", "--json", "--dataset", "mnist"]);
    let predictions = finish(predict.arg("--data-dir").arg(mnist())).succeeded();
    let digits: Vec<u64> = predictions
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["digit"].as_u64().unwrap())
        .collect();
    assert_eq!(digits, [7, 2, 1, 0]);
}

fn numbers(values: &Value) -> Vec<f64> {
    let values = values.as_array().expect("a list");
    values.iter().map(|value| value.as_f64().expect("a number")).collect()
}
