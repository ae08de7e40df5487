//! Trainings that are interrupted and resumed end with the bits of an uninterrupted training.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::Array2;
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::{Activation, Adam, Model, Sequential, SparseCategoricalCrossentropy, WithLabels};
use ziffer_trainer::callback::{BatchLog, Callback, EarlyStopping, Monitor};
use ziffer_trainer::{CheckpointError, CheckpointInterval, Checkpoints, History, TrainError, Trainer};

/// Noise, so that the validation loss soon increases.
fn samples() -> (Array2<f32>, Vec<usize>) {
    let mut stream = Stream::new(5, Purpose::Other(0), 0);
    let x = Array2::from_shape_simple_fn((120, 9), || stream.normal() as f32);
    (x, (0..120).map(|_| stream.below(3) as usize).collect())
}

fn network() -> Model {
    Sequential::new([9]).dense(11, Activation::Relu).dense(3, Activation::Softmax).build(2).unwrap()
}

fn trainer<'a>() -> Trainer<'a, Adam, SparseCategoricalCrossentropy> {
    let adam = Adam { learning_rate: 0.02, ..Adam::default() };
    Trainer::new(adam, SparseCategoricalCrossentropy::default()).epochs(6).batch_size(8).threads(1)
}

fn checkpoints(folder: &Path) -> Checkpoints {
    Checkpoints::new(folder).resume(true)
}

fn fit(
    trainer: Trainer<'_, Adam, SparseCategoricalCrossentropy>,
    model: &mut Model,
) -> Result<History, TrainError> {
    let (x, classes) = samples();
    let x = x.view();
    let (train, validation) = x.split_at(ndarray::Axis(0), 90);
    let train = WithLabels::new(train, &classes[..90]);
    trainer.validation_data(&WithLabels::new(validation, &classes[90..])).fit(model, &train)
}

/// Sets a flag at a step.
struct StopAt<'a>(&'a AtomicBool, (usize, usize));

impl Callback for StopAt<'_> {
    fn name(&self) -> &'static str {
        "stop"
    }
    fn on_batch_end(&mut self, log: &BatchLog) {
        if (log.epoch, log.step) >= self.1 {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

fn without_seconds(history: History) -> History {
    History { seconds: Vec::new(), ..history }
}

#[test]
fn a_resumed_training_equals_an_uninterrupted_one() {
    let mut whole = network();
    let history = without_seconds(fit(trainer(), &mut whole).unwrap());
    for every in ["1step", "5steps", "1epoch", "3epochs", "1000epochs"] {
        let folder = tempfile::tempdir().unwrap();
        let with = || {
            let every: CheckpointInterval = every.parse().unwrap();
            trainer().checkpoints(checkpoints(folder.path()).every(every))
        };
        let flag = AtomicBool::new(false);
        let mut model = network();
        let stop = StopAt(&flag, (2, 3));
        match fit(with().stop_when(&flag).callback(stop), &mut model) {
            Err(TrainError::Interrupted { epoch: 3, checkpoint: Some(path), .. }) => assert!(path.is_file()),
            other => panic!("{other:?}"),
        }
        let mut model = network();
        let resumed = fit(with(), &mut model).unwrap();
        assert_eq!(resumed.epochs(), resumed.seconds.len());
        assert_eq!(without_seconds(resumed), history, "{every}");
        assert_eq!(model.weights_sha256(), whole.weights_sha256(), "{every}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "the last two, {every}");
    }
}

#[test]
fn a_training_without_checkpoints_can_be_interrupted() {
    let flag = AtomicBool::new(true);
    let outcome = fit(trainer().stop_when(&flag), &mut network());
    assert!(
        matches!(outcome, Err(TrainError::Interrupted { epoch: 1, checkpoint: None, .. })),
        "{outcome:?}"
    );
}

#[test]
fn early_stopping_continues_counting_after_a_resume() {
    let early = |patience| EarlyStopping::new(Monitor::ValLoss, patience);
    let mut whole = network();
    let history = fit(trainer().epochs(100).callback(early(3)), &mut whole).unwrap();
    assert!((4..100).contains(&history.epochs()), "{} epochs", history.epochs());

    // Interrupted while early stopping waits.
    let folder = tempfile::tempdir().unwrap();
    let epochs = history.epochs() - 1;
    let first = trainer().epochs(epochs).callback(early(3)).checkpoints(checkpoints(folder.path()));
    assert_eq!(fit(first, &mut network()).unwrap().epochs(), epochs);
    for _ in 0..2 {
        let mut model = network();
        let second = trainer().epochs(100).callback(early(3)).checkpoints(checkpoints(folder.path()));
        // The second call makes no step: early stopping has stopped the training.
        assert_eq!(without_seconds(fit(second, &mut model).unwrap()), without_seconds(history.clone()));
        assert_eq!(model.weights_sha256(), whole.weights_sha256());
    }
    let best = EarlyStopping::new(Monitor::ValLoss, 3).restore_best_weights(true);
    let again = trainer().epochs(100).callback(best).checkpoints(checkpoints(folder.path()));
    let error = fit(again, &mut network()).unwrap_err();
    assert!(error.to_string().ends_with(": cannot resume the callback early stopping"), "{error}");
    let cause = error.source().unwrap().to_string();
    assert!(cause.starts_with("the checkpoint does not have the best epoch's weights"), "{cause}");
}

#[test]
fn settings_of_the_caller_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let with = |set: &str| trainer().checkpoints(checkpoints(folder.path()).setting("set", set));
    fit(with("noise"), &mut network()).unwrap();
    match fit(with("music"), &mut network()) {
        Err(TrainError::Checkpoint(CheckpointError::Settings { differences, .. })) => {
            assert_eq!(differences, "set was noise, is music");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn layers_are_compared_with_the_checkpoint() {
    let of = |activation, rate| {
        let stack = Sequential::new([9]).dense(11, activation).dropout(rate);
        stack.dense(3, Activation::Softmax).build(2).unwrap()
    };
    let frozen = || {
        let mut model = of(Activation::Relu, 0.1);
        model.set_trainable("dense_1", false).unwrap();
        model
    };
    let folder = tempfile::tempdir().unwrap();
    fit(trainer().epochs(1).checkpoints(checkpoints(folder.path())), &mut of(Activation::Relu, 0.1)).unwrap();
    for (mut other, place, was, is) in [
        (of(Activation::Tanh, 0.1), "layer 0", "\"relu\"", "\"tanh\""),
        (of(Activation::Relu, 0.2), "layer 1", "\"rate\":0.1", "\"rate\":0.2"),
        (frozen(), "layer 2", "", "\"trainable\":false"),
    ] {
        match fit(trainer().epochs(2).checkpoints(checkpoints(folder.path())), &mut other) {
            Err(TrainError::Checkpoint(CheckpointError::Settings { differences, .. })) => {
                let (before, after) = differences.split_once(", is ").unwrap();
                assert!(
                    before.starts_with(&format!("{place} was ")) && before.contains(was),
                    "{differences}"
                );
                assert!(after.contains(is) && !differences.contains(';'), "{differences}");
            }
            other => panic!("{other:?}"),
        }
    }
    fit(trainer().epochs(2).checkpoints(checkpoints(folder.path())), &mut of(Activation::Relu, 0.1)).unwrap();
}

#[test]
fn a_missing_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error =
        fit(trainer().checkpoints(checkpoints(&folder.path().join("none"))), &mut network()).unwrap_err();
    assert!(error.to_string().ends_with("none: cannot list"), "{error}");
    assert!(error.source().is_some_and(<dyn Error>::is::<std::io::Error>), "{error:?}");
}

/// Makes the folder of the checkpoints unusable at the end of the second epoch.
struct RemoveAt<'a>(&'a Path);

impl Callback for RemoveAt<'_> {
    fn name(&self) -> &'static str {
        "remove"
    }
    fn on_batch_end(&mut self, log: &BatchLog) {
        if (log.epoch, log.step) == (1, 0) {
            std::fs::rename(self.0, self.0.with_extension("aside")).unwrap();
        }
    }
}

#[test]
fn a_failed_checkpoint_ends_training_and_keeps_the_others() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("run");
    std::fs::create_dir(&folder).unwrap();
    let with = trainer().callback(RemoveAt(&folder)).checkpoints(checkpoints(&folder));
    let error = fit(with, &mut network()).unwrap_err();
    assert!(error.to_string().ends_with("cannot write"), "{error}");
    assert!(error.source().is_some_and(<dyn Error>::is::<std::io::Error>), "{error:?}");
    std::fs::rename(folder.with_extension("aside"), &folder).unwrap();
    let mut model = network();
    fit(trainer().checkpoints(checkpoints(&folder)), &mut model).unwrap();
    let mut whole = network();
    fit(trainer(), &mut whole).unwrap();
    assert_eq!(model.weights_sha256(), whole.weights_sha256());
}
