//! A split of a set: the checks on opening, splits, views and batches.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod support;

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use ndarray::ArrayView2;
use support::{idx, line};
use ziffer_dataset::{Dataset, DatasetError, normalize};

struct Files {
    folder: tempfile::TempDir,
    images: PathBuf,
    labels: PathBuf,
}

impl Files {
    fn new(images: &[u8], labels: &[u8]) -> Files {
        let folder = tempfile::tempdir().unwrap();
        let files =
            Files { images: folder.path().join("images"), labels: folder.path().join("labels"), folder };
        fs::write(&files.images, images).unwrap();
        fs::write(&files.labels, labels).unwrap();
        files
    }

    fn open(&self, classes: Option<usize>) -> Result<Dataset, DatasetError> {
        Dataset::open(&self.images, &self.labels, classes)
    }

    /// The error message, without the folder.
    fn refusal(&self, classes: Option<usize>) -> String {
        let text = line(self.open(classes).unwrap_err());
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

/// `count` images of one row of two pixels: 0 1, 2 3, 4 5, ...
fn pictures(count: u8) -> Vec<u8> {
    idx(0x08, &[u32::from(count), 1, 2], &(0..2 * count).collect::<Vec<u8>>())
}

fn labels(dataset: &Dataset) -> Vec<usize> {
    dataset.labels().collect()
}

fn ten() -> Files {
    Files::new(&pictures(10), &idx(0x08, &[10], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]))
}

#[test]
fn images_that_are_not_square() {
    let dataset = ten().open(None).unwrap();
    assert_eq!((dataset.len(), dataset.features(), dataset.classes()), (10, 2, 10));
    assert_eq!(dataset.image_shape(), [1, 2]);
    assert_eq!(dataset.image(9), [18, 19]);
    assert_eq!(dataset.label(9), 9);
    assert!(!dataset.is_empty());
}

#[test]
fn labels_of_every_kind() {
    // i32 of rank 1.
    let files = Files::new(&pictures(2), &idx(0x0C, &[2], &[0, 0, 0, 3, 0, 0, 1, 0]));
    let dataset = files.open(None).unwrap();
    assert_eq!((labels(&dataset), dataset.classes()), (vec![3, 256], 257));
    // More classes than occur in the labels.
    let files = Files::new(&pictures(2), &idx(0x0C, &[2], &[0, 0, 0, 3, 0, 1, 0, 0]));
    assert_eq!(labels(&files.open(Some(100_000)).unwrap()), [3, 65_536]);
    // i32 of rank 2: column 0 is the class, the others are ignored.
    let rows = [0, 0, 0, 5, 255, 255, 255, 255, 0, 0, 0, 4, 0, 0, 9, 9];
    let files = Files::new(&pictures(2), &idx(0x0C, &[2, 2], &rows));
    assert_eq!(labels(&files.open(Some(10)).unwrap()), [5, 4]);
    // 255 is a class if 254 is one; otherwise it stands for no label.
    let files = Files::new(&pictures(2), &idx(0x08, &[2], &[254, 255]));
    assert_eq!(files.open(None).unwrap().classes(), 256);
    let files = Files::new(&pictures(2), &idx(0x08, &[2], &[2, 255]));
    assert_eq!(
        files.refusal(None),
        "labels: label 255 at index 1 is out of range, expected at least 0 and below 3"
    );
    assert_eq!(files.open(Some(256)).unwrap().classes(), 256);
}

#[test]
fn labels_out_of_range() {
    let files = Files::new(&pictures(3), &idx(0x08, &[3], &[9, 255, 10]));
    assert!(matches!(
        files.open(Some(10)),
        Err(DatasetError::LabelOutOfRange { index: 1, value: 255, classes: 10, .. })
    ));
    assert_eq!(
        files.refusal(Some(10)),
        "labels: label 255 at index 1 is out of range, expected at least 0 and below 10"
    );
    assert!(files.refusal(Some(0)).contains("label 9 at index 0"));
    // Negative, and larger than any class index.
    let files = Files::new(&pictures(1), &idx(0x0C, &[1], &[0xFF, 0xFF, 0xFF, 0xFF]));
    assert!(files.refusal(None).starts_with("labels: label -1 at index 0 is out of range"));
    let files = Files::new(&pictures(1), &idx(0x0C, &[1], &[0, 1, 0, 0]));
    assert!(matches!(
        files.open(None),
        Err(DatasetError::LabelOutOfRange { value: 65_536, classes: 65_536, .. })
    ));
}

#[test]
fn files_with_different_counts() {
    let files = Files::new(&pictures(3), &idx(0x08, &[2], &[0, 1]));
    assert!(matches!(files.open(None), Err(DatasetError::CountMismatch { images: 3, labels: 2, .. })));
    assert_eq!(files.refusal(None), "images has 3 images but labels has 2 labels, expected equal counts");
}

#[test]
fn files_of_the_wrong_kind() {
    // Images of another type, of rank 1, without samples, without pixels.
    let labels = idx(0x08, &[2], &[0, 1]);
    let refusal = |images: &[u8], labels: &[u8]| Files::new(images, labels).refusal(None);
    assert_eq!(refusal(&idx(0x09, &[2, 1], &[0, 1]), &labels), "images: found i8 values, expected u8");
    assert!(refusal(&labels, &labels).starts_with("images: found shape [2], expected images: "));
    assert!(refusal(&idx(0x08, &[], &[1]), &labels).starts_with("images: found shape [], expected images"));
    assert_eq!(
        refusal(&idx(0x08, &[0, 1, 2], &[]), &idx(0x08, &[0], &[])),
        "images: found no samples, expected at least one"
    );
    assert_eq!(
        refusal(&idx(0x08, &[2, 0, 3], &[]), &labels),
        "images: found images of shape [0, 3], expected at least one pixel"
    );
    // Labels of another type, of rank 2 as bytes, of rank 2 without columns, and the two files swapped.
    for bad in [idx(0x0D, &[2], &[0; 8]), pictures(2), idx(0x0C, &[2, 0], &[]), idx(0x08, &[], &[1])] {
        let files = Files::new(&pictures(2), &bad);
        assert!(matches!(files.open(None), Err(DatasetError::NotLabels { .. })));
        assert!(files.refusal(None).starts_with("labels: found "), "{}", files.refusal(None));
    }
    // An error of the file itself keeps its message and its source, once.
    let files = Files::new(&pictures(1)[..5], &labels);
    let error = files.open(None).unwrap_err();
    assert!(matches!(error, DatasetError::Idx(_)) && error.source().is_none());
    let files = Files { images: files.folder.path().join("absent"), ..files };
    assert_eq!(files.refusal(None), "cannot open absent: No such file or directory (os error 2)");
    assert_eq!(
        files.open(None).unwrap_err().source().unwrap().to_string(),
        "No such file or directory (os error 2)"
    );
}

/// Values from Python: `int(math.floor(n * (1.0 - split)))`, as in `array_slicing.py`.
#[test]
fn splits_are_those_of_keras() {
    let files = ten();
    let dataset = files.open(None).unwrap();
    for (split, training) in [(0.0, 10), (0.1, 9), (0.15, 8), (0.3, 7), (0.5, 5), (0.89, 1), (0.9, 0)] {
        let outcome = dataset.split(split);
        if training == 0 {
            // 10 * (1 - 0.9) is 0.99... in binary, so Keras refuses it too.
            assert!(matches!(outcome, Err(DatasetError::SplitLeavesNothing { side: "training", .. })));
            continue;
        }
        let (train, validation) = outcome.unwrap();
        assert_eq!((train.len(), validation.len()), (training, 10 - training), "{split}");
        assert_eq!(train.label(0), 0);
        assert_eq!(train.pixels().as_ptr(), dataset.pixels().as_ptr(), "not a copy");
        if split > 0.0 {
            assert_eq!((validation.label(0), validation.image(0)[0]), (training, 2 * training as u8));
        }
    }
}

#[test]
fn splits_out_of_range() {
    let dataset = ten().open(None).unwrap();
    for value in [-0.1, 1.0, 1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = dataset.split(value).unwrap_err();
        assert!(matches!(error, DatasetError::SplitOutOfRange { .. }));
        assert_eq!(
            line(error),
            format!("validation split {value} is out of range, expected at least 0 and below 1")
        );
    }
    assert!(dataset.split(-0.0).unwrap().1.is_empty());
    assert_eq!(
        line(dataset.split(0.95).unwrap_err()),
        "validation split 0.95 of 10 samples leaves none for training, choose a smaller one"
    );
    // So small that 1 - split rounds to 1.
    assert_eq!(
        line(dataset.split(1e-17).unwrap_err()),
        "validation split 0.00000000000000001 of 10 samples leaves none for validation, choose a larger one"
    );
}

#[test]
fn batches_are_in_order_and_the_last_is_partial() {
    let dataset = ten().open(None).unwrap();
    let view = dataset.view().slice(1..9);
    let batches: Vec<_> = view.batches(3).collect();
    assert_eq!(view.batches(3).len(), 3);
    assert_eq!(
        batches.iter().map(|batch| batch.labels.as_slice()).collect::<Vec<_>>(),
        [&[1, 2, 3][..], &[4, 5, 6], &[7, 8]]
    );
    assert_eq!(batches[2].images, ArrayView2::from_shape((2, 2), &[14, 15, 16, 17]).unwrap());
    assert_eq!(batches[1].images.as_ptr(), dataset.image(4).as_ptr(), "not a copy");
    assert_eq!(view.batches(100).map(|batch| batch.len()).collect::<Vec<_>>(), [8]);
    assert_eq!(view.slice(..0).batches(3).count(), 0);
    assert_eq!(view.slice(2..).slice(..=1).labels().collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn gather_fills_the_buffers() {
    let dataset = ten().open(None).unwrap();
    let (mut images, mut labels) = ([0; 8], [0; 4]);
    dataset.view().slice(2..).gather(&[7, 0, 3, 3], &mut images, &mut labels);
    assert_eq!(labels, [9, 2, 5, 5]);
    assert_eq!(images, [18, 19, 4, 5, 10, 11, 10, 11]);
}

#[test]
fn wrong_arguments_panic() {
    let dataset = ten().open(None).unwrap();
    let view = dataset.view().slice(..5);
    let panics =
        |mistake: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(mistake)).is_err();
    // Index 5 is in the set, but not in the view.
    assert!(panics(&|| drop(view.image(5).to_vec())));
    assert!(panics(&|| drop(view.label(5).to_string())));
    assert!(panics(&|| drop(dataset.image(usize::MAX).to_vec())));
    assert!(panics(&|| view.gather(&[5], &mut [0; 2], &mut [0])));
    assert!(panics(&|| view.gather(&[0], &mut [0; 3], &mut [0])));
    assert!(panics(&|| view.gather(&[0], &mut [0; 2], &mut [0; 2])));
    assert!(panics(&|| assert_eq!(view.batches(0).count(), 0)));
    assert!(panics(&|| drop(format!("{:?}", view.slice(4..6)))));
    assert!(panics(&|| normalize(&[0; 2], &mut [0.0])));
}

/// Keras's tutorial divides in f64 and rounds to f32; dividing in f32 gives the same for each of the 256 values.
#[test]
fn normalized_pixels_are_those_of_the_tutorial() {
    let pixels: Vec<u8> = (0..=255).collect();
    let mut out = vec![0.0; 256];
    normalize(&pixels, &mut out);
    for (pixel, value) in pixels.iter().zip(out) {
        assert_eq!(value.to_bits(), ((f64::from(*pixel) / 255.0) as f32).to_bits());
    }
}

/// Changes of the files by another program while they are open: an error, not the end of this process.
mod changed_by_others {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;
    use ziffer_dataset::idx::{IdxError, IdxFile, install_sigbus_handler};

    /// 3,000 images of 1,000 pixels: some 730 pages.
    fn large() -> Files {
        let pixels: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251 + 1) as u8).collect();
        let labels: Vec<u8> = (0..3000_u32).map(|i| (i % 10) as u8).collect();
        Files::new(&idx(0x08, &[3000, 1000], &pixels), &idx(0x08, &[3000], &labels))
    }

    fn cut(path: &PathBuf, len: u64) {
        OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
    }

    #[test]
    fn nothing_happened() {
        let dataset = large().open(None).unwrap();
        dataset.check_unchanged().unwrap();
        dataset.view().slice(100..).will_need(5..2000);
        dataset.view().slice(100..).release(5..2000);
        assert_eq!(
            dataset.image(105)[..3],
            [(105_000 % 251 + 1) as u8, (105_001 % 251 + 1) as u8, (105_002 % 251 + 1) as u8]
        );
        dataset.check_unchanged().unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn cut_short() {
        install_sigbus_handler();
        for len in [0, 12, 4096, 1_000_000, 2_999_000] {
            let files = large();
            let dataset = files.open(None).unwrap();
            let first = dataset.image(0)[0];
            cut(&files.images, len);
            // All threads read everything at once. Bytes behind the new end are zeros.
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let dataset = &dataset;
                    scope.spawn(move || {
                        let at = |i: usize| dataset.image((i * 7 + thread * 700) % 3000)[999];
                        let sum: usize = (0..3000).map(|i| usize::from(at(i))).sum();
                        assert!(sum < 3000 * 255);
                    });
                }
            });
            assert_eq!(dataset.image(2999)[999], 0, "{len}");
            assert_eq!(dataset.image(0)[0], if len <= 12 { 0 } else { first }, "{len}");
            dataset.view().will_need(0..3000);
            dataset.view().release(0..3000);
            let error = dataset.check_unchanged().unwrap_err();
            assert!(
                matches!(error, IdxError::Changed { expected: 3_000_012, found, .. } if found == len),
                "{error}"
            );
            assert!(line(error).contains("images: the file changed while it was mapped"));
            // The file is restored, but other bytes were read.
            fs::write(&files.images, vec![0; 3_000_012]).unwrap();
            assert!(dataset.check_unchanged().is_err());
        }
    }

    /// Labels are read once, when the set is opened, so later truncation does not matter.
    #[test]
    fn labels_cut_short() {
        let files = large();
        let dataset = files.open(None).unwrap();
        cut(&files.labels, 8);
        assert!(labels(&dataset).into_iter().eq((0..3000).map(|index| index % 10)));
        assert!(line(dataset.check_unchanged().unwrap_err()).contains("labels: the file changed"));
    }

    #[test]
    fn labels_overwritten() {
        // Each type of labels in files, and each in memory.
        for (type_code, classes) in
            [(8, None), (8, Some(256)), (12, Some(10)), (12, None), (12, Some(1 << 20))]
        {
            let width = if type_code == 8 { 1 } else { 4 };
            let values = |class: u8| [vec![0; width - 1], vec![class]].concat();
            let before: Vec<u8> = (0..50).flat_map(|index| values(index % 10)).collect();
            let after: Vec<u8> = (0..50).flat_map(|_| values(5)).collect();
            let files = Files::new(&pictures(50), &idx(type_code, &[50], &before));
            let dataset = files.open(classes).unwrap();
            let fingerprint = dataset.view().fingerprint();
            let mut file = OpenOptions::new().write(true).open(&files.labels).unwrap();
            file.write_all(&idx(type_code, &[50], &after)).unwrap();
            assert!(
                labels(&dataset).into_iter().eq((0..50).map(|index| index % 10)),
                "{type_code} {classes:?}"
            );
            assert_eq!(dataset.view().fingerprint(), fingerprint);
            assert!(labels(&files.open(classes).unwrap()).into_iter().eq([5; 50]));
            // Whatever the clock of the file system says.
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
            assert!(dataset.check_unchanged().is_err());
        }
    }

    /// The change comes between the checks of the file and the reading of the labels.
    #[test]
    fn labels_changed_while_the_set_is_opened() {
        install_sigbus_handler();
        let files = large();
        let opened = || (IdxFile::open(&files.images).unwrap(), IdxFile::open(&files.labels).unwrap());
        let refused = |(images, labels)| {
            let error = Dataset::from_files(images, labels, None).unwrap_err();
            assert!(
                matches!(&error, DatasetError::Idx(IdxError::Changed { path, .. }) if *path == files.labels)
            );
            assert!(line(error).contains("labels: the file changed while it was mapped"));
        };
        let files_before = opened();
        let mut file = OpenOptions::new().write(true).open(&files.labels).unwrap();
        file.write_all(&idx(0x08, &[3000], &[1; 3000])).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        refused(files_before);
        if cfg!(target_os = "linux") {
            let files_before = opened();
            cut(&files.labels, 8);
            refused(files_before);
        }
    }

    #[test]
    fn a_file_replaced_by_renaming_is_not_changed() {
        let files = large();
        let dataset = files.open(None).unwrap();
        let beside = files.folder.path().join("beside");
        fs::write(&beside, [0; 10]).unwrap();
        fs::rename(&beside, &files.images).unwrap();
        assert_eq!(dataset.image(2999)[999], (2_999_999 % 251 + 1) as u8);
        dataset.check_unchanged().unwrap();
    }
}
