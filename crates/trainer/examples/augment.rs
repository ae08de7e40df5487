//! The tutorial's network on digits that are distorted differently in each epoch.
//!
//! `cargo run --release -p ziffer-trainer --example augment` (in the repository, which has MNIST)
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::path::Path;

use ziffer_dataset::augment::Distortion;
use ziffer_dataset::{Mirror, Mnist, Source};
use ziffer_nn::{Activation, Adam, Sequential, SparseCategoricalCrossentropy};
use ziffer_trainer::{Evaluate, Progress, Trainer};

fn main() -> Result<(), Box<dyn Error>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist");
    let data = Mnist::open(&Source::default().mirror(Mirror::Folder(repository)))?;
    let mut model = Sequential::new([28, 28])
        .flatten()
        .dense(128, Activation::Relu)
        .dense(64, Activation::Relu)
        .dense(10, Activation::Softmax)
        .build(0)?;

    Trainer::new(Adam::default(), SparseCategoricalCrossentropy::default())
        .epochs(20)
        .validation_split(0.1)
        .augment(Distortion::default())
        .callback(Progress::default())
        .fit(&mut model, &data.train)?;
    let test = model.evaluate(&data.test)?;
    println!(
        "test accuracy {:.2} %, {} of {} wrong",
        100.0 * test.accuracy,
        test.samples - test.correct,
        test.samples
    );
    Ok(())
}
