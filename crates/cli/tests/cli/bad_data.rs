//! Invalid data files: each is refused by name, with what was found and what was expected.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::idx::{
    F32, IdxSet, NAMES, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, U8, gz, idx, images, labels,
    mnist, three_classes,
};
use crate::sandbox::{Sandbox, TRAIN_TINY, end, skip, summary};

/// Trains on `set`, which must be refused in one line that contains the file's path and `words`.
#[track_caller]
fn refused(set: &IdxSet, file: usize, words: &[&str]) {
    let sandbox = Sandbox::new();
    set.write(&sandbox.path("set"));
    let path = format!("set/{}", NAMES[file]);
    let outcome = sandbox.refuse(TRAIN_TINY, &[&path]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    outcome.refused(words);
    assert!(!sandbox.path("run/model.safetensors").exists());
    assert!(!sandbox.path("run/summary.json").exists());
}

#[test]
fn empty_and_truncated_files() {
    let good = IdxSet::tiny();
    for file in [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS] {
        let whole = &good.files[file];
        refused(&good.clone().with(file, Vec::new()), file, &["empty"]);
        for length in [1, 3, 4, 7] {
            refused(&good.clone().with(file, whole[..length].to_vec()), file, &[&length.to_string()]);
        }
        let short = whole.len() - 1;
        let words = [short.to_string(), whole.len().to_string()];
        refused(&good.clone().with(file, whole[..short].to_vec()), file, &[&words[0], &words[1]]);
    }
}

#[test]
fn over_long_files() {
    let good = IdxSet::tiny();
    for file in [TRAIN_IMAGES, TEST_LABELS] {
        let mut long = good.files[file].clone();
        let expected = long.len().to_string();
        long.push(0);
        let found = long.len().to_string();
        refused(&good.clone().with(file, long), file, &[&found, &expected]);
    }
}

#[test]
fn a_wrong_magic() {
    let good = IdxSet::tiny();
    let mut magic = good.files[TRAIN_IMAGES].clone();
    magic[0] = 1;
    refused(&good.clone().with(TRAIN_IMAGES, magic), TRAIN_IMAGES, &[]);
    let page = b"<!DOCTYPE html><html><head><title>404 Not Found</title></head></html>".to_vec();
    refused(&good.clone().with(TRAIN_LABELS, page), TRAIN_LABELS, &[]);
    let mut unknown_type = good.files[TEST_IMAGES].clone();
    unknown_type[2] = 0x42;
    refused(&good.clone().with(TEST_IMAGES, unknown_type), TEST_IMAGES, &["42"]);
    // Images instead of labels, and labels instead of images.
    refused(&good.clone().with(TRAIN_LABELS, good.files[TRAIN_IMAGES].clone()), TRAIN_LABELS, &[]);
    refused(&good.clone().with(TEST_IMAGES, good.files[TEST_LABELS].clone()), TEST_IMAGES, &[]);
}

#[test]
fn a_wrong_type() {
    let floats = idx(F32, &[60, 5, 4], &[0; 60 * 20 * 4]);
    refused(&IdxSet::tiny().with(TRAIN_IMAGES, floats), TRAIN_IMAGES, &["f32", "u8"]);
    let floats = idx(F32, &[20], &[0; 20 * 4]);
    refused(&IdxSet::tiny().with(TEST_LABELS, floats), TEST_LABELS, &["f32", "u8"]);
}

#[test]
fn sizes_that_overflow_or_exceed_the_file() {
    let huge = u32::MAX;
    for sizes in [[huge, huge, huge], [huge, 5, 4], [1 << 16, 1 << 24, 1 << 24], [60, huge, huge]] {
        refused(&IdxSet::tiny().with(TRAIN_IMAGES, idx(U8, &sizes, &[0; 1200])), TRAIN_IMAGES, &[]);
    }
    refused(&IdxSet::tiny().with(TEST_LABELS, idx(U8, &[huge], &[0; 20])), TEST_LABELS, &[]);
    // A header with 255 axes and no sizes.
    refused(&IdxSet::tiny().with(TRAIN_IMAGES, vec![0, 0, U8, 255]), TRAIN_IMAGES, &[]);
}

#[test]
fn no_samples_and_no_pixels() {
    let none = IdxSet::of(&[], &three_classes(20));
    refused(&none, TRAIN_IMAGES, &[]);
    let none = IdxSet::of(&three_classes(60), &[]);
    refused(&none, TEST_IMAGES, &[]);
    let flat = IdxSet::tiny()
        .with(TRAIN_IMAGES, images(&three_classes(60), 0, 4))
        .with(TEST_IMAGES, images(&three_classes(20), 0, 4));
    refused(&flat, TRAIN_IMAGES, &[]);
}

#[test]
fn counts_that_differ() {
    let fewer = IdxSet::tiny().with(TRAIN_LABELS, labels(&three_classes(59)));
    refused(&fewer, TRAIN_LABELS, &[NAMES[TRAIN_IMAGES], "60", "59"]);
    let more = IdxSet::tiny().with(TEST_LABELS, labels(&three_classes(21)));
    refused(&more, TEST_LABELS, &[NAMES[TEST_IMAGES], "20", "21"]);
}

#[test]
fn training_and_test_images_of_different_shapes() {
    let turned = IdxSet::tiny().with(TEST_IMAGES, images(&three_classes(20), 4, 5));
    refused(&turned, TEST_IMAGES, &[NAMES[TRAIN_IMAGES], "[5, 4]", "[4, 5]"]);
}

/// The tiny data set with the label 255, which marks a missing label, in `file`.
fn with_label_255(file: usize) -> IdxSet {
    let mut set = IdxSet::tiny();
    set.files[file][8 + 4] = 255;
    set
}

#[test]
fn label_255_in_a_training_set_of_three_classes() {
    refused(&with_label_255(TRAIN_LABELS), TRAIN_LABELS, &["255"]);
}

#[test]
fn label_255_in_a_test_set_of_three_classes() {
    refused(&with_label_255(TEST_LABELS), TEST_LABELS, &["255"]);
}

#[test]
fn label_255_for_a_model_of_three_classes() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(TRAIN_TINY);
    with_label_255(TEST_LABELS).write(&sandbox.path("broken"));
    let outcome = sandbox.refuse("evaluate run --dataset custom --data-dir broken", &["broken"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
}

#[test]
fn two_hundred_and_fifty_six_classes_are_accepted() {
    let every: Vec<u8> = (0..=255).collect();
    let sandbox = Sandbox::new();
    IdxSet::of(&every, &every).write(&sandbox.path("set"));
    sandbox.succeed(&format!("{TRAIN_TINY} --validation-split 0"));
    assert_eq!(summary(&sandbox.path("run"))["parameters"], 20 * 6 + 6 + 6 * 256 + 256);
}

#[test]
fn labels_may_start_at_one() {
    // As in EMNIST Letters.
    let from_one = |samples| three_classes(samples).iter().map(|label| label + 1).collect::<Vec<_>>();
    let sandbox = Sandbox::new();
    IdxSet::of(&from_one(60), &from_one(20)).write(&sandbox.path("set"));
    sandbox.succeed(TRAIN_TINY);
    assert_eq!(summary(&sandbox.path("run"))["parameters"], 20 * 6 + 6 + 6 * 4 + 4);
}

#[test]
fn folders_without_the_files() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.refuse(TRAIN_TINY, &["set", NAMES[0], NAMES[1], NAMES[2], NAMES[3]]);
    assert_eq!(outcome.code, Some(1), "a folder that is not there: {outcome:?}");
    assert!(!sandbox.path("set").exists(), "a folder was made for files that nobody has");
    fs::create_dir(sandbox.path("set")).unwrap();
    let outcome = sandbox.refuse(TRAIN_TINY, &["set", NAMES[0], NAMES[1], NAMES[2], NAMES[3]]);
    assert_eq!(outcome.code, Some(1), "an empty folder: {outcome:?}");

    IdxSet::tiny().write(&sandbox.path("set"));
    fs::remove_file(sandbox.path("set").join(NAMES[2])).unwrap();
    let outcome = sandbox.refuse(TRAIN_TINY, &["set", NAMES[2]]);
    assert!(!outcome.stderr.contains(NAMES[0]), "only what is missing: {outcome:?}");

    fs::write(sandbox.path("file"), "no folder").unwrap();
    sandbox.refuse("train --dataset custom --data-dir file --out run", &["file"]);
}

#[test]
fn a_custom_data_set_without_a_folder() {
    let sandbox = Sandbox::new();
    sandbox.refuse("train --dataset custom --out run", &["custom", "--data-dir"]);
}

#[test]
fn a_folder_instead_of_a_file() {
    let sandbox = Sandbox::with_tiny_set();
    let file = sandbox.path("set").join(NAMES[TRAIN_LABELS]);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    sandbox.refuse(TRAIN_TINY, &[NAMES[TRAIN_LABELS]]);
}

#[cfg(unix)]
#[test]
fn an_unreadable_file() {
    let sandbox = match Sandbox::of_ordinary_user() {
        Ok(sandbox) => sandbox,
        Err(reason) => return skip("an unreadable file", &reason),
    };
    IdxSet::tiny().write(&sandbox.path("set"));
    let file = format!("set/{}", NAMES[TRAIN_LABELS]);
    sandbox.set_mode(&file, 0o000);
    let outcome = sandbox.refuse(TRAIN_TINY, &[&file, "ermission"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(!sandbox.path("run/model.safetensors").exists());
    sandbox.set_mode(&file, 0o644);
    sandbox.succeed(TRAIN_TINY);
}

#[test]
fn gz_files_give_the_same_model_as_raw_files() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(TRAIN_TINY);
    IdxSet::tiny().write_gz(&sandbox.path("packed"));
    sandbox.succeed(&TRAIN_TINY.replace("set --out run", "packed --out from-gz"));
    assert_eq!(
        fs::read(sandbox.path("run/model.safetensors")).unwrap(),
        fs::read(sandbox.path("from-gz/model.safetensors")).unwrap()
    );
    for (name, bytes) in NAMES.iter().zip(IdxSet::tiny().files) {
        assert_eq!(fs::read(sandbox.path("packed").join(name)).unwrap(), bytes, "unpacked beside: {name}");
    }
    assert_eq!(fs::read_dir(sandbox.path("packed")).unwrap().count(), 8, "and nothing else");
}

/// Trains on a data set of .gz files, one of which is `bytes`. It must be refused and not be unpacked.
#[track_caller]
fn gz_refused(file: usize, bytes: &[u8], words: &[&str]) -> String {
    let sandbox = Sandbox::new();
    IdxSet::tiny().write_gz(&sandbox.path("set"));
    let path = format!("set/{}", NAMES[file]);
    fs::write(sandbox.path(&format!("{path}.gz")), bytes).unwrap();
    let outcome = sandbox.refuse(TRAIN_TINY, &[&path]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    outcome.refused(words);
    assert!(!sandbox.path("run/model.safetensors").exists());
    outcome.stderr
}

#[test]
fn gz_files_cut_short() {
    for file in [TRAIN_IMAGES, TEST_LABELS] {
        let whole = gz(&IdxSet::tiny().files[file]);
        for length in [0, 1, 9, 10, 20, whole.len() / 2, whole.len() - 8, whole.len() - 1] {
            gz_refused(file, &whole[..length], &[".gz"]);
        }
    }
}

#[test]
fn gz_files_with_trailing_garbage() {
    for garbage in [&b"x"[..], b"garbage\n", b"this is more than the header of another member", &[0; 512]] {
        let mut bytes = gz(&IdxSet::tiny().files[TRAIN_LABELS]);
        bytes.extend_from_slice(garbage);
        let line = gz_refused(TRAIN_LABELS, &bytes, &[".gz"]);
        assert!(!line.contains("cut short"), "nothing is missing, something is too much: {line}");
    }
}

#[test]
fn gz_files_with_other_content() {
    let file = IdxSet::tiny().files[TRAIN_LABELS].clone();
    gz_refused(TRAIN_LABELS, &gz(&file[..file.len() - 1]), &[]);
    gz_refused(TRAIN_LABELS, &gz(b"<html>404 Not Found</html>"), &[]);
    gz_refused(TRAIN_LABELS, b"<html>404 Not Found</html>", &[]);
    let mut flipped = gz(&file);
    let checksum = flipped.len() - 8;
    flipped[checksum] ^= 1;
    gz_refused(TRAIN_LABELS, &flipped, &[".gz"]);
}

#[test]
fn the_members_of_a_gz_file_are_concatenated() {
    // As RFC 1952 defines it, and gzip and Python read it.
    let sandbox = Sandbox::new();
    IdxSet::tiny().write_gz(&sandbox.path("set"));
    let file = &IdxSet::tiny().files[TRAIN_LABELS];
    let bytes = [gz(&file[..30]), gz(&file[30..])].concat();
    fs::write(sandbox.path("set").join(format!("{}.gz", NAMES[TRAIN_LABELS])), bytes).unwrap();
    sandbox.succeed(TRAIN_TINY);
}

/// A folder with links to MNIST, and `bytes` instead of one of its files.
fn mnist_except(folder: &Path, file: usize, bytes: &[u8]) {
    fs::create_dir_all(folder).unwrap();
    for (index, name) in NAMES.iter().enumerate() {
        if index == file {
            fs::write(folder.join(name), bytes).unwrap();
        } else if fs::hard_link(mnist().join(name), folder.join(name)).is_err() {
            fs::copy(mnist().join(name), folder.join(name)).unwrap();
        }
    }
}

#[test]
fn mnist_files_with_other_content_are_refused() {
    let good = fs::read(mnist().join(NAMES[TEST_LABELS])).unwrap();
    let changed = |position: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[position] = value;
        bytes
    };
    let swapped = changed(8, good[8] ^ 1);
    let none = changed(8 + 100, 255);
    for (what, bytes) in [
        ("another label", &swapped[..]),
        ("label 255", &none),
        ("cut short", &good[..good.len() - 1]),
        ("empty", &[]),
        ("a smaller set", &labels(&[1, 2, 3])),
    ] {
        let sandbox = Sandbox::new();
        mnist_except(&sandbox.path("set"), TEST_LABELS, bytes);
        let outcome = sandbox.refuse(
            "train --dataset mnist --data-dir set --out run --epochs 1",
            &[&format!("set/{}", NAMES[TEST_LABELS])],
        );
        assert_eq!(outcome.code, Some(1), "{what}: {outcome:?}");
        let there = fs::read(sandbox.path("set").join(NAMES[TEST_LABELS])).unwrap();
        assert!(there == *bytes, "{what}: a file placed by hand is not touched");
    }
}

#[test]
fn a_change_after_a_successful_check_is_noticed() {
    let sandbox = Sandbox::new();
    let good = fs::read(mnist().join(NAMES[TEST_LABELS])).unwrap();
    mnist_except(&sandbox.path("set"), TEST_LABELS, &good);
    let train = |sandbox: &Sandbox| {
        sandbox
            .run("train --data-dir set --out run --epochs 1 --batch-size 512 --hidden 1 --threads 2 --force")
    };
    train(&sandbox).succeeded();
    let mut changed = good.clone();
    changed[5000] ^= 1;
    fs::write(sandbox.path("set").join(NAMES[TEST_LABELS]), changed).unwrap();
    let before = sandbox.files();
    train(&sandbox).refused(&[&format!("set/{}", NAMES[TEST_LABELS])]);
    assert!(before.keys().eq(sandbox.files().keys()), "no stray files");
}

/// The pages behind the file's new end disappear while the network trains on them.
#[cfg(target_os = "linux")]
#[test]
fn a_file_truncated_while_training_is_an_error() {
    for (file, shuffle) in [(NAMES[0], "full"), (NAMES[0], "blocks"), (NAMES[1], "full")] {
        let sandbox = Sandbox::new();
        let classes = three_classes(30_000);
        IdxSet::of(&classes, &three_classes(30)).write(&sandbox.path("set"));
        let mut command = sandbox.command();
        command.args(TRAIN_TINY.replace("--epochs 2", "--epochs 1000000").split_whitespace());
        command.args(["--shuffle", shuffle, "--checkpoint-every", "1000000epochs"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !sandbox.path("run").exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(100));
        let path = sandbox.path("set").join(file);
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(20).unwrap();
        let mut outcome = end(child);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        outcome.stderr = outcome
            .stderr
            .lines()
            .filter(|line| !line.starts_with("Shuffle: "))
            .map(|line| format!("{line}\n"))
            .collect();
        outcome.refused(&[file, "the file changed while it was mapped", "has 20"]);
        assert!(!sandbox.path("run/model.safetensors").exists());
    }
}
