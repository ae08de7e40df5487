//! Threads, runs, saving and instruction sets do not change the bits.

use std::fmt::Debug;
use std::fmt::Write as _;
use std::process::Command;

use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::training::State;
use ziffer_nn::{
    Activation, Adam, AnyOptimizer, Model, Sequential, SparseCategoricalCrossentropy, StepBudget, Training,
    WithLabels,
};
use ziffer_tensor::InstructionSet;

use super::setup::{
    BATCH, CLASSES, FEATURES, SAMPLES, Settings, THREADS, all_settings, model, order, training,
};
use crate::common::{classes, numbers, pixels};

/// The weights and their average, as digests, and the state as bytes.
type Outcome = (String, String, Vec<u8>);

/// Trains in runs: run number n has `batches(n)` batches, on `threads(n)` threads. `between` is called between two runs.
fn train(
    settings: &Settings,
    batches: impl Fn(usize) -> usize,
    threads: impl Fn(usize) -> usize,
    between: impl Fn(&Training<f32, AnyOptimizer>, &Model) -> Option<(Training<f32, AnyOptimizer>, Model)>,
) -> Outcome {
    let (bytes, reals) = (pixels(SAMPLES, FEATURES, 1), numbers(SAMPLES, FEATURES, 1));
    let classes = classes(SAMPLES, CLASSES);
    let team = ThreadTeam::new(8).unwrap();
    let loss = SparseCategoricalCrossentropy::default();
    let mut model = model(settings.pixels);
    let mut training = training(&model, settings);
    let order = order();
    let mut rest: &[u32] = &order;
    let mut run = 0;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(batches(run).saturating_mul(BATCH)));
        rest = later;
        let budget = StepBudget { team: &team, threads: threads(run), time: None };
        let results = if settings.pixels {
            training.run(&mut model, &loss, &WithLabels::new(bytes.view(), &classes), now, budget)
        } else {
            training.run(&mut model, &loss, &WithLabels::new(reals.view(), &classes), now, budget)
        };
        assert_eq!(results.unwrap().len(), now.len().div_ceil(BATCH));
        if let Some(other) = between(&training, &model) {
            (training, model) = other;
        }
        run += 1;
    }
    assert_eq!(training.iteration(), order.len().div_ceil(BATCH) as u64 / settings.accumulation);
    let state = training.to_safetensors(&model, "end");
    let weights = model.weights_sha256();
    training.swap_average(&mut model).unwrap();
    let average = model.weights_sha256();
    assert_eq!(settings.ema.is_some(), average != weights, "{settings:?}");
    (weights, average, state)
}

fn keep(_: &Training<f32, AnyOptimizer>, _: &Model) -> Option<(Training<f32, AnyOptimizer>, Model)> {
    None
}

fn whole(settings: &Settings, threads: usize) -> Outcome {
    train(settings, |_| usize::MAX, |_| threads, keep)
}

#[track_caller]
fn same(one: &Outcome, other: &Outcome, of: &dyn Debug) {
    assert_eq!((&one.0, &one.1), (&other.0, &other.1), "weights and average: {of:?}");
    assert!(one.2 == other.2, "state: {of:?}");
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    for settings in all_settings() {
        let one = whole(&settings, 1);
        for threads in &THREADS[1..] {
            same(&one, &whole(&settings, *threads), &(settings, threads));
        }
    }
}

#[test]
fn the_bits_do_not_depend_on_the_division_into_runs() {
    for settings in all_settings() {
        let one = whole(&settings, 1);
        let cut = train(&settings, |_| 1, |run| THREADS[run % THREADS.len()], keep);
        same(&one, &cut, &settings);
        let cut = train(&settings, |run| 1 + run % 3, |run| 1 + (run * 5) % 8, keep);
        same(&one, &cut, &settings);
    }
}

/// Saves after each batch, and so also between the updates of an accumulation.
#[test]
fn saving_and_restoring_does_not_change_the_bits() {
    for settings in all_settings() {
        let one = whole(&settings, 1);
        let restored = |before: &Training<f32, AnyOptimizer>, model: &Model| {
            let bytes = before.to_safetensors(model, "between");
            let mut other = self::model(settings.pixels);
            other.for_each_weight_mut(|_, weight| weight.fill(0.5));
            let mut after = training(&other, &settings);
            after.restore(&mut other, &State::parse(&bytes).unwrap()).unwrap();
            assert_eq!((after.iteration(), after.batches()), (before.iteration(), before.batches()));
            assert_eq!(after.to_safetensors(&other, "between"), bytes);
            Some((after, other))
        };
        let cut = train(&settings, |_| 1, |run| THREADS[run % THREADS.len()], restored);
        same(&one, &cut, &settings);
    }
}

/// All digests as text, computed by this process's instruction set.
fn digests() -> String {
    let mut text = String::new();
    for settings in all_settings() {
        let (weights, average, _) = whole(&settings, 3);
        let _ = writeln!(text, "digests {weights} {average}");
    }
    text
}

/// The environment variable that makes a child process print its digests.
const CHILD: &str = "ZIFFER_TEST_DIGESTS";

#[test]
fn the_bits_do_not_depend_on_the_instruction_set() {
    if std::env::var_os(CHILD).is_some() {
        println!("{}", digests());
        return;
    }
    let (_, module) = module_path!().split_once("::").unwrap();
    let test = format!("{module}::the_bits_do_not_depend_on_the_instruction_set");
    let here = digests();
    let mut compared = 0;
    let sets = [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512];
    for set in sets.into_iter().filter(|set| set.is_available()) {
        let isa = set.name();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &test, "--nocapture"])
            .env("ZIFFER_ISA", isa)
            .env(CHILD, "1")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{isa}: {text}{}", String::from_utf8_lossy(&output.stderr));
        let there: Vec<&str> =
            text.lines().filter_map(|line| line.split_once("digests ")).map(|l| l.1).collect();
        let here: Vec<&str> = here.lines().map(|line| &line["digests ".len()..]).collect();
        assert_eq!(there, here, "{isa}");
        compared += 1;
    }
    assert!(compared > 0);
}

/// Layers with weights, and layers whose gradient depends on the input.
#[test]
fn other_layers_give_the_same_bits_on_any_number_of_threads() {
    let stack = || {
        Sequential::new([FEATURES])
            .dense(36, Activation::Silu)
            .reshape([-1, 9])
            .layer_normalization()
            .p_relu()
            .gaussian_noise(0.3)
            .flatten()
            .dense(20, Activation::Linear)
            .elu(0.7)
            .layer_normalization()
            .leaky_relu(0.1)
            .dense(CLASSES, Activation::Linear)
            .softmax()
    };
    let x = numbers(SAMPLES, FEATURES, 1);
    let classes = classes(SAMPLES, CLASSES);
    let samples = WithLabels::new(x.view(), &classes);
    let loss = SparseCategoricalCrossentropy::default();
    let mut digests = Vec::new();
    for threads in THREADS {
        let mut model = stack().build(3).unwrap();
        let before: Vec<_> = model.weights().map(|(name, weight)| (name, weight.to_owned())).collect();
        let mut training = Training::new(&model, Adam::default(), BATCH).unwrap().seed(5);
        let team = ThreadTeam::new(threads).unwrap();
        training.run(&mut model, &loss, &samples, &order(), (&team).into()).unwrap();
        for ((name, before), (_, after)) in before.iter().zip(model.weights()) {
            assert!(before.iter().zip(after).all(|(before, after)| before != after), "{name} is trained");
        }
        digests.push(model.weights_sha256());
    }
    digests.dedup();
    assert_eq!(digests.len(), 1);
}
