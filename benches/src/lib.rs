//! What the benchmarks share: the peak of a core, and MNIST.
//!
//! `cargo xtask bench` runs them and sets each kernel's rate beside the peak that was measured in the same run.
#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "a function is compiled for an instruction set and called after a check")]
mod peak;

use std::path::Path;

use ziffer_dataset::{DatasetError, Mirror, Mnist, Source, TrainTest};

pub use peak::{flop_of_chains, fma_chains};

/// MNIST from the repository's own copy, unpacked into the build folder.
///
/// # Errors
/// If the copy is not there or the build folder cannot be written.
pub fn mnist() -> Result<TrainTest, DatasetError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let source = Source::default()
        .data_dir(root.join("target/benches/mnist"))
        .mirror(Mirror::Folder(root.join("data/mnist")))
        .offline(true);
    Mnist::open(&source)
}
