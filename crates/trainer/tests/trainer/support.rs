//! Shared parts of the tests.

use std::path::{Path, PathBuf};

use serde_json::Value;
use ziffer_dataset::{Mirror, Mnist, Source, TrainTest};
use ziffer_trainer::callback::{BatchLog, Callback};

/// MNIST from the repository's own copy, unpacked into the build folder.
pub(crate) fn mnist() -> TrainTest {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = Source::default()
        .data_dir(Path::new(env!("CARGO_TARGET_TMPDIR")).join("mnist"))
        .mirror(Mirror::Folder(root.join("data/mnist")))
        .offline(true);
    Mnist::open(&source).expect("the repository's copy of MNIST")
}

/// Records the loss of each step.
#[derive(Default)]
pub(crate) struct Losses(pub(crate) Vec<f64>);

impl Callback for Losses {
    fn name(&self) -> &'static str {
        "losses"
    }
    fn on_batch_end(&mut self, log: &BatchLog) {
        self.0.push(log.loss);
    }
}

/// The path of a recorded file.
pub(crate) fn keras(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keras").join(file)
}

/// A list of numbers.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// The largest distance between two lists.
pub(crate) fn farthest(losses: &[f64], reference: &[f64]) -> f64 {
    assert_eq!(losses.len(), reference.len());
    losses.iter().zip(reference).map(|(loss, reference)| (loss - reference).abs()).fold(0.0, f64::max)
}
