//! Finished runs are not replaced by accident: the default run folders are numbered, and `--out` needs `--force` or `--resume`.

use std::fs;
use std::process::Stdio;

use crate::sandbox::{Sandbox, TRAIN_TINY, end, summary, weights_sha256};

/// Trains on the tiny set without `--out`.
const TRAIN: &str = "train --dataset custom --data-dir set --epochs 2 --batch-size 7 --hidden 6";

/// The names of the folders in `runs`, sorted.
fn runs(sandbox: &Sandbox) -> Vec<String> {
    let entries = fs::read_dir(sandbox.path("runs")).expect("the folder of all runs");
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn default_run_folders_are_numbered() {
    let sandbox = Sandbox::with_tiny_set();
    let first = sandbox.succeed(TRAIN);
    assert!(first.stderr.ends_with("to runs/custom-0\n") && !first.stderr.contains("already"), "{first:?}");
    let digest = weights_sha256(&sandbox.path("runs/custom-0"));
    for number in [2, 3] {
        let more = sandbox.succeed(&format!("{TRAIN} --batch-size={number}").replace(" --batch-size 7", ""));
        let line = format!("runs/custom-0 already has a run; writing this one to runs/custom-0-{number}");
        assert_eq!(more.stderr.lines().filter(|said| *said == line).count(), 1, "{more:?}");
        assert!(more.stderr.ends_with(&format!("to runs/custom-0-{number}\n")), "{more:?}");
        assert_eq!(summary(&sandbox.path(&format!("runs/custom-0-{number}")))["batch_size"], number);
    }
    assert_eq!(weights_sha256(&sandbox.path("runs/custom-0")), digest, "the first run is unchanged");
    sandbox.succeed(&format!("{TRAIN} --seed 7"));
    // A free number is used again.
    fs::remove_dir_all(sandbox.path("runs/custom-0-2")).unwrap();
    sandbox.succeed(TRAIN);
    assert_eq!(runs(&sandbox), ["custom-0", "custom-0-2", "custom-0-3", "custom-7"]);
}

#[test]
fn processes_that_start_at_once_take_different_folders() {
    let sandbox = Sandbox::with_tiny_set();
    let children: Vec<_> = (0..4)
        .map(|_| {
            let mut command = sandbox.command();
            command.args(TRAIN.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    children.into_iter().for_each(|child| drop(end(child).succeeded()));
    assert_eq!(runs(&sandbox), ["custom-0", "custom-0-2", "custom-0-3", "custom-0-4"]);
    for run in runs(&sandbox) {
        assert!(sandbox.path("runs").join(run).join("summary.json").is_file());
    }
}

#[test]
fn out_of_a_finished_run_needs_force_or_resume() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(TRAIN_TINY);
    let outcome = sandbox
        .refuse(TRAIN_TINY, &["error: run: already has a finished run; ", "--force", "--resume", "--out"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    // It is refused before the data are opened.
    sandbox.refuse(&TRAIN_TINY.replace("--data-dir set", "--data-dir nowhere"), &["run: already has"]);
    let digest = weights_sha256(&sandbox.path("run"));

    let resumed = sandbox.succeed(&format!("{TRAIN_TINY} --resume"));
    assert!(resumed.stderr.contains("Resuming from run/checkpoint-"), "{resumed:?}");
    assert_eq!(weights_sha256(&sandbox.path("run")), digest);

    // Files of the first run are removed or replaced; other files are kept.
    fs::write(sandbox.path("run/curves.png"), "of an older version").unwrap();
    fs::write(sandbox.path("run/notes.txt"), "mine").unwrap();
    sandbox.succeed(&TRAIN_TINY.replace("--epochs 2", "--epochs 1 --seed 1 --force"));
    assert_ne!(weights_sha256(&sandbox.path("run")), digest);
    let read = |name: &str| fs::read(sandbox.path("run").join(name)).ok();
    assert_ne!(read("curves.png").as_deref(), Some(&b"of an older version"[..]));
    assert_eq!(read("notes.txt").as_deref(), Some(&b"mine"[..]));
    let mut names: Vec<_> = fs::read_dir(sandbox.path("run"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("checkpoint-"))
        .collect();
    names.sort();
    let of_new_run = ["checkpoint-000003.safetensors", "checkpoint-000004.safetensors"];
    assert_eq!(names, of_new_run, "from its start and its end");
    // Both flags together resume: `--resume` can be added to any command.
    let both = sandbox.succeed(&TRAIN_TINY.replace("--epochs 2", "--epochs 1 --seed 1 --force --resume"));
    assert!(both.stderr.contains("Resuming from run/checkpoint-000004"), "{both:?}");
}

#[test]
fn force_without_out_replaces_the_first_run() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(TRAIN);
    sandbox.succeed(TRAIN);
    sandbox.succeed(&format!("{TRAIN} --force").replace("--epochs 2", "--epochs 3"));
    assert_eq!(runs(&sandbox), ["custom-0", "custom-0-2"]);
    assert_eq!(summary(&sandbox.path("runs/custom-0"))["epochs"], 3);
    assert_eq!(summary(&sandbox.path("runs/custom-0-2"))["epochs"], 2);
}

#[test]
fn an_unfinished_run_is_started_over_or_resumed() {
    let sandbox = Sandbox::with_tiny_set();
    // As after a kill: checkpoints, but no summary.
    let unfinished = |run: &str| {
        for name in ["summary.json", "model.safetensors"] {
            fs::remove_file(sandbox.path(run).join(name)).unwrap();
        }
    };
    sandbox.succeed(TRAIN_TINY);
    unfinished("run");
    let over = sandbox.succeed(TRAIN_TINY);
    assert!(over.stderr.contains("Epoch 1/2"), "{over:?}");

    sandbox.succeed(TRAIN);
    unfinished("runs/custom-0");
    sandbox.succeed(TRAIN);
    assert_eq!(runs(&sandbox), ["custom-0"]);
    unfinished("runs/custom-0");
    let resumed = sandbox.succeed(&format!("{TRAIN} --resume"));
    assert!(resumed.stderr.contains("Resuming from runs/custom-0/checkpoint-"), "{resumed:?}");
    assert_eq!(runs(&sandbox), ["custom-0"]);
}

#[test]
fn resume_without_out_continues_the_newest_checkpoint() {
    let sandbox = Sandbox::with_tiny_set();
    let resume = TRAIN.replace("--epochs 2", "--epochs 3 --resume");
    let first = sandbox.succeed(&format!("{TRAIN} --resume"));
    assert!(!first.stderr.contains("Resuming"), "{first:?}");
    sandbox.succeed(TRAIN);
    let resumed = sandbox.succeed(&resume);
    assert!(resumed.stderr.contains("Resuming from runs/custom-0-2/checkpoint-"), "{resumed:?}");
    assert_eq!(summary(&sandbox.path("runs/custom-0"))["epochs"], 2);
    assert_eq!(summary(&sandbox.path("runs/custom-0-2"))["epochs"], 3);
    // By time, not by number.
    sandbox.succeed(&format!("{resume} --out runs/custom-0").replace("--epochs 3", "--epochs 4"));
    let resumed = sandbox.succeed(&resume.replace("--epochs 3", "--epochs 5"));
    assert!(resumed.stderr.contains("Resuming from runs/custom-0/checkpoint-"), "{resumed:?}");
    // A run of another seed is not among them.
    let other = sandbox.succeed(&format!("{resume} --seed 3"));
    assert!(!other.stderr.contains("Resuming"), "{other:?}");
    assert_eq!(runs(&sandbox), ["custom-0", "custom-0-2", "custom-3"]);
}
