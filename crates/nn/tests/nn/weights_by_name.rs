//! Setting, copying, loading and freezing weights by name. Errors list the known names.

use ndarray::{Array1, Array2, arr1, arr2};
use ziffer_nn::{Activation, Model, Sequential, WeightError};

/// A network with a head for this many classes.
fn model(classes: usize, seed: u64) -> Model {
    let body = Sequential::new([3]).dense(4, Activation::Relu).batch_normalization();
    body.dense(classes, Activation::Softmax).build(seed).unwrap()
}

const NAMES: [&str; 8] = [
    "dense.kernel",
    "dense.bias",
    "batch_normalization.gamma",
    "batch_normalization.beta",
    "batch_normalization.moving_mean",
    "batch_normalization.moving_variance",
    "dense_1.kernel",
    "dense_1.bias",
];

/// The names of the weights in which two models of one shape differ.
fn differing(a: &Model, b: &Model) -> Vec<String> {
    let pairs = a.weights().zip(b.weights());
    pairs.filter(|((_, a), (_, b))| a != b).map(|((name, _), _)| name).collect()
}

#[test]
fn only_the_named_weight_is_set() {
    let before = model(2, 1);
    for (name, weight) in before.weights() {
        let mut after = before.clone();
        after.set_weight(&name, weight.mapv(|w| w + 1.0).view()).unwrap();
        assert_eq!(differing(&before, &after), [name.as_str()]);
        assert_eq!(after.weight(&name).unwrap(), weight.mapv(|w| w + 1.0));
    }
    // The view may have any memory order.
    let mut after = before.clone();
    let columns = Array2::from_shape_fn((4, 3), |(o, i)| (10 * i + o) as f32);
    after.set_weight("dense.kernel", columns.t()).unwrap();
    assert_eq!(after.weight("dense.kernel").unwrap()[[2, 3]], 23.0);
}

#[test]
fn unknown_names_and_other_shapes_are_rejected_and_change_nothing() {
    let mut model = model(2, 1);
    let before = model.weights_sha256();
    let error = model.set_weight("dense.kernels", arr1(&[0.0]).view()).unwrap_err();
    let known: Vec<String> = NAMES.map(str::to_owned).to_vec();
    assert_eq!(error, WeightError::UnknownWeight { name: "dense.kernels".into(), known });
    assert_eq!(
        error.to_string(),
        format!("no weight \"dense.kernels\" in the model, expected one of {}", NAMES.join(", "))
    );
    for values in [arr2(&[[0.0_f32; 3]; 4]), arr2(&[[0.0; 4]; 2]), Array2::zeros((0, 4))] {
        let error = model.set_weight("dense.kernel", values.view()).unwrap_err().to_string();
        let found = values.shape();
        assert_eq!(error, format!("dense.kernel has shape [3, 4], found {found:?}"));
    }
    // The same number of elements with another number of axes.
    assert!(model.set_weight("dense.kernel", Array1::zeros(12).view()).is_err());
    assert_eq!(model.weights_sha256(), before);
    assert!(model.weight("dense").is_none() && model.weight("").is_none());
}

#[test]
fn weights_of_the_same_name_and_shape_are_copied() {
    let (from, to) = (model(5, 1), model(2, 2));
    let mut all = to.clone();
    let copied = all.copy_weights(&from, |_| true);
    // The head has another shape and is not copied.
    assert_eq!(copied, NAMES[..6]);
    for name in &copied {
        assert_eq!(all.weight(name), from.weight(name));
    }
    let changed = differing(&to, &all);
    assert_eq!(changed, ["dense.kernel"], "what starts at random");

    let mut some = to.clone();
    assert_eq!(some.copy_weights(&from, |name| name.ends_with(".kernel")), ["dense.kernel"]);
    let mut none = to.clone();
    assert!(none.copy_weights(&from, |name| name.starts_with("dense_1")).is_empty());
    assert_eq!(none.weights_sha256(), to.weights_sha256());
}

#[test]
fn weights_of_the_same_name_and_shape_are_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (from, to) = (model(5, 1), model(2, 2));
    from.save(&path).unwrap();
    let mut loaded = to.clone();
    let names = loaded.load_some_weights(&path, |name| !name.contains("moving")).unwrap();
    assert_eq!(names, NAMES[..4]);
    assert_eq!(loaded.weight("dense.kernel"), from.weight("dense.kernel"));
    assert_eq!(differing(&to, &loaded), ["dense.kernel"]);
    assert!(loaded.load_some_weights(&path, |_| false).unwrap().is_empty());

    // A damaged or missing file changes nothing.
    let before = to.weights_sha256();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    for path in [path, folder.path().join("none")] {
        let mut model = to.clone();
        let message = model.load_some_weights(&path, |_| true).unwrap_err().to_string();
        assert!(message.contains(&path.display().to_string()) && !message.contains('\n'), "{message}");
        assert_eq!(model.weights_sha256(), before);
    }
}

#[test]
fn layers_are_frozen_by_name() {
    let mut model = model(2, 1);
    // 3 * 4 + 4, 4 * 4 of which half are moving averages, 4 * 2 + 2.
    assert_eq!((model.parameters(), model.non_trainable_parameters()), (42, 8));
    model.set_trainable("dense", false).unwrap();
    assert_eq!((model.parameters(), model.non_trainable_parameters()), (42, 24));
    model.set_trainable("batch_normalization", false).unwrap();
    assert_eq!(model.non_trainable_parameters(), 32);
    let trainable: Vec<(&str, bool)> = model.layers().map(|layer| (layer.name, layer.trainable)).collect();
    assert_eq!(trainable, [("dense", false), ("batch_normalization", false), ("dense_1", true)]);
    model.set_trainable("dense", true).unwrap();
    model.set_trainable("batch_normalization", true).unwrap();
    assert_eq!(model.non_trainable_parameters(), 8);

    let error = model.set_trainable("dense.kernel", false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no layer \"dense.kernel\" in the model, expected one of dense, batch_normalization, dense_1"
    );
    assert!(matches!(error, WeightError::UnknownLayer { name, .. } if name == "dense.kernel"));
    assert_eq!(model.non_trainable_parameters(), 8);
}
