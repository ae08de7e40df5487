//! The order, the split and the means of samples, and bits that do not depend on threads.

use ndarray::Array2;
use ziffer_nn::{
    Activation, Adam, AdamW, AnyOptimizer, EpochSeed, RmsProp, Samples, Sequential, Sgd,
    SparseCategoricalCrossentropy, Target, WithLabels,
};
use ziffer_trainer::{Evaluate, Trainer};

use super::setup::{images_and_labels, network, trainer};

#[test]
fn bits_do_not_depend_on_threads() {
    let (_folder, data) = images_and_labels();
    let run = |threads| {
        let mut model = network();
        let history = trainer().threads(threads).fit(&mut model, &data).unwrap();
        (model.weights_sha256(), history.loss, history.val_loss)
    };
    let one = run(1);
    // Also with more threads than samples in a batch.
    for threads in [2, 3, 4, 8, 11] {
        assert_eq!(run(threads), one, "{threads} threads");
    }
}

/// A first layer with enough outputs to divide among threads, whose last cache line is partial, with each kind of update.
#[test]
fn bits_do_not_depend_on_the_division_of_outputs() {
    let (_folder, data) = images_and_labels();
    let (adam, rmsprop) = (Adam { learning_rate: 0.01, ..Adam::default() }, RmsProp::default());
    let momentum = Sgd { momentum: 0.9, ..Sgd::default() };
    let optimizers: [AnyOptimizer; 4] = [
        adam.into(),
        AdamW { learning_rate: 0.01, weight_decay: 0.1, ..AdamW::default() }.into(),
        momentum.into(),
        rmsprop.into(),
    ];
    for optimizer in optimizers {
        for activation in [Activation::Relu, Activation::Tanh] {
            let run = |threads| {
                let mut model = Sequential::new([3, 5])
                    .flatten()
                    .dense(57, activation)
                    .dense(4, Activation::Softmax)
                    .build(1)
                    .unwrap();
                let start = model.weights_sha256();
                let history = Trainer::new(optimizer, SparseCategoricalCrossentropy::default())
                    .epochs(3)
                    .batch_size(7)
                    .threads(threads)
                    .fit(&mut model, &data)
                    .unwrap();
                assert_ne!(model.weights_sha256(), start);
                (model.weights_sha256(), history.loss)
            };
            let one = run(1);
            for threads in [2, 3, 4, 5] {
                assert_eq!(run(threads), one, "{optimizer:?} {activation} {threads} threads");
            }
        }
    }
}

#[test]
fn orders_depend_on_the_seed_and_the_epoch() {
    let (_folder, data) = images_and_labels();
    let run = |seed, shuffle| {
        let mut model = network();
        trainer().seed(seed).shuffle(shuffle).fit(&mut model, &data).unwrap();
        model.weights_sha256()
    };
    assert_eq!(run(3, true), run(3, true));
    assert_ne!(run(3, true), run(4, true));
    assert_eq!(run(3, false), run(4, false));
    assert_ne!(run(3, true), run(3, false));
}

/// Samples that record the calls of `target`: one per use in training.
struct RecordedSamples<'a> {
    inner: WithLabels<'a, f32>,
    targets: std::sync::Mutex<Vec<usize>>,
}

impl Samples<f32> for RecordedSamples<'_> {
    type Value = f32;
    fn len(&self) -> usize {
        Samples::<f32>::len(&self.inner)
    }
    fn features(&self) -> usize {
        Samples::<f32>::features(&self.inner)
    }
    fn fill(&self, index: usize, draw: Option<EpochSeed>, out: &mut [f32]) {
        Samples::<f32>::fill(&self.inner, index, draw, out);
    }
    fn target(&self, index: usize) -> Target<'_, f32> {
        self.targets.lock().unwrap().push(index);
        self.inner.target(index)
    }
}

#[test]
fn every_epoch_uses_each_sample_once_in_another_order() {
    let x = Array2::from_elem((50, 2), 0.5_f32);
    let classes = vec![0; 50];
    let samples = RecordedSamples { inner: WithLabels::new(x.view(), &classes), targets: Vec::new().into() };
    let mut model = Sequential::new([2]).dense(2, Activation::Softmax).build(0).unwrap();
    trainer().epochs(3).fit(&mut model, &samples).unwrap();
    let targets = samples.targets.into_inner().unwrap();
    // At first all targets are checked.
    let epochs: Vec<&[usize]> = targets[50..].chunks(50).collect();
    assert_eq!(epochs.len(), 3);
    for epoch in &epochs {
        let mut sorted = epoch.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        assert_ne!(*epoch, sorted);
    }
    assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2] && epochs[0] != epochs[2]);
}

#[test]
fn the_validation_set_is_the_end_of_the_samples_and_is_not_trained_on() {
    for (count, split, expected) in [
        // floor(count (1 - split)): 37.5, 25, 1.5, 7, 1.5 and 49.5 rounded down.
        (50, 0.25, 37),
        (50, 0.5, 25),
        (3, 0.5, 1),
        (10, 0.3, 7),
        (50, 0.97, 1),
        (50, 0.01, 49),
    ] {
        let x = Array2::from_shape_fn((count, 2), |(n, i)| (n * 2 + i) as f32 / 100.0);
        let classes: Vec<usize> = (0..count).map(|n| n % 2).collect();
        let inner = WithLabels::new(x.view(), &classes);
        let samples = RecordedSamples { inner, targets: Vec::new().into() };
        let mut model = Sequential::new([2]).dense(2, Activation::Softmax).build(0).unwrap();
        let history = trainer().validation_split(split).epochs(2).fit(&mut model, &samples).unwrap();
        // At first all targets are checked; then each epoch uses the training set, then the validation set.
        let targets = samples.targets.into_inner().unwrap();
        assert_eq!(targets.len(), 3 * count);
        for epoch in targets[count..].chunks(count) {
            let (train, validation) = epoch.split_at(expected);
            let mut sorted = train.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..expected).collect::<Vec<_>>(), "{count} {split}");
            let mut sorted = validation.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (expected..count).collect::<Vec<_>>(), "{count} {split}");
        }

        // The same as two separate sets.
        let (train, validation) = x.view().split_at(ndarray::Axis(0), expected);
        let mut of_parts = Sequential::new([2]).dense(2, Activation::Softmax).build(0).unwrap();
        let validation = WithLabels::new(validation, &classes[expected..]);
        let parts = trainer()
            .epochs(2)
            .validation_split(0.5)
            .validation_data(&validation)
            .fit(&mut of_parts, &WithLabels::new(train, &classes[..expected]))
            .unwrap();
        assert_eq!(model.weights_sha256(), of_parts.weights_sha256());
        assert_eq!((history.loss, history.val_loss), (parts.loss, parts.val_loss));
    }
}

#[test]
fn a_split_with_an_empty_set_is_rejected() {
    let x = Array2::from_elem((10, 2), 0.5_f32);
    let classes = vec![0; 10];
    for split in [0.95, 0.999, 1e-17] {
        let mut model = Sequential::new([2]).dense(2, Activation::Softmax).build(0).unwrap();
        let samples = WithLabels::new(x.view(), &classes);
        let error = trainer().validation_split(split).fit(&mut model, &samples).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "validation_split is {split}, expected a fraction that leaves samples for training and for validation"
            )
        );
    }
    // One sample cannot be split.
    let (x, mut model) = (x.slice(ndarray::s![..1, ..]), network());
    let samples = WithLabels::new(x, &classes[..1]);
    let error = trainer().fit(&mut model, &samples).unwrap_err();
    assert!(error.to_string().starts_with("validation_split is 0.2"), "{error}");
}

#[test]
fn means_are_over_samples_not_batches() {
    // A tiny learning rate does not change the weights, so that the training loss equals that of an evaluation of the first 80
    // samples, in batches of 7 with a last one of 3.
    let (_folder, data) = images_and_labels();
    let (train, validation) = data.split(0.2).unwrap();
    assert_eq!((train.len(), validation.len()), (80, 20));
    let mut model = network();
    let sgd = Sgd { learning_rate: 1e-30, ..Sgd::default() };
    let history = Trainer::new(sgd, SparseCategoricalCrossentropy::default())
        .batch_size(7)
        .validation_split(0.2)
        .fit(&mut model, &data)
        .unwrap();
    let (expected, validated) = (model.evaluate(train).unwrap(), model.evaluate(validation).unwrap());
    assert!((history.loss[0] - expected.loss).abs() < 1e-6);
    assert_eq!(history.accuracy, [expected.accuracy]);
    assert_eq!((history.val_loss, history.val_accuracy), (vec![validated.loss], vec![validated.accuracy]));

    // The accuracy counted by hand.
    let outputs = model.predict_dataset(validation).unwrap();
    let right = outputs.rows().into_iter().enumerate().filter(|(n, row)| {
        let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
        best == validation.label(*n)
    });
    assert_eq!(right.count(), validated.correct);
    let loss: f64 =
        outputs.rows().into_iter().enumerate().map(|(n, p)| -f64::from(p[validation.label(n)]).ln()).sum();
    assert!((loss / 20.0 - validated.loss).abs() < 1e-5);
}
