//! Losses that are NaN or infinite.

use ziffer_nn::WithLabels;
use ziffer_trainer::callback::{EarlyStopping, LearningRateScheduler, Mode, Monitor, TerminateOnNaN};
use ziffer_trainer::{Checkpoints, TrainError};

use super::harness::{Training, fit, network, resumes_to_the_same_result, samples, trainer, without_seconds};

/// A trainer whose rate in the fifth epoch makes the weights NaN.
fn diverging() -> Training<'static> {
    trainer().callback(LearningRateScheduler::new(|epoch, rate| if epoch == 4 { 1e38 } else { rate }))
}

#[test]
fn terminate_on_nan_stops_at_a_loss_that_is_not_finite() {
    let mut model = network();
    let error = fit(diverging(), &mut model).unwrap_err();
    let TrainError::NotFinite { epoch: 5, .. } = error else { panic!("{error:?}") };
    let outcome = resumes_to_the_same_result(diverging, |_| TerminateOnNaN::new());
    assert_eq!(outcome.history.epochs(), 4);
    assert_eq!(outcome.weights, model.weights_sha256(), "the weights before the step");
    let mut whole = network();
    let four = fit(trainer().epochs(4), &mut whole).unwrap();
    assert_eq!(outcome.history, without_seconds(four));
    assert_ne!(outcome.weights, whole.weights_sha256());

    let raised = fit(diverging().callback(TerminateOnNaN::new().raise_error(true)), &mut network());
    assert_eq!(raised.unwrap_err().to_string(), error.to_string());

    // The best weights are restored as well.
    let stopping = EarlyStopping::new(Monitor::Accuracy, 9).mode(Mode::Min).restore_best_weights(true);
    let mut whole = network();
    fit(trainer().epochs(1), &mut whole).unwrap();
    let mut model = network();
    fit(diverging().callback(stopping).callback(TerminateOnNaN::new()), &mut model).unwrap();
    assert_eq!(model.weights_sha256(), whole.weights_sha256());
}

#[test]
fn terminate_on_nan_stops_at_a_validation_loss_that_is_not_finite() {
    let (mut x, classes) = samples();
    x[[100, 3]] = f32::INFINITY;
    let (train, validation) = x.view().split_at(ndarray::Axis(0), 90);
    let train = WithLabels::new(train, &classes[..90]);
    let validation = WithLabels::new(validation, &classes[90..]);
    for ema in [None, Some(0.5)] {
        let with = || if let Some(momentum) = ema { trainer().ema(momentum) } else { trainer() };
        let error = with().validation_data(&validation).fit(&mut network(), &train).unwrap_err();
        assert!(matches!(error, TrainError::ValidationNotFinite { epoch: 1, .. }), "{error:?}");
        let folder = tempfile::tempdir().unwrap();
        let mut expected = network();
        with().epochs(1).fit(&mut expected, &train).unwrap();
        for _ in 0..2 {
            let mut model = network();
            let mut with = with()
                .callback(TerminateOnNaN::new())
                .validation_data(&validation)
                .checkpoints(Checkpoints::new(folder.path()).resume(true));
            let history = with.fit(&mut model, &train).unwrap();
            assert_eq!(history.epochs(), 0);
            assert_eq!(model.weights_sha256(), expected.weights_sha256());
        }
    }
}
