//! The same bits: on any number of threads, with each instruction set, in one run or in many, in one process or saved and
//! restored on the way, and by gradients as a value.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

mod common;

use std::fmt::Debug;
use std::fmt::Write as _;
use std::process::Command;

use common::{classes, numbers, pixels};
use ndarray::{Array2, s};
use ziffer_nn::optimizer::Clip;
use ziffer_nn::team::Team;
use ziffer_nn::training::{Gradients, State};
use ziffer_nn::{
    Activation, Adam, AnyOptimizer, BatchNormalization, Lion, Model, Nadam, RmsProp, SampleValue, Scalar,
    Sequential, Sgd, SparseCategoricalCrossentropy, StepBudget, Training, WithLabels,
};
use ziffer_tensor::InstructionSet;

const THREADS: [usize; 5] = [1, 2, 3, 4, 8];
const SAMPLES: usize = 100;
/// The last batch is a smaller one.
const BATCH: usize = 16;
const FEATURES: usize = 30;
const CLASSES: usize = 5;

/// What a training is set to.
#[derive(Clone, Copy, Debug)]
struct Settings {
    optimizer: AnyOptimizer,
    clip: Option<Clip>,
    accumulation: u64,
    ema: Option<f64>,
    pixels: bool,
}

fn optimizers() -> [AnyOptimizer; 5] {
    let adam = Adam { learning_rate: 0.01, ..Adam::default() };
    let sgd = Sgd { learning_rate: 0.05, momentum: 0.9, nesterov: true, weight_decay: 0.1 };
    let rmsprop = RmsProp { learning_rate: 0.002, momentum: 0.5, centered: true, ..RmsProp::default() };
    let nadam = Nadam { learning_rate: 0.01, weight_decay: 0.1, ..Nadam::default() };
    let lion = Lion { learning_rate: 0.002, ..Lion::default() };
    [adam.into(), sgd.into(), rmsprop.into(), nadam.into(), lion.into()]
}

const CLIPS: [Option<Clip>; 4] =
    [None, Some(Clip::Value(0.01)), Some(Clip::Norm(0.05)), Some(Clip::GlobalNorm(0.1))];

/// Every kind of clipping with every optimizer, with and without accumulation and average, from pixels and from numbers.
fn all_settings() -> Vec<Settings> {
    let mut all = Vec::new();
    for (o, optimizer) in optimizers().into_iter().enumerate() {
        for (c, clip) in CLIPS.into_iter().enumerate() {
            for pixels in [true, false] {
                let accumulation = if (o + c) % 2 == 0 { 3 } else { 1 };
                let ema = (c < 3).then_some(0.9);
                all.push(Settings { optimizer, clip, accumulation, ema, pixels });
            }
        }
    }
    // The fused step, whose first layer shares out its outputs, with an average.
    let optimizer = optimizers()[0];
    all.push(Settings { optimizer, clip: None, accumulation: 1, ema: Some(0.99), pixels: true });
    all.push(Settings { optimizer, clip: None, accumulation: 1, ema: None, pixels: true });
    all
}

/// With enough outputs for eight threads to share out, and more elements of the second kernel than one piece of a norm has.
fn model(pixels: bool) -> Model {
    let stack = Sequential::new([FEATURES]);
    // Pixels reach the first Dense as they are, numbers a layer that shares out channels.
    let stack = if pixels {
        stack.rescaling(1.0 / 255.0, 0.0).dense(130, Activation::Relu).batch_normalization()
    } else {
        stack.rescaling(0.5, 0.25).batch_normalization().dense(130, Activation::Tanh)
    };
    stack
        .dropout(0.3)
        .gaussian_noise(0.05)
        .dense(35, Activation::Gelu)
        .activation(Activation::Mish)
        .batch_normalization()
        .dropout(0.1)
        .dense(CLASSES, Activation::Softmax)
        .build(11)
        .unwrap()
}

fn training(model: &Model, settings: &Settings) -> Training<f32, AnyOptimizer> {
    Training::new(model, settings.optimizer, BATCH)
        .unwrap()
        .seed(5)
        .clip(settings.clip)
        .accumulation(settings.accumulation)
        .ema(settings.ema)
        .unwrap()
}

/// Two passes over the samples, the second in the opposite order.
fn order() -> Vec<u32> {
    let samples = SAMPLES as u32;
    (0..samples).chain((0..samples).rev()).collect()
}

/// The weights and their average, as digests, and the state as bytes.
type Outcome = (String, String, Vec<u8>);

/// Trains in runs of `batches(number of the run)` batches, each on `threads(number of the run)`; what `between` does happens
/// between two runs.
fn train(
    settings: &Settings,
    batches: impl Fn(usize) -> usize,
    threads: impl Fn(usize) -> usize,
    between: impl Fn(&Training<f32, AnyOptimizer>, &Model) -> Option<(Training<f32, AnyOptimizer>, Model)>,
) -> Outcome {
    let (bytes, reals) = (pixels(SAMPLES, FEATURES, 1), numbers(SAMPLES, FEATURES, 1));
    let classes = classes(SAMPLES, CLASSES);
    let team = Team::new(8).unwrap();
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
fn threads_make_no_difference() {
    for settings in all_settings() {
        let one = whole(&settings, 1);
        for threads in &THREADS[1..] {
            same(&one, &whole(&settings, *threads), &(settings, threads));
        }
    }
}

#[test]
fn runs_cut_short_make_no_difference() {
    for settings in all_settings() {
        let one = whole(&settings, 1);
        let cut = train(&settings, |_| 1, |run| THREADS[run % THREADS.len()], keep);
        same(&one, &cut, &settings);
        let cut = train(&settings, |run| 1 + run % 3, |run| 1 + (run * 5) % 8, keep);
        same(&one, &cut, &settings);
    }
}

/// After each batch, so that some of them lie between the updates of an accumulation.
#[test]
fn saving_and_restoring_makes_no_difference() {
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

/// All digests as text, of a process with one instruction set.
fn digests() -> String {
    let mut text = String::new();
    for settings in all_settings() {
        let (weights, average, _) = whole(&settings, 3);
        let _ = writeln!(text, "digests {weights} {average}");
    }
    text
}

/// The variable by which a child process is told to print its digests.
const CHILD: &str = "ZIFFER_TEST_DIGESTS";

#[test]
fn instruction_sets_make_no_difference() {
    if std::env::var_os(CHILD).is_some() {
        println!("{}", digests());
        return;
    }
    let here = digests();
    let mut compared = 0;
    let sets = [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512];
    for set in sets.into_iter().filter(|set| set.is_available()) {
        let isa = set.name();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "instruction_sets_make_no_difference", "--nocapture"])
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

/// A model without dropout, in any number type, the second kernel of more than one piece of a norm.
fn plain<T: Scalar>(seed: u64) -> Model<T> {
    Sequential::<T>::with_input_shape([FEATURES])
        .dense(130, Activation::Relu)
        .batch_normalization()
        .dense(70, Activation::Tanh)
        .dense(CLASSES, Activation::Softmax)
        .build(seed)
        .unwrap()
}

/// `run` on one thread against `gradients`, clipped as a value, and `apply` on three.
fn by_value<T: Scalar, V: SampleValue<T>>(
    x: &Array2<V>,
    optimizer: AnyOptimizer,
    clip: Option<Clip>,
    ema: Option<f64>,
) {
    let classes = classes(x.nrows(), CLASSES);
    let samples = WithLabels::new(x.view(), &classes);
    let loss = SparseCategoricalCrossentropy::default();
    let (one, three) = (Team::new(1).unwrap(), Team::new(3).unwrap());
    let (mut ran, mut applied) = (plain::<T>(2), plain::<T>(2));
    let make =
        |model: &Model<T>| Training::new(model, optimizer, BATCH).unwrap().clip(clip).ema(ema).unwrap();
    let (mut run, mut apply) = (make(&ran), make(&applied));
    let order = order();
    let results = run.run(&mut ran, &loss, &samples, &order, (&one).into()).unwrap();
    for (batch, result) in order.chunks(BATCH).zip(&results) {
        let mut gradients = apply.gradients(&mut applied, &loss, &samples, batch, (&three).into()).unwrap();
        assert_eq!(gradients.result, *result);
        if let Some(clip) = clip {
            let before = gradients.global_norm();
            gradients.clip(clip);
            assert!(gradients.global_norm() < before, "a bound that binds");
        }
        apply.apply(&mut applied, &gradients).unwrap();
    }
    let of = format!("{optimizer:?}, {clip:?}");
    assert_eq!(ran.weights_sha256(), applied.weights_sha256(), "{of}");
    assert_eq!((run.iteration(), run.batches()), (apply.iteration(), apply.batches()));
    run.swap_average(&mut ran).unwrap();
    apply.swap_average(&mut applied).unwrap();
    assert_eq!(ran.weights_sha256(), applied.weights_sha256(), "averages: {of}");
}

#[test]
fn gradients_as_a_value_make_no_difference() {
    let (bytes, reals) = (pixels(SAMPLES, FEATURES, 3), numbers(SAMPLES, FEATURES, 3));
    let doubles = reals.mapv(f64::from);
    for optimizer in optimizers() {
        // Tight enough to bind at every batch.
        for clip in [None, Some(Clip::Value(1e-4)), Some(Clip::Norm(1e-3)), Some(Clip::GlobalNorm(1e-3))] {
            for ema in [None, Some(0.9)] {
                by_value::<f32, _>(&bytes, optimizer, clip, ema);
                by_value::<f32, _>(&reals, optimizer, clip, ema);
                by_value::<f64, _>(&doubles, optimizer, clip, ema);
                by_value::<f64, _>(&bytes, optimizer, clip, ema);
            }
        }
    }
}

/// Layers with weights of their own, and such as need what went in.
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
        let team = Team::new(threads).unwrap();
        training.run(&mut model, &loss, &samples, &order(), (&team).into()).unwrap();
        for ((name, before), (_, after)) in before.iter().zip(model.weights()) {
            assert!(before.iter().zip(after).all(|(before, after)| before != after), "{name} is trained");
        }
        digests.push(model.weights_sha256());
    }
    digests.dedup();
    assert_eq!(digests.len(), 1);
}

#[test]
fn gradients_of_halves_add_up() {
    let x = numbers(32, FEATURES, 4).mapv(f64::from);
    let classes = classes(32, CLASSES);
    let samples = WithLabels::new(x.view(), &classes);
    let loss = SparseCategoricalCrossentropy::default();
    let team = Team::new(2).unwrap();
    // Batch statistics are those of the batch: without them.
    let stack = Sequential::<f64>::with_input_shape([FEATURES]).dense(40, Activation::Tanh);
    let mut model = stack.dense(CLASSES, Activation::Softmax).build(1).unwrap();
    let mut training = Training::new(&model, Sgd::default(), 32).unwrap();
    let order: Vec<u32> = (0..32).collect();
    let mut of = |batch: &[u32]| -> Gradients<f64> {
        training.gradients(&mut model, &loss, &samples, batch, (&team).into()).unwrap()
    };
    let whole = of(&order);
    let (mut halves, second) = (of(&order[..16]), of(&order[16..]));
    halves.add(&second);
    halves.scale(0.5);
    assert_eq!(halves.result.samples, 32);
    assert!((halves.result.loss() - whole.result.loss()).abs() < 1e-14);
    assert_eq!(halves.iter().count(), 4);
    for ((name, half), (other, whole)) in halves.iter().zip(whole.iter()) {
        assert_eq!((name, half.shape()), (other, whole.shape()));
        assert!(whole.iter().any(|g| g.abs() > 1e-4), "{name}");
        // Each gradient is a sum of 32 products, of size 1 at most, in another order.
        assert!(
            half.iter().zip(&whole).all(|(half, whole)| (half - whole).abs() < 32.0 * f64::EPSILON),
            "{name}"
        );
    }
    assert_eq!(halves.get("dense.bias").unwrap(), halves.iter().nth(1).unwrap().1);
    halves.get_mut("dense.bias").unwrap().fill(3.0);
    assert!(halves.get("dense.bias").unwrap().iter().all(|&g| g == 3.0));
    assert!(halves.get("none").is_none());
}

#[test]
fn frozen_layers_have_no_gradient_and_stay() {
    let x = pixels(SAMPLES, FEATURES, 6);
    let classes = classes(SAMPLES, CLASSES);
    let samples = WithLabels::new(x.view(), &classes);
    let loss = SparseCategoricalCrossentropy::default();
    let order = order();
    let batches = order.len().div_ceil(BATCH);
    let frozen = ["dense", "batch_normalization", "dropout"];
    for settings in all_settings().into_iter().filter(|settings| settings.pixels) {
        let mut digests = Vec::new();
        for threads in THREADS {
            let team = Team::new(threads).unwrap();
            let mut model = model(true);
            // Moving averages that are no longer those at the start.
            let moved = ndarray::Array1::from_shape_fn(130, |channel| 0.5 + channel as f32 / 100.0);
            model.set_weight("batch_normalization.moving_variance", moved.view()).unwrap();
            frozen.iter().for_each(|layer| model.set_trainable(layer, false).unwrap());
            let before: Vec<_> = model.weights().map(|(name, weight)| (name, weight.to_owned())).collect();

            let mut training = training(&model, &settings);
            let gradients =
                training.gradients(&mut model, &loss, &samples, &order[..BATCH], (&team).into()).unwrap();
            let names: Vec<_> = gradients.iter().map(|(name, _)| name.to_owned()).collect();
            assert_eq!(
                names,
                [
                    "dense_1.kernel",
                    "dense_1.bias",
                    "batch_normalization_1.gamma",
                    "batch_normalization_1.beta",
                    "dense_2.kernel",
                    "dense_2.bias"
                ]
            );
            let mut training = self::training(&model, &settings);
            let results = training.run(&mut model, &loss, &samples, &order, (&team).into()).unwrap();
            assert_eq!(results.len(), batches);
            for ((name, before), (_, after)) in before.iter().zip(model.weights()) {
                let is_frozen = frozen.iter().any(|layer| name.starts_with(&format!("{layer}.")));
                assert_eq!(*before == after, is_frozen, "{name}, {settings:?}, {threads} threads");
            }
            training.swap_average(&mut model).unwrap();
            for ((name, before), (_, after)) in before.iter().zip(model.weights()) {
                if frozen.iter().any(|layer| name.starts_with(&format!("{layer}."))) {
                    assert_eq!(*before, after, "{name} has no average");
                }
            }
            digests.push(model.weights_sha256());
        }
        digests.dedup();
        assert_eq!(digests.len(), 1, "{settings:?}");
    }
}

/// Frozen, a batch normalization computes the same for a sample in a training step as at inference.
#[test]
fn frozen_batch_normalization_uses_moving_averages() {
    let stack = Sequential::<f64>::with_input_shape([6]).add(BatchNormalization::default());
    let mut model = stack.dense(3, Activation::Softmax).build(1).unwrap();
    let moved = ndarray::arr1(&[0.3, 1.0, 2.0, 0.1, 5.0, 0.9]);
    for part in ["moving_mean", "moving_variance"] {
        model.set_weight(&format!("batch_normalization.{part}"), moved.view()).unwrap();
    }
    model.set_trainable("batch_normalization", false).unwrap();
    let x = numbers(8, 6, 3).mapv(f64::from);
    let classes = classes(8, 3);
    let loss = SparseCategoricalCrossentropy::default();
    for rows in [1, 8] {
        let x = x.slice(s![..rows, ..]);
        let samples = WithLabels::new(x, &classes[..rows]);
        let expected = model.evaluate_with(&loss, &samples).unwrap().loss;
        for threads in [1, 3] {
            let team = Team::new(threads).unwrap();
            let mut training = Training::new(&model, Sgd::default(), 8).unwrap();
            let order: Vec<u32> = (0..rows as u32).collect();
            let gradients = training.gradients(&mut model, &loss, &samples, &order, (&team).into()).unwrap();
            assert_eq!(gradients.result.loss(), expected);
        }
        assert_eq!(model.weight("batch_normalization.moving_mean").unwrap(), moved.view().into_dyn());
    }
}

/// A layer that is unfrozen on the way has an average of its own weights, not of zeros, and what is swapped in is swapped out
/// again though layers were frozen or unfrozen meanwhile.
#[test]
fn the_average_of_a_layer_that_is_unfrozen_begins_with_its_weights() {
    let x = numbers(32, FEATURES, 4);
    let classes = classes(32, CLASSES);
    let samples = WithLabels::new(x.view(), &classes);
    let (loss, team) = (SparseCategoricalCrossentropy::default(), Team::new(1).unwrap());
    let stack = Sequential::new([FEATURES]).dense(8, Activation::Tanh).dense(CLASSES, Activation::Softmax);
    let mut model = stack.build(1).unwrap();
    model.set_trainable("dense", false).unwrap();
    let kernel = |model: &Model| model.weight("dense.kernel").unwrap().to_owned();
    let initial = kernel(&model);
    let mut training = Training::new(&model, Sgd::default(), 8).unwrap().ema(0.5).unwrap();
    let order: Vec<u32> = (0..32).collect();
    training.run(&mut model, &loss, &samples, &order, (&team).into()).unwrap();
    // Swapped in with the layer frozen, swapped out with it unfrozen, as a callback may have it.
    let raw = model.weights_sha256();
    training.swap_average(&mut model).unwrap();
    assert_eq!(kernel(&model), initial);
    model.set_trainable("dense", true).unwrap();
    training.swap_average(&mut model).unwrap();
    assert_eq!(model.weights_sha256(), raw);
    training.run(&mut model, &loss, &samples, &order[..8], (&team).into()).unwrap();
    let moved = kernel(&model);
    training.swap_average(&mut model).unwrap();
    let middle = (&initial + &moved) * 0.5;
    assert!(moved != initial && kernel(&model).iter().zip(&middle).all(|(a, b)| (a - b).abs() < 1e-7));
}

fn average_of_a_step() -> (Training<f32, Sgd>, Model, Array2<f32>) {
    let x = numbers(8, FEATURES, 4);
    let mut model = Sequential::new([FEATURES]).dense(CLASSES, Activation::Softmax).build(1).unwrap();
    let mut training = Training::new(&model, Sgd::default(), 8).unwrap().ema(0.5).unwrap();
    let samples = WithLabels::new(x.view(), &[0; 8]);
    let (loss, team) = (SparseCategoricalCrossentropy::default(), Team::new(1).unwrap());
    training.run(&mut model, &loss, &samples, &[0, 1, 2, 3], (&team).into()).unwrap();
    (training, model, x)
}

#[test]
#[should_panic(expected = "call swap_average again before training goes on")]
fn training_does_not_go_on_from_the_average() {
    let (mut training, mut model, x) = average_of_a_step();
    training.swap_average(&mut model).unwrap();
    let samples = WithLabels::new(x.view(), &[0; 8]);
    let (loss, team) = (SparseCategoricalCrossentropy::default(), Team::new(1).unwrap());
    let gradients = training.gradients(&mut model, &loss, &samples, &[0, 1], (&team).into()).unwrap();
    assert!(gradients.global_norm() > 0.0);
    let _ = training.run(&mut model, &loss, &samples, &[0, 1], (&team).into());
}

#[test]
#[should_panic(expected = "the order has sample 8, there are 8 samples")]
fn an_order_beyond_the_samples_is_refused() {
    let (mut training, mut model, x) = average_of_a_step();
    let samples = WithLabels::new(x.view(), &[0; 8]);
    let (loss, team) = (SparseCategoricalCrossentropy::default(), Team::new(2).unwrap());
    let _ = training.run(&mut model, &loss, &samples, &[0, 8], (&team).into());
}
