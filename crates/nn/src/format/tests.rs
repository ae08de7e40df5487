//! Tests of models in files.

use std::fs;

use super::*;
use crate::{Activation, Dense, Initializer, Sequential};

fn model(seed: u64) -> Model {
    Sequential::new([4, 3])
        .flatten()
        .dense(5, Activation::Tanh)
        .add(Dense::new(2, Activation::Softmax).kernel_initializer(Initializer::HeNormal))
        .build(seed)
        .unwrap()
}

#[test]
fn a_saved_model_loads_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let saved = model(1);
    saved.save(&path).unwrap();
    let loaded = Model::load(&path).unwrap();
    assert_eq!(loaded.weights_sha256(), saved.weights_sha256());
    assert_eq!(Model::load(folder.path()).unwrap().weights_sha256(), saved.weights_sha256());
    assert_eq!(loaded.summary(), saved.summary());
    assert_eq!(loaded.architecture(), saved.architecture());
    assert_eq!(loaded.to_safetensors(), fs::read(&path).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the folder has no other file");

    let mut other = model(2);
    other.load_weights(&path).unwrap();
    assert_eq!(other.weights_sha256(), saved.weights_sha256());

    let path = folder.path().join("weights.safetensors");
    saved.save_weights(&path).unwrap();
    let mut other = model(3);
    other.load_weights(&path).unwrap();
    assert_eq!(other.weights_sha256(), saved.weights_sha256());
    let error = Model::load(&path).unwrap_err().to_string();
    assert!(error.contains("no \"architecture\" in its metadata"), "{error}");
}

#[test]
fn other_tensors_are_rejected_and_leave_the_model_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model(1).save(&path).unwrap();
    let reject = |sequential: Sequential| {
        let mut model = sequential.build(3).unwrap();
        let before = model.weights_sha256();
        let error = model.load_weights(&path).unwrap_err().to_string();
        assert_eq!(model.weights_sha256(), before);
        assert!(error.contains("model.safetensors") && !error.contains('\n'), "{error}");
        error
    };
    let error = reject(Sequential::new([12]).dense(6, Activation::Relu).dense(2, Activation::Softmax));
    assert!(
        error.contains("tensor dense.kernel is F32 of shape [12, 5], expected F32 of shape [12, 6]"),
        "{error}"
    );
    let error = reject(
        Sequential::new([12])
            .dense(5, Activation::Relu)
            .dense(2, Activation::Relu)
            .dense(2, Activation::Softmax),
    );
    assert!(error.contains("has no tensor dense_2.kernel"), "{error}");
    let error = reject(Sequential::new([12]).dense(5, Activation::Relu));
    assert!(error.contains("has a tensor dense_1.bias, which the model does not have"), "{error}");
}

#[test]
fn damaged_files_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let whole = model(1).to_safetensors();
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        let error = Model::load(&path).unwrap_err().to_string();
        assert!(error.contains("not a whole safetensors file"), "{len}: {error}");
    }
    assert!(Model::load(folder.path().join("none")).unwrap_err().to_string().contains("none: cannot read"));
    assert!(
        model(1).save(folder.path().join("none/model")).unwrap_err().to_string().contains("cannot write")
    );
    let no_metadata = safetensors::serialize(Vec::<(String, TensorView<'_>)>::new(), None).unwrap();
    fs::write(&path, no_metadata).unwrap();
    assert!(Model::load(&path).unwrap_err().to_string().contains("no \"architecture\""));
}
