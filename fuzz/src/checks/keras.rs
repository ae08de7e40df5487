//! Networks in Keras's files.

use std::path::Path;

use ziffer_formats::keras::{Options, import};
use ziffer_nn::Model;

use super::{check_line, write};

/// What is imported can be saved and loaded to the same weights; what is not is refused in a line.
pub fn keras(folder: &Path, bytes: &[u8]) -> bool {
    match import(bytes, &Options::default()) {
        Ok(imported) => {
            let path = write(folder, "model.safetensors", &imported.model.to_safetensors());
            let loaded = Model::load(path).expect("what was saved");
            assert_eq!(loaded.weights_sha256(), imported.model.weights_sha256());
            true
        }
        Err(error) => {
            check_line(&error);
            false
        }
    }
}
