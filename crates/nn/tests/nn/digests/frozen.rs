//! Training does not change frozen layers.

use ndarray::s;
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::{
    Activation, BatchNormalization, Sequential, Sgd, SparseCategoricalCrossentropy, Training, WithLabels,
};

use super::setup::{BATCH, CLASSES, FEATURES, SAMPLES, THREADS, all_settings, model, order, training};
use crate::common::{classes, numbers, pixels};

#[test]
fn frozen_layers_have_no_gradient_and_do_not_change() {
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
            let team = ThreadTeam::new(threads).unwrap();
            let mut model = model(true);
            // The moving averages differ from their initial values.
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

/// A frozen batch normalization computes the same in a training step as at inference.
#[test]
fn frozen_batch_normalization_uses_moving_averages() {
    let stack = Sequential::<f64>::with_input_shape([6]).add(BatchNormalization::default());
    let mut model = stack.dense(3, Activation::Softmax).build(1).unwrap();
    let moved = ndarray::arr1(&[0.3, 1.0, 2.0, 0.1, 5.0, 0.9]);
    for statistic in ["moving_mean", "moving_variance"] {
        model.set_weight(&format!("batch_normalization.{statistic}"), moved.view()).unwrap();
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
            let team = ThreadTeam::new(threads).unwrap();
            let mut training = Training::new(&model, Sgd::default(), 8).unwrap();
            let order: Vec<u32> = (0..rows as u32).collect();
            let gradients = training.gradients(&mut model, &loss, &samples, &order, (&team).into()).unwrap();
            assert_eq!(gradients.result.loss(), expected);
        }
        assert_eq!(model.weight("batch_normalization.moving_mean").unwrap(), moved.view().into_dyn());
    }
}
