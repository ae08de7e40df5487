//! Learning rates of schedules and callbacks, clipping, accumulation, and the average of the weights.

use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::{Array1, Array2, arr1, arr2};
use ziffer_nn::optimizer::{Clip, LearningRateSchedule};
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::{
    Activation, Adam, MeanSquaredError, Model, Sequential, Sgd, SparseCategoricalCrossentropy, WithLabels,
    WithTargets,
};
use ziffer_trainer::callback::{
    BatchLog, Callback, CallbackError, EpochEndContext, Flow, ModelCheckpoint, Monitor,
};
use ziffer_trainer::{Checkpoints, EpochLog, History, Resumed, TrainError, Trainer};

use crate::support::Losses;

/// A model with one effective weight b: the input is 0, the output is b, and the loss b^2 has the gradient 2 b.
fn one_weight(b: f32) -> Model {
    let mut model = Sequential::new([1]).dense(1, Activation::Linear).build(0).unwrap();
    model.set_weight("dense.bias", arr1(&[b]).view()).unwrap();
    model
}

fn bias(model: &Model) -> f64 {
    f64::from(model.weight("dense.bias").unwrap()[0])
}

/// Trains one weight in steps of one sample, `steps` per epoch.
fn fit_one_weight(
    trainer: Trainer<'_, Sgd, MeanSquaredError>,
    model: &mut Model,
    steps: usize,
) -> Result<History, TrainError> {
    let (x, t) = (Array2::<f32>::zeros((steps, 1)), Array2::<f32>::zeros((steps, 1)));
    let mut trainer = trainer.batch_size(1).threads(1);
    trainer.fit(model, &WithTargets::new(x.view(), t.view()))
}

fn sgd<'a>(learning_rate: f64) -> Trainer<'a, Sgd, MeanSquaredError> {
    Trainer::new(Sgd { learning_rate, ..Sgd::default() }, MeanSquaredError)
}

/// The rates of all steps, computed from b' = b (1 - 2 rate) and the losses b^2.
fn rates(losses: &[f64], last: f64) -> Vec<f64> {
    let mut weights: Vec<f64> = losses.iter().map(|loss| loss.sqrt()).collect();
    weights.push(last);
    weights.windows(2).map(|pair| (1.0 - pair[1] / pair[0]) / 2.0).collect()
}

fn assert_close(ours: &[f64], expected: &[f64], bound: f64) {
    assert!(
        ours.len() == expected.len() && ours.iter().zip(expected).all(|(a, b)| (a - b).abs() <= bound),
        "{ours:?}, expected {expected:?}"
    );
}

/// 0.2, 0.1, 0.2 / 3, ...
#[derive(Debug)]
struct Inverse;

impl LearningRateSchedule for Inverse {
    fn learning_rate(&self, step: u64) -> f64 {
        0.2 / (1.0 + step as f64)
    }
}

#[test]
fn a_schedule_sets_the_rate_of_each_step() {
    let mut losses = Losses::default();
    let mut model = one_weight(1.0);
    let trainer = sgd(0.9).epochs(2).schedule(Inverse).callback(&mut losses);
    fit_one_weight(trainer, &mut model, 4).unwrap();
    let expected: Vec<f64> = (1..=8).map(|step| 0.2 / f64::from(step)).collect();
    assert_close(&rates(&losses.0, bias(&model)), &expected, 1e-6);
}

/// Halves the rate after each epoch that did not reduce the loss by `delta`, as Keras's `ReduceLROnPlateau`, and records the rates.
#[derive(Default)]
struct Plateau {
    delta: f64,
    best: Option<f64>,
    rates: Vec<f64>,
}

impl Plateau {
    fn is_better(&mut self, loss: f64) -> bool {
        let is_better = self.best.is_none_or(|best| loss < best - self.delta);
        if is_better {
            self.best = Some(loss);
        }
        is_better
    }
}

impl Callback for Plateau {
    fn name(&self) -> &'static str {
        "plateau"
    }
    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        for &loss in &resumed.history.loss {
            self.is_better(loss);
        }
        Ok(())
    }
    fn on_epoch_end(
        &mut self,
        log: &EpochLog,
        context: &mut EpochEndContext<'_>,
    ) -> Result<Flow, CallbackError> {
        if !self.is_better(log.loss) {
            context.learning_rate /= 2.0;
        }
        self.rates.push(context.learning_rate);
        Ok(Flow::Continue)
    }
}

#[test]
fn a_rate_that_a_callback_sets_takes_effect() {
    // 1, 0.8^2, 0.64^2, ...: the loss decreases by 0.36, 0.23, 0.15, 0.09, ..., and with half the rate b decreases by a factor of 0.9.
    let mut plateau = Plateau { delta: 0.2, ..Plateau::default() };
    let mut losses = Losses::default();
    let mut model = one_weight(1.0);
    let trainer = sgd(0.1).epochs(6).callback(&mut plateau).callback(&mut losses);
    fit_one_weight(trainer, &mut model, 1).unwrap();
    assert_eq!(plateau.rates, [0.1, 0.1, 0.1, 0.05, 0.05, 0.025]);
    assert_close(&rates(&losses.0, bias(&model)), &[0.1, 0.1, 0.1, 0.1, 0.05, 0.05], 1e-6);
}

/// Sets the rate after the first epoch.
struct Set(f64);

impl Callback for Set {
    fn name(&self) -> &'static str {
        "set"
    }
    fn on_epoch_end(
        &mut self,
        log: &EpochLog,
        context: &mut EpochEndContext<'_>,
    ) -> Result<Flow, CallbackError> {
        if log.epoch == 0 {
            context.learning_rate = self.0;
        }
        Ok(Flow::Continue)
    }
}

#[test]
fn a_rate_that_a_callback_sets_replaces_a_schedule() {
    let mut losses = Losses::default();
    let mut model = one_weight(1.0);
    let trainer = sgd(0.9).epochs(3).schedule(Inverse).callback(Set(0.03)).callback(&mut losses);
    fit_one_weight(trainer, &mut model, 2).unwrap();
    assert_close(&rates(&losses.0, bias(&model)), &[0.2, 0.1, 0.03, 0.03, 0.03, 0.03], 1e-6);
}

#[test]
fn an_invalid_rate_of_a_callback_is_rejected() {
    for rate in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        let error =
            fit_one_weight(sgd(0.1).epochs(2).callback(Set(rate)), &mut one_weight(1.0), 1).unwrap_err();
        assert_eq!(error.to_string(), format!("learning_rate is {rate}, expected a positive number"));
    }
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

#[test]
fn a_resumed_training_keeps_the_rate_of_a_callback() {
    for (name, with_schedule) in [("the optimizer's rate", false), ("a schedule", true)] {
        let trainer = || {
            let trainer = sgd(0.1).epochs(5);
            if with_schedule { trainer.schedule(Inverse) } else { trainer }
        };
        let (mut whole, mut losses) = (one_weight(1.0), Losses::default());
        let with = trainer().callback(Plateau { delta: 1e9, ..Plateau::default() }).callback(&mut losses);
        fit_one_weight(with, &mut whole, 3).unwrap();
        let second = if with_schedule { 0.2 / 4.0 } else { 0.1 };
        let expected = [second / 2.0, second / 4.0, second / 8.0];
        let after_first: Vec<f64> = rates(&losses.0, bias(&whole))[6..].iter().copied().step_by(3).collect();
        if !with_schedule {
            assert_close(&after_first, &expected, 1e-6);
        }

        for at in [(0, 1), (1, 2), (2, 0), (2, 1), (3, 2), (4, 1)] {
            let folder = tempfile::tempdir().unwrap();
            let checkpoints = || Checkpoints::new(folder.path()).every("1step".parse().unwrap()).resume(true);
            let flag = AtomicBool::new(false);
            let with = trainer()
                .callback(Plateau { delta: 1e9, ..Plateau::default() })
                .callback(StopAt(&flag, at))
                .stop_when(&flag)
                .checkpoints(checkpoints());
            let outcome = fit_one_weight(with, &mut one_weight(1.0), 3);
            assert!(matches!(outcome, Err(TrainError::Interrupted { .. })), "{name} {at:?}: {outcome:?}");
            let mut model = one_weight(1.0);
            let with =
                trainer().callback(Plateau { delta: 1e9, ..Plateau::default() }).checkpoints(checkpoints());
            let history = fit_one_weight(with, &mut model, 3).unwrap();
            assert_eq!(history.epochs(), 5);
            assert_eq!(bias(&model), bias(&whole), "{name}, stopped at {at:?}");
        }
    }
}

/// Two outputs 0 + b for the input 1, with targets 0: the gradient of the mean of their squares is b, for the kernel's two
/// numbers and for the biases.
fn after_a_step(clip: Option<Clip>) -> (Vec<f32>, Vec<f32>) {
    let mut model = Sequential::new([1]).dense(2, Activation::Linear).build(0).unwrap();
    model.set_weight("dense.kernel", arr2(&[[0.0, 0.0]]).view()).unwrap();
    model.set_weight("dense.bias", arr1(&[3.0, -4.0]).view()).unwrap();
    let (x, t) = (Array2::<f32>::ones((1, 1)), Array2::<f32>::zeros((1, 2)));
    let mut trainer = sgd(0.5).threads(2);
    if let Some(clip) = clip {
        trainer = trainer.clip(clip);
    }
    trainer.fit(&mut model, &WithTargets::new(x.view(), t.view())).unwrap();
    let numbers = |name: &str| model.weight(name).unwrap().iter().copied().collect();
    (numbers("dense.kernel"), numbers("dense.bias"))
}

#[test]
fn gradients_are_clipped() {
    // The kernel's gradient and the bias's are (3, -4), each of norm 5, together of norm sqrt(50).
    let by_global = 2.0 / 50f64.sqrt();
    for (clip, [first, second]) in [
        (None, [3.0, -4.0]),
        (Some(Clip::Value(3.5)), [3.0, -3.5]),
        (Some(Clip::Norm(2.0)), [1.2, -1.6]),
        (Some(Clip::GlobalNorm(2.0)), [3.0 * by_global, -4.0 * by_global]),
        (Some(Clip::Norm(5.5)), [3.0, -4.0]),
        (Some(Clip::GlobalNorm(7.5)), [3.0, -4.0]),
    ] {
        let (kernel, bias) = after_a_step(clip);
        let wide = |numbers: Vec<f32>| numbers.into_iter().map(f64::from).collect::<Vec<_>>();
        assert_close(&wide(kernel), &[-0.5 * first, -0.5 * second], 1e-6);
        assert_close(&wide(bias), &[3.0 - 0.5 * first, -4.0 - 0.5 * second], 1e-6);
    }
    let error = fit_one_weight(sgd(0.1).clip(Clip::Norm(0.0)), &mut one_weight(1.0), 1).unwrap_err();
    assert!(error.to_string().contains("clipnorm is 0, expected a positive number"), "{error}");
}

#[test]
fn accumulation_updates_by_the_mean_gradient_of_several_batches() {
    // 10 batches of one sample, three per update: three updates, and the gradient of the last batch counts for the next update.
    let targets = Array1::from_shape_fn(10, |n| n as f32);
    let x = Array2::<f32>::zeros((10, 1));
    let t = targets.clone().into_shape_with_order((10, 1)).unwrap();
    let samples = WithTargets::new(x.view(), t.view());
    let mut b = 0.0;
    let mut expected_losses = Vec::new();
    for three in targets.as_slice().unwrap().chunks(3) {
        expected_losses.extend(three.iter().map(|&t| (b - f64::from(t)).powi(2)));
        if three.len() == 3 {
            b -= 0.1 * three.iter().map(|&t| 2.0 * (b - f64::from(t))).sum::<f64>() / 3.0;
        }
    }
    let mut losses = Losses::default();
    let mut model = one_weight(0.0);
    let with = || sgd(0.1).batch_size(1).shuffle(false).accumulation(3).threads(1);
    with().callback(&mut losses).fit(&mut model, &samples).unwrap();
    assert_close(&losses.0, &expected_losses, 1e-4);
    assert_close(&[bias(&model)], &[b], 1e-6);

    // Across epochs: the fourth update has the last batch and the first two of the next epoch.
    let last = [9.0, 0.0, 1.0];
    let fourth = b - 0.1 * last.iter().map(|t| 2.0 * (b - t)).sum::<f64>() / 3.0;
    let mut losses = Losses::default();
    with().epochs(2).callback(&mut losses).fit(&mut one_weight(0.0), &samples).unwrap();
    assert_close(&[losses.0[10], losses.0[12]], &[b * b, (fourth - 2.0).powi(2)], 1e-4);

    // A checkpoint stores accumulated gradients.
    let mut whole = one_weight(0.0);
    with().epochs(3).fit(&mut whole, &samples).unwrap();
    for at in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = || Checkpoints::new(folder.path()).every("1step".parse().unwrap()).resume(true);
        let flag = AtomicBool::new(false);
        let outcome = with()
            .epochs(3)
            .checkpoints(checkpoints())
            .callback(StopAt(&flag, (1, at)))
            .stop_when(&flag)
            .fit(&mut one_weight(0.0), &samples);
        assert!(matches!(outcome, Err(TrainError::Interrupted { epoch: 2, .. })), "{outcome:?}");
        let mut model = one_weight(0.0);
        with().epochs(3).checkpoints(checkpoints()).fit(&mut model, &samples).unwrap();
        assert_eq!(bias(&model), bias(&whole), "stopped at {at}");
    }
    let error = fit_one_weight(sgd(0.1).accumulation(0), &mut one_weight(1.0), 1).unwrap_err();
    assert_eq!(error.to_string(), "gradient_accumulation_steps is 0, expected at least 1");
}

/// 90 samples of noise in three classes.
fn noise() -> (Array2<f32>, Vec<usize>) {
    let mut stream = Stream::new(5, Purpose::Other(0), 0);
    let x = Array2::from_shape_simple_fn((90, 6), || stream.normal() as f32);
    (x, (0..90).map(|_| stream.below(3) as usize).collect())
}

/// A network with batch normalization, whose moving averages are not averaged.
fn network() -> Model {
    Sequential::new([6])
        .dense(7, Activation::Relu)
        .batch_normalization()
        .dense(3, Activation::Softmax)
        .build(4)
        .unwrap()
}

fn all_weights(model: &Model) -> Vec<(String, Vec<f64>)> {
    model.weights().map(|(name, w)| (name, w.iter().map(|&w| f64::from(w)).collect())).collect()
}

/// Records the weights and the validation loss of each epoch, and evaluates the model on the validation set.
#[derive(Default)]
struct Epochs {
    weights: Vec<Vec<(String, Vec<f64>)>>,
    val_loss: Vec<f64>,
    evaluated: Vec<f64>,
}

impl Callback for Epochs {
    fn name(&self) -> &'static str {
        "epochs"
    }
    fn on_epoch_end(
        &mut self,
        log: &EpochLog,
        context: &mut EpochEndContext<'_>,
    ) -> Result<Flow, CallbackError> {
        let (x, classes) = noise();
        let validation = WithLabels::new(x.slice(ndarray::s![60.., ..]), &classes[60..]);
        let loss = SparseCategoricalCrossentropy::default();
        self.evaluated.push(context.model.evaluate_with(&loss, &validation)?.loss);
        self.weights.push(all_weights(context.model));
        self.val_loss.extend(log.val_loss);
        Ok(Flow::Continue)
    }
}

fn fit_noise(trainer: Trainer<'_, Adam, SparseCategoricalCrossentropy>) -> (Model, History) {
    let (x, classes) = noise();
    let mut model = network();
    let split = 1.0 / 3.0;
    let history = trainer
        .validation_split(split)
        .threads(2)
        .fit(&mut model, &WithLabels::new(x.view(), &classes))
        .unwrap();
    (model, history)
}

fn adam<'a>() -> Trainer<'a, Adam, SparseCategoricalCrossentropy> {
    let adam = Adam { learning_rate: 0.05, ..Adam::default() };
    Trainer::new(adam, SparseCategoricalCrossentropy::default())
}

#[test]
fn validation_callbacks_and_the_model_have_the_average_of_the_weights() {
    const MOMENTUM: f64 = 0.7;
    // One step per epoch, so that the weights of each step are recorded.
    let steps = || adam().epochs(9).batch_size(60);
    let mut plain = Epochs::default();
    let (_, plain_history) = fit_noise(steps().callback(&mut plain));
    let folder = tempfile::tempdir().unwrap();
    let best = folder.path().join("best.safetensors");
    let mut averaged = Epochs::default();
    let (model, history) = fit_noise(
        steps()
            .ema(MOMENTUM)
            .callback(&mut averaged)
            .callback(ModelCheckpoint::new(&best).monitor(Monitor::Loss).save_best_only(true)),
    );
    assert_eq!(history.loss, plain_history.loss, "the weights that are trained are the same");
    assert_ne!(history.val_loss, plain_history.val_loss);
    assert_eq!(averaged.val_loss, averaged.evaluated);
    assert_eq!(averaged.val_loss, history.val_loss);

    let mut expected = plain.weights[0].clone();
    for (step, weights) in plain.weights.iter().enumerate() {
        for ((name, average), (_, weight)) in expected.iter_mut().zip(weights) {
            for (average, &weight) in average.iter_mut().zip(weight) {
                // The moving averages of batch normalization are not averaged.
                let momentum = if step == 0 || name.contains("moving") { 0.0 } else { MOMENTUM };
                *average = momentum * *average + (1.0 - momentum) * weight;
            }
        }
        for ((name, expected), (_, ours)) in expected.iter().zip(&averaged.weights[step]) {
            assert!(ours.len() == expected.len() && !ours.is_empty());
            // A few rounding errors of numbers around 1.
            let distance = crate::support::farthest(ours, expected);
            assert!(distance < 1e-6, "step {step}, {name}: {distance}");
        }
    }
    assert_eq!(all_weights(&model), averaged.weights[8]);
    // With a momentum of 0.7 the average clearly differs from the weights.
    assert!(crate::support::farthest(&averaged.weights[8][0].1, &plain.weights[8][0].1) > 1e-2);
    let lowest = history.loss.iter().copied().fold(f64::INFINITY, f64::min);
    let epoch = history.loss.iter().position(|&loss| loss == lowest).unwrap();
    assert_eq!(all_weights(&Model::load(&best).unwrap()), averaged.weights[epoch]);
}

#[test]
fn an_average_does_not_change_the_trained_weights() {
    // The same with many steps of shuffled batches.
    let steps = || adam().epochs(4).batch_size(7).seed(3);
    let folder = tempfile::tempdir().unwrap();
    let (plain, plain_history) = fit_noise(steps());
    let (model, history) = fit_noise(steps().ema(0.99).checkpoints(Checkpoints::new(folder.path())));
    assert_eq!((history.loss, history.accuracy), (plain_history.loss, plain_history.accuracy));
    assert_ne!(model.weights_sha256(), plain.weights_sha256());

    // The last checkpoint has the weights and the average.
    let newest = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let bytes = std::fs::read(newest).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let kept = |name: &str| -> Vec<f64> {
        let data = tensors.tensor(name).unwrap().data();
        data.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
    };
    for ((name, weights), (_, average)) in all_weights(&plain).iter().zip(all_weights(&model)) {
        assert_eq!(&kept(name), weights, "{name}");
        if name.contains("moving") {
            assert_eq!(&average, weights, "{name}");
        } else {
            assert_eq!(kept(&format!("average/{name}")), average, "{name}");
        }
    }
    let error = adam().ema(1.5).fit(&mut network(), &WithLabels::new(noise().0.view(), &noise().1));
    assert_eq!(error.unwrap_err().to_string(), "ema_momentum is 1.5, expected a number from 0 to 1");
}
