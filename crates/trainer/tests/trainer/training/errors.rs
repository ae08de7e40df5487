//! Settings, data and targets that are rejected.

use std::error::Error;

use ndarray::{Array2, ArrayView2};
use ziffer_nn::{
    Activation, Adam, BinaryCrossentropy, MeanSquaredError, Samples, Sequential,
    SparseCategoricalCrossentropy, WithLabels, WithTargets,
};
use ziffer_trainer::callback::{EarlyStopping, Monitor};
use ziffer_trainer::{Evaluate, History, TrainError, Trainer};

use super::setup::{images_and_labels, network, trainer};

#[test]
fn settings_out_of_range_are_rejected() {
    let (_folder, data) = images_and_labels();
    let message = |trainer: Trainer<'_, Adam, SparseCategoricalCrossentropy>| {
        let mut trainer = trainer;
        trainer.fit(&mut network(), &data).unwrap_err().to_string()
    };
    assert_eq!(message(trainer().epochs(0)), "epochs is 0, expected at least 1");
    assert_eq!(message(trainer().batch_size(0)), "batch_size is 0, expected at least 1");
    assert_eq!(message(trainer().threads(0)), "threads is 0, expected at least 1");
    for split in [1.0, -0.1, f64::NAN] {
        assert!(message(trainer().validation_split(split)).contains("0 to below 1"), "{split}");
    }
    let adam = Adam { beta_1: 1.0, ..Adam::default() };
    let error =
        Trainer::new(adam, SparseCategoricalCrossentropy::default()).fit(&mut network(), &data).unwrap_err();
    assert_eq!(error.to_string(), "adam: beta_1 is 1, expected a number from 0 to below 1");
}

#[test]
fn data_and_model_must_fit_together() {
    let (_folder, data) = images_and_labels();
    let fit = |network: Sequential| -> Result<History, TrainError> {
        trainer().fit(&mut network.build(0).unwrap(), &data)
    };
    let error = fit(Sequential::new([28, 28]).flatten().dense(4, Activation::Softmax)).unwrap_err();
    assert_eq!(error.to_string(), "the data set has images of shape [3, 5], the model takes [28, 28]");
    let error = fit(Sequential::new([3, 5]).flatten().dense(3, Activation::Softmax)).unwrap_err();
    assert_eq!(error.to_string(), "the data set has 4 classes, the model has 3 outputs");
    let error = fit(Sequential::new([3, 5]).flatten().dense(4, Activation::Relu)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "sparse_categorical_crossentropy needs a model that ends in a softmax; the last layer is dense; for logits set from_logits"
    );
    // The largest batch size is one batch of all samples.
    trainer().batch_size(usize::MAX).fit(&mut network(), &data).unwrap();
}

#[test]
fn all_labels_are_checked_before_the_first_step() {
    let x = Array2::<f32>::ones((70, 4));
    let stack = || Sequential::new([4]).dense(3, Activation::Softmax).build(0).unwrap();
    for (wrong, line) in [
        (3, "sample 69 has class 3, the model's outputs are for classes 0 to 2"),
        (-1, "sample 69 has class -1, the model's outputs are for classes 0 to 2"),
    ] {
        let mut labels = [2_i32; 70];
        labels[69] = wrong;
        let samples = WithLabels::new(x.view(), &labels);
        let good = WithLabels::new(x.view(), &[1; 70]);
        for validation in [None, Some(&samples)] {
            let train = if validation.is_some() { &good } else { &samples };
            let mut model = stack();
            let mut trainer = trainer().validation_split(0.0);
            if let Some(validation) = validation {
                trainer = trainer.validation_data(validation);
            }
            let error = trainer.fit(&mut model, train).unwrap_err();
            assert_eq!(error.to_string(), line);
            assert_eq!(model.weights_sha256(), stack().weights_sha256(), "no step was made");
        }
    }
    // Bytes, and one output for two classes.
    let bytes = WithLabels::new(x.view(), &[1_u8; 70]);
    trainer().validation_split(0.0).fit(&mut stack(), &bytes).unwrap();
    let mut model = Sequential::new([4]).dense(1, Activation::Sigmoid).build(0).unwrap();
    let adam = Adam { learning_rate: 0.1, ..Adam::default() };
    let mut trainer = Trainer::new(adam, BinaryCrossentropy::default()).epochs(20);
    let history = trainer.fit(&mut model, &bytes).unwrap();
    assert_eq!(history.accuracy.last(), Some(&1.0));
}

#[test]
fn samples_are_not_expanded_to_numbers_in_memory() {
    // A sample is copied from the memory-mapped file only when it is used.
    let set = crate::support::mnist();
    let view = set.train.view();
    let mapped = set.train.pixels().as_ptr_range();
    let row = view.image(59_999);
    assert!(mapped.contains(&row.as_ptr()));
    let mut filled = [1; 784];
    Samples::<f32>::fill(&ziffer_trainer::DatasetSamples(view), 59_999, None, &mut filled);
    assert_eq!(filled, row);
    let rows = ArrayView2::from_shape((1, 784), row).unwrap();
    let model = Sequential::new([28, 28]).flatten().dense(10, Activation::Softmax).build(0).unwrap();
    assert_eq!(model.predict(rows).row(0), model.predict_dataset(view.slice(59_999..)).unwrap().row(0));
}

#[test]
fn there_is_an_accuracy_only_if_targets_are_classes() {
    let x = Array2::from_shape_fn((20, 3), |(sample, feature)| (sample * 3 + feature) as f32 / 60.0);
    let fit = |t: &Array2<f32>| {
        let mut model = Sequential::new([3]).dense(2, Activation::Linear).build(0).unwrap();
        let mut trainer = Trainer::new(Adam::default(), MeanSquaredError).validation_split(0.2);
        trainer.fit(&mut model, &WithTargets::new(x.view(), t.view())).unwrap()
    };
    let history = fit(&Array2::from_elem((20, 2), 0.25));
    assert_eq!((history.accuracy.len(), history.val_accuracy.len(), history.val_loss.len()), (0, 0, 1));
    let history = fit(&Array2::from_shape_fn((20, 2), |(sample, output)| ((sample + output) % 2) as f32));
    assert_eq!((history.accuracy.len(), history.val_accuracy.len()), (1, 1));

    let mut model = Sequential::new([3]).dense(2, Activation::Linear).build(0).unwrap();
    let t = Array2::from_elem((20, 2), 0.25);
    let error = Trainer::new(Adam::default(), MeanSquaredError)
        .callback(EarlyStopping::new(Monitor::Accuracy, 1))
        .fit(&mut model, &WithTargets::new(x.view(), t.view()))
        .unwrap_err();
    let source = error.source().unwrap().to_string();
    assert_eq!(source, "accuracy is monitored but the targets are not classes; monitor a loss");
}
