//! Transfer learning: a network learns the digits 0 to 4. A second network for the digits 5 to 9 uses its lower layers, frozen, and
//! trains only the last layer.
//!
//! `cargo run --release -p ziffer-trainer --example transfer` (in the repository, which has MNIST)
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::ops::Range;
use std::path::Path;

use ndarray::Array2;
use ziffer_dataset::{Mirror, Mnist, Source, View};
use ziffer_nn::{Activation, Adam, BuildError, Model, Sequential, SparseCategoricalCrossentropy, WithLabels};
use ziffer_trainer::{Progress, TrainError, Trainer};

/// The images of some digits, as rows of pixels, and their classes, counted from 0.
struct Digits {
    pixels: Array2<u8>,
    classes: Vec<usize>,
}

impl Digits {
    fn of(data: View<'_>, digits: &Range<usize>) -> Result<Self, ndarray::ShapeError> {
        let chosen: Vec<usize> =
            (0..data.len()).filter(|&index| digits.contains(&data.label(index))).collect();
        let pixels = chosen.iter().flat_map(|&index| data.image(index)).copied().collect();
        Ok(Self {
            pixels: Array2::from_shape_vec((chosen.len(), data.features()), pixels)?,
            classes: chosen.iter().map(|&index| data.label(index) - digits.start).collect(),
        })
    }

    fn samples(&self) -> WithLabels<'_, u8> {
        WithLabels::new(self.pixels.view(), &self.classes)
    }
}

/// A network for five classes. The same seed gives the same weights.
fn network(seed: u64) -> Result<Model, BuildError> {
    Sequential::new([28, 28])
        .flatten()
        .dense(128, Activation::Relu)
        .dense(64, Activation::Relu)
        .dense(5, Activation::Softmax)
        .build(seed)
}

fn fit(model: &mut Model, digits: &Digits, epochs: usize) -> Result<(), TrainError> {
    Trainer::new(Adam::default(), SparseCategoricalCrossentropy::default())
        .epochs(epochs)
        .validation_split(0.1)
        .callback(Progress::default())
        .fit(model, &digits.samples())?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist");
    let data = Mnist::open(&Source::default().mirror(Mirror::Folder(repository)))?;
    let loss = SparseCategoricalCrossentropy::default();

    let (train, test) = (Digits::of(data.train.view(), &(0..5))?, Digits::of(data.test.view(), &(0..5))?);
    let mut low = network(0)?;
    fit(&mut low, &train, 3)?;
    let low_accuracy = low.evaluate_with(&loss, &test.samples())?.accuracy;

    // All layers except the last come from the first network and are frozen.
    let (train, test) = (Digits::of(data.train.view(), &(5..10))?, Digits::of(data.test.view(), &(5..10))?);
    let mut high = network(1)?;
    let copied = high.copy_weights(&low, |name| !name.starts_with("dense_2."));
    println!("copied {}", copied.join(", "));
    high.set_trainable("dense", false)?;
    high.set_trainable("dense_1", false)?;
    println!("{}", high.summary());
    let before = high.evaluate_with(&loss, &test.samples())?.accuracy;
    fit(&mut high, &train, 5)?;
    let high_accuracy = high.evaluate_with(&loss, &test.samples())?.accuracy;

    println!("digits 0 to 4: test accuracy {:.2} %", 100.0 * low_accuracy);
    println!(
        "digits 5 to 9: test accuracy {:.2} % with {} of {} parameters trained, {:.2} % before",
        100.0 * high_accuracy,
        high.parameters() - high.non_trainable_parameters(),
        high.parameters(),
        100.0 * before
    );
    Ok(())
}
