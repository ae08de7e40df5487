//! A network with dropout and batch normalization, trained with augmentation, clipped and accumulated gradients, an average of the
//! weights and a callback that lowers the learning rate, gives the same bytes on any number of threads and after any kills.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::{Array1, Array3};
use ziffer_dataset::augment::Distortion;
use ziffer_dataset::{Dataset, idx::write_idx};
use ziffer_nn::optimizer::Clip;
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::{Activation, Adam, Model, Sequential, SparseCategoricalCrossentropy};
use ziffer_trainer::callback::{BatchLog, Callback, CallbackError, EpochEndContext, Flow};
use ziffer_trainer::{Checkpoints, EpochLog, History, Resumed, TrainError, Trainer};

/// 120 images of 8 x 8 pixels with a bright bar, whose position is one of four classes, and the folder of their files.
fn images() -> (tempfile::TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
    let mut stream = Stream::new(3, Purpose::Other(0), 0);
    let classes: Vec<u8> = (0..120).map(|_| stream.below(4) as u8).collect();
    let pixels = Array3::from_shape_fn((120, 8, 8), |(n, row, _)| {
        if row / 2 == usize::from(classes[n]) { 100 + stream.below(156) as u8 } else { 0 }
    });
    write_idx(&images, &pixels).unwrap();
    write_idx(&labels, &Array1::from(classes)).unwrap();
    let data = Dataset::open(&images, &labels, None).unwrap();
    (folder, data)
}

fn network() -> Model {
    Sequential::new([8, 8])
        .flatten()
        .dense(37, Activation::Relu)
        .batch_normalization()
        .dropout(0.3)
        .dense(19, Activation::Tanh)
        .batch_normalization()
        .dropout(0.2)
        .dense(4, Activation::Softmax)
        .build(6)
        .unwrap()
}

/// Reduces the rate by a tenth after each epoch whose validation loss is not the best.
#[derive(Default)]
struct Plateau(Option<f64>);

impl Plateau {
    fn is_best(&mut self, loss: f64) -> bool {
        let is_best = self.0.is_none_or(|best| loss < best);
        if is_best {
            self.0 = Some(loss);
        }
        is_best
    }
}

impl Callback for Plateau {
    fn name(&self) -> &'static str {
        "plateau"
    }
    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        for &loss in &resumed.history.val_loss {
            self.is_best(loss);
        }
        Ok(())
    }
    fn on_epoch_end(
        &mut self,
        log: &EpochLog,
        context: &mut EpochEndContext<'_>,
    ) -> Result<Flow, CallbackError> {
        // Also after the first two epochs, so that the rate always changes.
        if !self.is_best(log.val_loss.unwrap()) || log.epoch < 2 {
            context.learning_rate *= 0.9;
        }
        Ok(Flow::Continue)
    }
}

/// 96 images are the training set: batches of 7, and a last batch of 5, so that no epoch ends with an update.
fn trainer<'a>(threads: usize, clip: Clip) -> Trainer<'a, Adam, SparseCategoricalCrossentropy> {
    let adam = Adam { learning_rate: 0.02, ..Adam::default() };
    Trainer::new(adam, SparseCategoricalCrossentropy::default())
        .epochs(5)
        .batch_size(7)
        .validation_split(0.2)
        .augment(Distortion::default())
        .clip(clip)
        .accumulation(3)
        .ema(0.9)
        .seed(11)
        .threads(threads)
        .callback(Plateau::default())
}

fn without_seconds(history: History) -> History {
    History { seconds: Vec::new(), ..history }
}

const CLIPS: [Clip; 3] = [Clip::Value(0.02), Clip::Norm(0.1), Clip::GlobalNorm(0.2)];

#[test]
fn the_number_of_threads_does_not_change_the_result() {
    let (_folder, data) = images();
    for clip in CLIPS {
        let run = |threads| {
            let mut model = network();
            let history = trainer(threads, clip).fit(&mut model, &data).unwrap();
            (model.weights_sha256(), without_seconds(history))
        };
        let one = run(1);
        for threads in [2, 3, 4, 8] {
            assert_eq!(run(threads), one, "{clip:?}, {threads} threads");
        }
    }
}

/// Each setting changes the result, so that the other tests cover all of them.
#[test]
fn each_setting_has_an_effect() {
    let (_folder, data) = images();
    let clip = CLIPS[2];
    let fit = |mut trainer: Trainer<'_, Adam, SparseCategoricalCrossentropy>, mut model: Model| {
        trainer.fit(&mut model, &data).unwrap();
        model.weights_sha256()
    };
    let all = fit(trainer(1, clip), network());
    let others = [
        fit(trainer(1, clip).seed(12), network()),
        fit(trainer(1, clip).shuffle(false), network()),
        // The seed of dropout and augmentation, with the same order of samples.
        fit(trainer(1, clip).shuffle(false).seed(12), network()),
        fit(trainer(1, clip).augment(Distortion::default().times(0.5)), network()),
        fit(trainer(1, clip).ema(0.8), network()),
        fit(trainer(1, clip).accumulation(2), network()),
        fit(trainer(1, Clip::GlobalNorm(1e9)), network()),
    ];
    for (number, other) in others.iter().enumerate() {
        assert_ne!(*other, all, "{number}");
    }
    assert_ne!(others[1], others[2]);

    // Only dropout uses the seed.
    let dropout = |seed| {
        let model = Sequential::new([8, 8]).flatten().dense(9, Activation::Relu).dropout(0.5);
        let mut model = model.dense(4, Activation::Softmax).build(1).unwrap();
        let mut trainer = Trainer::new(Adam::default(), SparseCategoricalCrossentropy::default())
            .shuffle(false)
            .seed(seed)
            .threads(1);
        trainer.fit(&mut model, &data).unwrap();
        model.weights_sha256()
    };
    assert_eq!(dropout(1), dropout(1));
    assert_ne!(dropout(1), dropout(2));
}

/// Ends the training at a step, by the flag or by a panic.
struct Kill<'a> {
    steps_left: u64,
    flag: Option<&'a AtomicBool>,
}

impl Callback for Kill<'_> {
    fn name(&self) -> &'static str {
        "kill"
    }
    fn on_batch_end(&mut self, _: &BatchLog) {
        self.steps_left = self.steps_left.saturating_sub(1);
        if self.steps_left == 0 {
            match self.flag {
                Some(flag) => flag.store(true, Ordering::Relaxed),
                // Like a killed process, a panic saves nothing.
                None => resume_unwind(Box::new("killed")),
            }
        }
    }
}

/// A run, which may be killed.
enum Run {
    Done(Box<Model>, History),
    Killed,
}

fn run(data: &Dataset, folder: &Path, stream: &mut Stream, clip: Clip) -> Run {
    let (threads, every) = (1 + stream.below(3) as usize, 1 + stream.below(9));
    let checkpoints = Checkpoints::new(folder).resume(true).every(format!("{every}steps").parse().unwrap());
    let flag = AtomicBool::new(false);
    let asked = stream.below(2) == 0;
    let kill = Kill { steps_left: 1 + stream.below(30), flag: asked.then_some(&flag) };
    let mut model = network();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        trainer(threads, clip).checkpoints(checkpoints).stop_when(&flag).callback(kill).fit(&mut model, data)
    }));
    match outcome {
        Ok(Ok(history)) => Run::Done(Box::new(model), history),
        Ok(Err(TrainError::Interrupted { checkpoint: Some(_), .. })) => {
            assert!(asked);
            Run::Killed
        }
        Ok(Err(error)) => panic!("{error}"),
        Err(payload) => {
            assert_eq!(payload.downcast_ref(), Some(&"killed"));
            Run::Killed
        }
    }
}

#[test]
fn a_training_killed_at_any_step_ends_with_the_same_bytes() {
    let (_folder, data) = images();
    for (number, clip) in CLIPS.into_iter().cycle().take(9).enumerate() {
        let mut whole = network();
        let history = without_seconds(trainer(1, clip).fit(&mut whole, &data).unwrap());
        let mut stream = Stream::new(17, Purpose::Other(1), number as u64);
        let folder = tempfile::tempdir().unwrap();
        let mut killed = 0;
        let (model, resumed) = loop {
            match run(&data, folder.path(), &mut stream, clip) {
                Run::Done(model, history) => break (model, history),
                Run::Killed => killed += 1,
            }
            assert!(killed < 1000, "it never ends");
        };
        assert!(killed > 0, "run {number} was never killed");
        assert_eq!(without_seconds(resumed), history, "run {number}, killed {killed} times");
        assert_eq!(model.to_safetensors(), whole.to_safetensors(), "run {number}, killed {killed} times");
    }
}
