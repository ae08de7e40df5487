//! Targets that do not fit the model.

use ndarray::Array2;
use ziffer_nn::layer::InputType;
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::training::FitError;
use ziffer_nn::{
    Activation, Adam, MeanSquaredError, Sequential, SparseCategoricalCrossentropy, StepBudget, StepError,
    Training, WithLabels, WithTargets,
};

use super::faulty_layer::Fault;
use super::harness::{BATCH, CLASSES, FEATURES, SAMPLES, THREADS, model};
use crate::common::{classes, numbers};

#[test]
fn targets_that_do_not_fit_are_rejected() {
    let x = numbers(SAMPLES, FEATURES, 1);
    let loss = SparseCategoricalCrossentropy::default();
    let order: Vec<u32> = (0..SAMPLES as u32).collect();
    for threads in THREADS {
        let team = ThreadTeam::new(threads).unwrap();
        let budget = StepBudget::from(&team);
        for wrong in [0, 5, SAMPLES - 1] {
            let mut model = model(Fault::Nothing, InputType::Real);
            let before = model.weights_sha256();
            let mut classes = classes(SAMPLES, CLASSES);
            classes[wrong] = CLASSES;
            let samples = WithLabels::new(x.view(), &classes);
            let mut training = Training::new(&model, Adam::default(), SAMPLES).unwrap();
            let expected = FitError::Class { sample: wrong, class: CLASSES, classes: CLASSES };
            let error = training.run(&mut model, &loss, &samples, &order, budget).unwrap_err();
            assert_eq!(error, StepError::Fit(expected.clone()), "{threads} threads");
            let error = training.gradients(&mut model, &loss, &samples, &order, budget).unwrap_err();
            assert_eq!(error, StepError::Fit(expected.clone()));
            assert_eq!(model.evaluate_with(&loss, &samples), Err(expected));
            assert_eq!((model.weights_sha256(), training.iteration()), (before, 0));
        }
        for width in [1, CLASSES - 1, CLASSES + 1] {
            let mut model = model(Fault::Nothing, InputType::Real);
            let before = model.weights_sha256();
            let t = numbers(SAMPLES, width, 9);
            let samples = WithTargets::new(x.view(), t.view());
            let mut training = Training::new(&model, Adam::default(), BATCH).unwrap();
            let error = training.run(&mut model, &MeanSquaredError, &samples, &order, budget).unwrap_err();
            let is_expected = |error: &FitError| matches!(error, FitError::Targets { found, outputs, .. } if (*found, *outputs) == (width, CLASSES));
            assert!(matches!(&error, StepError::Fit(error) if is_expected(error)), "{error}");
            assert!(is_expected(&model.evaluate_with(&MeanSquaredError, &samples).unwrap_err()));
            assert_eq!(model.weights_sha256(), before);
        }
    }
}

/// All weights are frozen, so that a step only computes its result.
#[test]
fn targets_that_do_not_fit_a_frozen_model_are_rejected() {
    let x = numbers(SAMPLES, FEATURES, 1);
    let mut classes = classes(SAMPLES, CLASSES);
    classes[3] = 99;
    let samples = WithLabels::new(x.view(), &classes);
    let loss = SparseCategoricalCrossentropy::default();
    for threads in THREADS {
        let team = ThreadTeam::new(threads).unwrap();
        let mut model = Sequential::new([FEATURES]).dense(CLASSES, Activation::Softmax).build(0).unwrap();
        model.set_trainable("dense", false).unwrap();
        let mut training = Training::new(&model, Adam::default(), BATCH).unwrap();
        let expected = FitError::Class { sample: 3, class: 99, classes: CLASSES };
        let order: Vec<u32> = (0..SAMPLES as u32).collect();
        let error = training.run(&mut model, &loss, &samples, &order, (&team).into()).unwrap_err();
        assert_eq!(error, StepError::Fit(expected.clone()));
        let error = training.gradients(&mut model, &loss, &samples, &order[..9], (&team).into()).unwrap_err();
        assert_eq!(error, StepError::Fit(expected));
        // A loss that is NaN is an error for gradients too.
        let nan = Array2::from_elem((4, FEATURES), f32::NAN);
        let samples = WithLabels::new(nan.view(), &[0, 1, 2, 3]);
        let outcome = training.gradients(&mut model, &loss, &samples, &[0, 1], (&team).into());
        assert!(matches!(outcome, Err(StepError::NotFinite(_))), "{threads} threads");
    }
}

#[test]
fn an_evaluation_without_samples_is_an_error() {
    let model = model(Fault::Nothing, InputType::Real);
    let nothing = Array2::<f32>::zeros((0, FEATURES));
    let samples = WithLabels::new(nothing.view(), &[0_usize; 0]);
    let loss = SparseCategoricalCrossentropy::default();
    assert_eq!(model.evaluate_with(&loss, &samples), Err(FitError::NoSamples));
    assert_eq!(model.predict(nothing.view()).dim(), (0, CLASSES));
}
