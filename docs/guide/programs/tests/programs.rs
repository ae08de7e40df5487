//! The guide's programs run, each in a folder of its own, and print what the guide says.
//!
//! The model of the program `embedded` is made by `cargo test -p ziffer-guide-programs -- --ignored`.
#![allow(clippy::unwrap_used, reason = "helpers of tests are outside of what clippy.toml allows")]

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use ziffer::prelude::*;

/// What a program prints, run in `folder`, which is also its cache; that it ends well is checked.
fn run(program: &str, folder: &Path, arguments: &[&OsStr]) -> String {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(folder).env("XDG_CACHE_HOME", folder).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// The number after `name` in the output.
fn number(output: &str, name: &str) -> f64 {
    let line = output.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name} in {output}")).trim().parse().unwrap()
}

/// The guide's chapter.
fn chapter() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs.md")).unwrap()
}

/// The block of the chapter that begins with this line, which is what a program prints.
fn shown(first: &str) -> String {
    let text = chapter();
    let block = text.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("text\n"));
    block.into_iter().find(|block| block.starts_with(first)).unwrap_or_else(|| panic!("{first}")).to_owned()
}

#[test]
fn classes_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(env!("CARGO_BIN_EXE_class_counts"), folder.path(), &[]);
    assert_eq!(output.lines().count(), 11);
    let counts: Vec<usize> = output
        .lines()
        .map(|line| {
            let count = line.split_once(": ").map_or(line, |(_, rest)| rest);
            count.split(' ').next().unwrap().parse().unwrap()
        })
        .collect();
    assert_eq!(counts.iter().sum::<usize>(), 2 * 60_000);
    assert_eq!(output, shown("0: 5923 pictures"));
}

#[test]
fn moons_are_classified() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(env!("CARGO_BIN_EXE_arrays"), folder.path(), &[]);
    assert!(number(&output, "validation accuracy") > 0.98, "{output}");
    assert_eq!(output, shown(output.lines().next().unwrap()));
}

#[test]
fn the_own_layer_is_trained_and_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(env!("CARGO_BIN_EXE_own_layer"), folder.path(), &[]);
    assert!(output.contains("rms_norm (RmsNorm)"), "{output}");
    let with = number(&output, "with RmsNorm: test accuracy");
    assert!(with > 0.95 && with > number(&output, "without: test accuracy") + 0.02, "{output}");
    assert!(output.ends_with(&shown("with RmsNorm:")), "{output}");
    assert!(output.contains("loaded the same weights: true"), "{output}");
}

#[test]
fn a_file_and_a_folder_are_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_load_and_predict");
    let trained = run(program, folder.path(), &[]);
    let predicted = |output: &str| output[output.find("0:  ").unwrap()..].to_owned();
    assert_eq!(predicted(&trained), shown("0:  "));

    let file = folder.path().join("digits.safetensors");
    assert_eq!(run(program, folder.path(), &[file.as_ref()]), predicted(&trained));
    let run_folder = folder.path().join("run");
    fs::create_dir(&run_folder).unwrap();
    fs::rename(&file, run_folder.join("model.safetensors")).unwrap();
    assert_eq!(run(program, folder.path(), &[run_folder.as_ref()]), predicted(&trained));
}

#[test]
fn a_model_inside_the_program_predicts() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(env!("CARGO_BIN_EXE_embedded"), folder.path(), &[]);
    assert!(output.contains("a 1,"), "{output}");
    assert_eq!(output, shown(output.lines().next().unwrap()));
}

/// The model of `embedded`, trained, and its test accuracy.
fn train_small_model() -> (Model, f64) {
    let folder = tempfile::tempdir().unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../data/mnist");
    let source = Source::default().data_dir(folder.path()).mirror(Mirror::Folder(repository)).offline(true);
    let data = Mnist::open_or_download(&source).unwrap();
    let mut model = Sequential::new([28, 28])
        .flatten()
        .dense(5, Activation::Relu)
        .dense(10, Activation::Softmax)
        .build(0)
        .unwrap();
    Trainer::new(Adam::new(0.003), SparseCategoricalCrossentropy::default())
        .epochs(3)
        .fit(&mut model, &data.train)
        .unwrap();
    let accuracy = model.evaluate(&data.test).unwrap().accuracy;
    (model, accuracy)
}

/// Its file.
fn small_model() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/model.safetensors")
}

#[test]
fn the_model_is_what_its_training_makes() {
    let bytes = fs::read(small_model()).unwrap();
    assert!(bytes.len() < 20_000, "{} bytes", bytes.len());
    let (model, accuracy) = train_small_model();
    assert!(bytes == model.to_safetensors(), "another model; make it anew as this file says");
    let said = format!("test accuracy is {:.1}%", 100.0 * accuracy);
    assert!(chapter().replace('\n', " ").contains(&said), "{said}");
}

#[test]
#[ignore = "writes src/model.safetensors: cargo test -p ziffer-guide-programs --test programs -- --ignored"]
fn make_the_model() {
    train_small_model().0.save(small_model()).unwrap();
}
