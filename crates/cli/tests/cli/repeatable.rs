//! The same seed gives the same bits for any number of threads and any instruction set.

use std::fs;

use crate::idx::mnist;
use crate::sandbox::{Sandbox, TRAIN_TINY, finish, skip, summary, weights_sha256};

#[test]
fn the_number_of_threads_does_not_change_the_weights() {
    let sandbox = Sandbox::new();
    let weights: Vec<_> = [1, 2, 3, 4, 8]
        .into_iter()
        .map(|threads| {
            let out = format!("run-{threads}");
            let recipe = format!("train --epochs 1 --batch-size 33 --hidden 30,17 --threads {threads}");
            let mut command = sandbox.command();
            command.args(recipe.split_whitespace()).args(["--out", &out, "--data-dir"]).arg(mnist());
            let printed = finish(&mut command).succeeded().stdout;
            let run = sandbox.path(&out);
            let history = summary(&run)["history"]["loss"].clone();
            (weights_sha256(&run), fs::read(run.join("model.safetensors")).unwrap(), history, printed)
        })
        .collect();
    for other in &weights[1..] {
        assert_eq!(other.0, weights[0].0, "weights_sha256");
        assert_eq!(other.2, weights[0].2, "the loss of the epoch");
        assert!(other.1 == weights[0].1, "the model's file");
        assert_eq!(other.3, weights[0].3, "what is printed");
    }
}

#[test]
fn more_threads_than_samples_do_not_change_the_weights() {
    let sandbox = Sandbox::with_tiny_set();
    let weights = ["1", "2", "8", "64"].map(|threads| {
        sandbox.succeed(
            &format!("{TRAIN_TINY} --batch-size=1 --threads {threads} --force")
                .replace(" --batch-size 7", ""),
        );
        weights_sha256(&sandbox.path("run"))
    });
    assert!(weights.iter().all(|digest| *digest == weights[0]), "{weights:?}");
}

/// Whether this machine has an instruction set. `None` if it has only parts of it.
pub(crate) fn machine_has(name: &str) -> Option<bool> {
    #[cfg(target_arch = "x86_64")]
    {
        let (all, any) = match name {
            "avx2" => {
                let has = [is_x86_feature_detected!("avx2"), is_x86_feature_detected!("fma")];
                (has == [true; 2], has != [false; 2])
            }
            "avx512" => {
                let has = [
                    is_x86_feature_detected!("avx512f"),
                    is_x86_feature_detected!("avx512bw"),
                    is_x86_feature_detected!("avx512dq"),
                    is_x86_feature_detected!("avx512vl"),
                ];
                (has == [true; 4], has != [false; 4])
            }
            _ => (true, true),
        };
        (all == any).then_some(all)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        Some(name == "portable")
    }
}

#[test]
fn the_instruction_set_does_not_change_the_weights() {
    // Sizes that are no multiples of a vector length.
    for recipe in
        ["--hidden 6", "--hidden 33,17 --batch-size=5 --optimizer rmsprop", "--hidden 9 --optimizer adamw"]
    {
        let sandbox = Sandbox::with_tiny_set();
        let train =
            format!("train --dataset custom --data-dir set --out run --epochs 3 --no-shuffle {recipe}");
        sandbox.succeed(&train);
        let expected = weights_sha256(&sandbox.path("run"));
        for name in ["portable", "avx2", "avx512"] {
            fs::remove_dir_all(sandbox.path("run")).unwrap();
            let mut command = sandbox.command();
            command.env("ZIFFER_ISA", name).args(train.split_whitespace());
            match machine_has(name) {
                Some(true) => {
                    finish(&mut command).succeeded();
                    assert_eq!(weights_sha256(&sandbox.path("run")), expected, "{name}: {recipe}");
                }
                Some(false) => {
                    sandbox.refuse_command(&mut command, &["ZIFFER_ISA", name]);
                    fs::create_dir_all(sandbox.path("run")).unwrap();
                }
                None => skip(name, "this machine has only parts of it"),
            }
        }
    }
}

#[test]
fn an_unknown_instruction_set_is_refused() {
    let sandbox = Sandbox::with_tiny_set();
    for name in ["foo", "AVX9", ""] {
        let mut command = sandbox.command();
        command.env("ZIFFER_ISA", name).args(TRAIN_TINY.split_whitespace());
        if name.is_empty() {
            // As in most shell scripts, an empty variable counts as unset.
            finish(&mut command).succeeded();
        } else {
            sandbox.refuse_command(&mut command, &["ZIFFER_ISA", name, "avx512", "avx2", "portable"]);
        }
    }
}

#[test]
fn the_seed_determines_the_bytes_of_the_model() {
    let sandbox = Sandbox::with_tiny_set();
    let train = |seed: &str, out: &str| {
        sandbox.succeed(
            &format!("{TRAIN_TINY} --force --seed {seed}").replace("--out run", &format!("--out {out}")),
        );
        fs::read(sandbox.path(out).join("model.safetensors")).unwrap()
    };
    let first = train("0", "a");
    assert!(first == train("0", "b"), "the same seed, the same file");
    assert!(first == train("0", "a"), "again into the same folder");
    assert_ne!(weights_sha256(&sandbox.path("a")), {
        train("1", "c");
        weights_sha256(&sandbox.path("c"))
    });
    assert_eq!(summary(&sandbox.path("c"))["seed"], 1);
    train("18446744073709551615", "d");
    assert_eq!(summary(&sandbox.path("d"))["seed"], u64::MAX);
}

#[test]
fn the_default_run_folder_is_named_by_data_set_and_seed() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(&format!("{TRAIN_TINY} --seed 7").replace("--out run ", ""));
    assert!(sandbox.path("runs/custom-7/model.safetensors").is_file());
    assert!(sandbox.path("runs/custom-7/summary.json").is_file());
}

#[test]
fn no_shuffle_changes_the_result() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(TRAIN_TINY);
    let shuffled = weights_sha256(&sandbox.path("run"));
    sandbox.succeed(&format!("{TRAIN_TINY} --no-shuffle --force"));
    assert_ne!(weights_sha256(&sandbox.path("run")), shuffled);
}
