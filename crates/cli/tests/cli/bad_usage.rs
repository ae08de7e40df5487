//! Invalid flags: each is refused by name, before anything is read or written.

use crate::sandbox::{Outcome, Sandbox, TRAIN_TINY, finish};

/// Runs `train` with `flags` on the tiny data set.
fn train(sandbox: &Sandbox, flags: &[&str]) -> Outcome {
    let mut command = sandbox.command();
    command.args(["train", "--out", "run"]).args(flags);
    if !flags.contains(&"--dataset") {
        command.args(["--dataset", "custom", "--data-dir", "set"]);
    }
    finish(&mut command)
}

/// Runs `train` with `flags`, which must be refused as wrong usage in one line that contains `words`.
#[track_caller]
fn wrong(flags: &[&str], words: &[&str]) {
    let sandbox = Sandbox::with_tiny_set();
    let before = sandbox.files();
    let outcome = train(&sandbox, flags);
    outcome.refused(words);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(before == sandbox.files() && !sandbox.path("run").exists(), "wrong usage creates no files");
}

/// Passes each value as `--flag value` and as `--flag=value`. The error contains the flag and the value.
#[track_caller]
fn each_wrong(flag: &str, values: &[&str]) {
    for value in values {
        wrong(&[flag, value], &[flag, value]);
        wrong(&[&format!("{flag}={value}")], &[flag, value]);
    }
}

#[test]
fn numbers_out_of_their_range() {
    each_wrong("--batch-size", &["0", "1.5", "x", "", "99999999999999999999"]);
    each_wrong("--epochs", &["0", "x", ""]);
    each_wrong("--threads", &["0", "two"]);
    each_wrong("--validation-split", &["1", "1.0", "nan", "inf", "2", "x", ""]);
    each_wrong("--learning-rate", &["0", "nan", "inf", "x"]);
    each_wrong("--hidden", &["0", "10,0,5", "10,,5", ",10", "10,", "x", "1.5", "99999999999999999999"]);
    each_wrong("--seed", &["x", "1.5", "18446744073709551616"]);
}

#[test]
fn negative_numbers() {
    each_wrong("--batch-size", &["-1"]);
    each_wrong("--epochs", &["-3"]);
    each_wrong("--threads", &["-1"]);
    each_wrong("--validation-split", &["-0.1", "-1", "-inf"]);
    each_wrong("--learning-rate", &["-1", "-1e-3"]);
    each_wrong("--hidden", &["-4", "-4,5"]);
    each_wrong("--seed", &["-1"]);
}

#[test]
fn errors_list_the_valid_values() {
    wrong(&["--optimizer", "lions"], &["--optimizer", "lions", "sgd", "adam", "rmsprop", "lion"]);
    wrong(&["--dataset", "cifar"], &["--dataset", "cifar", "mnist", "fashion-mnist", "custom"]);
    wrong(&["--batch-size", "0"], &["at least 1"]);
    wrong(&["--validation-split", "1"], &["0", "below 1"]);
}

#[test]
fn unknown_flags_are_refused_with_a_tip() {
    wrong(&["--epoch", "3"], &["--epoch", "tip", "--epochs"]);
    wrong(&["--batchsize", "3"], &["--batchsize", "--batch-size"]);
    wrong(&["--frobnicate"], &["--frobnicate"]);
    wrong(&["stray"], &["stray"]);
    wrong(&["--hidden", "128", "64"], &["'64'", "tip: ", "commas: --hidden 128,64"]);
}

#[test]
fn flags_without_their_value_and_flags_given_twice() {
    wrong(&["--epochs"], &["--epochs"]);
    wrong(&["--out"], &["--out"]);
    wrong(&["--epochs", "1", "--epochs", "2"], &["--epochs"]);
}

#[test]
fn unknown_commands_and_missing_arguments_are_refused() {
    let sandbox = Sandbox::new();
    for (arguments, words) in [
        ("trian", &["trian", "train"][..]),
        ("evaluate", &["MODEL"]),
        ("predict", &["MODEL"]),
        ("predict model.safetensors", &[]),
        ("summary", &["MODEL"]),
        ("download", &["NAME"]),
        ("download cifar", &["cifar", "mnist"]),
        ("download mnist fashion-mnist --data-dir both", &["--data-dir"]),
    ] {
        let outcome = sandbox.refuse(arguments, words);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
    }
    let bare = finish(&mut sandbox.command());
    assert_eq!((bare.code, bare.stdout.as_str()), (Some(2), ""), "{bare:?}");
    assert!(bare.stderr.contains("train"), "{bare:?}");
}

#[test]
fn a_network_too_large_for_memory_is_refused() {
    for hidden in ["1000000000000", "4000000000,4000000000", "18446744073709551615"] {
        let sandbox = Sandbox::with_tiny_set();
        let train = TRAIN_TINY.replace("--hidden 6", &format!("--hidden {hidden}"));
        sandbox.refuse(&train, &["hidden"]);
    }
}

#[test]
fn a_split_without_training_samples_is_refused() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.refuse(&format!("{TRAIN_TINY} --validation-split 0.999"), &["validation", "0.999", "60"]);
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run() {
    for optimizer in ["adam", "sgd", "rmsprop", "adamw"] {
        let sandbox = Sandbox::with_tiny_set();
        let train = format!("{TRAIN_TINY} --learning-rate 1e30 --optimizer {optimizer}");
        let outcome = sandbox.refuse(&train, &["loss", "step ", "epoch "]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
    }
}
