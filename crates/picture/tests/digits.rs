//! Real digits as PNG files, at three sizes, dark and light, off center and scaled: a model classifies them about as well as MNIST's own
//! images.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are outside of what clippy.toml allows, and the figures are shown"
)]

mod drawing;

use std::path::Path;
use std::sync::LazyLock;

use drawing::{Drawing, png};
use ndarray::{ArrayView1, ArrayView2};
use ziffer_dataset::catalog::Name;
use ziffer_dataset::{Mirror, Source, TrainTest, View};
use ziffer_nn::{Activation, Adam, Model, Sequential, SparseCategoricalCrossentropy};
use ziffer_picture::prepare;
use ziffer_tensor::random::{Purpose, Stream};
use ziffer_tensor::reduce::argmax;
use ziffer_trainer::Trainer;

/// Percentage points of accuracy that a file may cost.
const TOLERANCE: f64 = 1.5;

/// The first test image that is drawn. The preparation was tuned on those before.
const FIRST: usize = 4000;

/// The tutorial's model after two epochs, and the data.
static TRAINED: LazyLock<(Model, TrainTest)> = LazyLock::new(|| {
    let folder = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mirror = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist");
    let source = Source::new(Name::Mnist).data_dir(folder.path()).mirror(Mirror::Folder(mirror));
    // The files stay mapped when the folder is removed.
    let data = TrainTest::open(&source).unwrap();
    let mut model = Sequential::new([28, 28])
        .flatten()
        .dense(128, Activation::Relu)
        .dense(64, Activation::Relu)
        .dense(10, Activation::Softmax)
        .build(0)
        .unwrap();
    Trainer::new(Adam::default(), SparseCategoricalCrossentropy::default())
        .epochs(2)
        .fit(&mut model, &data.train)
        .unwrap();
    (model, data)
});

/// The percentage of correct predictions for images, one per sample of the view.
fn accuracy(images: &[u8], view: View<'_>) -> f64 {
    let rows = ArrayView2::from_shape((view.len(), 28 * 28), images).unwrap();
    let outputs = TRAINED.0.predict(rows);
    let is_correct =
        |(outputs, label): (ArrayView1<'_, f32>, usize)| argmax(outputs.as_slice().unwrap()) == label;
    100.0 * outputs.rows().into_iter().zip(view.labels()).filter(|pair| is_correct(*pair)).count() as f64
        / view.len() as f64
}

/// Compares the accuracy for test images that are drawn on pages of this side with that for MNIST's own images.
fn assert_classified_as_well_as_rows(side: usize, samples: usize) {
    let view = TRAINED.1.test.view().slice(FIRST..FIRST + samples);
    let plain = accuracy(view.pixels(), view);
    for is_dark in [true, false] {
        let mut stream = Stream::new(side as u64, Purpose::Augment, u64::from(is_dark));
        let mut images = Vec::new();
        for sample in 0..samples {
            let drawing = Drawing::random(side, is_dark, &mut stream);
            let file = png(side, side, &drawing.draw(view.image(sample)));
            let prepared = prepare(&file, [28, 28]);
            images.extend(prepared.unwrap_or_else(|error| panic!("sample {sample}, {drawing:?}: {error}")));
        }
        let files = accuracy(&images, view);
        println!("{side} px, dark {is_dark}: {files} %, plain {plain} %");
        assert!(files >= plain - TOLERANCE, "{side} px, dark {is_dark}: {files} %, plain {plain} %");
    }
}

#[test]
fn small_files() {
    assert_classified_as_well_as_rows(28, 1000);
}

#[test]
fn medium_files() {
    assert_classified_as_well_as_rows(200, 1000);
}

#[test]
fn large_files() {
    assert_classified_as_well_as_rows(2000, 70);
}

#[test]
#[ignore = "takes two minutes: cargo test -p ziffer-picture --test digits -- --ignored"]
fn a_thousand_large_files() {
    assert_classified_as_well_as_rows(2000, 1000);
}

#[test]
fn prepared_images_stay_as_they_are() {
    let view = TRAINED.1.test.view();
    let mut images = Vec::new();
    let mut same = 0;
    for sample in 0..view.len() {
        let prepared = prepare(&png(28, 28, view.image(sample)), [28, 28]).unwrap();
        let off =
            prepared.iter().zip(view.image(sample)).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>();
        // Less than one level per pixel.
        same += usize::from(off < 28 * 28);
        images.extend(prepared);
    }
    let (plain, files) = (accuracy(view.pixels(), view), accuracy(&images, view));
    assert!((files - plain).abs() < 0.2 && same > 9000, "{files} %, plain {plain} %, {same} as they were");
}
