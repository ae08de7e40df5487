//! Messages of callbacks, and errors of their settings.

use std::error::Error;

use ziffer_nn::WithLabels;
use ziffer_trainer::callback::{
    CSVLogger, EarlyStopping, LearningRateScheduler, Mode, ModelCheckpoint, Monitor, ReduceLROnPlateau,
    SaveFreq, TerminateOnNaN,
};

use super::harness::{
    Inverse, Messages, STEPS, Training, fit, network, resumes_to_the_same_result, samples, trainer,
};

#[test]
fn all_callbacks_together_resume_after_a_kill() {
    let together = || {
        trainer()
            .epochs(9)
            .ema(0.8)
            .accumulation(5)
            .schedule(Inverse)
            .callback(LearningRateScheduler::new(|epoch, rate| if epoch < 3 { 0.03 } else { 0.95 * rate }))
            .callback(ReduceLROnPlateau::new(Monitor::ValLoss).patience(1).factor(0.3).cooldown(1))
            .callback(EarlyStopping::new(Monitor::Accuracy, 6).mode(Mode::Min))
            .callback(TerminateOnNaN::new())
    };
    let outcome = resumes_to_the_same_result(together, |_| {
        EarlyStopping::new(Monitor::ValAccuracy, 6).restore_best_weights(true)
    });
    assert!((6..9).contains(&outcome.history.epochs()), "{}", outcome.history.epochs());
}

#[test]
fn messages_reach_every_callback() {
    let out = tempfile::tempdir().unwrap();
    let mut messages = Messages::default();
    let path = out.path().join("model");
    let with = trainer()
        .epochs(3)
        .callback(&mut messages)
        .callback(ModelCheckpoint::new(&path).verbose(true))
        .callback(ModelCheckpoint::new(&path).save_freq(SaveFreq::Batches(2 * STEPS)).verbose(true))
        .callback(
            LearningRateScheduler::new(|epoch, rate| if epoch == 2 { 1e38 } else { rate }).verbose(true),
        )
        .callback(EarlyStopping::new(Monitor::Loss, 5).restore_best_weights(true).verbose(true))
        .callback(TerminateOnNaN::new());
    fit(with, &mut network()).unwrap();
    let path = path.display();
    let sets = |epoch: usize, rate: &str| {
        format!("Epoch {epoch}: LearningRateScheduler setting learning rate to {rate}.")
    };
    let saves = |epoch: usize| {
        [
            format!("Epoch {epoch}: saving model to {path}"),
            format!("Epoch {epoch}: finished saving model to {path}"),
        ]
    };
    let mut expected = vec![sets(1, "0.02")];
    expected.extend(saves(1));
    expected.push(sets(2, "0.02"));
    // After the last batch, and after its epoch.
    expected.extend(saves(2));
    expected.extend(saves(2));
    expected.push(sets(3, "1e+38"));
    let last = messages.0.split_off(expected.len());
    assert_eq!(messages.0, expected);
    assert_eq!(last.len(), 2, "{last:?}");
    assert!(last[0].starts_with("Epoch 3, batch ") && last[0].contains("terminating training"), "{last:?}");
    assert_eq!(last[1], "Restoring model weights from the end of the best epoch: 2.");
}

#[test]
fn wrong_settings_have_messages_of_one_line() {
    let reject = |validates: bool, with: Training<'_>, line: &str| {
        let (x, classes) = samples();
        let mut with = with.validation_split(if validates { 0.2 } else { 0.0 });
        let error = with.fit(&mut network(), &WithLabels::new(x.view(), &classes)).unwrap_err();
        assert!(error.to_string().starts_with("the callback "), "{error}");
        let cause = error.source().unwrap().to_string();
        assert_eq!(cause, line);
        assert!(!cause.contains('\n'));
    };
    let stopping = || EarlyStopping::new(Monitor::ValLoss, 1);
    let plateau = || ReduceLROnPlateau::new(Monitor::ValLoss);
    let no_validation =
        "val_loss is monitored but there is no validation set; set a validation split above 0";
    reject(false, trainer().callback(stopping()), no_validation);
    reject(false, trainer().callback(plateau()), no_validation);
    let best = || ModelCheckpoint::new("m").save_best_only(true);
    reject(false, trainer().callback(best()), no_validation);
    let nan = "min_delta is NaN, expected a finite number";
    reject(true, trainer().callback(stopping().min_delta(f64::NAN)), nan);
    reject(true, trainer().callback(plateau().min_delta(f64::NAN)), nan);
    reject(true, trainer().callback(stopping().baseline(f64::NAN)), "baseline is NaN, expected a number");
    for factor in [0.0, 1.0, -0.5, f64::NAN] {
        let line = format!("factor is {factor}, expected a number above 0 and below 1");
        reject(true, trainer().callback(plateau().factor(factor)), &line);
    }
    for min_lr in [-1.0, f64::INFINITY, f64::NAN] {
        let line = format!("min_lr is {min_lr}, expected a number of at least 0");
        reject(true, trainer().callback(plateau().min_lr(min_lr)), &line);
    }
    let line = "invalid filepath \"{epok}\": unknown field \"{epok}\", expected epoch, batch, loss, accuracy, \
                val_loss or val_accuracy";
    reject(true, trainer().callback(ModelCheckpoint::new("{epok}")), line);
    let line = "the filepath has {val_loss} but there is no validation set; set a validation split above 0";
    reject(false, trainer().callback(ModelCheckpoint::new("{val_loss:.2f}")), line);
    let every = |batches| ModelCheckpoint::new("m").save_freq(SaveFreq::Batches(batches));
    reject(true, trainer().callback(every(0)), "save_freq is 0, expected at least 1");
    let line = "val_loss is monitored, which is not known between batches; monitor loss or accuracy";
    reject(true, trainer().callback(every(3).save_best_only(true)), line);
    let line = "separator is '\\n', expected a character other than a quote or a line break";
    reject(true, trainer().callback(CSVLogger::new("log.csv").separator('\n')), line);
    let out = tempfile::tempdir().unwrap();
    let error = fit(trainer().callback(CSVLogger::new(out.path())), &mut network()).unwrap_err();
    let cause = error.source().unwrap().to_string();
    assert!(cause.starts_with(&format!("{}: cannot write: ", out.path().display())), "{cause}");

    for rate in [0.0, f64::NAN] {
        let error = fit(trainer().callback(LearningRateScheduler::new(|_, _| rate)), &mut network());
        let line = format!("learning_rate is {rate}, expected a positive number");
        assert_eq!(error.unwrap_err().to_string(), line);
    }
}
