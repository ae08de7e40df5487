//! `import`: files that Keras saved become models for the other commands.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::idx::mnist;
use crate::sandbox::{Sandbox, finish};

/// Files that Keras wrote: one network in three formats, and its probabilities for the first test images.
const DIGITS: [&str; 3] = ["digits.keras", "digits.weights.h5", "digits.h5"];
const PROBABILITIES: &str = "digits.f32";

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../keras/tests/fixtures").join(name)).unwrap()
}

fn with_digits() -> Sandbox {
    let sandbox = Sandbox::new();
    DIGITS.iter().for_each(|name| fs::write(sandbox.path(name), fixture(name)).unwrap());
    sandbox
}

#[test]
fn each_format_gives_the_same_model() {
    let sandbox = with_digits();
    let scale = "has no Rescaling; assumed are pixels divided by 255\n";
    let all = "has no architecture; assumed are relu in hidden layers, softmax in the last, and pixels divided by 255\n";
    for (name, assumed) in DIGITS.iter().zip([scale, all, scale]) {
        let outcome = sandbox.succeed(&format!("import {name} --out {name}.safetensors"));
        assert_eq!(outcome.stdout, format!("Imported {name} to {name}.safetensors\n"));
        assert_eq!(outcome.stderr, format!("{name}: {assumed}"));
    }
    let [first, others @ ..] =
        DIGITS.map(|name| fs::read(sandbox.path(&format!("{name}.safetensors"))).unwrap());
    assert!(others.iter().all(|other| *other == first));
    // An existing file is replaced, and no temporary file is left.
    let files = sandbox.files().len();
    sandbox.succeed("import digits.h5 --out digits.keras.safetensors");
    assert_eq!(sandbox.files().len(), files);
    let summary = sandbox.succeed("summary digits.keras.safetensors").stdout;
    assert!(summary.contains("Total params: 6,370"), "{summary}");
    sandbox.succeed("import digits.weights.h5 --out wide.safetensors --input-shape 14,56");
}

#[test]
fn an_imported_model_predicts_what_keras_predicts() {
    let sandbox = with_digits();
    sandbox.succeed("import digits.keras --out digits.safetensors");
    let theirs = fixture(PROBABILITIES);
    let theirs: Vec<f64> =
        theirs.as_chunks().0.iter().map(|&bytes| f64::from(f32::from_le_bytes(bytes))).collect();
    let rows = (0..theirs.len() / 10).map(|row| row.to_string());
    let mut command = sandbox.command();
    command.args(["predict", "digits.safetensors", "--json", "--data-dir"]).arg(mnist()).args(rows);
    let ours = finish(&mut command).succeeded().stdout;
    let ours: Vec<f64> = ours
        .lines()
        .flat_map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["probabilities"].as_array().unwrap().clone()
        })
        .map(|value| value.as_f64().unwrap())
        .collect();
    assert_eq!((ours.len(), theirs.len()), (10_000, 10_000));
    let apart = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart <= 1e-6, "{apart} apart");

    let mut command = sandbox.command();
    command.args(["evaluate", "digits.safetensors", "--data-dir"]).arg(mnist());
    let said = finish(&mut command).succeeded().stdout;
    // One epoch of gradient descent with 8 units. Guessing would give 10%.
    let percent: f64 = said
        .split_whitespace()
        .find_map(|word| word.trim_end_matches(',').strip_suffix('%'))
        .and_then(|percent| percent.parse().ok())
        .unwrap_or_else(|| panic!("an accuracy in {said}"));
    assert!((75.0..95.0).contains(&percent), "{said}");
}

#[test]
fn invalid_files_are_refused_by_name() {
    let sandbox = with_digits();
    fs::create_dir(sandbox.path("folder")).unwrap();
    fs::write(sandbox.path("kept.safetensors"), b"kept").unwrap();
    fs::write(sandbox.path("page.keras"), b"<html>404 Not Found</html>").unwrap();
    fs::write(sandbox.path("cut.h5"), &fixture("digits.h5")[..30_000]).unwrap();
    fs::write(sandbox.path("cut.keras"), &fixture("digits.keras")[..30_000]).unwrap();
    for (file, words) in [
        ("nowhere.keras", &["cannot read"][..]),
        ("folder", &["cannot read", "not a regular file"]),
        ("page.keras", &["neither", "HDF5", ".keras"]),
        ("cut.h5", &["HDF5", "cut off", "30000"]),
        ("cut.keras", &[".keras archive", "damaged"]),
    ] {
        let words = [&[file], words].concat();
        let outcome = sandbox.refuse(&format!("import {file} --out kept.safetensors"), &words);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
    }
    sandbox.refuse("import digits.h5 --out nowhere/model.safetensors", &["nowhere", "cannot write"]);
    sandbox.refuse("import digits.h5 --out digits.h5", &["digits.h5: this is the imported file", "--out"]);
    sandbox.refuse("import digits.h5 --out folder", &["folder", "cannot write"]);
    sandbox.refuse("import digits.h5 --out a --input-shape 28,27", &["digits.h5", "[28, 27]", "784"]);
    for (arguments, words) in [
        ("import digits.h5", &["--out"][..]),
        ("import --out a", &["FILE"]),
        ("import digits.h5 --out a --input-shape 28,0", &["--input-shape", "0", "28,28"]),
        ("import digits.h5 --out a --input-shape x", &["--input-shape", "x"]),
    ] {
        let outcome = sandbox.refuse(arguments, words);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
    }
}
