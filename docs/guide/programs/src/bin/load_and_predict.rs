//! Loads a model and predicts digits: that of the folder or file that is the argument, or one that is trained first.
#![allow(clippy::print_stdout, reason = "a program of the guide shows what it does")]

use std::error::Error;
use std::path::{Path, PathBuf};

use ziffer::prelude::*;

/// Trains for one epoch and saves the model.
fn train(data: &TrainTest, path: &Path) -> Result<(), Box<dyn Error>> {
    let mut model = Sequential::new([28, 28])
        .flatten()
        .dense(64, Activation::Relu)
        .dense(10, Activation::Softmax)
        .build(0)?;
    Trainer::new(Adam::default(), SparseCategoricalCrossentropy::default())
        .validation_split(0.1)
        .callback(Progress::default())
        .fit(&mut model, &data.train)?;
    model.save(path)?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../data/mnist");
    let data = Mnist::open_or_download(&Source::default().mirror(Mirror::Folder(repository)).offline(true))?;
    let path = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => {
            let path = PathBuf::from("digits.safetensors");
            train(&data, &path)?;
            path
        }
    };

    // A file, or the folder of a run, which has a model.safetensors.
    let model = Model::load(&path)?;

    // One picture: the probabilities of its classes.
    let probabilities = model.predict_one(data.test.image(0));
    for (class, probability) in probabilities.iter().enumerate() {
        println!("{class}: {:6.2} %", 100.0 * probability);
    }

    // Several pictures, as the rows of an array: the likeliest class of each.
    let ten = data.test.view().slice(..10).batch();
    println!("classes {:?}", model.classify(ten.images));
    println!("labels  {:?}", ten.labels);
    Ok(())
}
