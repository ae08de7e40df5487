//! Shared by the benchmarks: the peak of a core, and MNIST.
//!
//! `cargo xtask bench` runs the benchmarks and writes a table. It compares the rate of each kernel with the peak, which is
//! measured in the same run.
#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "calls of functions that need an instruction set, after a check")]
mod peak;

use std::path::Path;

use ziffer_dataset::{DatasetError, Mirror, Mnist, Source, TrainTest};

pub use peak::{flop_of_chains, fma_chains};

/// MNIST from the repository's copy, unpacked into the folder `target`.
///
/// # Errors
/// If the copy is missing or the folder cannot be written.
pub fn mnist() -> Result<TrainTest, DatasetError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let source = Source::default()
        .data_dir(root.join("target/benches/mnist"))
        .mirror(Mirror::Folder(root.join("data/mnist")))
        .offline(true);
    Mnist::open(&source)
}
