//! Model files.

use std::fs;
use std::path::Path;

use ndarray::Array2;
use safetensors::SafeTensors;
use ziffer_nn::{Activation, Model, Sequential};

use super::framed::framed;
use super::{check_message, write};

/// Models with more inputs do not predict, to save time.
const MAX_INPUTS: usize = 4096;

/// Checks a model file. A loaded model predicts, and has the same weights and the same bytes when it is saved and loaded. Accepted
/// weights are those of the file, and rejected weights change nothing. The check is repeated with the lengths corrected.
pub fn model(folder: &Path, bytes: &[u8]) -> bool {
    let accepted = check(folder, bytes);
    framed(bytes).is_some_and(|framed| framed != bytes && check(folder, &framed)) || accepted
}

fn check(folder: &Path, bytes: &[u8]) -> bool {
    let path = write(folder, "model.safetensors", bytes);
    check_weights(&path, bytes);
    let model = match Model::load(&path) {
        Ok(model) => model,
        Err(error) => {
            check_message(&error, &path);
            return false;
        }
    };
    check_content(&model, bytes);
    let saved = model.to_safetensors();
    fs::write(&path, &saved).expect("a folder that can be written");
    let again = Model::load(&path).expect("a saved model");
    assert_eq!(again.weights_sha256(), model.weights_sha256());
    assert_eq!(again.summary(), model.summary());
    assert_eq!(again.to_safetensors(), saved);
    if model.inputs() <= MAX_INPUTS {
        let x = Array2::<u8>::from_elem((1, model.inputs()), 51);
        assert_eq!(model.predict(x.view()).dim(), (1, model.outputs()));
    }
    true
}

/// Loads the file's weights into another model.
fn check_weights(path: &Path, bytes: &[u8]) {
    let stack = Sequential::new([2]).dense(2, Activation::Relu).dense(1, Activation::Softmax);
    let mut model = stack.build_zeroed().expect("layers that fit");
    let before = model.weights_sha256();
    match model.load_weights(path) {
        Ok(()) => check_content(&model, bytes),
        Err(error) => {
            check_message(&error, path);
            assert_eq!(model.weights_sha256(), before);
        }
    }
}

/// Checks that each weight equals the file's tensor of that name.
fn check_content(model: &Model, bytes: &[u8]) {
    let file = SafeTensors::deserialize(bytes).expect("an accepted file");
    assert_eq!(file.len(), model.weight_names().count());
    for (name, weight) in model.weights() {
        let tensor = file.tensor(&name).expect("a tensor for each weight");
        assert_eq!(tensor.shape(), weight.shape());
        assert!(weight.iter().flat_map(|x| x.to_le_bytes()).eq(tensor.data().iter().copied()), "{name}");
    }
}
