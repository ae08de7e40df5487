//! The states of callbacks in checkpoints.

use std::cell::RefCell;
use std::error::Error;
use std::fs;

use ziffer_trainer::callback::{
    CSVLogger, Callback, EarlyStopping, Mode, ModelCheckpoint, Monitor, ReduceLROnPlateau, SaveFreq,
};
use ziffer_trainer::{CheckpointError, Checkpoints, History, TrainError};

use super::harness::{Messages, files, fit, network, trainer, without_seconds};

/// Stores these bytes as the state of another callback.
struct Pretender(&'static str, Vec<u8>);

impl Callback for Pretender {
    fn name(&self) -> &'static str {
        self.0
    }
    fn state(&self) -> Option<Vec<u8>> {
        Some(self.1.clone())
    }
}

/// Trains for two epochs with a callback that stores these bytes, and resumes with another callback of that name.
fn resume_from(
    name: &'static str,
    state: Vec<u8>,
    callback: impl Callback + 'static,
) -> Result<History, TrainError> {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = || Checkpoints::new(folder.path()).resume(true);
    fit(trainer().epochs(2).callback(Pretender(name, state)).checkpoints(checkpoints()), &mut network())?;
    let outcome = fit(trainer().epochs(4).callback(callback).checkpoints(checkpoints()), &mut network());
    if let Err(error) = &outcome {
        let TrainError::Checkpoint(CheckpointError::Callback { path, callback, .. }) = error else {
            panic!("{error:?}")
        };
        assert_eq!(*callback, name);
        assert_eq!(error.to_string(), format!("{}: cannot resume the callback {name}", path.display()));
        assert!(!error.source().unwrap().to_string().contains('\n'));
    }
    outcome
}

#[test]
fn wrong_states_have_messages_of_one_line() {
    let numbers = |numbers: &[u64]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    let reject = |outcome: Result<History, TrainError>, line: &str| {
        assert_eq!(outcome.unwrap_err().source().unwrap().to_string(), line);
    };
    let parameters = network().parameters();
    let best = || EarlyStopping::new(Monitor::ValLoss, 9).restore_best_weights(true);
    let weights = |epoch: u64, count: usize| [numbers(&[epoch]), vec![0xff; 4 * count]].concat();
    let len = 8 + 4 * parameters;
    for state in [Vec::new(), vec![1; 7], weights(0, parameters - 1), weights(0, 2 * parameters)] {
        let line = format!("its state in the checkpoint has {} bytes, expected {len}", state.len());
        reject(resume_from("early stopping", state, best()), &line);
    }
    // The lowest validation loss is in the first two epochs.
    let history = fit(trainer().epochs(2), &mut network()).unwrap();
    let best_epoch = u64::from(history.val_loss[1] < history.val_loss[0]);
    for (epoch, shown) in [(1 - best_epoch, 2 - best_epoch), (2, 3), (u64::MAX, u64::MAX)] {
        let line = format!(
            "the weights in the checkpoint are of epoch {shown}, the best one is {}; use the settings of the checkpoint",
            best_epoch + 1
        );
        reject(resume_from("early stopping", weights(epoch, parameters), best()), &line);
    }
    resume_from("early stopping", weights(best_epoch, parameters), best()).unwrap();
    // The state is ignored if no weights are restored.
    resume_from("early stopping", vec![3], EarlyStopping::new(Monitor::ValLoss, 9)).unwrap();

    let plateau = || ReduceLROnPlateau::new(Monitor::ValLoss).cooldown(2);
    let line = "its state in the checkpoint has 31 bytes, expected 32";
    reject(resume_from("reduce lr on plateau", vec![0; 31], plateau()), line);
    let line = format!("its state in the checkpoint has a wait of {}, expected at most 2", u64::MAX);
    reject(resume_from("reduce lr on plateau", vec![0xff; 32], plateau()), &line);
    resume_from("reduce lr on plateau", numbers(&[2, u64::MAX, 9, u64::MAX]), plateau()).unwrap();

    let out = tempfile::tempdir().unwrap();
    let checkpoint = || ModelCheckpoint::new(out.path().join("m")).save_freq(SaveFreq::Batches(5));
    let line = "its state in the checkpoint has 0 bytes, expected 24";
    reject(resume_from("model checkpoint", Vec::new(), checkpoint()), line);
    resume_from("model checkpoint", vec![0xff; 24], checkpoint()).unwrap();

    let logger = |append| CSVLogger::new(out.path().join("log.csv")).append(append);
    let line = "its state in the checkpoint has 9 bytes, expected 8";
    reject(resume_from("csv logger", vec![0; 9], logger(true)), line);
    let lines = || fs::read_to_string(out.path().join("log.csv")).unwrap().lines().count();
    for (append, expected) in [(false, 5), (true, 9), (false, 5)] {
        resume_from("csv logger", vec![0xff; 8], logger(append)).unwrap();
        assert_eq!(lines(), expected);
    }

    let most = 4 * parameters + (1 << 20);
    let outcome = resume_from("large", vec![0; most], Pretender("large", Vec::new()));
    outcome.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let large = Pretender("large", vec![0; most + 1]);
    let error = fit(trainer().callback(large).checkpoints(Checkpoints::new(folder.path())), &mut network())
        .unwrap_err();
    let line = format!("the state of the callback large/0 has {} bytes, expected at most {most}", most + 1);
    assert_eq!(error.to_string(), line);
}

/// Checkpoints of trainings without these callbacks, and of older versions, have no states of them.
#[test]
fn checkpoints_without_states_are_resumed_from_the_history() {
    let out = tempfile::tempdir().unwrap();
    let (log, best) = (out.path().join("log.csv"), out.path().join("{epoch}"));
    let epochs = 40;
    let callbacks = || {
        trainer()
            .epochs(epochs)
            .callback(CSVLogger::new(&log))
            .callback(ModelCheckpoint::new(&best).save_best_only(true))
            .callback(EarlyStopping::new(Monitor::ValLoss, 5))
            .callback(ReduceLROnPlateau::new(Monitor::Loss).patience(40))
    };
    let mut whole = network();
    let history = fit(callbacks(), &mut whole).unwrap();
    assert!((6..epochs).contains(&history.epochs()), "{} epochs", history.epochs());
    let expected = files(out.path());
    let done = history.epochs() - 2;

    let folder = tempfile::tempdir().unwrap();
    let checkpoints = || Checkpoints::new(folder.path()).resume(true);
    fit(trainer().epochs(done).checkpoints(checkpoints()), &mut network()).unwrap();
    fs::remove_file(&log).unwrap();
    let mut model = network();
    let resumed = fit(callbacks().checkpoints(checkpoints()), &mut model).unwrap();
    assert_eq!(without_seconds(resumed), without_seconds(history));
    assert_eq!(model.weights_sha256(), whole.weights_sha256());
    assert_eq!(files(out.path()), expected);
}

/// A callback with a state of its own.
#[derive(Default)]
struct Noted(RefCell<usize>);

impl Callback for Noted {
    fn name(&self) -> &'static str {
        "early stopping"
    }
    fn state(&self) -> Option<Vec<u8>> {
        *self.0.borrow_mut() += 1;
        None
    }
}

#[test]
fn states_reach_their_callbacks_if_others_are_added_or_removed() {
    let run = |others: bool| {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = || Checkpoints::new(folder.path()).resume(true);
        let best =
            |monitor: Monitor| EarlyStopping::new(monitor, 30).mode(Mode::Min).restore_best_weights(true);
        // The model ends with the weights of the second callback.
        let first = trainer()
            .epochs(4)
            .callback(best(Monitor::ValLoss))
            .callback(best(Monitor::Accuracy))
            .checkpoints(checkpoints());
        fit(first, &mut network()).unwrap();
        let mut second = trainer();
        if others {
            second = second.callback(crate::support::Losses::default()).callback(Messages::default());
        }
        second = second.callback(best(Monitor::ValLoss)).callback(best(Monitor::Accuracy));
        if others {
            second = second.callback(Noted::default());
        }
        let mut model = network();
        fit(second.checkpoints(checkpoints()), &mut model).unwrap();
        model.weights_sha256()
    };
    let mut lowest_accuracy = network();
    fit(trainer().epochs(1), &mut lowest_accuracy).unwrap();
    assert_eq!(run(false), lowest_accuracy.weights_sha256());
    assert_eq!(run(true), lowest_accuracy.weights_sha256());
}
