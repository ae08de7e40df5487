//! Augmentation during training: the images depend on the seed, the epoch and the sample, on any number of threads and across
//! interruptions, and evaluations are not augmented.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::{Array1, Array3, Array4, ArrayView2};
use ziffer_dataset::augment::{Distorter, Distortion};
use ziffer_dataset::{Dataset, idx::write_idx};
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::{
    Activation, Adam, EpochSeed, Model, Samples, SamplesError, Sequential, SparseCategoricalCrossentropy,
    Target, WithLabels,
};
use ziffer_trainer::callback::{BatchLog, Callback};
use ziffer_trainer::{Augmented, CheckpointError, Checkpoints, Evaluate, TrainError, Trainer};

const SHAPE: [usize; 2] = [9, 11];
const PIXELS: usize = SHAPE[0] * SHAPE[1];
const COUNT: usize = 110;
const SEED: u64 = 5;

/// 110 images of 9 x 11 pixels with a bright bar, whose position is one of three classes, and the folder of their files.
fn images() -> (tempfile::TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
    let mut stream = Stream::new(3, Purpose::Other(0), 0);
    let classes: Vec<u8> = (0..COUNT).map(|_| stream.below(3) as u8).collect();
    let pixels = Array3::from_shape_fn((COUNT, SHAPE[0], SHAPE[1]), |(n, row, _)| {
        if row / 3 == usize::from(classes[n]) { 150 + stream.below(106) as u8 } else { 0 }
    });
    write_idx(&images, &pixels).unwrap();
    write_idx(&labels, &Array1::from(classes)).unwrap();
    let data = Dataset::open(&images, &labels, None).unwrap();
    (folder, data)
}

fn network() -> Model {
    Sequential::new(SHAPE)
        .flatten()
        .dense(37, Activation::Relu)
        .dense(3, Activation::Softmax)
        .build(1)
        .unwrap()
}

/// 88 images are the training set: batches of 7, and a last batch of 4.
fn trainer<'a>() -> Trainer<'a, Adam, SparseCategoricalCrossentropy> {
    Trainer::new(Adam::default(), SparseCategoricalCrossentropy::default())
        .epochs(3)
        .batch_size(7)
        .validation_split(0.2)
        .seed(SEED)
        .threads(1)
}

/// Images [N, pixels], distorted as in an epoch.
fn distorted(images: &[u8], distortion: Distortion, epoch: u64) -> Vec<u8> {
    let mut distorter = Distorter::new(distortion, SHAPE).unwrap();
    let mut all = vec![0; images.len()];
    for (index, (out, picture)) in (0..).zip(all.chunks_exact_mut(PIXELS).zip(images.chunks_exact(PIXELS))) {
        let mut stream = Stream::new(SEED, Purpose::Augment, epoch << 32 | index);
        distorter.distort(&mut stream, picture, out);
    }
    all
}

fn rows(pixels: &[u8]) -> ArrayView2<'_, u8> {
    ArrayView2::from_shape((pixels.len() / PIXELS, PIXELS), pixels).unwrap()
}

#[test]
fn bits_do_not_depend_on_threads() {
    let (_folder, data) = images();
    let run = |threads| {
        let mut model = network();
        let history =
            trainer().augment(Distortion::default()).threads(threads).fit(&mut model, &data).unwrap();
        (model.weights_sha256(), history.loss, history.val_loss)
    };
    let one = run(1);
    for threads in [2, 3, 4, 8] {
        assert_eq!(run(threads), one, "{threads} threads");
    }
}

#[test]
fn an_epoch_equals_one_on_images_distorted_beforehand() {
    let (_folder, data) = images();
    let (train, validation) = data.split(0.2).unwrap();
    let mut model = network();
    let history = trainer().epochs(1).augment(Distortion::default()).fit(&mut model, &data).unwrap();

    let classes = |view: ziffer_dataset::View<'_>| view.labels().collect::<Vec<_>>();
    let (train_classes, validation_classes) = (classes(train), classes(validation));
    let copies = distorted(train.pixels(), Distortion::default(), 0);
    let samples = WithLabels::new(rows(&copies), &train_classes);
    let plain = WithLabels::new(rows(validation.pixels()), &validation_classes);
    let mut expected = network();
    let of_copies = trainer().epochs(1).validation_data(&plain).fit(&mut expected, &samples).unwrap();
    assert_eq!(model.weights_sha256(), expected.weights_sha256());
    assert_eq!((&history.loss, &history.val_loss), (&of_copies.loss, &of_copies.val_loss));

    let mut not_distorted = network();
    trainer().epochs(1).fit(&mut not_distorted, &data).unwrap();
    assert_ne!(model.weights_sha256(), not_distorted.weights_sha256());
}

/// Images that were distorted beforehand for each epoch, and the original images for evaluations.
struct Copies<'a> {
    epochs: Vec<Vec<u8>>,
    plain: &'a [u8],
    classes: &'a [usize],
}

impl Samples<f32> for Copies<'_> {
    type Value = u8;
    fn len(&self) -> usize {
        self.classes.len()
    }
    fn features(&self) -> usize {
        PIXELS
    }
    fn fill(&self, index: usize, draw: Option<EpochSeed>, out: &mut [u8]) {
        let pixels = draw.map_or(self.plain, |draw| &self.epochs[draw.epoch as usize]);
        out.copy_from_slice(&pixels[index * PIXELS..][..PIXELS]);
    }
    fn target(&self, index: usize) -> Target<'_, f32> {
        Target::Class(self.classes[index])
    }
}

#[test]
fn each_epoch_has_other_images() {
    let (_folder, data) = images();
    let classes: Vec<usize> = data.labels().collect();
    let epochs = (0..3).map(|epoch| distorted(data.pixels(), Distortion::default(), epoch));
    let copies = Copies { epochs: epochs.collect(), plain: data.pixels(), classes: &classes };
    assert!(copies.epochs[0] != copies.epochs[1] && copies.epochs[1] != copies.epochs[2]);
    let mut expected = network();
    // The validation set is the end of the same samples.
    let of_copies = trainer().fit(&mut expected, &copies).unwrap();

    let mut model = network();
    let history = trainer().augment(Distortion::default()).fit(&mut model, &data).unwrap();
    assert_eq!(model.weights_sha256(), expected.weights_sha256());
    assert_eq!(history.val_loss, of_copies.val_loss);

    // The same with `Augmented` samples.
    let plain = WithLabels::new(rows(data.pixels()), &classes);
    let augmented = Augmented::new(&plain, SHAPE, Distortion::default()).unwrap();
    let mut model = network();
    trainer().threads(3).fit(&mut model, &augmented).unwrap();
    assert_eq!(model.weights_sha256(), expected.weights_sha256());

    // The images of the first epoch in each epoch give another result.
    let same = Copies { epochs: vec![copies.epochs[0].clone(); 3], ..copies };
    let mut model = network();
    trainer().fit(&mut model, &same).unwrap();
    assert_ne!(model.weights_sha256(), expected.weights_sha256());
}

#[test]
fn the_images_depend_on_the_seed() {
    let (_folder, data) = images();
    let run = |seed| {
        let mut model = network();
        trainer().shuffle(false).seed(seed).augment(Distortion::default()).fit(&mut model, &data).unwrap();
        model.weights_sha256()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn evaluations_do_not_distort_images() {
    let (_folder, data) = images();
    let (_, validation) = data.split(0.2).unwrap();
    let mut model = network();
    let history = trainer().augment(Distortion::default()).fit(&mut model, &data).unwrap();
    let evaluated = model.evaluate(validation).unwrap();
    assert_eq!(history.val_loss[2], evaluated.loss);
    assert_eq!(history.val_accuracy[2], evaluated.accuracy);

    let classes: Vec<usize> = data.labels().collect();
    let plain = WithLabels::new(rows(data.pixels()), &classes);
    let augmented = Augmented::new(&plain, SHAPE, Distortion::default()).unwrap();
    let loss = SparseCategoricalCrossentropy::default();
    assert_eq!(model.evaluate_with(&loss, &augmented), model.evaluate_with(&loss, &plain));
}

/// Sets a flag at a step of the second epoch.
struct StopAt<'a>(&'a AtomicBool, usize);

impl Callback for StopAt<'_> {
    fn name(&self) -> &'static str {
        "stop"
    }
    fn on_batch_end(&mut self, log: &BatchLog) {
        if (log.epoch, log.step) >= (1, self.1) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_resumed_training_equals_an_uninterrupted_one() {
    let (_folder, data) = images();
    let mut whole = network();
    trainer().augment(Distortion::default()).fit(&mut whole, &data).unwrap();
    for (step, threads) in [(0, 1), (4, 2), (12, 3)] {
        let folder = tempfile::tempdir().unwrap();
        let with = |distortion: Distortion| {
            let checkpoints = Checkpoints::new(folder.path()).every("1step".parse().unwrap()).resume(true);
            trainer().augment(distortion).threads(threads).checkpoints(checkpoints)
        };
        let flag = AtomicBool::new(false);
        let outcome = with(Distortion::default())
            .stop_when(&flag)
            .callback(StopAt(&flag, step))
            .fit(&mut network(), &data);
        assert!(matches!(outcome, Err(TrainError::Interrupted { epoch: 2, .. })), "{outcome:?}");

        // Another distortion does not resume.
        match with(Distortion { scale: 0.25, ..Distortion::default() }).fit(&mut network(), &data) {
            Err(TrainError::Checkpoint(CheckpointError::Settings { differences, .. })) => {
                assert_eq!(differences, "augment.scale was 0.12, is 0.25");
            }
            other => panic!("{other:?}"),
        }
        let plain = Checkpoints::new(folder.path()).resume(true);
        match trainer().checkpoints(plain).fit(&mut network(), &data) {
            Err(TrainError::Checkpoint(CheckpointError::Settings { differences, .. })) => {
                assert!(differences.contains("augment.scale was 0.12, is not set"), "{differences}");
            }
            other => panic!("{other:?}"),
        }

        let mut model = network();
        with(Distortion::default()).fit(&mut model, &data).unwrap();
        assert_eq!(model.to_safetensors(), whole.to_safetensors(), "stopped at {step}, {threads} threads");
    }
}

#[test]
fn nested_and_parallel_distortions_do_not_interfere() {
    let (_folder, data) = images();
    let classes = vec![0; COUNT];
    let plain = WithLabels::new(rows(data.pixels()), &classes);
    // More distortions than a thread has workspaces.
    let distortions: Vec<Distortion> =
        (0..6).map(|number| Distortion::default().times(0.5 + 0.1 * number as f32)).collect();
    let augmented: Vec<_> =
        distortions.iter().map(|&distortion| Augmented::new(&plain, SHAPE, distortion).unwrap()).collect();
    let expected: Vec<Vec<u8>> =
        distortions.iter().map(|&distortion| distorted(data.pixels(), distortion, 4)).collect();
    let twice = Augmented::new(&augmented[0], SHAPE, distortions[1]).unwrap();
    let expected_twice = distorted(&expected[0], distortions[1], 4);
    let again = Augmented::new(&augmented[2], SHAPE, distortions[2]).unwrap();
    let expected_again = distorted(&expected[2], distortions[2], 4);

    let draw = Some(EpochSeed { seed: SEED, epoch: 4 });
    let mut out = vec![7; PIXELS];
    for index in 0..COUNT {
        let place = index * PIXELS..(index + 1) * PIXELS;
        for (augmented, expected) in augmented.iter().zip(&expected) {
            augmented.fill(index, draw, &mut out);
            assert_eq!(out, expected[place.clone()], "{index}");
        }
        twice.fill(index, draw, &mut out);
        assert_eq!(out, expected_twice[place.clone()], "{index}");
        again.fill(index, draw, &mut out);
        assert_eq!(out, expected_again[place.clone()], "{index}");
    }

    // The same settings for images of another shape.
    let turned = Augmented::new(&plain, [SHAPE[1], SHAPE[0]], distortions[0]).unwrap();
    turned.fill(0, draw, &mut out);
    let mut distorter = Distorter::new(distortions[0], [SHAPE[1], SHAPE[0]]).unwrap();
    let mut expected = vec![0; PIXELS];
    distorter.distort(&mut Stream::new(SEED, Purpose::Augment, 4 << 32), data.image(0), &mut expected);
    assert_eq!(out, expected);
}

/// Samples that record the calls, and panic for sample 3.
#[derive(Default)]
struct Recorded(Mutex<Vec<String>>);

impl Recorded {
    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

impl Samples<f32> for Recorded {
    type Value = u8;
    fn len(&self) -> usize {
        17
    }
    fn features(&self) -> usize {
        PIXELS
    }
    fn fill(&self, index: usize, draw: Option<EpochSeed>, out: &mut [u8]) {
        assert_ne!(index, 3, "sample 3 is broken");
        self.note(format!("fill {index} {draw:?}"));
        out.fill(index as u8);
    }
    fn target(&self, index: usize) -> Target<'_, f32> {
        Target::Class(100 + index)
    }
    fn prefetch(&self, index: usize) {
        self.note(format!("prefetch {index}"));
    }
    fn will_need(&self, samples: Range<usize>) {
        self.note(format!("will need {samples:?}"));
    }
    fn release(&self, samples: Range<usize>) {
        self.note(format!("release {samples:?}"));
    }
    fn check(&self) -> Result<(), SamplesError> {
        Err("spoilt".into())
    }
}

#[test]
fn all_calls_reach_the_inner_samples() {
    let recorded = Recorded::default();
    let augmented = Augmented::new(&recorded, SHAPE, Distortion::default()).unwrap();
    assert_eq!((augmented.len(), augmented.features(), augmented.is_empty()), (17, PIXELS, false));
    assert!(matches!(augmented.target(5), Target::Class(105)));
    augmented.prefetch(1);
    augmented.will_need(2..9);
    augmented.release(0..2);
    let mut out = [1; PIXELS];
    augmented.fill(6, None, &mut out);
    assert_eq!(out, [6; PIXELS]);
    let draw = Some(EpochSeed { seed: 1, epoch: 2 });
    augmented.fill(7, draw, &mut out);
    assert_eq!(augmented.check().unwrap_err().to_string(), "spoilt");
    let expected = format!("prefetch 1, will need 2..9, release 0..2, fill 6 None, fill 7 {draw:?}");
    assert_eq!(recorded.0.lock().unwrap().join(", "), expected);

    // After a panic of the inner samples, the thread distorts as before.
    let broken = RefCell::new([0; PIXELS]);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        augmented.fill(3, draw, &mut *broken.borrow_mut());
    }));
    assert!(outcome.is_err());
    let mut after = [1; PIXELS];
    augmented.fill(7, draw, &mut after);
    assert_eq!(after, out);
}

#[test]
fn samples_that_cannot_be_distorted_are_rejected() {
    let (_folder, data) = images();
    let classes = vec![0; COUNT];
    let plain = WithLabels::new(rows(data.pixels()), &classes);
    for shape in [[9, 10], [0, 99], [99, 0], [usize::MAX, 11]] {
        let error = Augmented::new(&plain, shape, Distortion::default()).unwrap_err().to_string();
        let [rows, columns] = shape;
        assert_eq!(
            error,
            format!("the samples have 99 numbers, expected images of {rows} x {columns} pixels")
        );
    }
    let broken = Distortion { shear: f32::NAN, ..Distortion::default() };
    let expected = "shear is NaN, expected a number from 0 to 1";
    assert_eq!(Augmented::new(&plain, SHAPE, broken).unwrap_err().to_string(), expected);
    let error = trainer().augment(broken).fit(&mut network(), &data).unwrap_err();
    assert_eq!(error.to_string(), expected);

    let error = trainer().augment(Distortion::default()).fit(&mut network(), &plain);
    assert_eq!(
        error.unwrap_err().to_string(),
        "augment is set, expected none for samples that are not a data set; pass them as `Augmented`"
    );

    let folder = tempfile::tempdir().unwrap();
    let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
    write_idx(&images, &Array4::<u8>::zeros((10, 3, 11, 3))).unwrap();
    write_idx(&labels, &Array1::<u8>::zeros(10)).unwrap();
    let deep = Dataset::open(&images, &labels, None).unwrap();
    let error = trainer().augment(Distortion::default()).fit(&mut network(), &deep).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the data set has images of shape [3, 11, 3], augmentation needs rows and columns"
    );
    trainer().fit(&mut network(), &deep).unwrap();
}
