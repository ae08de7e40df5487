//! The Keras MNIST tutorial: the same network, training and evaluation as `cargo xtask train`.
//!
//! `cargo run --release -p ziffer --example tutorial` (in the repository, which contains MNIST)
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::Path;

use ziffer::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Outside the repository, `Source::default()` alone downloads from the public mirrors.
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist");
    let data = Mnist::open_or_download(&Source::default().mirror(Mirror::Folder(repository)))?;
    let mut model = Sequential::new([28, 28])
        .flatten()
        .dense(128, Activation::Relu)
        .dense(64, Activation::Relu)
        .dense(10, Activation::Softmax)
        .build(0)?;
    println!("{}", model.summary());
    Trainer::new(Adam::default(), SparseCategoricalCrossentropy::default())
        .epochs(5)
        .batch_size(32)
        .validation_split(0.1)
        .callback(Progress::default())
        .fit(&mut model, &data.train)?;
    let test = model.evaluate(&data.test)?;
    println!("Test Accuracy: {:.2}%", test.accuracy * 100.0);
    Ok(())
}
