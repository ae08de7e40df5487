//! Trains on arrays: two moons, with a validation set of their own.
#![allow(clippy::print_stdout, reason = "a program of the guide shows what it does")]

use std::error::Error;

use ndarray::Array2;
use ziffer::nn::random::{Purpose, Stream};
use ziffer::prelude::*;

/// `points` points of two interleaved half circles, as rows, and the half circle of each as its class.
fn two_moons(points: usize, seed: u64) -> (Array2<f32>, Vec<usize>) {
    let mut stream = Stream::new(seed, Purpose::Other(0), 0);
    let mut normal = || stream.normal() as f32;
    let mut x = Array2::zeros((points, 2));
    let classes: Vec<usize> = (0..points).map(|n| n % 2).collect();
    for (mut row, &class) in x.rows_mut().into_iter().zip(&classes) {
        // A direction drawn evenly, of the upper half.
        let (a, b) = (normal(), normal());
        let length = (a * a + b * b).sqrt();
        let (a, b) = (a / length, b.abs() / length);
        let (a, b) = if class == 0 { (a, b) } else { (1.0 - a, 0.5 - b) };
        row[0] = a + 0.1 * normal();
        row[1] = b + 0.1 * normal();
    }
    (x, classes)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (x, classes) = two_moons(1000, 0);
    let train = WithLabels::new(x.view(), &classes);
    let (x, classes) = two_moons(200, 1);
    let validation = WithLabels::new(x.view(), &classes);

    let mut model = Sequential::new([2])
        .dense(16, Activation::Relu)
        .dense(16, Activation::Relu)
        .dense(2, Activation::Softmax)
        .build(0)?;
    let history = Trainer::new(Adam::new(0.01), SparseCategoricalCrossentropy::default())
        .epochs(100)
        .validation_data(&validation)
        .callback(EarlyStopping::new(Monitor::ValLoss, 5).restore_best_weights(true))
        .fit(&mut model, &train)?;

    println!("{} epochs", history.epochs());
    println!("training accuracy {:.3}", model.evaluate(&train)?.accuracy);
    println!("validation accuracy {:.3}", model.evaluate(&validation)?.accuracy);
    Ok(())
}
