//! Where the microseconds of a training step go: per phase and thread, medians over stretches of a hundred steps.
//!
//! `profile [UNITS,UNITS BATCH]`: the tutorial's network, or another.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it is a program")]

use std::collections::BTreeMap;
use std::error::Error;

use ziffer_benches::mnist;
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::team::Team;
use ziffer_nn::training::{Lap, Profile};
use ziffer_nn::{Activation, Adam, Sequential, SparseCategoricalCrossentropy, Training};
use ziffer_trainer::Pixels;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (hidden, batch, steps) = match arguments.as_slice() {
        [hidden, batch] => {
            let hidden = hidden.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
            (hidden, batch.parse()?, 5)
        }
        _ => (vec![128, 64], 32, 100),
    };
    println!("| lap | 1 thread | 2 threads: first | second |\n|---|---|---|---|");
    let mut table: BTreeMap<Lap, [f64; 3]> = BTreeMap::new();
    let mut column = 0;
    for threads in [1, 2] {
        for profile in profiles(&hidden, batch, steps, threads)? {
            for (lap, microseconds) in profile {
                table.entry(lap).or_default()[column] = microseconds;
            }
            column += 1;
        }
    }
    let mut sums = [0.0; 3];
    for (lap, row) in table {
        sums.iter_mut().zip(&row).for_each(|(sum, x)| *sum += x);
        println!("| {lap:?} | {:.2} | {:.2} | {:.2} |", row[0], row[1], row[2]);
    }
    println!("| all | {:.2} | {:.2} | {:.2} |", sums[0], sums[1], sums[2]);
    Ok(())
}

/// For each member its laps in microseconds a step.
fn profiles(
    hidden: &[usize],
    batch: usize,
    steps: usize,
    threads: usize,
) -> Result<Vec<BTreeMap<Lap, f64>>, Box<dyn Error>> {
    let set = mnist()?;
    let samples = Pixels(set.train.view());
    let mut network = Sequential::new([28, 28]).flatten();
    for &units in hidden {
        network = network.dense(units, Activation::Relu);
    }
    let mut model = network.dense(10, Activation::Softmax).build(0)?;
    let mut order: Vec<u32> = (0..60_000).collect();
    Stream::new(0, Purpose::Shuffle, 0).shuffle(&mut order);
    let team = Team::new(threads)?;
    let mut training = Training::new(&model, Adam::default(), batch)?;
    let loss = SparseCategoricalCrossentropy::default();
    let mut laps: Vec<BTreeMap<Lap, Vec<f64>>> = vec![BTreeMap::new(); threads];
    for stretch in order.chunks_exact(batch * steps).cycle().take(60) {
        let (result, watches) =
            training.run_watched::<_, Profile>(&mut model, &loss, &samples, stretch, (&team).into());
        result?;
        for (laps, watch) in laps.iter_mut().zip(watches) {
            for (lap, time) in watch.laps() {
                laps.entry(lap).or_default().push(time.as_secs_f64() * 1e6 / steps as f64);
            }
        }
    }
    let median = |mut times: Vec<f64>| {
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() / 2]
    };
    Ok(laps
        .into_iter()
        .map(|laps| laps.into_iter().map(|(lap, times)| (lap, median(times))).collect())
        .collect())
}
