//! Keras's model files.

use std::path::Path;

use ziffer_formats::keras::{Options, import};
use ziffer_nn::Model;

use super::{check_line, write};

/// Checks a Keras file. An imported model can be saved, and has the same weights when it is loaded. An error is one line.
pub fn keras(folder: &Path, bytes: &[u8]) -> bool {
    match import(bytes, &Options::default()) {
        Ok(imported) => {
            let path = write(folder, "model.safetensors", &imported.model.to_safetensors());
            let loaded = Model::load(path).expect("a saved model");
            assert_eq!(loaded.weights_sha256(), imported.model.weights_sha256());
            true
        }
        Err(error) => {
            check_line(&error);
            false
        }
    }
}
