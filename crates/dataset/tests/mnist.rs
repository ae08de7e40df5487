//! MNIST, from the project's own copy. Expected values were published, or counted with other programs.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod support;

use std::fs;

use support::{NAMES, listing, mnist_folder, mnist_mirror};
use ziffer_dataset::idx::IdxFile;
use ziffer_dataset::{DatasetError, Digest, FashionMnist, Mirror, Mnist, Name, Source, TrainTest};

fn source() -> Source {
    Source::default().data_dir(mnist_folder()).mirror(Mirror::Folder(mnist_mirror())).offline(true)
}

fn mnist() -> TrainTest {
    Mnist::open(&source()).unwrap()
}

/// From the documentation of the data set.
#[test]
fn counts_and_first_labels() {
    let data = mnist();
    assert_eq!((data.train.len(), data.test.len()), (60_000, 10_000));
    assert_eq!((data.train.image_shape(), data.train.features()), (&[28, 28][..], 784));
    assert_eq!((data.train.classes(), data.test.classes()), (10, 10));
    assert_eq!(data.train.labels().take(5).collect::<Vec<_>>(), [5, 0, 4, 1, 9]);
    assert_eq!(data.test.labels().take(10).collect::<Vec<_>>(), [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    let (train, validation) = data.train.split(0.1).unwrap();
    assert_eq!((train.len(), validation.len()), (54_000, 6_000));
    assert_eq!((train.batches(32).len(), validation.batches(32).len()), (1688, 188));
    assert_eq!(data.test.view().batches(32).len(), 313);
}

/// The class counts of the training set.
#[test]
fn class_counts() {
    let mut counts = [0; 10];
    mnist().train.labels().for_each(|label| counts[label] += 1);
    assert_eq!(counts, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
}

/// The constants of every `Normalize((0.1307,), (0.3081,))`, and the share of white pixels.
#[test]
fn pixel_statistics() {
    let data = mnist();
    let pixels = data.train.pixels();
    let count = pixels.len() as f64;
    let zeros = pixels.iter().filter(|pixel| **pixel == 0).count() as f64;
    let sum: u64 = pixels.iter().map(|pixel| u64::from(*pixel)).sum();
    let squares: u64 = pixels.iter().map(|pixel| u64::from(*pixel).pow(2)).sum();
    let mean = sum as f64 / count;
    let deviation = (squares as f64 / count - mean * mean).sqrt();
    assert!((zeros / count - 0.809).abs() < 0.0005, "{}", zeros / count);
    assert!((mean / 255.0 - 0.1307).abs() < 0.00005, "{}", mean / 255.0);
    assert!((deviation / 255.0 - 0.3081).abs() < 0.00005, "{}", deviation / 255.0);
}

/// Into an empty folder: raw files under their final names, the published digests, and no second hashing.
#[test]
fn unpacked_from_the_mirror() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("created/with/parents");
    let source = source().data_dir(&folder);
    let data = Mnist::open(&source).unwrap();
    assert_eq!(data.folder(), folder);
    let mut names = NAMES.map(String::from).to_vec();
    names.sort();
    assert_eq!(listing(&folder), names, "no archive, nothing unfinished");
    let digests = NAMES.map(|name| Digest::of(&fs::read(folder.join(name)).unwrap()).to_string());
    assert_eq!(
        digests,
        [
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ]
    );
    drop(data);

    // Without mirrors. Then a single label changes: the change is noticed, and the file, which somebody placed there, stays.
    let alone = Source { mirrors: Vec::new(), ..source.clone() };
    Mnist::open(&alone).unwrap();
    let labels = folder.join(NAMES[3]);
    let mut bytes = fs::read(&labels).unwrap();
    bytes[8] = 3;
    fs::write(&labels, &bytes).unwrap();
    for source in [&alone, &source] {
        let error = Mnist::open(source).unwrap_err();
        assert!(matches!(error, DatasetError::WrongDigest { .. }));
        assert_eq!(
            support::line(error),
            format!(
                "{}: found sha256 {}, expected ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2 \
                 for MNIST; delete it or place the original",
                labels.display(),
                Digest::of(&bytes)
            )
        );
        assert_eq!(fs::read(&labels).unwrap(), bytes);
    }
    // `force` replaces it, from a mirror only.
    let error = Mnist::open(&alone.force(true)).unwrap_err();
    assert!(matches!(&error, DatasetError::Missing { files, .. } if files[..] == NAMES), "{error}");
    assert_eq!(Mnist::open(&source.force(true)).unwrap().test.label(0), 7);
    assert_eq!(listing(&folder), names);
}

/// A mapped file keeps its content when another process downloads the set again.
#[test]
fn replaced_under_an_open_set() {
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        fs::copy(mnist_mirror().join(format!("{name}.gz")), folder.path().join(format!("{name}.gz")))
            .unwrap();
    }
    let source = source().data_dir(folder.path());
    let first = Mnist::open(&source).unwrap();
    assert_eq!(listing(folder.path()).len(), 8, "the archives stay, and the raw files lie beside them");
    let second = Mnist::open(&source.force(true)).unwrap();
    assert_eq!(first.test.image(0), second.test.image(0));
}

#[test]
fn files_of_another_set_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("fashion");
    // The repository's folder also has unpacked files if a training has read it.
    let mirror = folder.path().join("mnist");
    fs::create_dir(&mirror).unwrap();
    for name in NAMES.map(|name| format!("{name}.gz")) {
        fs::copy(mnist_mirror().join(&name), mirror.join(&name)).unwrap();
    }
    // Without the folder that a system package may have installed.
    let source =
        Source::new(Name::FashionMnist).mirror(Mirror::Folder(mirror)).public_mirrors(false).offline(true);
    let error = FashionMnist::open(&source.data_dir(&target)).unwrap_err();
    let text = support::line(&error);
    assert!(matches!(&error, DatasetError::Missing { files, .. } if files[..] == NAMES));
    assert!(text.contains("train-images-idx3-ubyte.gz: found sha256 ba891046e650"), "{text}");
    assert!(text.contains("expected c59f468a2f672dc8"), "{text}");
    assert!(!target.exists(), "nothing is left of it");
}

#[test]
fn the_raw_file_is_plain_idx() {
    mnist();
    let file = IdxFile::open(mnist_folder().join(NAMES[0])).unwrap();
    assert_eq!(file.as_u8().unwrap().shape(), [60_000, 28, 28]);
    assert!(file.as_i32().is_err());
}
