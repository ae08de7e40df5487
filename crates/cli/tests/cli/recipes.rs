//! Recipes: files have the same effect as flags, and flags override them.

use std::fs;

use crate::repeatable::machine_has;
use crate::sandbox::{Sandbox, finish, summary, weights_sha256};

const RECIPE: &str = "\
dataset = \"custom\"
hidden = [7, 5]
epochs = 3
batch_size = 11
validation_split = 0.25
optimizer = \"rmsprop\"
learning_rate = 0.003
shuffle = false
seed = 4
";

const AS_FLAGS: &str = "--dataset custom --hidden 7,5 --epochs 3 --batch-size 11 --validation-split 0.25 \
                        --optimizer rmsprop --learning-rate 0.003 --no-shuffle --seed 4";

fn with_recipe(text: &str) -> Sandbox {
    let sandbox = Sandbox::with_tiny_set();
    fs::write(sandbox.path("recipe.toml"), text).unwrap();
    sandbox
}

#[test]
fn a_recipe_gives_the_same_weights_as_the_same_flags() {
    let sandbox = with_recipe(RECIPE);
    sandbox.succeed("train --recipe recipe.toml --data-dir set --out a");
    sandbox.succeed(&format!("train {AS_FLAGS} --data-dir set --out b"));
    assert_eq!(weights_sha256(&sandbox.path("a")), weights_sha256(&sandbox.path("b")));
    let summary = summary(&sandbox.path("a"));
    assert_eq!(summary["epochs"], 3);
    assert_eq!(summary["batch_size"], 11);
    assert_eq!(summary["seed"], 4);
    assert_eq!(summary["parameters"], 20 * 7 + 7 + 7 * 5 + 5 + 5 * 3 + 3);
    assert_eq!(summary["history"]["loss"].as_array().map(Vec::len), Some(3));
}

#[test]
fn flags_override_the_recipe() {
    let sandbox = with_recipe(RECIPE);
    let seed = "--seed 9";
    sandbox
        .succeed(&format!("train --recipe recipe.toml --data-dir set --out a {seed} --epochs 1 --hidden 4"));
    let flags = AS_FLAGS.replace("--seed 4", seed).replace("--epochs 3", "--epochs 1").replace("7,5", "4");
    sandbox.succeed(&format!("train {flags} --data-dir set --out b"));
    assert_eq!(weights_sha256(&sandbox.path("a")), weights_sha256(&sandbox.path("b")));
    assert_eq!(summary(&sandbox.path("a"))["epochs"], 1);
    assert_eq!(summary(&sandbox.path("a"))["seed"], 9);
}

#[test]
fn missing_keys_default_to_the_tutorial() {
    let sandbox = with_recipe("dataset = \"custom\"\n");
    sandbox.succeed("train --recipe recipe.toml --data-dir set --out a");
    sandbox.succeed("train --dataset custom --recipe tutorial --data-dir set --out b");
    sandbox.succeed(
        "train --dataset custom --data-dir set --out c --hidden 128,64 --epochs 5 --batch-size 32 \
         --validation-split 0.1 --learning-rate 0.001 --optimizer adam --seed 0",
    );
    let weights = ["a", "b", "c"].map(|run| weights_sha256(&sandbox.path(run)));
    assert_eq!(weights[0], weights[1]);
    assert_eq!(weights[0], weights[2]);
}

#[test]
fn default_learning_rates_are_kerass() {
    for (optimizer, rate) in [
        ("sgd", "0.01"),
        ("adam", "0.001"),
        ("adamw", "0.001"),
        ("rmsprop", "0.001"),
        ("nadam", "0.001"),
        ("lion", "0.001"),
    ] {
        let sandbox = Sandbox::with_tiny_set();
        let train = format!("train --dataset custom --data-dir set --hidden 4 --optimizer {optimizer}");
        sandbox.succeed(&format!("{train} --out a"));
        sandbox.succeed(&format!("{train} --out b --learning-rate {rate}"));
        assert_eq!(weights_sha256(&sandbox.path("a")), weights_sha256(&sandbox.path("b")), "{optimizer}");
    }
}

#[track_caller]
fn refused(recipe: &str, words: &[&str]) {
    let sandbox = with_recipe(recipe);
    let train = "train --recipe recipe.toml --data-dir set --out run";
    sandbox.refuse(train, &["recipe.toml"]).refused(words);
}

#[test]
fn files_that_are_not_recipes_are_refused() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.refuse("train --recipe nowhere.toml --out run", &["nowhere.toml"]);
    sandbox.refuse("train --recipe nowhere --out run", &["nowhere", "tutorial"]);
    sandbox.refuse("train --recipe set --out run", &["set"]);
    refused("epochs = ", &["line 1"]);
    refused("\u{0}\u{1}", &[]);
    fs::write(sandbox.path("binary.toml"), [0xFF, 0xFE, 0x00]).unwrap();
    sandbox.refuse("train --recipe binary.toml --out run", &["binary.toml"]);
}

#[test]
fn unknown_keys_and_invalid_values_are_refused() {
    refused(&RECIPE.replace("epochs", "epoch"), &["epoch"]);
    refused(&format!("{RECIPE}[model]\nlayers = 3\n"), &["model"]);
    // Wrong types are reported by line, values out of range by key.
    for (good, bad, place) in [
        ("epochs = 3", "epochs = 0", "epochs"),
        ("epochs = 3", "epochs = -3", "line 3"),
        ("epochs = 3", "epochs = \"three\"", "line 3"),
        ("epochs = 3", "epochs = 3\nepochs = 4", "line 4"),
        ("batch_size = 11", "batch_size = 0", "batch_size"),
        ("validation_split = 0.25", "validation_split = 1.0", "validation_split"),
        ("validation_split = 0.25", "validation_split = nan", "validation_split"),
        ("learning_rate = 0.003", "learning_rate = -0.003", "learning_rate"),
        ("learning_rate = 0.003", "learning_rate = inf", "learning_rate"),
        ("optimizer = \"rmsprop\"", "optimizer = \"lions\"", "lions"),
        ("dataset = \"custom\"", "dataset = \"cifar\"", "cifar"),
        ("hidden = [7, 5]", "hidden = [7, 0]", "hidden"),
        ("hidden = [7, 5]", "hidden = 7", "line 2"),
        ("shuffle = false", "shuffle = 1", "line 8"),
        ("seed = 4", "seed = -4", "line 9"),
    ] {
        refused(&RECIPE.replace(good, bad), &[place]);
    }
}

#[test]
fn a_network_too_large_for_memory_is_refused() {
    let sandbox = with_recipe(&RECIPE.replace("[7, 5]", "[1000000000000]"));
    sandbox.refuse("train --recipe recipe.toml --data-dir set --out run", &["hidden"]);
}

/// A recipe for the tiny data set with every kind of setting.
pub(crate) const EVERYTHING: &str = r#"
dataset = "custom"
epochs = 3
batch_size = 11
validation_split = 0.25
loss = { name = "sparse_categorical_crossentropy", label_smoothing = 0.1 }

[[layers]]
type = "Rescaling"
scale = 0.00784313725490196
offset = -1
[[layers]]
type = "Dense"
units = 20
kernel_initializer = "he_normal"
use_bias = false
[[layers]]
type = "BatchNormalization"
momentum = 0.9
[[layers]]
type = "PReLU"
[[layers]]
type = "Dropout"
rate = 0.2
[[layers]]
type = "Dense"
units = 9
activation = "gelu"
[[layers]]
type = "LayerNormalization"
[[layers]]
type = "GaussianNoise"
stddev = 0.1

[optimizer]
name = "nadam"
weight_decay = 0.02
global_clipnorm = 0.5
use_ema = true
ema_momentum = 0.9

[optimizer.learning_rate]
schedule = "CosineDecay"
initial_learning_rate = 0.001
warmup_target = 0.01
warmup_epochs = 0.5
decay_epochs = 2.5

[augment]
rotation = 10
zoom = 0.1
shift = 0.5
elastic = 0.5

[[callbacks]]
type = "EarlyStopping"
monitor = "val_loss"
patience = 5
restore_best_weights = true
[[callbacks]]
type = "ReduceLROnPlateau"
monitor = "loss"
patience = 1
min_delta = 10
"#;

#[test]
fn a_recipe_of_layers_gives_the_same_bits_for_any_threads_and_instruction_set() {
    let sandbox = with_recipe(EVERYTHING);
    let train = "train --recipe recipe.toml --data-dir set";
    sandbox.succeed(&format!("{train} --out a --threads 1"));
    let expected = weights_sha256(&sandbox.path("a"));
    for threads in [2, 3, 4, 8] {
        sandbox.succeed(&format!("{train} --out b --force --threads {threads}"));
        assert_eq!(weights_sha256(&sandbox.path("b")), expected, "{threads} threads");
    }
    for set in ["portable", "avx2", "avx512"] {
        let mut command = sandbox.command();
        command.args(train.split_whitespace()).args(["--out", "b", "--force"]).env("ZIFFER_ISA", set);
        if machine_has(set) == Some(true) {
            finish(&mut command).succeeded();
            assert_eq!(weights_sha256(&sandbox.path("b")), expected, "{set}");
        }
    }
    // The recipe that is printed in full, and the one that the run keeps, are the same.
    let shown = sandbox.succeed("recipe show recipe.toml").stdout;
    fs::write(sandbox.path("shown.toml"), &shown).unwrap();
    sandbox.succeed("train --recipe shown.toml --data-dir set --out c");
    assert_eq!(weights_sha256(&sandbox.path("c")), expected);
    assert_eq!(fs::read_to_string(sandbox.path("c/recipe.toml")).unwrap(), shown);
    let summary = summary(&sandbox.path("c"));
    assert_eq!(summary["ema_momentum"], 0.9);
    // The learning rates of the schedule, divided by 10 after the second epoch, because the loss never falls by 10.
    let rates: Vec<f64> = summary["history"]["learning_rate"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rate| rate.as_f64().unwrap())
        .collect();
    assert!(rates[0] > rates[1] && (rates[2] / rates[1] - 0.1).abs() < 1e-9, "{rates:?}");
    assert!(
        summary["learning_rate_schedule"]
            .as_str()
            .unwrap()
            .starts_with("CosineDecay(initial_learning_rate=0.001")
    );
    assert!(
        summary["layers"]
            .as_str()
            .unwrap()
            .contains("BatchNormalization(center=true, epsilon=0.001, momentum=0.9")
    );
    assert_eq!(sandbox.succeed("recipe show shown.toml").stdout, shown);
    // All weights, moving averages included, are initial weights of another run.
    sandbox.succeed("train --recipe shown.toml --data-dir set --out d --init c/model.safetensors");
    assert!(sandbox.succeed("summary c").stdout.contains("Non-trainable params: 40"));
    sandbox.refuse(&format!("{train} --out e --hidden 3"), &["--hidden", "layers"]);
    for part in
        ["rate = 0.2", "weight_decay = 0.02", "label_smoothing = 0.1", "elastic = 0.5", "warmup_epochs = 0.5"]
    {
        fs::write(sandbox.path("other.toml"), EVERYTHING.replace(part, &part.replace(" = 0.", " = 0.0")))
            .unwrap();
        let other = "train --recipe other.toml --data-dir set --out c --resume";
        let key = part.split(' ').next().unwrap();
        sandbox.refuse(other, &[if key == "warmup_epochs" { "warmup_steps" } else { key }]);
    }
}

#[test]
fn callbacks_are_set_by_flags_and_by_recipes() {
    let sandbox = Sandbox::with_tiny_set();
    let train =
        "train --dataset custom --data-dir set --hidden 6 --epochs 8 --learning-rate 0.5 --optimizer sgd";
    // No loss falls by 10: training stops after the second epoch, and the first one is the best.
    let stopped = sandbox.succeed(&format!(
        "{train} --out a --early-stopping val_loss --patience 1 --min-delta 10 --restore-best-weights \
         --csv-logger log.csv --model-checkpoint best-{{epoch:02d}}.safetensors --terminate-on-nan"
    ));
    assert!(stopped.stderr.contains("Epoch 2: early stopping"), "{stopped:?}");
    let summary = summary(&sandbox.path("a"));
    assert_eq!(summary["history"]["loss"].as_array().map(Vec::len), Some(2));
    let log = fs::read_to_string(sandbox.path("log.csv")).unwrap();
    assert!(
        log.starts_with("epoch,accuracy,loss,val_accuracy,val_loss\r\n") && log.lines().count() == 3,
        "{log}"
    );
    assert!(sandbox.path("best-02.safetensors").exists());
    sandbox.succeed(&format!("{train} --out one --epochs=1").replace("--epochs 8 ", ""));
    assert_eq!(weights_sha256(&sandbox.path("a")), weights_sha256(&sandbox.path("one")));

    // The run's recipe has the callbacks, and gives the same weights.
    let kept = fs::read_to_string(sandbox.path("a/recipe.toml")).unwrap();
    assert!(kept.contains("type = \"EarlyStopping\"") && kept.contains("type = \"CSVLogger\""), "{kept}");
    sandbox.succeed("train --recipe a/recipe.toml --data-dir set --out b");
    assert_eq!(weights_sha256(&sandbox.path("b")), weights_sha256(&sandbox.path("a")));

    let reduced = sandbox.succeed(&format!("{train} --out c --reduce-lr-on-plateau loss"));
    assert!(reduced.stderr.contains(" - learning_rate: 0.5000"), "{reduced:?}");
    for (flags, words) in [
        ("--early-stopping f1", vec!["f1", "val_accuracy"]),
        ("--patience 3", vec!["--early-stopping"]),
        ("--early-stopping val_loss --patience -1", vec!["-1"]),
        ("--save-best-only", vec!["--model-checkpoint"]),
        ("--early-stopping val_loss --validation-split 0", vec!["val_loss", "validation"]),
        ("--model-checkpoint {epcoh}.safetensors", vec!["epcoh"]),
        ("--csv-logger nowhere/log.csv", vec!["nowhere/log.csv"]),
    ] {
        let outcome = sandbox.run(&format!("{train} --out d {flags}"));
        outcome.refused(&words);
    }
}

#[test]
fn built_in_recipes_are_listed_and_shown() {
    let sandbox = Sandbox::with_tiny_set();
    assert!(sandbox.succeed("recipe list").stdout.starts_with("tutorial "));
    let shown = sandbox.succeed("recipe show tutorial").stdout;
    for line in ["dataset = \"mnist\"", "hidden = [128, 64]", "seed = 0", "beta_1 = 0.9", "rotation = 0.0"] {
        assert!(shown.lines().any(|found| found == line), "{line}: {shown}");
    }
    sandbox.refuse("recipe show nowhere", &["nowhere", "tutorial"]);
}
