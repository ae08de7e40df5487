//! A program that has its model inside.
#![allow(clippy::print_stdout, reason = "a program of the guide shows what it does")]

use std::error::Error;

use ziffer::prelude::*;

/// The file that `Model::save` wrote: a network of 784 pixels, 5 hidden units and 10 digits.
static MODEL: &[u8] = include_bytes!("../model.safetensors");

fn main() -> Result<(), Box<dyn Error>> {
    let model = Model::from_safetensors(MODEL)?;
    println!("{} bytes, {} parameters", MODEL.len(), model.parameters());

    // A plain bar, 0 for paper and 255 for ink.
    let mut bar = vec![0_u8; 28 * 28];
    for row in bar.chunks_exact_mut(28).skip(4).take(20) {
        row[13..16].fill(255);
    }
    let probabilities = model.predict_one(&bar);
    let best = (0..10).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b])).ok_or("no class")?;
    println!("a {best}, with a probability of {:.2}", probabilities[best]);
    Ok(())
}
