//! The files that Keras wrote, and changed copies of them.

#![allow(dead_code, clippy::unwrap_used, reason = "not every test needs all, and a failure is the test's")]

use std::error::Error;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// All files that can be imported.
pub(crate) const FILES: [&str; 14] = [
    "digits.keras",
    "digits.weights.h5",
    "digits.h5",
    "layers.keras",
    "norm.keras",
    "norm.h5",
    "norm-plain.keras",
    "block.keras",
    "block.h5",
    "small-2.h5",
    "small-2-weights.h5",
    "small-2-functional.h5",
    "small-3-double.keras",
    "small-3-newest.weights.h5",
];

/// An error and its causes, joined by ": ".
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The bytes of a file of `fixtures`.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keras/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The architecture and the weights in a `.keras` file.
pub(crate) fn entries(name: &str) -> (Value, Vec<u8>) {
    let mut archive = ZipArchive::new(Cursor::new(fixture(name))).unwrap();
    let mut read = |entry: &str| {
        let mut bytes = Vec::new();
        archive.by_name(entry).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    (serde_json::from_slice(&read("config.json")).unwrap(), read("model.weights.h5"))
}

pub(crate) fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in entries {
        writer.start_file(*name, stored).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A `.keras` file with a changed architecture.
pub(crate) fn changed(name: &str, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let (mut config, weights) = entries(name);
    change(&mut config);
    archive(&[("config.json", config.to_string().as_bytes()), ("model.weights.h5", &weights)])
}

pub(crate) fn layers(config: &mut Value) -> &mut Vec<Value> {
    config["config"]["layers"].as_array_mut().unwrap()
}

pub(crate) fn layer(class: &str, config: Value) -> Value {
    json!({ "module": "keras.layers", "class_name": class, "config": config })
}
