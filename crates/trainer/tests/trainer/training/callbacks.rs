//! The calls of callbacks, early stopping, and losses that are not finite.

use std::cell::RefCell;
use std::error::Error;

use ndarray::Array2;
use ziffer_nn::{Activation, Model, Sequential, WithLabels};
use ziffer_trainer::callback::{
    BatchLog, Callback, CallbackError, EarlyStopping, EpochBeginContext, EpochEndContext, Flow,
    ModelCheckpoint, Monitor, TrainingParams,
};
use ziffer_trainer::{EpochLog, Evaluate, TrainError};

use super::setup::{images_and_labels, network, trainer};

/// Records the calls.
#[derive(Default)]
struct CallLog(RefCell<Vec<String>>);

impl Callback for CallLog {
    fn name(&self) -> &'static str {
        "diary"
    }
    fn on_train_begin(&mut self, params: &TrainingParams, _: &mut Model) -> Result<(), CallbackError> {
        self.0.get_mut().push(format!("begin {} {} {}", params.epochs, params.steps, params.has_validation));
        Ok(())
    }
    fn on_epoch_begin(&mut self, epoch: usize, _: &mut EpochBeginContext) -> Result<(), CallbackError> {
        self.0.get_mut().push(format!("epoch {epoch}"));
        Ok(())
    }
    fn on_batch_end(&mut self, log: &BatchLog) {
        self.0.get_mut().push(format!("step {}", log.step));
    }
    fn on_epoch_end(&mut self, log: &EpochLog, _: &mut EpochEndContext<'_>) -> Result<Flow, CallbackError> {
        self.0.get_mut().push(format!("end {} of {}", log.epoch, log.epochs));
        Ok(if log.epoch == 1 { Flow::Stop } else { Flow::Continue })
    }
    fn on_train_end(&mut self, _: &mut Model) -> Result<(), CallbackError> {
        self.0.get_mut().push("end".to_owned());
        Ok(())
    }
}

#[test]
fn callbacks_are_called_in_order() {
    let (_folder, data) = images_and_labels();
    let mut diary = CallLog::default();
    let history = trainer().batch_size(40).callback(&mut diary).fit(&mut network(), &data).unwrap();
    assert_eq!(history.epochs(), 2);
    let expected =
        "begin 4 2 true, epoch 0, step 0, step 1, end 0 of 4, epoch 1, step 0, step 1, end 1 of 4, end";
    assert_eq!(diary.0.into_inner().join(", "), expected);
}

/// Replaces the validation loss of each epoch by a scripted one, and records the weights.
struct Scripted<'a> {
    script: &'a [f64],
    weights: Vec<String>,
    stopping: EarlyStopping,
}

impl Callback for Scripted<'_> {
    fn name(&self) -> &'static str {
        "scripted"
    }
    fn on_train_begin(&mut self, params: &TrainingParams, model: &mut Model) -> Result<(), CallbackError> {
        self.stopping.on_train_begin(params, model)
    }
    fn on_epoch_end(
        &mut self,
        log: &EpochLog,
        context: &mut EpochEndContext<'_>,
    ) -> Result<Flow, CallbackError> {
        self.weights.push(context.model.weights_sha256());
        self.stopping.on_epoch_end(&EpochLog { val_loss: Some(self.script[log.epoch]), ..*log }, context)
    }
    fn on_train_end(&mut self, model: &mut Model) -> Result<(), CallbackError> {
        self.stopping.on_train_end(model)
    }
}

#[test]
fn early_stopping_stops_and_restores_weights_as_keras() {
    let (_folder, data) = images_and_labels();
    // Script, patience, min_delta, number of epochs, best epoch.
    for (script, patience, min_delta, epochs, best) in [
        (&[5.0, 4.0, 4.5, 4.2, 3.0, 2.0][..], 2, 0.0, 4, 1),
        (&[5.0, 4.0, 4.5, 3.9, 4.0, 4.0], 2, 0.0, 6, 3),
        (&[5.0, 4.9, 4.8, 4.7, 4.6, 4.5], 2, 0.5, 3, 0),
        (&[5.0, 4.0, 3.0, 2.0, 1.0, 0.5], 1, 0.0, 6, 5),
        (&[5.0, 6.0, 1.0, 1.0, 1.0, 1.0], 0, 0.0, 2, 0),
        (&[5.0, 4.0, f64::NAN, f64::NAN, 1.0, 1.0], 2, 0.0, 4, 1),
        // Training ends before the patience is exhausted: the best weights are restored as well.
        (&[5.0, 1.0, 2.0, 2.0, 2.0, 2.0], 9, 0.0, 6, 1),
    ] {
        let stopping =
            EarlyStopping::new(Monitor::ValLoss, patience).min_delta(min_delta).restore_best_weights(true);
        let mut scripted = Scripted { script, weights: Vec::new(), stopping };
        let mut model = network();
        let history = trainer().epochs(script.len()).callback(&mut scripted).fit(&mut model, &data).unwrap();
        assert_eq!((history.epochs(), scripted.stopping.best_epoch()), (epochs, Some(best)), "{script:?}");
        assert_eq!(model.weights_sha256(), scripted.weights[best], "{script:?}");
    }
    let stopping = EarlyStopping::new(Monitor::ValLoss, 1);
    let mut scripted = Scripted { script: &[1.0, 2.0, 3.0, 4.0], weights: Vec::new(), stopping };
    let mut model = network();
    trainer().callback(&mut scripted).fit(&mut model, &data).unwrap();
    assert_eq!(model.weights_sha256(), scripted.weights[1], "left at the last");
}

#[test]
fn model_checkpoint_saves_the_best_model() {
    let (_folder, data) = images_and_labels();
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("best.safetensors");
    let history = trainer()
        .epochs(8)
        .callback(ModelCheckpoint::new(&path).save_best_only(true))
        .fit(&mut network(), &data)
        .unwrap();
    let best = history.val_loss.iter().copied().fold(f64::INFINITY, f64::min);
    let (_, validation) = data.split(0.2).unwrap();
    assert_eq!(Model::load(&path).unwrap().evaluate(validation).unwrap().loss, best);
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 1);

    // A file cannot replace a folder.
    let outcome =
        trainer().callback(ModelCheckpoint::new(out.path())).fit(&mut network(), &data).unwrap_err();
    assert_eq!(outcome.to_string(), "the callback model checkpoint failed");
    let cause = outcome.source().unwrap().to_string();
    assert!(cause.ends_with(": cannot write"), "{cause}");
}

#[test]
fn monitoring_a_missing_validation_is_an_error() {
    let (_folder, data) = images_and_labels();
    let error = trainer()
        .validation_split(0.0)
        .callback(EarlyStopping::new(Monitor::ValAccuracy, 1))
        .fit(&mut network(), &data)
        .unwrap_err();
    assert_eq!(error.to_string(), "the callback early stopping failed");
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("val_accuracy is monitored but there is no validation set"), "{cause}");
}

#[test]
fn a_loss_that_is_not_finite_stops_at_its_step() {
    let mut x = Array2::from_shape_fn((60, 3), |(n, i)| (n + i) as f32 * 0.01);
    x[[34, 1]] = f32::INFINITY;
    let classes: Vec<usize> = (0..60).map(|n| n % 2).collect();
    let build =
        || Sequential::new([3]).dense(4, Activation::Tanh).dense(2, Activation::Softmax).build(0).unwrap();
    for threads in [1, 3] {
        // The first layer's tanh hides an infinity, but 0 * infinity is NaN: the weights of this input must not be 0.
        let mut model = build();
        let samples = WithLabels::new(x.view(), &classes);
        let outcome = trainer().shuffle(false).batch_size(10).threads(threads).fit(&mut model, &samples);
        // The infinite sample is in step 4 and makes an infinite gradient. The loss of step 5 is then not finite.
        match outcome {
            Err(TrainError::NotFinite { epoch: 1, step, loss }) => {
                assert!((4..=5).contains(&step) && !loss.is_finite(), "step {step}, loss {loss}");
            }
            other => panic!("{other:?}"),
        }
    }

    // If the loss is not finite at once, the weights are those before the step.
    let mut model = Sequential::new([3]).dense(2, Activation::Softmax).build(0).unwrap();
    let before = model.weights_sha256();
    x[[0, 0]] = f32::NAN;
    let error = trainer()
        .shuffle(false)
        .batch_size(10)
        .fit(&mut model, &WithLabels::new(x.view(), &classes))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the loss is NaN at step 1 of epoch 1; try a smaller learning rate, or look for broken data"
    );
    assert_eq!(model.weights_sha256(), before);
}
