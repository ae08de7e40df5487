//! Runs that are killed, interrupted, changed and resumed.
#![cfg(unix)]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::idx::{NAMES, mnist};
use crate::recipes::EVERYTHING;
use crate::sandbox::{Sandbox, TRAIN_TINY, end, finish, signal, summary, weights_sha256};

/// The message of a run that continues from a checkpoint.
const RESUMING: &str = "Resuming from run/checkpoint-";

fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(run)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("checkpoint-"))
        .collect();
    files.sort();
    files
}

fn model(run: &Path) -> Vec<u8> {
    fs::read(run.join("model.safetensors")).unwrap()
}

/// A training on a part of MNIST that takes long enough to be killed many times.
fn train_for_a_while(sandbox: &Sandbox, more: &str) -> Command {
    train_epochs(sandbox, 3, more)
}

fn train_epochs(sandbox: &Sandbox, epochs: usize, more: &str) -> Command {
    let mut command = sandbox.command();
    command.args(["train", "--epochs", &epochs.to_string()]);
    let train = "--out run --hidden 40 --batch-size 20 --validation-split 0.3 --threads 2";
    command.args(train.split_whitespace()).args(more.split_whitespace()).arg("--data-dir").arg(mnist());
    command
}

/// Pseudorandom numbers by Marsaglia's xorshift.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn a_run_that_is_killed_and_resumed_gives_the_same_bytes() {
    kill_and_resume(60, train_for_a_while);
}

#[test]
fn a_recipe_with_every_setting_gives_the_same_bytes_after_kills() {
    let recipe = EVERYTHING
        .replace("dataset = \"custom\"", "dataset = \"mnist\"")
        .replace("batch_size = 11", "batch_size = 50")
        .replace("epochs = 3\n", "epochs = 2\n");
    kill_and_resume(15, |sandbox, more| {
        fs::write(sandbox.path("recipe.toml"), &recipe).unwrap();
        let mut command = sandbox.command();
        let train = "train --recipe recipe.toml --out run --threads 2";
        command.args(train.split_whitespace()).args(more.split_whitespace()).arg("--data-dir").arg(mnist());
        command
    });
}

/// Kills and resumes a training many times. The result must be that of an uninterrupted run.
#[track_caller]
fn kill_and_resume(most: usize, train: impl Fn(&Sandbox, &str) -> Command) {
    let whole = Sandbox::new();
    let start = Instant::now();
    finish(&mut train(&whole, "")).succeeded();
    let whole_run = start.elapsed();

    let killed = Sandbox::new();
    // Some 8,000 steps: each process makes some progress but rarely finishes.
    let go_on = |stdio: fn() -> Stdio| {
        let mut command = train(&killed, "--checkpoint-every 40steps --resume");
        command.stdout(stdio()).stderr(stdio()).spawn().expect("the program can be started")
    };
    let mut seed = 0x1234_5678_9abc_def1;
    let (mut kills, mut ends) = (0, 0);
    while kills < most {
        let mut child = go_on(Stdio::null);
        let life = whole_run.as_secs_f64() * (random(&mut seed) % 1000) as f64 / 3000.0;
        std::thread::sleep(Duration::from_secs_f64(life));
        if let Some(status) = child.try_wait().unwrap() {
            // It ended before it was killed: start over.
            assert!(status.success(), "{status}");
            assert!(model(&killed.path("run")) == model(&whole.path("run")), "after {kills} kills");
            ends += 1;
            fs::remove_dir_all(killed.path("run")).unwrap();
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    let last = end(go_on(Stdio::piped)).succeeded();
    assert!(model(&killed.path("run")) == model(&whole.path("run")), "after all kills, {ends} ends between");
    let (whole, killed) = (summary(&whole.path("run")), summary(&killed.path("run")));
    for key in ["weights_sha256", "test_loss", "test_accuracy"] {
        assert_eq!(killed[key], whole[key], "{key}");
    }
    for key in ["loss", "accuracy", "val_loss", "val_accuracy"] {
        assert_eq!(killed["history"][key], whole["history"][key], "{key} of the history");
    }
    assert!(last.stderr.contains(RESUMING), "{last:?}");
}

#[test]
fn kills_leave_only_the_last_two_checkpoints() {
    let sandbox = Sandbox::new();
    let mut seed = 7;
    for _ in 0..10 {
        let mut command = train_for_a_while(&sandbox, "--checkpoint-every 1step --resume");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(20 + random(&mut seed) % 100));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    finish(&mut train_for_a_while(&sandbox, "--resume")).succeeded();
    let mut names: Vec<_> = fs::read_dir(sandbox.path("run"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names[..2].iter().all(|name| name.starts_with("checkpoint-")), "{names:?}");
    let report = ["confusion.svg", "curves.svg", "history.csv"];
    assert_eq!(
        names[2..],
        [&report[..], &["model.safetensors", "recipe.toml", "report.html", "summary.json"]].concat()
    );
}

#[test]
fn an_interrupted_run_is_saved_and_says_how_to_resume() {
    let whole = Sandbox::new();
    finish(&mut train_for_a_while(&whole, "")).succeeded();
    for name in ["INT", "TERM"] {
        let sandbox = Sandbox::new();
        // No checkpoint is due: the only one is written because of the signal.
        let mut command = train_for_a_while(&sandbox, "--checkpoint-every 1000epochs");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for_start(&sandbox);
        signal(&child, name);
        let outcome = end(child);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(130), ""), "{outcome:?}");
        let last = outcome.stderr.lines().last().unwrap();
        for words in ["nterrupted after step ", "saved in run/checkpoint-000001.safetensors", "--resume"] {
            assert!(last.contains(words), "{outcome:?}");
        }
        assert!(!sandbox.path("run/model.safetensors").exists());

        let outcome = finish(&mut train_for_a_while(&sandbox, "--resume")).succeeded();
        assert!(outcome.stderr.starts_with(RESUMING), "{outcome:?}");
        assert!(model(&sandbox.path("run")) == model(&whole.path("run")), "{name}");
    }
}

/// Waits until a run has started to train: some time after its folder appeared.
fn wait_for_start(sandbox: &Sandbox) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !sandbox.path("run").exists() {
        assert!(Instant::now() < deadline, "no run after a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(Duration::from_millis(60));
}

#[test]
fn resume_starts_without_a_checkpoint_and_does_nothing_after_the_last_epoch() {
    let sandbox = Sandbox::with_tiny_set();
    let resume = format!("{TRAIN_TINY} --resume");
    let first = sandbox.succeed(&resume);
    assert!(!first.stderr.contains("Resuming"), "{first:?}");
    let (bytes, digest) = (model(&sandbox.path("run")), weights_sha256(&sandbox.path("run")));
    let again = sandbox.succeed(&resume);
    assert!(again.stderr.contains(RESUMING) && !again.stderr.contains("Epoch "), "{again:?}");
    assert_eq!(again.stdout, first.stdout);
    assert!(model(&sandbox.path("run")) == bytes && weights_sha256(&sandbox.path("run")) == digest);
    // With --force it starts over.
    let over = sandbox.succeed(&format!("{TRAIN_TINY} --force"));
    assert!(over.stderr.contains("Epoch 1/2"), "{over:?}");
    assert_eq!(checkpoints(&sandbox.path("run")).len(), 2);
}

#[test]
fn epochs_and_threads_may_change() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(&TRAIN_TINY.replace("--epochs 2", "--epochs 5").replace("run", "whole"));
    sandbox.succeed(TRAIN_TINY);
    let longer = TRAIN_TINY.replace("--epochs 2", "--epochs 5");
    let outcome = sandbox.succeed(&format!("{longer} --resume --threads 1 --checkpoint-every 3steps"));
    assert!(outcome.stderr.contains("Epoch 3/5") && !outcome.stderr.contains("Epoch 2/"), "{outcome:?}");
    assert!(model(&sandbox.path("run")) == model(&sandbox.path("whole")));
    let losses = |run: &str| summary(&sandbox.path(run))["history"]["loss"].clone();
    assert_eq!(losses("run"), losses("whole"));
    sandbox.refuse(&format!("{TRAIN_TINY} --resume"), &["run/checkpoint-", "5 epochs", "2 epochs"]);
}

/// Resuming continues the training that ended last, not an earlier one with other settings or more epochs.
#[test]
fn resume_continues_the_last_training_in_the_folder() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(TRAIN_TINY);
    let before = checkpoints(&sandbox.path("run"));
    // It fails in its first epoch.
    let diverging = format!("{TRAIN_TINY} --force --learning-rate 1e30");
    assert!(sandbox.run(&diverging).stderr.contains("the loss is"));
    // The earlier checkpoints are kept.
    let after = checkpoints(&sandbox.path("run"));
    assert_eq!((&after[..before.len()], after.len()), (&before[..], before.len() + 1));
    let resumed = sandbox.run(&format!("{diverging} --resume"));
    assert!(resumed.stderr.contains(RESUMING) && resumed.stderr.contains("the loss is"), "{resumed:?}");
    // Fewer epochs than before.
    sandbox.succeed(&TRAIN_TINY.replace("--epochs 2", "--epochs 1 --force"));
    assert_eq!(checkpoints(&sandbox.path("run")).len(), 2);
    sandbox.succeed(&format!("{TRAIN_TINY} --resume"));
}

#[test]
fn other_settings_are_refused_with_the_difference() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(TRAIN_TINY);
    let refuse = |change: (&str, &str), words: &[&str]| {
        let changed = format!("{} --resume", TRAIN_TINY.replace(change.0, change.1));
        sandbox.refuse(&changed, &[&["run/checkpoint-", "cannot resume"], words].concat());
    };
    refuse(("--batch-size 7", "--batch-size 5"), &["batch_size was 7, is 5"]);
    refuse(("--hidden 6", "--hidden 6,6"), &["hidden was [6], is [6, 6]"]);
    refuse(("--epochs 2", "--epochs 2 --seed 3"), &["seed was 0, is 3"]);
    refuse(("--epochs 2", "--epochs 2 --no-shuffle"), &["shuffle was full, is none"]);
    refuse(("--epochs 2", "--epochs 2 --optimizer sgd"), &["optimizer was Adam", "is Sgd"]);
    refuse(("--epochs 2", "--epochs 2 --learning-rate 0.5"), &["0.001", "0.5"]);
    refuse(
        ("--epochs 2", "--epochs 2 --validation-split 0.5"),
        &["training samples was", "validation samples was"],
    );
    refuse(("--epochs 2", "--epochs 2 --init run/model.safetensors"), &["initial weights was"]);
}

#[test]
fn a_damaged_checkpoint_is_skipped() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(&TRAIN_TINY.replace("run", "whole"));
    for damage in [
        &(|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2)) as &dyn Fn(&mut Vec<u8>),
        &|bytes| *bytes.last_mut().unwrap() ^= 1,
        &Vec::clear,
        &|bytes| bytes.fill(0xff),
    ] {
        let _ = fs::remove_dir_all(sandbox.path("run"));
        sandbox.succeed(TRAIN_TINY);
        let newest = checkpoints(&sandbox.path("run")).pop().unwrap();
        let mut bytes = fs::read(&newest).unwrap();
        damage(&mut bytes);
        fs::write(&newest, bytes).unwrap();
        let outcome = sandbox.succeed(&format!("{TRAIN_TINY} --resume"));
        assert!(
            outcome.stderr.contains("checkpoint-000001") && outcome.stderr.contains("Epoch 2/2"),
            "{outcome:?}"
        );
        assert!(model(&sandbox.path("run")) == model(&sandbox.path("whole")));
    }
}

#[test]
fn two_runs_cannot_share_a_folder() {
    let sandbox = Sandbox::new();
    let mut command = train_epochs(&sandbox, 50, "");
    let mut first = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut epoch = [0; 6];
    first.stderr.as_mut().unwrap().read_exact(&mut epoch).unwrap();
    let second = finish(&mut train_for_a_while(&sandbox, ""));
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(second.code, Some(1), "{second:?}");
    second.refused(&["run", "another process", "--out"]);
}

#[test]
fn the_checkpoint_interval_needs_a_unit() {
    let sandbox = Sandbox::with_tiny_set();
    for wrong in ["300", "0steps", "2 epochs", "-1steps", "often"] {
        let mut command = sandbox.command();
        command.args(TRAIN_TINY.split_whitespace()).args(["--checkpoint-every", wrong]);
        let outcome = sandbox.refuse_command(&mut command, &["--checkpoint-every", "300steps"]);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
    }
}

#[test]
fn other_data_of_the_same_size_are_refused() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(TRAIN_TINY);
    let images = sandbox.path("set").join(NAMES[0]);
    let mut bytes = fs::read(&images).unwrap();
    *bytes.last_mut().unwrap() ^= 0xff;
    fs::write(&images, bytes).unwrap();
    sandbox.refuse(&format!("{TRAIN_TINY} --resume"), &["run/checkpoint-", "data was "]);
}

#[test]
fn resume_starts_over_if_no_checkpoint_is_usable() {
    let sandbox = Sandbox::with_tiny_set();
    let first = sandbox.succeed(TRAIN_TINY);
    let bytes = model(&sandbox.path("run"));
    for path in checkpoints(&sandbox.path("run")) {
        fs::write(path, "not a checkpoint").unwrap();
    }
    let again = sandbox.succeed(&format!("{TRAIN_TINY} --resume"));
    assert_eq!(again.stderr.matches("Skipping run/checkpoint-00000").count(), 2, "{again:?}");
    assert!(again.stderr.contains("Epoch 1/2") && again.stdout == first.stdout, "{again:?}");
    assert!(model(&sandbox.path("run")) == bytes);
    assert_eq!(
        checkpoints(&sandbox.path("run")).len(),
        2,
        "the damaged ones are gone, now that there are others"
    );
}

#[test]
fn foreign_files_named_like_checkpoints_are_ignored() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(TRAIN_TINY);
    let run = sandbox.path("run");
    let odd = |name: &str| run.join(format!("checkpoint-{name}.safetensors"));
    fs::create_dir(odd("000100")).unwrap();
    std::os::unix::fs::symlink("nowhere", odd("000101")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", odd("000102")).unwrap();
    let pipe = Command::new("mkfifo").arg(odd("000103")).status().unwrap();
    assert!(pipe.success());
    fs::write(odd("18446744073709551614"), "").unwrap();
    fs::write(odd("18446744073709551615"), "").unwrap();
    fs::write(odd("999999999999999999999999"), "").unwrap();
    let longer = TRAIN_TINY.replace("--epochs 2", "--epochs 6");
    let outcome = sandbox.succeed(&format!("{longer} --resume"));
    assert!(outcome.stderr.contains("Resuming from run/checkpoint-000002"), "{outcome:?}");
    assert!(odd("000006").is_file() && odd("000005").is_file() && !odd("000004").exists());
    for name in ["18446744073709551614", "18446744073709551615", "999999999999999999999999"] {
        assert!(odd(name).is_file(), "{name} is none of ours");
    }
}

#[test]
fn two_signals_at_once_count_as_one() {
    let sandbox = Sandbox::new();
    let mut command = train_epochs(&sandbox, 1000, "--checkpoint-every 1000epochs");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_start(&sandbox);
    signal(&child, "INT");
    signal(&child, "TERM");
    let outcome = end(child);
    assert_eq!(outcome.code, Some(130), "{outcome:?}");
    assert!(outcome.stderr.contains("saved in run/checkpoint-000001.safetensors"), "{outcome:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_the_parent_ignores_is_ignored() {
    let sandbox = Sandbox::new();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' INT; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_ziffer")]);
    let train = "train --out run --epochs 1000 --hidden 40 --checkpoint-every 1000epochs --data-dir";
    shell.args(train.split_whitespace()).arg(mnist());
    let mut shell = sandbox.prepare(shell);
    let child = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_start(&sandbox);
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(300));
    assert!(checkpoints(&sandbox.path("run")).is_empty(), "it goes on");
    signal(&child, "TERM");
    assert_eq!(end(child).code, Some(130));
}
