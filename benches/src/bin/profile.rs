//! Prints the time of each section of a training step on each thread: medians over runs of a hundred steps.
//!
//! `profile [UNITS,... BATCH]` profiles the tutorial's network, or one with these hidden layers and this batch size.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "the output of a program")]

use std::collections::HashMap;
use std::error::Error;

use ziffer_benches::mnist;
use ziffer_nn::layer::InputType;
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::training::{Plan, Profile, Section};
use ziffer_nn::{Activation, Adam, Sequential, SparseCategoricalCrossentropy, Training};
use ziffer_trainer::DatasetSamples;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (hidden, batch, steps) = match arguments.as_slice() {
        [hidden, batch] => {
            let hidden = hidden.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
            (hidden, batch.parse()?, 5)
        }
        _ => (vec![128, 64], 32, 100),
    };
    for threads in [1, 2] {
        let (plan, profiles) = profiles(&hidden, batch, steps, threads)?;
        println!("{plan}");
        print!("| stage | section |");
        (1..=threads).for_each(|thread| print!(" thread {thread}, us |"));
        println!("\n|---|---|{}", "---|".repeat(threads));
        let mut sums = vec![0.0; threads];
        for (section, _) in &profiles[0] {
            let (stage, name) = match *section {
                Section::Task { stage, task, .. } => (stage, plan.task_name(task)),
                Section::Barrier { stage } => (stage, "barrier".to_owned()),
            };
            print!("| {} | {name} |", stage + 1);
            for (profile, sum) in profiles.iter().zip(&mut sums) {
                let time = profile.iter().find(|(other, _)| other == section).map_or(0.0, |(_, time)| *time);
                *sum += time;
                print!(" {time:.2} |");
            }
            println!();
        }
        print!("| | all |");
        sums.iter().for_each(|sum| print!(" {sum:.2} |"));
        println!("\n");
    }
    Ok(())
}

/// The sections of a thread in the order of a step, with their times in microseconds per step.
type Times = Vec<(Section, f64)>;

/// The plan, and the median times of each thread's sections.
fn profiles(
    hidden: &[usize],
    batch: usize,
    steps: usize,
    threads: usize,
) -> Result<(Plan, Vec<Times>), Box<dyn Error>> {
    let set = mnist()?;
    let samples = DatasetSamples(set.train.view());
    let mut network = Sequential::new([28, 28]).flatten();
    for &units in hidden {
        network = network.dense(units, Activation::Relu);
    }
    let mut model = network.dense(10, Activation::Softmax).build(0)?;
    let plan = Plan::for_threads(&model, InputType::Pixels, threads);
    let mut order: Vec<u32> = (0..60_000).collect();
    Stream::new(0, Purpose::Shuffle, 0).shuffle(&mut order);
    let team = ThreadTeam::new(threads)?;
    let mut training = Training::new(&model, Adam::default(), batch)?;
    let loss = SparseCategoricalCrossentropy::default();
    let mut sections: Vec<Vec<Section>> = vec![Vec::new(); threads];
    let mut times: Vec<HashMap<Section, Vec<f64>>> = vec![HashMap::new(); threads];
    for run in order.chunks_exact(batch * steps).cycle().take(60) {
        let (result, profiles) =
            training.run_profiled::<_, Profile>(&mut model, &loss, &samples, run, (&team).into());
        result?;
        for ((sections, times), profile) in sections.iter_mut().zip(&mut times).zip(profiles) {
            *sections = profile.sections().into_iter().map(|(section, _)| section).collect();
            for (section, time) in profile.sections() {
                times.entry(section).or_default().push(time.as_secs_f64() * 1e6 / steps as f64);
            }
        }
    }
    let median = |times: &[f64]| {
        let mut times = times.to_vec();
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let of_thread = |(sections, times): (Vec<Section>, &HashMap<Section, Vec<f64>>)| {
        sections.into_iter().map(|section| (section, median(&times[&section]))).collect()
    };
    Ok((plan, sections.into_iter().zip(&times).map(of_thread).collect()))
}
