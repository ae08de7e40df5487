//! Gradients as a value have the bits of a run, and can be summed.

use ndarray::Array2;
use ziffer_nn::optimizer::Clip;
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::training::Gradients;
use ziffer_nn::{
    Activation, AnyOptimizer, Model, SampleValue, Scalar, Sequential, Sgd, SparseCategoricalCrossentropy,
    Training, WithLabels,
};

use super::setup::{BATCH, CLASSES, FEATURES, SAMPLES, optimizers, order};
use crate::common::{classes, numbers, pixels};

/// A model without dropout for any number type. The second kernel has more elements than a chunk of a norm.
fn plain<T: Scalar>(seed: u64) -> Model<T> {
    Sequential::<T>::with_input_shape([FEATURES])
        .dense(130, Activation::Relu)
        .batch_normalization()
        .dense(70, Activation::Tanh)
        .dense(CLASSES, Activation::Softmax)
        .build(seed)
        .unwrap()
}

/// Compares `run` on one thread with `gradients`, clipped as a value, and `apply` on three threads.
fn by_value<T: Scalar, V: SampleValue<T>>(
    x: &Array2<V>,
    optimizer: AnyOptimizer,
    clip: Option<Clip>,
    ema: Option<f64>,
) {
    let classes = classes(x.nrows(), CLASSES);
    let samples = WithLabels::new(x.view(), &classes);
    let loss = SparseCategoricalCrossentropy::default();
    let (one, three) = (ThreadTeam::new(1).unwrap(), ThreadTeam::new(3).unwrap());
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
            assert!(gradients.global_norm() < before, "clipping changes the gradients");
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
fn gradients_as_a_value_have_the_bits_of_a_run() {
    let (bytes, reals) = (pixels(SAMPLES, FEATURES, 3), numbers(SAMPLES, FEATURES, 3));
    let doubles = reals.mapv(f64::from);
    for optimizer in optimizers() {
        // Small enough to clip every batch.
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

#[test]
fn the_gradients_of_two_halves_sum_to_the_whole() {
    let x = numbers(32, FEATURES, 4).mapv(f64::from);
    let classes = classes(32, CLASSES);
    let samples = WithLabels::new(x.view(), &classes);
    let loss = SparseCategoricalCrossentropy::default();
    let team = ThreadTeam::new(2).unwrap();
    // Without batch statistics, which differ between the halves.
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
        // Each gradient is a sum of 32 products of absolute value at most 1, in another order.
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
