//! The files of an augmented set.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

use std::error::Error;
use std::path::Path;

use ndarray::{Array1, Array3};
use ziffer_dataset::augment::{AugmentError, Augmentation};
use ziffer_dataset::idx::write_idx;
use ziffer_dataset::{Digest, Name, Source, TrainTest};

const IMAGES: &str = "train-images-idx3-ubyte";
const FILES: [&str; 4] =
    [IMAGES, "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// Twenty images of 9 rows and 11 columns, each with a bar at another position.
fn set(folder: &Path, classes: i32) -> TrainTest {
    let bar = |n: usize, row: usize, column: usize| {
        if (2..7).contains(&row) && column.abs_diff(1 + n % 8) < 2 { 255_u8 } else { 0 }
    };
    let pictures = |count| Array3::from_shape_fn((count, 9, 11), |(n, row, column)| bar(n, row, column));
    let label = |n: usize| (n * 7) as i32 % classes;
    for (part, count) in [("train", 20), ("t10k", 6)] {
        write_idx(folder.join(format!("{part}-images-idx3-ubyte")), &pictures(count)).unwrap();
        let path = folder.join(format!("{part}-labels-idx1-ubyte"));
        write_idx(path, &Array1::from_shape_fn(count, label)).unwrap();
    }
    open(folder)
}

fn open(folder: &Path) -> TrainTest {
    TrainTest::open(&Source::new(Name::Custom).data_dir(folder)).unwrap()
}

fn write(augmentation: Augmentation, data: &TrainTest) -> (tempfile::TempDir, TrainTest) {
    let folder = tempfile::tempdir().unwrap();
    augmentation.write(data, folder.path(), &mut |_, _| true).unwrap();
    let written = open(folder.path());
    (folder, written)
}

#[test]
fn a_split_separates_copies_of_different_images() {
    let folder = tempfile::tempdir().unwrap();
    let data = set(folder.path(), 10);
    let (_folder, written) = write(Augmentation { validation_split: 0.25, ..Augmentation::new(3) }, &data);
    let train = &written.train;
    assert_eq!((train.len(), train.image_shape(), written.test.len()), (60, &[9, 11][..], 6));
    // 15 images three times, then 5 images three times.
    let source = |n: usize| if n < 45 { n % 15 } else { 15 + (n - 45) % 5 };
    for n in 0..60 {
        assert_eq!(train.label(n), data.train.label(source(n)), "{n}");
        let is_original = n < 15 || (45..50).contains(&n);
        assert_eq!(train.image(n) == data.train.image(source(n)), is_original, "{n}");
    }
    let (training, validation) = train.split(0.25).unwrap();
    assert_eq!((training.len(), validation.image(0)), (45, data.train.image(15)));
    assert_ne!(train.image(15), train.image(30), "each copy is changed by its own");
    assert_eq!(written.test.pixels(), data.test.pixels());
    assert!(written.test.labels().eq(data.test.labels()));
}

#[test]
fn the_seed_determines_the_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let data = set(folder.path(), 10);
    let write = |seed, times, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            write(Augmentation { seed, validation_split: 0.0, ..Augmentation::new(times) }, &data)
        })
    };
    let (first, written) = write(4, 5, 1);
    let (second, _) = write(4, 5, 3);
    for file in FILES {
        let read = |folder: &tempfile::TempDir| std::fs::read(folder.path().join(file)).unwrap();
        assert_eq!(read(&first), read(&second), "{file}");
    }
    let pixels = written.train.pixels();
    assert_ne!(write(5, 5, 1).1.train.pixels(), pixels);
    // More copies extend the same sequence.
    assert_eq!(&write(4, 7, 2).1.train.pixels()[..pixels.len()], pixels);
    // Recorded, since a seed identifies a set.
    let digest = Digest::of(pixels).to_string();
    assert_eq!(digest, "f6e9dbb7ee00636624299ee3694d5290ccc2a6d488ee6bc9e1ff36f7f60be36c");
}

#[test]
fn labels_of_more_than_256_classes() {
    let folder = tempfile::tempdir().unwrap();
    let data = set(folder.path(), 1000);
    let (_folder, written) = write(Augmentation::new(2), &data);
    assert_eq!(written.train.classes(), data.train.classes());
    assert!(written.train.labels().take(18).eq(data.train.labels().take(18)));
}

#[test]
fn an_interrupted_write_leaves_no_files() {
    let source = tempfile::tempdir().unwrap();
    let data = set(source.path(), 10);
    let folder = tempfile::tempdir().unwrap();
    let mut calls = Vec::new();
    let outcome = Augmentation::new(5).write(&data, folder.path(), &mut |done, all| {
        calls.push((done, all));
        calls.len() < 4
    });
    assert!(matches!(outcome, Err(AugmentError::Interrupted { done: 54, all: 100 })), "{outcome:?}");
    assert_eq!(calls, [(0, 100), (18, 100), (36, 100), (54, 100)]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn invalid_settings_and_sets() {
    let source = tempfile::tempdir().unwrap();
    let data = set(source.path(), 10);
    let folder = tempfile::tempdir().unwrap();
    // `Debug` prints the causes.
    let refusal = |augmentation: Augmentation, folder: &Path| {
        let error = augmentation.write(&data, folder, &mut |_, _| true).unwrap_err();
        let causes = std::iter::successors(Some(&error as &dyn Error), |&error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    };
    assert_eq!(refusal(Augmentation::new(0), folder.path()), "times is 0, expected at least 1");
    let split = Augmentation { validation_split: f64::NAN, ..Augmentation::new(2) };
    assert!(refusal(split, folder.path()).starts_with("validation_split is NaN"));
    let many = refusal(Augmentation::new(1 << 40), folder.path());
    assert!(many.contains("impossible sizes"), "{many}");
    let absent = folder.path().join("absent");
    let expected = format!(
        "cannot write {}: the folder {} does not exist",
        absent.join(IMAGES).display(),
        absent.display()
    );
    assert_eq!(refusal(Augmentation::new(2), &absent), expected);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
