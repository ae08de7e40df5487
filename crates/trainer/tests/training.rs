//! What `fit` promises: Keras's split, order and means; callbacks; the same bits for any number of threads; and that it
//! stops where the loss is not a number.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

mod support;

use std::cell::RefCell;
use std::error::Error;

use ndarray::{Array2, Array3, ArrayView2};
use ziffer_dataset::{Dataset, idx::write_idx};
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::{
    Activation, Adam, AdamW, AnyOptimizer, BinaryCrossentropy, EpochSeed, MeanSquaredError, Model, RmsProp,
    Samples, Sequential, Sgd, SparseCategoricalCrossentropy, Target, WithLabels, WithTargets,
};
use ziffer_trainer::callback::{
    BatchLog, Callback, CallbackError, EarlyStopping, EpochBeginContext, EpochEndContext, Flow,
    ModelCheckpoint, Monitor, Plan,
};
use ziffer_trainer::{EpochLog, Evaluate, History, TrainError, Trainer};

/// 100 pictures of 3 x 5 pixels in 4 classes, and the folder that they lie in.
fn pictures() -> (tempfile::TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
    let mut stream = Stream::new(11, Purpose::Other(0), 0);
    let classes: Vec<u8> = (0..100).map(|_| stream.below(4) as u8).collect();
    let pixels = Array3::from_shape_fn((100, 3, 5), |(n, row, column)| {
        let lit = (row + column + usize::from(classes[n])).is_multiple_of(4);
        if lit { 100 + stream.below(156) as u8 } else { stream.below(2) as u8 * stream.below(90) as u8 }
    });
    write_idx(&images, &pixels).unwrap();
    write_idx(&labels, &ndarray::Array1::from(classes)).unwrap();
    let data = Dataset::open(&images, &labels, None).unwrap();
    (folder, data)
}

fn network() -> Model {
    Sequential::new([3, 5])
        .flatten()
        .dense(13, Activation::Relu)
        .dense(4, Activation::Softmax)
        .build(1)
        .unwrap()
}

fn trainer<'a>() -> Trainer<'a, Adam, SparseCategoricalCrossentropy> {
    let adam = Adam { learning_rate: 0.01, ..Adam::default() };
    Trainer::new(adam, SparseCategoricalCrossentropy::default())
        .epochs(4)
        .batch_size(7)
        .validation_split(0.2)
        .threads(1)
}

#[test]
fn bits_do_not_depend_on_threads() {
    let (_folder, data) = pictures();
    let run = |threads| {
        let mut model = network();
        let history = trainer().threads(threads).fit(&mut model, &data).unwrap();
        (model.weights_sha256(), history.loss, history.val_loss)
    };
    let one = run(1);
    // More threads than samples in a batch, too.
    for threads in [2, 3, 4, 8, 11] {
        assert_eq!(run(threads), one, "{threads} threads");
    }
}

/// A first layer with outputs enough to be shared out, the last lines of them a part, with each kind of update.
#[test]
fn bits_do_not_depend_on_who_has_which_outputs() {
    let (_folder, data) = pictures();
    let (adam, rmsprop) = (Adam { learning_rate: 0.01, ..Adam::default() }, RmsProp::default());
    let momentum = Sgd { momentum: 0.9, ..Sgd::default() };
    let optimizers: [AnyOptimizer; 4] = [
        adam.into(),
        AdamW { learning_rate: 0.01, weight_decay: 0.1, ..AdamW::default() }.into(),
        momentum.into(),
        rmsprop.into(),
    ];
    for optimizer in optimizers {
        for activation in [Activation::Relu, Activation::Tanh] {
            let run = |threads| {
                let mut model = Sequential::new([3, 5])
                    .flatten()
                    .dense(57, activation)
                    .dense(4, Activation::Softmax)
                    .build(1)
                    .unwrap();
                let start = model.weights_sha256();
                let history = Trainer::new(optimizer, SparseCategoricalCrossentropy::default())
                    .epochs(3)
                    .batch_size(7)
                    .threads(threads)
                    .fit(&mut model, &data)
                    .unwrap();
                assert_ne!(model.weights_sha256(), start);
                (model.weights_sha256(), history.loss)
            };
            let one = run(1);
            for threads in [2, 3, 4, 5] {
                assert_eq!(run(threads), one, "{optimizer:?} {activation} {threads} threads");
            }
        }
    }
}

#[test]
fn a_seed_decides_the_orders_and_they_are_fresh() {
    let (_folder, data) = pictures();
    let run = |seed, shuffle| {
        let mut model = network();
        trainer().seed(seed).shuffle(shuffle).fit(&mut model, &data).unwrap();
        model.weights_sha256()
    };
    assert_eq!(run(3, true), run(3, true));
    assert_ne!(run(3, true), run(4, true));
    assert_eq!(run(3, false), run(4, false));
    assert_ne!(run(3, true), run(3, false));
}

/// Samples that note whose targets were asked for, once for each time that one is trained on; rows are fetched ahead too.
struct Noted<'a> {
    inner: WithLabels<'a, f32>,
    targets: std::sync::Mutex<Vec<usize>>,
}

impl Samples<f32> for Noted<'_> {
    type Value = f32;
    fn len(&self) -> usize {
        Samples::<f32>::len(&self.inner)
    }
    fn features(&self) -> usize {
        Samples::<f32>::features(&self.inner)
    }
    fn fill(&self, index: usize, draw: Option<EpochSeed>, out: &mut [f32]) {
        Samples::<f32>::fill(&self.inner, index, draw, out);
    }
    fn target(&self, index: usize) -> Target<'_, f32> {
        self.targets.lock().unwrap().push(index);
        self.inner.target(index)
    }
}

#[test]
fn every_epoch_uses_each_sample_once_in_an_order_of_its_own() {
    let x = Array2::from_elem((50, 2), 0.5_f32);
    let classes = vec![0; 50];
    let samples = Noted { inner: WithLabels::new(x.view(), &classes), targets: Vec::new().into() };
    let mut model = Sequential::new([2]).dense(2, Activation::Softmax).build(0).unwrap();
    trainer().epochs(3).fit(&mut model, &samples).unwrap();
    let targets = samples.targets.into_inner().unwrap();
    // First each target is checked.
    let epochs: Vec<&[usize]> = targets[50..].chunks(50).collect();
    assert_eq!(epochs.len(), 3);
    for epoch in &epochs {
        let mut sorted = epoch.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        assert_ne!(*epoch, sorted);
    }
    assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2] && epochs[0] != epochs[2]);
}

#[test]
fn samples_are_split_at_the_end_and_the_last_part_is_never_trained_on() {
    for (count, split, expected) in [
        // floor(count (1 - split)): 37.5, 25, 1.5, 7, 1.5 and 49.5 rounded down.
        (50, 0.25, 37),
        (50, 0.5, 25),
        (3, 0.5, 1),
        (10, 0.3, 7),
        (50, 0.97, 1),
        (50, 0.01, 49),
    ] {
        let x = Array2::from_shape_fn((count, 2), |(n, i)| (n * 2 + i) as f32 / 100.0);
        let classes: Vec<usize> = (0..count).map(|n| n % 2).collect();
        let inner = WithLabels::new(x.view(), &classes);
        let samples = Noted { inner, targets: Vec::new().into() };
        let mut model = Sequential::new([2]).dense(2, Activation::Softmax).build(0).unwrap();
        let history = trainer().validation_split(split).epochs(2).fit(&mut model, &samples).unwrap();
        // First each target is checked; then of each epoch all of the training part, then the rest.
        let targets = samples.targets.into_inner().unwrap();
        assert_eq!(targets.len(), 3 * count);
        for epoch in targets[count..].chunks(count) {
            let (train, validation) = epoch.split_at(expected);
            let mut sorted = train.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..expected).collect::<Vec<_>>(), "{count} {split}");
            let mut sorted = validation.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (expected..count).collect::<Vec<_>>(), "{count} {split}");
        }

        // As if the two parts were given.
        let (train, validation) = x.view().split_at(ndarray::Axis(0), expected);
        let mut of_parts = Sequential::new([2]).dense(2, Activation::Softmax).build(0).unwrap();
        let validation = WithLabels::new(validation, &classes[expected..]);
        let parts = trainer()
            .epochs(2)
            .validation_split(0.5)
            .validation_data(&validation)
            .fit(&mut of_parts, &WithLabels::new(train, &classes[..expected]))
            .unwrap();
        assert_eq!(model.weights_sha256(), of_parts.weights_sha256());
        assert_eq!((history.loss, history.val_loss), (parts.loss, parts.val_loss));
    }
}

#[test]
fn a_split_of_samples_that_leaves_a_part_empty_is_refused() {
    let x = Array2::from_elem((10, 2), 0.5_f32);
    let classes = vec![0; 10];
    for split in [0.95, 0.999, 1e-17] {
        let mut model = Sequential::new([2]).dense(2, Activation::Softmax).build(0).unwrap();
        let samples = WithLabels::new(x.view(), &classes);
        let error = trainer().validation_split(split).fit(&mut model, &samples).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("validation_split is {split}, expected a share that leaves samples in both parts")
        );
    }
    // Of one sample nothing can be set aside.
    let (x, mut model) = (x.slice(ndarray::s![..1, ..]), network());
    let samples = WithLabels::new(x, &classes[..1]);
    let error = trainer().fit(&mut model, &samples).unwrap_err();
    assert!(error.to_string().starts_with("validation_split is 0.2"), "{error}");
}

#[test]
fn means_are_over_samples_and_the_last_batch_counts_less() {
    // With a learning rate of next to nothing the weights stand still, so that the training loss is that of an evaluation:
    // of the first 80 samples, in batches of 7 with a last one of 3.
    let (_folder, data) = pictures();
    let (train, validation) = data.split(0.2).unwrap();
    assert_eq!((train.len(), validation.len()), (80, 20));
    let mut model = network();
    let sgd = Sgd { learning_rate: 1e-30, ..Sgd::default() };
    let history = Trainer::new(sgd, SparseCategoricalCrossentropy::default())
        .batch_size(7)
        .validation_split(0.2)
        .fit(&mut model, &data)
        .unwrap();
    let (expected, validated) = (model.evaluate(train).unwrap(), model.evaluate(validation).unwrap());
    assert!((history.loss[0] - expected.loss).abs() < 1e-6);
    assert_eq!(history.accuracy, [expected.accuracy]);
    assert_eq!((history.val_loss, history.val_accuracy), (vec![validated.loss], vec![validated.accuracy]));

    // Counted once more, by hand.
    let outputs = model.predict_dataset(validation).unwrap();
    let right = outputs.rows().into_iter().enumerate().filter(|(n, row)| {
        let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
        best == validation.label(*n)
    });
    assert_eq!(right.count(), validated.correct);
    let loss: f64 =
        outputs.rows().into_iter().enumerate().map(|(n, p)| -f64::from(p[validation.label(n)]).ln()).sum();
    assert!((loss / 20.0 - validated.loss).abs() < 1e-5);
}

/// Notes what it is told.
#[derive(Default)]
struct Diary(RefCell<Vec<String>>);

impl Callback for Diary {
    fn name(&self) -> &'static str {
        "diary"
    }
    fn on_train_begin(&mut self, plan: &Plan, _: &mut Model) -> Result<(), CallbackError> {
        self.0.get_mut().push(format!("begin {} {} {}", plan.epochs, plan.steps, plan.validates));
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
fn callbacks_are_told_everything_in_order() {
    let (_folder, data) = pictures();
    let mut diary = Diary::default();
    let history = trainer().batch_size(40).callback(&mut diary).fit(&mut network(), &data).unwrap();
    assert_eq!(history.epochs(), 2);
    let expected =
        "begin 4 2 true, epoch 0, step 0, step 1, end 0 of 4, epoch 1, step 0, step 1, end 1 of 4, end";
    assert_eq!(diary.0.into_inner().join(", "), expected);
}

/// Says what it likes of each epoch's validation loss, and notes the weights.
struct Scripted<'a> {
    script: &'a [f64],
    weights: Vec<String>,
    stopping: EarlyStopping,
}

impl Callback for Scripted<'_> {
    fn name(&self) -> &'static str {
        "scripted"
    }
    fn on_train_begin(&mut self, plan: &Plan, model: &mut Model) -> Result<(), CallbackError> {
        self.stopping.on_train_begin(plan, model)
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
fn early_stopping_stops_and_goes_back_as_keras_does() {
    let (_folder, data) = pictures();
    // Script, patience, min_delta, epochs that run, best epoch.
    for (script, patience, min_delta, epochs, best) in [
        (&[5.0, 4.0, 4.5, 4.2, 3.0, 2.0][..], 2, 0.0, 4, 1),
        (&[5.0, 4.0, 4.5, 3.9, 4.0, 4.0], 2, 0.0, 6, 3),
        (&[5.0, 4.9, 4.8, 4.7, 4.6, 4.5], 2, 0.5, 3, 0),
        (&[5.0, 4.0, 3.0, 2.0, 1.0, 0.5], 1, 0.0, 6, 5),
        (&[5.0, 6.0, 1.0, 1.0, 1.0, 1.0], 0, 0.0, 2, 0),
        (&[5.0, 4.0, f64::NAN, f64::NAN, 1.0, 1.0], 2, 0.0, 4, 1),
        // Training ends by itself before patience does: the best weights come back all the same.
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
fn a_checkpoint_is_the_best_model() {
    let (_folder, data) = pictures();
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

    // Where a folder is, no file can be.
    let outcome =
        trainer().callback(ModelCheckpoint::new(out.path())).fit(&mut network(), &data).unwrap_err();
    assert_eq!(outcome.to_string(), "the callback model checkpoint failed");
    let cause = outcome.source().unwrap().to_string();
    assert!(cause.ends_with(": cannot write"), "{cause}");
}

#[test]
fn watching_a_validation_that_is_not_there_is_an_error() {
    let (_folder, data) = pictures();
    let error = trainer()
        .validation_split(0.0)
        .callback(EarlyStopping::new(Monitor::ValAccuracy, 1))
        .fit(&mut network(), &data)
        .unwrap_err();
    assert_eq!(error.to_string(), "the callback early stopping failed");
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("val_accuracy is watched but there is no validation part"), "{cause}");
}

#[test]
fn a_loss_that_is_no_number_stops_at_its_step() {
    let mut x = Array2::from_shape_fn((60, 3), |(n, i)| (n + i) as f32 * 0.01);
    x[[34, 1]] = f32::INFINITY;
    let classes: Vec<usize> = (0..60).map(|n| n % 2).collect();
    let build =
        || Sequential::new([3]).dense(4, Activation::Tanh).dense(2, Activation::Softmax).build(0).unwrap();
    for threads in [1, 3] {
        // The first layer's tanh hides an infinity, but 0 * infinity is no number: take it out of the weights' way.
        let mut model = build();
        let samples = WithLabels::new(x.view(), &classes);
        let outcome = trainer().shuffle(false).batch_size(10).threads(threads).fit(&mut model, &samples);
        // The infinite sample comes in step 4; it makes an infinite gradient, and step 5 sees what that has done.
        match outcome {
            Err(TrainError::NotFinite { epoch: 1, step, loss }) => {
                assert!((4..=5).contains(&step) && !loss.is_finite(), "step {step}, loss {loss}");
            }
            other => panic!("{other:?}"),
        }
    }

    // A loss that is not finite at once: the weights are those before the step.
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

#[test]
fn settings_out_of_range_are_refused() {
    let (_folder, data) = pictures();
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
    let (_folder, data) = pictures();
    let fit = |network: Sequential| -> Result<History, TrainError> {
        trainer().fit(&mut network.build(0).unwrap(), &data)
    };
    let error = fit(Sequential::new([28, 28]).flatten().dense(4, Activation::Softmax)).unwrap_err();
    assert_eq!(error.to_string(), "the data set has pictures of [3, 5], the model takes [28, 28]");
    let error = fit(Sequential::new([3, 5]).flatten().dense(3, Activation::Softmax)).unwrap_err();
    assert_eq!(error.to_string(), "the data set has 4 classes, the model has 3 outputs");
    let error = fit(Sequential::new([3, 5]).flatten().dense(4, Activation::Relu)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "sparse_categorical_crossentropy needs a model that ends in a softmax; the last layer is dense; for logits set from_logits"
    );
    // A batch as large as can be said is one batch of all samples.
    trainer().batch_size(usize::MAX).fit(&mut network(), &data).unwrap();
}

#[test]
fn each_label_is_looked_at_before_the_first_step() {
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
fn many_more_samples_than_memory_would_hold_as_numbers_are_not_copied() {
    // A sample is copied out of the mapped file when it is used, and no sooner.
    let set = support::mnist();
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
fn an_accuracy_is_told_only_where_targets_name_classes() {
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
    assert_eq!(source, "accuracy is watched but the targets name no classes; watch a loss");
}
