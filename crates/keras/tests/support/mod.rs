//! The files that Keras wrote.

use std::error::Error;
use std::path::Path;

/// All of them, but for the one that is to be refused.
#[allow(dead_code, reason = "not every test reads all")]
pub(crate) const FILES: [&str; 9] = [
    "digits.keras",
    "digits.weights.h5",
    "digits.h5",
    "layers.keras",
    "small-2.h5",
    "small-2-weights.h5",
    "small-2-functional.h5",
    "small-3-double.keras",
    "small-3-newest.weights.h5",
];

/// An error and its causes, joined by ": ".
#[allow(dead_code, reason = "not every test reads messages")]
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The bytes of a file of `fixtures`.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
