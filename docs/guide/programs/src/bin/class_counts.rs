//! Counts the classes of MNIST's training set.
#![allow(clippy::print_stdout, reason = "a program of the guide shows what it does")]

use std::error::Error;
use std::path::Path;

use ziffer::prelude::*;

fn main() -> Result<(), Box<dyn Error>> {
    // The repository has MNIST's files. Without this mirror they come from a public one.
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../data/mnist");
    let source = Source::default().mirror(Mirror::Folder(repository)).offline(true);
    let train = Mnist::open_or_download(&source)?.train;

    let mut counts = vec![0; train.classes()];
    for class in train.labels() {
        counts[class] += 1;
    }
    for (class, count) in counts.iter().enumerate() {
        println!("{class}: {count} pictures, {:.2} %", 100.0 * f64::from(*count) / train.len() as f64);
    }
    println!("{} pictures of {:?} pixels", train.len(), train.image_shape());
    Ok(())
}
