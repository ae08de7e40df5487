//! Trains a model with a faulty part on each number of threads, and checks that the team remains usable.

use std::sync::Arc;

use ndarray::Array2;
use ziffer_nn::layer::InputType;
use ziffer_nn::optimizer::Clip;
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::{
    Activation, Adam, Model, Optimizer, SampleValue, Samples, Sequential, SparseCategoricalCrossentropy,
    Training, WithLabels,
};

use super::faulty_layer::{Fault, Faulty};
use crate::common::{classes, numbers, pixels, watched};

pub(crate) const THREADS: [usize; 4] = [1, 2, 3, 8];
pub(crate) const SAMPLES: usize = 48;
pub(crate) const BATCH: usize = 24;
/// Enough for each of eight threads to own rows of each kernel.
pub(crate) const FEATURES: usize = 40;
pub(crate) const CLASSES: usize = 4;

/// How a step uses gradients.
#[derive(Clone, Copy, Debug)]
pub(crate) enum GradientUse {
    Fused,
    Clipped,
    Accumulated,
    Returned,
}

pub(crate) const ALL_USES: [GradientUse; 4] =
    [GradientUse::Fused, GradientUse::Clipped, GradientUse::Accumulated, GradientUse::Returned];

/// Trains on every sample twice. Returns the digest of the weights.
pub(crate) fn train<V: SampleValue<f32>, O: Optimizer<f32>>(
    model: &mut Model,
    x: &Array2<V>,
    optimizer: O,
    gradient_use: GradientUse,
    team: &ThreadTeam,
) -> String {
    let classes = classes(x.nrows(), CLASSES);
    let samples = WithLabels::new(x.view(), &classes);
    train_on(model, &samples, optimizer, gradient_use, team)
}

pub(crate) fn train_on<S: Samples<f32>, O: Optimizer<f32>>(
    model: &mut Model,
    samples: &S,
    optimizer: O,
    gradient_use: GradientUse,
    team: &ThreadTeam,
) -> String {
    let loss = SparseCategoricalCrossentropy::default();
    let mut training = Training::new(model, optimizer, BATCH).unwrap();
    training = match gradient_use {
        GradientUse::Clipped => training.clip(Clip::GlobalNorm(0.1)),
        GradientUse::Accumulated => training.accumulation(2),
        GradientUse::Fused | GradientUse::Returned => training,
    };
    let order: Vec<u32> = (0..SAMPLES as u32).chain(0..SAMPLES as u32).collect();
    match gradient_use {
        GradientUse::Returned => {
            for batch in order.chunks(BATCH) {
                let gradients = training.gradients(model, &loss, samples, batch, team.into()).unwrap();
                training.apply(model, &gradients).unwrap();
            }
        }
        _ => {
            assert_eq!(training.run(model, &loss, samples, &order, team.into()).unwrap().len(), 4);
        }
    }
    model.weights_sha256()
}

/// A model with the faulty layer: for pixels as the first layer, divided by outputs; for numbers as the second layer.
pub(crate) fn model(fault: Fault, input: InputType) -> Model {
    let stack = Sequential::new([FEATURES]);
    let stack = match input {
        InputType::Pixels => stack.add(Faulty::new(fault)).dense(16, Activation::Relu),
        InputType::Real => stack.dense(64, Activation::Relu).add(Faulty::new(fault)),
    };
    stack.dense(CLASSES, Activation::Softmax).build(3).unwrap()
}

pub(crate) fn train_faulty(
    fault: Fault,
    input: InputType,
    gradient_use: GradientUse,
    team: &ThreadTeam,
) -> String {
    let mut model = model(fault, input);
    match input {
        InputType::Pixels => {
            train(&mut model, &pixels(SAMPLES, FEATURES, 1), Adam::default(), gradient_use, team)
        }
        InputType::Real => {
            train(&mut model, &numbers(SAMPLES, FEATURES, 1), Adam::default(), gradient_use, team)
        }
    }
}

/// Runs a case for each use of gradients, each number of threads and each type of input. Afterwards the team must train a valid
/// model to the same weights as one thread.
pub(crate) fn each_case(
    fault: Fault,
    inputs: &[InputType],
    check: impl Fn(usize, Result<String, String>, &str),
) {
    for &input in inputs {
        for gradient_use in ALL_USES {
            let expected = train_faulty(Fault::Nothing, input, gradient_use, &ThreadTeam::new(1).unwrap());
            for threads in THREADS {
                let team = Arc::new(ThreadTeam::new(threads).unwrap());
                let case = format!("{fault:?}, {input:?}, {gradient_use:?}, {threads} threads");
                let shared = Arc::clone(&team);
                let outcome = watched(move || train_faulty(fault, input, gradient_use, &shared));
                check(threads, outcome, &format!("{case}: {expected}"));
                let shared = Arc::clone(&team);
                let after = watched(move || train_faulty(Fault::Nothing, input, gradient_use, &shared));
                assert_eq!(after.as_ref(), Ok(&expected), "{case}");
            }
        }
    }
}

pub(crate) const BOTH: [InputType; 2] = [InputType::Pixels, InputType::Real];

/// Checks that a fault ends in a panic with the layer's name and `part` in the message, from `from_threads` threads on.
#[track_caller]
pub(crate) fn assert_rejected(fault: Fault, inputs: &[InputType], from_threads: usize, part: &str) {
    each_case(fault, inputs, |threads, outcome, case| match outcome {
        Err(message) => {
            assert!(message.starts_with("layer faulty: ") && message.contains(part), "{case}: {message}");
        }
        Ok(_) => assert!(threads < from_threads, "{case}: the fault was not detected"),
    });
}
