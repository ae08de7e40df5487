//! Trainings on samples that are read window by window, like files larger than the memory.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::{
    Activation, EpochSeed, Model, Samples, SamplesError, Sequential, Sgd, SparseCategoricalCrossentropy,
    Target,
};
use ziffer_trainer::callback::{BatchLog, Callback};
use ziffer_trainer::{Checkpoints, Shuffle, TrainError, Trainer};

/// A sample has the size of a block, so that a window of 64 MiB has 64 samples.
const FEATURES: usize = 1 << 20;
const WINDOW: usize = 64;

/// Samples that overlap in one buffer, which is nearly all zeros. They record the calls.
struct RecordedSamples {
    buffer: Vec<u8>,
    classes: Vec<usize>,
    /// The samples in memory, by the recorded calls, and the largest number of them.
    in_memory: Mutex<(Vec<bool>, usize)>,
    not_ahead: AtomicUsize,
    rows: AtomicUsize,
    wrong_after: usize,
}

impl RecordedSamples {
    fn new(count: usize, wrong_after: usize) -> Self {
        let mut stream = Stream::new(8, Purpose::Other(0), 0);
        let mut buffer = vec![0; count + FEATURES];
        for _ in 0..2000 {
            let place = stream.below(buffer.len() as u64) as usize;
            buffer[place] = 1 + stream.below(255) as u8;
        }
        Self {
            buffer,
            classes: (0..count).map(|_| stream.below(3) as usize).collect(),
            in_memory: Mutex::new((vec![false; count], 0)),
            not_ahead: AtomicUsize::new(0),
            rows: AtomicUsize::new(0),
            wrong_after,
        }
    }
}

impl Samples<f32> for RecordedSamples {
    type Value = u8;
    fn len(&self) -> usize {
        self.classes.len()
    }
    fn features(&self) -> usize {
        FEATURES
    }
    fn fill(&self, index: usize, _: Option<EpochSeed>, out: &mut [u8]) {
        self.rows.fetch_add(1, Ordering::Relaxed);
        if !self.in_memory.lock().unwrap().0[index] {
            self.not_ahead.fetch_add(1, Ordering::Relaxed);
        }
        out.copy_from_slice(&self.buffer[index..][..FEATURES]);
    }
    fn target(&self, index: usize) -> Target<'_, f32> {
        Target::Class(self.classes[index])
    }
    fn will_need(&self, samples: Range<usize>) {
        let mut in_memory = self.in_memory.lock().unwrap();
        in_memory.0[samples].fill(true);
        let now = in_memory.0.iter().filter(|&&is| is).count();
        in_memory.1 = in_memory.1.max(now);
    }
    fn release(&self, samples: Range<usize>) {
        self.in_memory.lock().unwrap().0[samples].fill(false);
    }
    fn check(&self) -> Result<(), SamplesError> {
        if self.rows.load(Ordering::Relaxed) > self.wrong_after { Err("spoilt".into()) } else { Ok(()) }
    }
}

fn network() -> Model {
    Sequential::new([FEATURES]).dense(3, Activation::Softmax).build(2).unwrap()
}

fn trainer<'a>(shuffle: Shuffle) -> Trainer<'a, Sgd, SparseCategoricalCrossentropy> {
    Trainer::new(Sgd::default(), SparseCategoricalCrossentropy::default())
        .epochs(2)
        .batch_size(8)
        .threads(1)
        .shuffle(shuffle)
}

#[test]
fn windows_are_read_ahead_and_at_most_two_are_in_memory() {
    let samples = RecordedSamples::new(3 * WINDOW + 21, usize::MAX);
    trainer(Shuffle::Blocks).fit(&mut network(), &samples).unwrap();
    assert_eq!(samples.not_ahead.load(Ordering::Relaxed), 0);
    let (left, most) = samples.in_memory.into_inner().unwrap();
    assert!((WINDOW + 1..=2 * WINDOW).contains(&most), "{most}");
    assert!(left.iter().all(|is| !is));
}

#[test]
fn a_single_window_stays_in_memory() {
    for shuffle in [Shuffle::Blocks, Shuffle::Full, Shuffle::None, Shuffle::Auto] {
        let samples = RecordedSamples::new(WINDOW - 5, usize::MAX);
        trainer(shuffle).fit(&mut network(), &samples).unwrap();
        assert_eq!(samples.in_memory.into_inner().unwrap().1, 0, "no call is made");
    }
}

/// Sets a flag at a step of the second epoch.
struct StopAt<'a>(&'a AtomicBool, usize);

impl Callback for StopAt<'_> {
    fn name(&self) -> &'static str {
        "stop"
    }
    fn on_batch_end(&mut self, log: &BatchLog) {
        if log.epoch == 1 && log.step >= self.1 {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn threads_and_interruptions_do_not_change_the_result() {
    let samples = RecordedSamples::new(2 * WINDOW + 21, usize::MAX);
    let mut whole = network();
    let history = trainer(Shuffle::Blocks).fit(&mut whole, &samples).unwrap();
    let mut on_two = network();
    trainer(Shuffle::Blocks).threads(2).fit(&mut on_two, &samples).unwrap();
    assert_eq!(on_two.weights_sha256(), whole.weights_sha256());
    let mut full = network();
    trainer(Shuffle::Full).fit(&mut full, &samples).unwrap();
    assert_ne!(full.weights_sha256(), whole.weights_sha256());
    // In the middle and at the end of a window.
    for step in [3, 7, 10] {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = || Checkpoints::new(folder.path()).resume(true).every("9epochs".parse().unwrap());
        let flag = AtomicBool::new(false);
        let outcome = trainer(Shuffle::Blocks)
            .checkpoints(checkpoints())
            .stop_when(&flag)
            .callback(StopAt(&flag, step))
            .fit(&mut network(), &samples);
        let Err(TrainError::Interrupted { epoch: 2, step: stopped, .. }) = outcome else {
            panic!("{outcome:?}")
        };
        assert!((step + 1..18).contains(&stopped), "{stopped}");
        let mut model = network();
        let resumed = trainer(Shuffle::Blocks).checkpoints(checkpoints()).fit(&mut model, &samples).unwrap();
        assert_eq!(resumed.loss, history.loss);
        assert_eq!(model.weights_sha256(), whole.weights_sha256(), "{step}");
    }
}

#[test]
fn invalid_samples_end_training_before_anything_is_saved() {
    let samples = RecordedSamples::new(40, 44);
    let folder = tempfile::tempdir().unwrap();
    let error = trainer(Shuffle::Auto)
        .checkpoints(Checkpoints::new(folder.path()).every("1step".parse().unwrap()))
        .fit(&mut network(), &samples)
        .unwrap_err();
    assert!(matches!(&error, TrainError::Samples(reason) if reason.to_string() == "spoilt"), "{error}");
    assert_eq!(error.to_string(), "the samples became invalid during training");
    // Each step uses 8 rows.
    let newest = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .max();
    assert_eq!(newest.as_deref(), Some("checkpoint-000005.safetensors"));
}
