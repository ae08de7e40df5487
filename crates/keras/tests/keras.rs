//! Files that Keras wrote, held to the probabilities that it gives itself.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

use std::path::Path;

use ndarray::Array2;
use ziffer_dataset::{Dataset, Mirror, Mnist, Source};
use ziffer_keras::{Assumption, Imported, Options, import};

mod support;

/// The first pictures of the test part, all pixels or every fourth of every fourth row.
fn pictures(count: usize, step: usize) -> Array2<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = Source::default()
        .data_dir(Path::new(env!("CARGO_TARGET_TMPDIR")).join("mnist"))
        .mirror(Mirror::Folder(root.join("data/mnist")));
    let test: Dataset = Mnist::open_or_download(&source).expect("the repository's copy of MNIST").test;
    let view = test.view();
    let picture = |row| {
        let image: Vec<u8> = view.image(row).to_vec();
        let places = (0..28).step_by(step).flat_map(|y| (0..28).step_by(step).map(move |x| 28 * y + x));
        places.map(|place| image[place]).collect::<Vec<_>>()
    };
    let rows: Vec<u8> = (0..count).flat_map(picture).collect();
    Array2::from_shape_vec((count, rows.len() / count), rows).unwrap()
}

/// Holds a file's network to `NAME.f32`.
#[track_caller]
fn check(file: &str, probabilities: &str, assumptions: &[Assumption]) -> Imported {
    let imported = import(&support::fixture(file), &Options::default()).unwrap();
    assert_eq!(imported.assumptions, assumptions, "{file}");
    let model = &imported.model;
    let (count, step) = if model.inputs() == 784 { (1000, 1) } else { (100, 4) };
    let ours = model.predict(pictures(count, step).view());
    let theirs = support::fixture(&format!("{probabilities}.f32"));
    let theirs: Vec<f32> = theirs.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    assert_eq!(theirs.len(), ours.len(), "{file}");
    let apart = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart <= 1e-6, "{file}: {apart} apart");
    imported
}

const SCALE: &[Assumption] = &[Assumption::Scale];
const ALL: &[Assumption] = &[Assumption::Architecture];

#[test]
fn each_format_has_the_same_network() {
    let archive = check("digits.keras", "digits", SCALE).model;
    for other in [check("digits.weights.h5", "digits", ALL), check("digits.h5", "digits", SCALE)] {
        assert_eq!(archive.to_safetensors(), other.model.to_safetensors());
    }
    assert_eq!((archive.input_shape(), archive.parameters()), (&[28, 28][..], 784 * 8 + 8 + 8 * 10 + 10));
}

#[test]
fn layers_of_their_own_fold_into_dense() {
    let model = check("layers.keras", "layers", &[]).model;
    let classes: Vec<_> = model.layers().map(|layer| layer.class_name).collect();
    assert_eq!(classes, ["Flatten", "Dense", "Dense", "Dense"]);
    assert!(model.weight("dense.bias").unwrap().iter().all(|&bias| bias == 0.0), "use_bias is false");
}

#[test]
fn files_of_keras_2() {
    let whole = check("small-2.h5", "small-2", SCALE).model;
    let weights = check("small-2-weights.h5", "small-2", ALL).model;
    assert_eq!(whole.to_safetensors(), weights.to_safetensors());
    check("small-2-functional.h5", "small-2-functional", &[]);
}

#[test]
fn double_precision_and_the_newest_form_of_hdf5() {
    check("small-3-double.keras", "small-3-double", SCALE);
    check("small-3-newest.weights.h5", "small-3-newest", ALL);
}

#[test]
fn the_shape_of_pictures_may_be_said() {
    let bytes = support::fixture("digits.weights.h5");
    let with = |shape: &[usize]| import(&bytes, &Options { input_shape: Some(shape.to_vec()) });
    assert_eq!(with(&[14, 56]).unwrap().model.input_shape(), [14, 56]);
    let error = with(&[28, 27]).unwrap_err().to_string();
    assert_eq!(error, "pictures of [28, 27] do not have the 784 numbers that the first Dense layer takes");
    assert!(with(&[usize::MAX, 2]).is_err());
}
