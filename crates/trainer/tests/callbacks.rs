//! Keras's callbacks in trainings: what they change, that killed trainings end with the same results, and what they refuse.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

mod support;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use ndarray::Array2;
use ziffer_nn::optimizer::LearningRateSchedule;
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::{Activation, Adam, Model, Sequential, SparseCategoricalCrossentropy, WithLabels};
use ziffer_trainer::callback::{
    BatchLog, CSVLogger, Callback, CallbackError, EarlyStopping, EpochBeginContext, EpochEndContext, Flow,
    LearningRateScheduler, Mode, ModelCheckpoint, Monitor, ReduceLROnPlateau, SaveFreq, TerminateOnNaN,
};
use ziffer_trainer::{CheckpointError, Checkpoints, EpochLog, History, TrainError, Trainer};

/// Steps of an epoch.
const STEPS: usize = 12;

/// Noise, so that validation becomes worse soon: 90 samples in batches of 8, the last one of 2.
fn samples() -> (Array2<f32>, Vec<usize>) {
    let mut stream = Stream::new(5, Purpose::Other(0), 0);
    let x = Array2::from_shape_simple_fn((120, 9), || stream.normal() as f32);
    (x, (0..120).map(|_| stream.below(3) as usize).collect())
}

fn network() -> Model {
    Sequential::new([9])
        .dense(11, Activation::Relu)
        .batch_normalization()
        .dense(3, Activation::Softmax)
        .build(2)
        .unwrap()
}

type Training<'a> = Trainer<'a, Adam, SparseCategoricalCrossentropy>;

fn trainer<'a>() -> Training<'a> {
    let adam = Adam { learning_rate: 0.02, ..Adam::default() };
    Trainer::new(adam, SparseCategoricalCrossentropy::default()).epochs(7).batch_size(8).threads(1)
}

fn fit(trainer: Training<'_>, model: &mut Model) -> Result<History, TrainError> {
    let (x, classes) = samples();
    let (train, validation) = x.view().split_at(ndarray::Axis(0), 90);
    let validation = WithLabels::new(validation, &classes[90..]);
    trainer.validation_data(&validation).fit(model, &WithLabels::new(train, &classes[..90]))
}

fn without_seconds(history: History) -> History {
    History { seconds: Vec::new(), ..history }
}

/// Where a training is killed, without another checkpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    /// After this step of all.
    Step(usize),
    /// Before this epoch.
    Begin(usize),
    /// At the end of this epoch, before the checkpoint.
    End(usize),
}

struct Kill {
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
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    entries.map(|path| (name(&path), fs::read(&path).unwrap())).collect()
}

/// What a training ends with: its history, the weights, what the callback knows, and the files that it wrote.
#[derive(Debug, PartialEq)]
struct Outcome {
    history: History,
    weights: String,
    state: Option<Vec<u8>>,
    files: BTreeMap<String, Vec<u8>>,
}

/// Runs a training as a whole, and others that are killed again and again and go on, with checkpoints at other places; all
/// end alike. Returns that end.
fn goes_on<C: Callback>(trainer: impl Fn() -> Training<'static>, make: impl Fn(&Path) -> C) -> Outcome {
    goes_on_with(&["1step", "5steps", "1epoch", "3epochs"], trainer, make)
}

fn goes_on_with<C: Callback>(
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
        // The second time there is nothing left to do.
        for _ in 0..2 {
            let outcome = run(out.path(), checkpoints(), None).unwrap();
            assert_eq!(outcome, whole, "{every}");
        }
    }
    whole
}

#[test]
fn early_stopping_comes_back_to_the_best_weights_after_a_kill() {
    for ema in [None, Some(0.9)] {
        let trainer = || {
            let trainer = trainer().epochs(60);
            if let Some(momentum) = ema { trainer.ema(momentum) } else { trainer }
        };
        let best = goes_on(trainer, |_| {
            EarlyStopping::new(Monitor::ValLoss, 4).restore_best_weights(true).start_from_epoch(1)
        });
        let epochs = best.history.epochs();
        assert!((5..60).contains(&epochs), "{epochs} epochs");
        // The weights of the epoch after which there were 4 that were not better.
        let mut model = network();
        fit(trainer().epochs(epochs - 4), &mut model).unwrap();
        assert_eq!(best.weights, model.weights_sha256());

        let last = goes_on(trainer, |_| EarlyStopping::new(Monitor::ValLoss, 4).start_from_epoch(1));
        assert_eq!(last.history, best.history);
        assert_ne!(last.weights, best.weights);
    }
}

#[test]
fn early_stopping_ends_where_its_epochs_end() {
    // Patience is not at its end.
    let outcome = goes_on(trainer, |_| {
        EarlyStopping::new(Monitor::Accuracy, 50).mode(Mode::Min).restore_best_weights(true).baseline(0.1)
    });
    assert_eq!(outcome.history.epochs(), 7);
    let mut model = network();
    fit(trainer().epochs(1), &mut model).unwrap();
    assert_eq!(outcome.weights, model.weights_sha256(), "the lowest accuracy is that of the first epoch");
}

/// 0.02, 0.01, ...
#[derive(Debug)]
struct Inverse;

impl LearningRateSchedule for Inverse {
    fn learning_rate(&self, step: u64) -> f64 {
        0.02 / (1.0 + step as f64)
    }
}

#[test]
fn reduce_lr_on_plateau_goes_on_counting_after_a_kill() {
    let plateau = |_: &Path| {
        // Nothing is better by so much.
        let plateau = ReduceLROnPlateau::new(Monitor::ValAccuracy).min_delta(10.0).patience(2).factor(0.5);
        plateau.cooldown(1).min_lr(0.004)
    };
    let reduced = goes_on(trainer, plateau);
    // 0.02 after two epochs that were not better than the first, 0.01 after the two behind the cooldown's, then 0.005.
    let mut model = network();
    let rates = [0.02, 0.02, 0.02, 0.01, 0.01, 0.005, 0.005];
    let scheduler = LearningRateScheduler::new(move |epoch, _| rates[epoch]);
    fit(trainer().callback(scheduler), &mut model).unwrap();
    assert_eq!(reduced.weights, model.weights_sha256());
    goes_on(|| trainer().schedule(Inverse), plateau);
}

/// Takes a tenth off the rate whenever an epoch begins, whatever came before.
struct Decay;

impl Callback for Decay {
    fn name(&self) -> &'static str {
        "decay"
    }
    fn on_epoch_begin(&mut self, _: usize, context: &mut EpochBeginContext) -> Result<(), CallbackError> {
        context.set_learning_rate(0.9 * context.learning_rate());
        Ok(())
    }
}

#[test]
fn a_rate_that_is_set_when_an_epoch_begins_is_set_once() {
    let scheduled = goes_on(trainer, |_| LearningRateScheduler::new(|_, rate| 0.9 * rate));
    let decayed = goes_on(trainer, |_| Decay);
    assert_eq!(scheduled.weights, decayed.weights);
    // The first epoch's rate, too.
    let mut rate = 0.02;
    let rates = [(); 7].map(|()| {
        rate *= 0.9;
        rate
    });
    let by_epoch = goes_on(trainer, |_| LearningRateScheduler::new(|epoch, _| rates[epoch]));
    assert_eq!(by_epoch.weights, scheduled.weights);
    let mut plain = network();
    fit(trainer(), &mut plain).unwrap();
    assert_ne!(plain.weights_sha256(), scheduled.weights);
    // In the place of a schedule, also where it says the schedule's own rate.
    let with_schedule = || trainer().schedule(Inverse);
    let constant = goes_on(with_schedule, |_| LearningRateScheduler::new(|_, _| 0.02));
    assert_eq!(constant.weights, plain.weights_sha256());
    goes_on(with_schedule, |_| LearningRateScheduler::new(|_, rate| 0.9 * rate));
}

#[test]
fn a_csv_file_goes_on_after_a_kill() {
    let outcome = goes_on(trainer, |out| CSVLogger::new(out.join("log.csv")));
    let text = String::from_utf8(outcome.files["log.csv"].clone()).unwrap();
    let mut lines = text.split_terminator("\r\n");
    assert_eq!(lines.next(), Some("epoch,accuracy,loss,val_accuracy,val_loss"));
    let rows: Vec<Vec<f64>> =
        lines.map(|line| line.split(',').map(|value| value.parse().unwrap()).collect()).collect();
    let History { loss, accuracy, val_loss, val_accuracy, .. } = outcome.history;
    let expected: Vec<Vec<f64>> =
        (0..7).map(|i| vec![i as f64, accuracy[i], loss[i], val_accuracy[i], val_loss[i]]).collect();
    assert_eq!(rows, expected);

    // The rate before the callback behind sets it anew, which is the epoch's.
    let reducing = || {
        let plateau = ReduceLROnPlateau::new(Monitor::ValAccuracy).min_delta(10.0).patience(2).factor(0.5);
        trainer().callback(plateau)
    };
    let with_rate = goes_on(reducing, |out| CSVLogger::new(out.join("log.csv")));
    let text_with_rate = String::from_utf8(with_rate.files["log.csv"].clone()).unwrap();
    let columns: Vec<&str> =
        text_with_rate.split_terminator("\r\n").map(|line| line.split(',').nth(2).unwrap()).collect();
    assert_eq!(columns, ["learning_rate", "0.02", "0.02", "0.02", "0.01", "0.01", "0.005", "0.005"]);

    // Lines of others before. There must be a checkpoint for the lines behind it to go.
    let intervals = ["1step", "5steps", "1epoch"];
    let before = "epoch;accuracy\r\n0;0.5\r\n";
    let appended = goes_on_with(&intervals, trainer, |out| {
        let path = out.join("log.csv");
        if !path.exists() {
            fs::write(&path, before).unwrap();
        }
        CSVLogger::new(path).append(true).separator(';')
    });
    let lines = text.split_once("\r\n").unwrap().1.replace(',', ";");
    assert_eq!(appended.files["log.csv"], format!("{before}{lines}").as_bytes());
    let fresh = goes_on_with(&intervals, trainer, |out| CSVLogger::new(out.join("log.csv")).append(true));
    assert_eq!(fresh.files["log.csv"], text.as_bytes());
}

/// Keeps the weights after each step.
#[derive(Default)]
struct Weights(Vec<String>);

impl Callback for Weights {
    fn name(&self) -> &'static str {
        "weights"
    }
    fn steps_until_model(&self) -> Option<usize> {
        Some(0)
    }
    fn on_batch_end_with_model(&mut self, log: &BatchLog, model: &Model) -> Result<(), CallbackError> {
        assert_eq!(self.0.len(), log.epoch * STEPS + log.step);
        self.0.push(model.weights_sha256());
        Ok(())
    }
}

#[test]
fn models_are_saved_at_the_same_places_after_a_kill() {
    let mut weights = Weights::default();
    fit(trainer().callback(&mut weights), &mut network()).unwrap();
    let sha256 = |bytes: &[u8]| Model::from_safetensors(bytes).unwrap().weights_sha256();

    let all =
        goes_on(trainer, |out| ModelCheckpoint::new(out.join("{epoch:02d}-{val_loss:.4f}.safetensors")));
    assert_eq!(all.files.len(), 7);
    for (epoch, (name, bytes)) in all.files.iter().enumerate() {
        let loss = all.history.val_loss[epoch];
        assert_eq!(*name, format!("{:02}-{loss:.4}.safetensors", epoch + 1));
        assert_eq!(sha256(bytes), weights.0[(epoch + 1) * STEPS - 1]);
    }

    let best = goes_on(trainer, |out| {
        ModelCheckpoint::new(out.join("{epoch}")).monitor(Monitor::ValLoss).save_best_only(true)
    });
    let mut lowest = f64::INFINITY;
    let better: Vec<String> = (best.history.val_loss.iter().enumerate())
        .filter(|&(_, &loss)| {
            let before = lowest;
            lowest = lowest.min(loss);
            loss < before
        })
        .map(|(epoch, _)| (epoch + 1).to_string())
        .collect();
    assert_eq!(best.files.keys().cloned().collect::<Vec<_>>(), better);
    assert!(better.len() < 7);

    let by_batch = goes_on(trainer, |out| {
        ModelCheckpoint::new(out.join("{epoch:02d}-{batch:02d}")).save_freq(SaveFreq::Batches(5))
    });
    assert_eq!(by_batch.files.len(), 7 * STEPS / 5);
    for (name, bytes) in &by_batch.files {
        let (epoch, batch) = name.split_once('-').unwrap();
        let [epoch, batch] = [epoch, batch].map(|number| number.parse::<usize>().unwrap());
        let step = (epoch - 1) * STEPS + batch;
        assert_eq!((step % 5, sha256(bytes)), (0, weights.0[step - 1].clone()), "{name}");
    }
}

#[test]
fn between_batches_the_best_is_of_the_epoch_so_far() {
    let outcome = goes_on(trainer, |out| {
        let checkpoint = ModelCheckpoint::new(out.join("{epoch:02d}-{batch:02d}-{loss}"));
        checkpoint.monitor(Monitor::Loss).save_best_only(true).save_freq(SaveFreq::Batches(3))
    });
    let mut losses = Means::default();
    fit(trainer().callback(&mut losses), &mut network()).unwrap();
    let mut lowest = f64::INFINITY;
    let mut expected = Vec::new();
    for (index, &loss) in losses.0.iter().enumerate().filter(|(index, _)| index % 3 == 2) {
        if loss < lowest {
            lowest = loss;
            expected.push(format!("{:02}-{:02}-{loss:?}", index / STEPS + 1, index % STEPS + 1));
        }
    }
    assert_eq!(outcome.files.keys().cloned().collect::<Vec<_>>(), expected);
    assert!((2..7 * STEPS / 3).contains(&expected.len()), "{expected:?}");
}

/// Keeps the mean loss so far of each step.
#[derive(Default)]
struct Means(Vec<f64>);

impl Callback for Means {
    fn name(&self) -> &'static str {
        "means"
    }
    fn on_batch_end(&mut self, log: &BatchLog) {
        self.0.push(log.mean_loss);
    }
}

/// A rate in the fifth epoch with which the weights become no numbers.
fn diverging() -> Training<'static> {
    trainer().callback(LearningRateScheduler::new(|epoch, rate| if epoch == 4 { 1e38 } else { rate }))
}

#[test]
fn a_loss_that_is_no_number_ends_training() {
    let mut model = network();
    let error = fit(diverging(), &mut model).unwrap_err();
    let TrainError::NotFinite { epoch: 5, .. } = error else { panic!("{error:?}") };
    let outcome = goes_on(diverging, |_| TerminateOnNaN::new());
    assert_eq!(outcome.history.epochs(), 4);
    assert_eq!(outcome.weights, model.weights_sha256(), "the weights before the step");
    let mut whole = network();
    let four = fit(trainer().epochs(4), &mut whole).unwrap();
    assert_eq!(outcome.history, without_seconds(four));
    assert_ne!(outcome.weights, whole.weights_sha256());

    let raised = fit(diverging().callback(TerminateOnNaN::new().raise_error(true)), &mut network());
    assert_eq!(raised.unwrap_err().to_string(), error.to_string());

    // What comes back at the end comes back all the same.
    let stopping = EarlyStopping::new(Monitor::Accuracy, 9).mode(Mode::Min).restore_best_weights(true);
    let mut whole = network();
    fit(trainer().epochs(1), &mut whole).unwrap();
    let mut model = network();
    fit(diverging().callback(stopping).callback(TerminateOnNaN::new()), &mut model).unwrap();
    assert_eq!(model.weights_sha256(), whole.weights_sha256());
}

#[test]
fn a_validation_loss_that_is_no_number_ends_training() {
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

#[test]
fn all_of_them_together_go_on_after_a_kill() {
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
    let outcome =
        goes_on(together, |_| EarlyStopping::new(Monitor::ValAccuracy, 6).restore_best_weights(true));
    assert!((6..9).contains(&outcome.history.epochs()), "{}", outcome.history.epochs());
}

/// Keeps all messages.
#[derive(Default)]
struct Messages(Vec<String>);

impl Callback for Messages {
    fn name(&self) -> &'static str {
        "messages"
    }
    fn on_message(&mut self, message: &str) {
        self.0.push(message.to_owned());
    }
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
fn wrong_settings_are_told_in_a_line() {
    let refuse = |validates: bool, with: Training<'_>, line: &str| {
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
    let unwatched = "val_loss is watched but there is no validation part; set a validation split above 0";
    refuse(false, trainer().callback(stopping()), unwatched);
    refuse(false, trainer().callback(plateau()), unwatched);
    let best = || ModelCheckpoint::new("m").save_best_only(true);
    refuse(false, trainer().callback(best()), unwatched);
    let nan = "min_delta is NaN, expected a finite number";
    refuse(true, trainer().callback(stopping().min_delta(f64::NAN)), nan);
    refuse(true, trainer().callback(plateau().min_delta(f64::NAN)), nan);
    refuse(true, trainer().callback(stopping().baseline(f64::NAN)), "baseline is NaN, expected a number");
    for factor in [0.0, 1.0, -0.5, f64::NAN] {
        let line = format!("factor is {factor}, expected a number above 0 and below 1");
        refuse(true, trainer().callback(plateau().factor(factor)), &line);
    }
    for min_lr in [-1.0, f64::INFINITY, f64::NAN] {
        let line = format!("min_lr is {min_lr}, expected a number of at least 0");
        refuse(true, trainer().callback(plateau().min_lr(min_lr)), &line);
    }
    let line = "invalid filepath \"{epok}\": unknown field \"{epok}\", expected epoch, batch, loss, accuracy, \
                val_loss or val_accuracy";
    refuse(true, trainer().callback(ModelCheckpoint::new("{epok}")), line);
    let line = "the filepath has {val_loss} but there is no validation part; set a validation split above 0";
    refuse(false, trainer().callback(ModelCheckpoint::new("{val_loss:.2f}")), line);
    let every = |batches| ModelCheckpoint::new("m").save_freq(SaveFreq::Batches(batches));
    refuse(true, trainer().callback(every(0)), "save_freq is 0, expected at least 1");
    let line = "val_loss is watched, which is not known between batches; watch loss or accuracy";
    refuse(true, trainer().callback(every(3).save_best_only(true)), line);
    let line = "separator is '\\n', expected another character than a quote or a line's end";
    refuse(true, trainer().callback(CSVLogger::new("log.csv").separator('\n')), line);
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

/// Keeps these bytes under another's name.
struct Pretender(&'static str, Vec<u8>);

impl Callback for Pretender {
    fn name(&self) -> &'static str {
        self.0
    }
    fn state(&self) -> Option<Vec<u8>> {
        Some(self.1.clone())
    }
}

/// Trains for two epochs with a callback that keeps these bytes, and goes on with another of that name.
fn go_on_from(
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
fn states_of_any_bytes_are_told_in_a_line() {
    let numbers = |numbers: &[u64]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    let refuse = |outcome: Result<History, TrainError>, line: &str| {
        assert_eq!(outcome.unwrap_err().source().unwrap().to_string(), line);
    };
    let parameters = network().parameters();
    let best = || EarlyStopping::new(Monitor::ValLoss, 9).restore_best_weights(true);
    let weights = |epoch: u64, count: usize| [numbers(&[epoch]), vec![0xff; 4 * count]].concat();
    let len = 8 + 4 * parameters;
    for state in [Vec::new(), vec![1; 7], weights(0, parameters - 1), weights(0, 2 * parameters)] {
        let line = format!("its state in the checkpoint has {} bytes, expected {len}", state.len());
        refuse(go_on_from("early stopping", state, best()), &line);
    }
    // The lowest validation loss is one of the first two epochs'.
    let history = fit(trainer().epochs(2), &mut network()).unwrap();
    let best_epoch = u64::from(history.val_loss[1] < history.val_loss[0]);
    for (epoch, shown) in [(1 - best_epoch, 2 - best_epoch), (2, 3), (u64::MAX, u64::MAX)] {
        let line = format!(
            "the weights in the checkpoint are of epoch {shown}, the best one is {}; give the settings that they were \
             kept with",
            best_epoch + 1
        );
        refuse(go_on_from("early stopping", weights(epoch, parameters), best()), &line);
    }
    go_on_from("early stopping", weights(best_epoch, parameters), best()).unwrap();
    // Not looked at where nothing is to be restored.
    go_on_from("early stopping", vec![3], EarlyStopping::new(Monitor::ValLoss, 9)).unwrap();

    let plateau = || ReduceLROnPlateau::new(Monitor::ValLoss).cooldown(2);
    let line = "its state in the checkpoint has 31 bytes, expected 32";
    refuse(go_on_from("reduce lr on plateau", vec![0; 31], plateau()), line);
    let line = format!("its state in the checkpoint has a wait of {}, expected at most 2", u64::MAX);
    refuse(go_on_from("reduce lr on plateau", vec![0xff; 32], plateau()), &line);
    go_on_from("reduce lr on plateau", numbers(&[2, u64::MAX, 9, u64::MAX]), plateau()).unwrap();

    let out = tempfile::tempdir().unwrap();
    let checkpoint = || ModelCheckpoint::new(out.path().join("m")).save_freq(SaveFreq::Batches(5));
    let line = "its state in the checkpoint has 0 bytes, expected 24";
    refuse(go_on_from("model checkpoint", Vec::new(), checkpoint()), line);
    go_on_from("model checkpoint", vec![0xff; 24], checkpoint()).unwrap();

    let logger = |append| CSVLogger::new(out.path().join("log.csv")).append(append);
    let line = "its state in the checkpoint has 9 bytes, expected 8";
    refuse(go_on_from("csv logger", vec![0; 9], logger(true)), line);
    let lines = || fs::read_to_string(out.path().join("log.csv")).unwrap().lines().count();
    for (append, expected) in [(false, 5), (true, 9), (false, 5)] {
        go_on_from("csv logger", vec![0xff; 8], logger(append)).unwrap();
        assert_eq!(lines(), expected);
    }

    let most = 4 * parameters + (1 << 20);
    let outcome = go_on_from("large", vec![0; most], Pretender("large", Vec::new()));
    outcome.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let large = Pretender("large", vec![0; most + 1]);
    let error = fit(trainer().callback(large).checkpoints(Checkpoints::new(folder.path())), &mut network())
        .unwrap_err();
    let line = format!("the callback large/0 keeps {} bytes, expected at most {most}", most + 1);
    assert_eq!(error.to_string(), line);
}

/// Checkpoints of trainings without these callbacks, as of older versions, say nothing of them.
#[test]
fn checkpoints_without_states_are_gone_on_from_by_the_history() {
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

/// Adds its own to what the others do.
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
fn states_find_their_callbacks_where_others_came_or_went() {
    let run = |others: bool| {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = || Checkpoints::new(folder.path()).resume(true);
        let best =
            |monitor: Monitor| EarlyStopping::new(monitor, 30).mode(Mode::Min).restore_best_weights(true);
        // The second one's weights are what the model ends with.
        let first = trainer()
            .epochs(4)
            .callback(best(Monitor::ValLoss))
            .callback(best(Monitor::Accuracy))
            .checkpoints(checkpoints());
        fit(first, &mut network()).unwrap();
        let mut second = trainer();
        if others {
            second = second.callback(support::Losses::default()).callback(Messages::default());
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
