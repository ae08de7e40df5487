//! Recipes: a file says what flags would say, and flags have the last word.

use std::fs;

use crate::sandbox::{Sandbox, summary, weights_sha256};

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
fn a_recipe_and_the_flags_that_say_the_same_give_the_same_weights() {
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
fn what_a_recipe_leaves_out_is_the_tutorials() {
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
fn every_optimizer_has_kerass_learning_rate_if_none_is_given() {
    for (optimizer, rate) in [("sgd", "0.01"), ("adam", "0.001"), ("adamw", "0.001"), ("rmsprop", "0.001")] {
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
fn recipes_that_are_none() {
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
fn recipes_with_unknown_keys_or_bad_values() {
    refused(&RECIPE.replace("epochs", "epoch"), &["epoch"]);
    refused(&format!("{RECIPE}[model]\nlayers = 3\n"), &["model"]);
    // What has the wrong type is named by its line, what is out of its range by its key.
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
        ("optimizer = \"rmsprop\"", "optimizer = \"lion\"", "lion"),
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
fn a_recipe_for_a_network_that_no_memory_holds() {
    let sandbox = with_recipe(&RECIPE.replace("[7, 5]", "[1000000000000]"));
    sandbox.refuse("train --recipe recipe.toml --data-dir set --out run", &["hidden"]);
}
