//! The step's shared memory, in cases that are small enough for Miri, which detects data races, aliasing violations and invalid
//! reads. Without Miri the test compares the bits of one thread and of several.
//!
//! `.ci/miri` has the command. Miri has no vector instructions: it runs the portable kernels.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

use ndarray::Array2;
use ziffer_nn::layer::InputType;
use ziffer_nn::optimizer::Clip;
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::training::{Partition, Plan};
use ziffer_nn::{
    Activation, Adam, AnyOptimizer, Model, SampleValue, Sequential, Sgd, SparseCategoricalCrossentropy,
    Training, WithLabels,
};

/// Two batches, the second smaller.
const SAMPLES: usize = 3;
const BATCH: usize = 2;
const FEATURES: usize = 2;
const CLASSES: usize = 2;

#[derive(Clone, Copy)]
struct Settings {
    optimizer: AnyOptimizer,
    clip: Option<Clip>,
    accumulation: u64,
    ema: Option<f64>,
    by_value: bool,
}

fn fused() -> Settings {
    let optimizer = Adam::default().into();
    Settings { optimizer, clip: None, accumulation: 1, ema: Some(0.9), by_value: false }
}

fn train<V: SampleValue<f32>>(
    mut model: Model,
    x: &Array2<V>,
    settings: Settings,
    threads: usize,
) -> Vec<u32> {
    let classes: Vec<usize> = (0..SAMPLES).map(|sample| sample % CLASSES).collect();
    let samples = WithLabels::new(x.view(), &classes);
    let mut training = Training::new(&model, settings.optimizer, BATCH)
        .unwrap()
        .clip(settings.clip)
        .accumulation(settings.accumulation)
        .ema(settings.ema)
        .unwrap();
    let (team, loss) = (ThreadTeam::new(threads).unwrap(), SparseCategoricalCrossentropy::default());
    let order: Vec<u32> = (0..SAMPLES as u32).collect();
    if settings.by_value {
        for batch in order.chunks(BATCH) {
            let mut gradients =
                training.gradients(&mut model, &loss, &samples, batch, (&team).into()).unwrap();
            gradients.clip(Clip::GlobalNorm(0.1));
            training.apply(&mut model, &gradients).unwrap();
        }
    } else {
        let results = training.run(&mut model, &loss, &samples, &order, (&team).into()).unwrap();
        assert_eq!(results.len(), 2);
    }
    training.swap_average(&mut model).unwrap();
    model.weights().flat_map(|(_, w)| w.iter().map(|w| w.to_bits()).collect::<Vec<_>>()).collect()
}

/// Compares the bits of one thread and of several. Miri is slow and runs only the latter.
fn agree<V: SampleValue<f32>>(model: &Model, x: &Array2<V>, settings: Settings, threads: usize) {
    let several = train(model.clone(), x, settings, threads);
    if !cfg!(miri) {
        assert!(train(model.clone(), x, settings, 1) == several, "{threads} threads");
    }
}

fn pixels() -> Array2<u8> {
    Array2::from_shape_fn(
        (SAMPLES, FEATURES),
        |(n, i)| if (n + i) % 3 == 0 { 0 } else { (n * 71 + i * 37) as u8 },
    )
}

fn numbers() -> Array2<f32> {
    Array2::from_shape_fn((SAMPLES, FEATURES), |(n, i)| (n * 7 + i * 3) as f32 / 10.0 - 1.0)
}

/// A Dense on pixels, divided by outputs, then channels, then rows with dropout. Each thread has a cache line of outputs and of
/// channels.
fn stack(threads: usize) -> Model {
    Sequential::new([FEATURES])
        .dense(16 * threads - 15, Activation::Relu)
        .batch_normalization()
        .dropout(0.4)
        .dense(CLASSES, Activation::Softmax)
        .build(1)
        .unwrap()
}

#[test]
fn outputs_channels_rows_and_weights_are_divided_among_threads() {
    let (stack, threads) = (stack(3), 3);
    let plan = Plan::for_threads(&stack, InputType::Pixels, threads);
    let shares: Vec<Partition> = plan.stages().iter().map(|stage| stage.partition).collect();
    assert!(shares.starts_with(&[Partition::Outputs(0), Partition::Channels(1), Partition::Rows]), "{plan}");
    agree(&stack, &pixels(), fused(), threads);
}

#[test]
fn stored_gradients_are_clipped_and_accumulated() {
    let sgd = Sgd { momentum: 0.9, ..Sgd::default() };
    let clip = Some(Clip::GlobalNorm(0.1));
    let settings = Settings { optimizer: sgd.into(), clip, accumulation: 2, ..fused() };
    agree(&stack(2), &pixels(), settings, 2);
}

#[test]
fn gradients_are_returned_and_applied() {
    agree(&stack(2), &pixels(), Settings { by_value: true, ..fused() }, 2);
}

#[test]
fn the_first_layer_is_parallel_over_channels() {
    let stack = Sequential::new([FEATURES]).rescaling(0.5, 0.1).batch_normalization();
    let mut model = stack.dense(CLASSES, Activation::Softmax).build(1).unwrap();
    agree(&model, &pixels(), fused(), 2);
    model.set_trainable("batch_normalization", false).unwrap();
    agree(&model, &numbers(), fused(), 2);
}

/// A thread panics while other threads work or wait at a barrier.
#[test]
fn a_panic_ends_the_step_on_all_threads() {
    let x = pixels();
    let samples = WithLabels::new(x.view(), &[0, 1, 0]);
    let mut model = stack(2);
    let mut training = Training::new(&model, Adam::default(), BATCH).unwrap();
    let (team, loss) = (ThreadTeam::new(2).unwrap(), SparseCategoricalCrossentropy::default());
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        training.run(&mut model, &loss, &samples, &[0, 1, 99], (&team).into())
    }));
    assert!(outcome.is_err());
    assert_eq!(training.run(&mut model, &loss, &samples, &[0, 1], (&team).into()).unwrap().len(), 1);
}
