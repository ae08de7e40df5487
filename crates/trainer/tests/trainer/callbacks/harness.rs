//! A training that is killed and resumed with a callback, compared with an uninterrupted one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ndarray::Array2;
use ziffer_nn::optimizer::LearningRateSchedule;
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::{Activation, Adam, Model, Sequential, SparseCategoricalCrossentropy, WithLabels};
use ziffer_trainer::callback::{BatchLog, Callback, CallbackError, EpochBeginContext, EpochEndContext, Flow};
use ziffer_trainer::{Checkpoints, EpochLog, History, TrainError, Trainer};

/// The number of steps per epoch.
pub(crate) const STEPS: usize = 12;

/// Noise, so that the validation loss soon increases: 90 samples for training in batches of 8, the last one of 2.
pub(crate) fn samples() -> (Array2<f32>, Vec<usize>) {
    let mut stream = Stream::new(5, Purpose::Other(0), 0);
    let x = Array2::from_shape_simple_fn((120, 9), || stream.normal() as f32);
    (x, (0..120).map(|_| stream.below(3) as usize).collect())
}

pub(crate) fn network() -> Model {
    Sequential::new([9])
        .dense(11, Activation::Relu)
        .batch_normalization()
        .dense(3, Activation::Softmax)
        .build(2)
        .unwrap()
}

pub(crate) type Training<'a> = Trainer<'a, Adam, SparseCategoricalCrossentropy>;

pub(crate) fn trainer<'a>() -> Training<'a> {
    let adam = Adam { learning_rate: 0.02, ..Adam::default() };
    Trainer::new(adam, SparseCategoricalCrossentropy::default()).epochs(7).batch_size(8).threads(1)
}

pub(crate) fn fit(trainer: Training<'_>, model: &mut Model) -> Result<History, TrainError> {
    let (x, classes) = samples();
    let (train, validation) = x.view().split_at(ndarray::Axis(0), 90);
    let validation = WithLabels::new(validation, &classes[90..]);
    trainer.validation_data(&validation).fit(model, &WithLabels::new(train, &classes[..90]))
}

pub(crate) fn without_seconds(history: History) -> History {
    History { seconds: Vec::new(), ..history }
}

/// The point at which a training is killed, without another checkpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum At {
    /// After this step, counted over all epochs.
    Step(usize),
    /// Before this epoch.
    Begin(usize),
    /// At the end of this epoch, before the checkpoint.
    End(usize),
}

pub(crate) struct Kill {
    at: At,
    is_due: bool,
}

impl Callback for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }
    fn on_epoch_begin(&mut self, epoch: usize, _: &mut EpochBeginContext) -> Result<(), CallbackError> {
        if self.at == At::Begin(epoch) { Err("killed".into()) } else { Ok(()) }
    }
    fn on_batch_end(&mut self, log: &BatchLog) {
        self.is_due = self.at == At::Step(log.epoch * STEPS + log.step);
    }
    fn steps_until_model(&self) -> Option<usize> {
        Some(if self.is_due { 0 } else { 1 })
    }
    fn on_batch_end_with_model(&mut self, _: &BatchLog, _: &Model) -> Result<(), CallbackError> {
        Err("killed".into())
    }
    fn on_epoch_end(&mut self, log: &EpochLog, _: &mut EpochEndContext<'_>) -> Result<Flow, CallbackError> {
        if self.at == At::End(log.epoch) { Err("killed".into()) } else { Ok(Flow::Continue) }
    }
}

/// All files of a folder.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    entries.map(|path| (name(&path), fs::read(&path).unwrap())).collect()
}

/// The result of a training: its history, the weights, the callback's state, and the files that it wrote.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) history: History,
    pub(crate) weights: String,
    pub(crate) state: Option<Vec<u8>>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

/// Compares an uninterrupted training with trainings that are killed and resumed repeatedly, with several intervals between
/// checkpoints. Returns the result.
pub(crate) fn resumes_to_the_same_result<C: Callback>(
    trainer: impl Fn() -> Training<'static>,
    make: impl Fn(&Path) -> C,
) -> Outcome {
    resumes_to_the_same_result_at(&["1step", "5steps", "1epoch", "3epochs"], trainer, make)
}

pub(crate) fn resumes_to_the_same_result_at<C: Callback>(
    intervals: &[&str],
    trainer: impl Fn() -> Training<'static>,
    make: impl Fn(&Path) -> C,
) -> Outcome {
    let run = |out: &Path, checkpoints: Option<Checkpoints>, kill: Option<At>| {
        let mut callback = make(out);
        let mut model = network();
        let mut with = trainer().callback(&mut callback);
        if let Some(checkpoints) = checkpoints {
            with = with.checkpoints(checkpoints.resume(true));
        }
        if let Some(at) = kill {
            with = with.callback(Kill { at, is_due: false });
        }
        let history = without_seconds(fit(with, &mut model)?);
        let (weights, state) = (model.weights_sha256(), callback.state());
        Ok(Outcome { history, weights, state, files: files(out) })
    };
    let out = tempfile::tempdir().unwrap();
    let whole = run(out.path(), None, None).unwrap();
    let last = whole.history.epochs();
    for every in intervals {
        let (out, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let checkpoints = || Some(Checkpoints::new(folder.path()).every(every.parse().unwrap()));
        let end = last * STEPS;
        for at in [
            At::Step(2),
            At::Begin(1),
            At::Step(STEPS + 7),
            At::End(1),
            At::Step(2 * STEPS + 11),
            At::Begin(last - 1),
            At::Step(end - 4),
            At::End(last - 1),
        ] {
            let outcome: Result<Outcome, TrainError> = run(out.path(), checkpoints(), Some(at));
            let error = outcome.unwrap_err();
            assert_eq!(error.to_string(), "the callback kill failed", "{every} {at:?}: {error:?}");
        }
        // The second call makes no step.
        for _ in 0..2 {
            let outcome = run(out.path(), checkpoints(), None).unwrap();
            assert_eq!(outcome, whole, "{every}");
        }
    }
    whole
}

/// 0.02, 0.01, ...
#[derive(Debug)]
pub(crate) struct Inverse;

impl LearningRateSchedule for Inverse {
    fn learning_rate(&self, step: u64) -> f64 {
        0.02 / (1.0 + step as f64)
    }
}

/// Records all messages.
#[derive(Default)]
pub(crate) struct Messages(pub(crate) Vec<String>);

impl Callback for Messages {
    fn name(&self) -> &'static str {
        "messages"
    }
    fn on_message(&mut self, message: &str) {
        self.0.push(message.to_owned());
    }
}
