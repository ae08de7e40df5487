//! Where a set comes from: data folder, gzip files, mirrors, and wrong files in their place.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod support;

use std::fs;
use std::path::Path;

use support::{NAMES, gzip, idx, line, listing, mnist_mirror, own_cache, small_folder, small_set};
use ziffer_dataset::{DatasetError, Mirror, Mnist, Name, Qmnist, Source, TrainTest};

fn custom(folder: &Path) -> Source {
    Source::new(Name::Custom).data_dir(folder)
}

/// The error and its message, without the folder.
fn refusal(folder: &Path) -> (DatasetError, String) {
    let error = TrainTest::open(&custom(folder)).unwrap_err();
    let text = line(&error).replace(&format!("{}/", folder.display()), "");
    (error, text)
}

/// The small set with one file replaced by `content` under `name`.
fn with(file: usize, name: &str, content: &[u8]) -> tempfile::TempDir {
    let folder = small_folder();
    fs::remove_file(folder.path().join(NAMES[file])).unwrap();
    fs::write(folder.path().join(name), content).unwrap();
    folder
}

#[test]
fn a_custom_set_has_its_own_shape_and_classes() {
    let folder = small_folder();
    let data = TrainTest::open(&custom(folder.path())).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (3, 2));
    assert_eq!(data.train.image_shape(), [2, 3]);
    assert_eq!((data.train.classes(), data.test.classes()), (4, 4), "those of the training set");
    assert_eq!(listing(folder.path()).len(), 4);
    // Mirrors and force have no effect: no other source has this set.
    let forced = custom(folder.path()).mirror(Mirror::Folder(mnist_mirror())).force(true);
    assert_eq!(TrainTest::open(&forced).unwrap().train.len(), 3);
}

#[test]
fn a_test_label_that_is_not_in_the_training_set() {
    let folder = with(3, NAMES[3], &idx(0x08, &[2], &[1, 4]));
    let (error, text) = refusal(folder.path());
    assert!(matches!(error, DatasetError::LabelOutOfRange { index: 1, value: 4, classes: 4, .. }));
    assert!(text.contains("t10k-labels-idx1-ubyte: label 4 at index 1 is out of range"), "{text}");
}

#[test]
fn a_custom_set_has_no_folder_of_its_own() {
    let error = TrainTest::open(&Source::new(Name::Custom)).unwrap_err();
    assert!(matches!(error, DatasetError::NoFolder));
    line(error);
}

#[test]
fn splits_of_different_shapes() {
    let folder = with(2, NAMES[2], &idx(0x08, &[2, 3, 2], &[0; 12]));
    let (error, text) = refusal(folder.path());
    assert!(matches!(error, DatasetError::ShapesDiffer { .. }));
    assert_eq!(
        text,
        "train-images-idx3-ubyte has images of shape [2, 3] but t10k-images-idx3-ubyte of shape [3, 2], \
         expected equal shapes"
    );
}

#[test]
fn a_gzip_file_is_unpacked_once() {
    let archive = format!("{}.gz", NAMES[0]);
    let folder = with(0, &archive, &gzip(&small_set()[0]));
    TrainTest::open(&custom(folder.path())).unwrap();
    assert_eq!(fs::read(folder.path().join(NAMES[0])).unwrap(), small_set()[0]);
    // From now on the raw file is used, and the gzip file is not read.
    fs::write(folder.path().join(&archive), b"no archive").unwrap();
    TrainTest::open(&custom(folder.path())).unwrap();
    assert_eq!(listing(folder.path()).len(), 5);
}

/// RFC 1952, 2.2: members follow each other.
#[test]
fn several_members_are_one_content() {
    let content = &small_set()[0];
    let members = [gzip(&content[..7]), gzip(&[]), gzip(&content[7..20]), gzip(&content[20..])].concat();
    let folder = with(0, &format!("{}.gz", NAMES[0]), &members);
    TrainTest::open(&custom(folder.path())).unwrap();
    assert_eq!(fs::read(folder.path().join(NAMES[0])).unwrap(), *content);
}

#[test]
fn a_gzip_file_that_is_cut_short_anywhere() {
    let archive = gzip(&small_set()[0]);
    for len in 0..archive.len() {
        let name = format!("{}.gz", NAMES[0]);
        let folder = with(0, &name, &archive[..len]);
        let (error, text) = refusal(folder.path());
        // With all content there, missing and surplus bytes cannot be told apart.
        let of_content = matches!(error, DatasetError::GzipCutShort { unpacked: 0..34, .. });
        let of_end = matches!(error, DatasetError::GzipEnd { unpacked: 34, .. });
        assert!(of_content || of_end && len + 12 >= archive.len(), "{len}: {error:?}");
        assert!(text.starts_with(&format!("{name}: gzip data ")), "{text}");
        assert!(!folder.path().join(NAMES[0]).exists());
        assert_eq!(listing(folder.path()).len(), 4, "nothing unfinished is left");
    }
}

#[test]
fn gzip_files_that_are_damaged() {
    let content = small_set()[0].clone();
    let good = gzip(&content);
    let mut bad_crc = good.clone();
    let crc = bad_crc.len() - 8;
    bad_crc[crc] ^= 1;
    let mut bad_length = good.clone();
    *bad_length.last_mut().unwrap() ^= 1;
    let garbage = [&good[..], b"something else"].concat();
    let zeros = [&good[..], &[0; 32]].concat();
    for (what, archive) in [("crc", bad_crc), ("length", bad_length), ("garbage", garbage), ("zeros", zeros)]
    {
        let folder = with(0, &format!("{}.gz", NAMES[0]), &archive);
        let (error, text) = refusal(folder.path());
        assert!(matches!(error, DatasetError::GzipCorrupt { unpacked: 34, .. }), "{what}: {error:?}");
        let said = ".gz: gzip data is corrupt after 34 bytes of content, delete it or place a good one: ";
        assert!(text.contains(said), "{what}: {text}");
        assert!(!folder.path().join(NAMES[0]).exists(), "{what}");
        assert_eq!(listing(folder.path()).len(), 4, "{what}");
    }
    // Surplus bytes that could be a truncated member.
    let folder = with(0, &format!("{}.gz", NAMES[0]), &[&good[..], b"\n"].concat());
    assert!(matches!(refusal(folder.path()).0, DatasetError::GzipEnd { unpacked: 34, .. }));
}

#[test]
fn gzip_files_with_wrong_content() {
    let content = small_set()[0].clone();
    let longer = [&content[..], &[0; 1_000_000]].concat();
    let shorter = &content[..content.len() - 1];
    let cases = [
        (gzip(b"<html>"), "bad content: wrong magic: starts with 3c 68, expected 00 00; it is a web page"),
        (gzip(&[]), "bad content: empty, expected an IDX header"),
        (
            gzip(&content[..9]),
            "bad content: cut short inside the header: found 9 bytes, expected a header of 16",
        ),
        (gzip(shorter), "bad content: cut short: found 33 bytes, expected 34 by its header"),
        (gzip(&longer), "bad content: too long: found 1024 bytes, expected 34 by its header"),
    ];
    for (archive, expected) in cases {
        let folder = with(0, &format!("{}.gz", NAMES[0]), &archive);
        let (error, text) = refusal(folder.path());
        assert!(matches!(error, DatasetError::Content { .. }), "{error:?}");
        assert!(text.starts_with(&format!("train-images-idx3-ubyte.gz: {expected}")), "{text}");
        assert_eq!(listing(folder.path()).len(), 4, "nothing unfinished is left");
    }
}

#[test]
fn files_that_are_not_gzip_data() {
    let folder = with(1, &format!("{}.gz", NAMES[1]), &small_set()[1]);
    let (error, text) = refusal(folder.path());
    assert!(matches!(error, DatasetError::NotGzip { found: [0, 0], .. }));
    assert_eq!(
        text,
        "train-labels-idx1-ubyte.gz: starts with 00 00, expected gzip data (1f 8b); \
         it seems to be unpacked already, remove .gz from its name"
    );
    // A folder has the name of a file, raw and packed.
    for name in [NAMES[1].to_owned(), format!("{}.gz", NAMES[1])] {
        let folder = small_folder();
        fs::remove_file(folder.path().join(NAMES[1])).unwrap();
        fs::create_dir(folder.path().join(&name)).unwrap();
        assert_eq!(refusal(folder.path()).1, format!("{name}: found a folder, expected a file"));
    }
}

#[test]
fn files_that_are_missing() {
    // A missing folder, an empty folder, and a folder with half of the files.
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent");
    let (error, text) = refusal(&absent);
    assert!(matches!(&error, DatasetError::Missing { files, .. } if files[..] == NAMES));
    assert_eq!(
        text,
        format!(
            "custom: 4 of 4 files missing in {0}: train-images-idx3-ubyte, train-labels-idx1-ubyte, \
             t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (tried {0}: no such folder); \
             place them there, raw or .gz",
            absent.display()
        )
    );
    assert!(!absent.exists());
    assert!(refusal(folder.path()).1.starts_with("custom: 4 of 4 files missing in "));

    let folder = small_folder();
    for name in [NAMES[0], NAMES[3]] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    assert_eq!(
        refusal(folder.path()).1,
        format!(
            "custom: 2 of 4 files missing in {}: train-images-idx3-ubyte, t10k-labels-idx1-ubyte; \
             place them there, raw or .gz",
            folder.path().display()
        )
    );
    assert_eq!(listing(folder.path()).len(), 2);
}

#[test]
fn a_file_in_place_of_the_folder() {
    let folder = small_folder();
    let file = folder.path().join(NAMES[0]);
    let error = TrainTest::open(&custom(&file)).unwrap_err();
    assert!(matches!(error, DatasetError::NotAFolder { .. }));
    assert_eq!(line(error), format!("{}: found a file, expected a folder for the data", file.display()));
    // A file above the folder: the folder cannot be created.
    let source = Source::default().data_dir(file.join("below")).mirror(Mirror::Folder(mnist_mirror()));
    let error = Mnist::open(&source.offline(true)).unwrap_err();
    assert!(line(error).starts_with(&format!("cannot open {}/below/", file.display())));
}

#[test]
fn labels_and_counts_are_checked() {
    let folder = with(1, NAMES[1], &idx(0x08, &[4], &[2, 0, 1, 1]));
    let (error, text) = refusal(folder.path());
    assert!(matches!(error, DatasetError::CountMismatch { images: 3, labels: 4, .. }));
    assert_eq!(
        text,
        "train-images-idx3-ubyte has 3 images but train-labels-idx1-ubyte has 4 labels, expected equal counts"
    );
}

/// A valid IDX file of another shape is refused by its header, before it is hashed.
#[test]
fn another_shape_under_a_known_name() {
    let folder = small_folder();
    let error = Mnist::open(&Source::default().data_dir(folder.path()).offline(true)).unwrap_err();
    assert!(matches!(error, DatasetError::WrongShape { .. }));
    assert_eq!(
        line(error),
        format!(
            "{}/train-images-idx3-ubyte: found u8 values of shape [3, 2, 3], \
             expected u8 values of shape [60000, 28, 28] for MNIST",
            folder.path().display()
        )
    );
}

#[test]
fn mirrors_are_tried_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (absent, empty, wrong, target) = (
        folder.path().join("absent"),
        folder.path().join("empty"),
        folder.path().join("wrong"),
        folder.path().join("target"),
    );
    fs::create_dir(&empty).unwrap();
    fs::create_dir(&wrong).unwrap();
    fs::write(wrong.join(NAMES[1]), idx(0x08, &[60_000], &[7; 60_000])).unwrap();
    let source = Source::default()
        .data_dir(&target)
        .mirror(Mirror::Folder(absent.clone()))
        .mirror(Mirror::Folder(empty.clone()))
        .mirror(Mirror::Folder(wrong.clone()))
        .mirror(Mirror::Url("http://127.0.0.1:9/".to_owned()))
        .public_mirrors(false)
        .offline(true);
    let text = line(TrainTest::open(&source).unwrap_err());
    let tried = format!(
        "(tried {target}: no such folder | {absent}: no such folder | \
         {empty}: has neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz | \
         {wrong}: has neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz | \
         http://127.0.0.1:9/: not tried, offline); place them there, raw or .gz",
        target = target.display(),
        absent = absent.display(),
        empty = empty.display(),
        wrong = wrong.display()
    );
    assert!(text.ends_with(&tried), "{text}");
    // The last mirror has everything. The wrong file is skipped.
    let data = TrainTest::open(&source.mirror(Mirror::Folder(mnist_mirror()))).unwrap();
    assert_eq!(data.train.labels().take(5).collect::<Vec<_>>(), [5, 0, 4, 1, 9]);
    assert_eq!(listing(&target).len(), 4);
    assert_eq!(listing(&wrong).len(), 1, "mirrors are only read");
}

#[test]
#[cfg(unix)]
fn files_and_folders_that_may_not_be_used() {
    use std::os::unix::fs::PermissionsExt;
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let folder = with(0, &format!("{}.gz", NAMES[0]), &gzip(&small_set()[0]));
    set_mode(&folder.path().join(NAMES[3]), 0o000);
    if fs::File::open(folder.path().join(NAMES[3])).is_ok() {
        println!("skipped: this user may use every file and folder, whatever its permissions");
        return;
    }
    // The folder is not writable, so the gzip file cannot be unpacked.
    set_mode(folder.path(), 0o555);
    let (error, text) = refusal(folder.path());
    set_mode(folder.path(), 0o755);
    assert!(matches!(error, DatasetError::Io { action: "write", .. }));
    assert_eq!(text, "cannot write train-images-idx3-ubyte: Permission denied (os error 13)");
    // The folder is writable, and one file is unreadable.
    assert_eq!(
        refusal(folder.path()).1,
        "cannot open t10k-labels-idx1-ubyte: Permission denied (os error 13)"
    );
    assert_eq!(listing(folder.path()).len(), 5);
}

/// The platform's cache folder follows `XDG_CACHE_HOME` on Linux and the BSDs.
#[test]
#[cfg(not(any(windows, target_os = "macos", target_os = "ios")))]
fn in_the_cache_folder() {
    let Some(cache) = own_cache("in_the_cache_folder") else { return };
    let folder = cache.join("ziffer/mnist");
    let alone = Source::default().offline(true);
    let source = alone.clone().mirror(Mirror::Folder(mnist_mirror()));
    assert_eq!(source.folder().unwrap(), folder);

    // A web page in place of a file, and a truncated gzip file.
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(NAMES[1]), b"<html>please log in</html>").unwrap();
    let archive = fs::read(mnist_mirror().join(format!("{}.gz", NAMES[3]))).unwrap();
    fs::write(folder.join(format!("{}.gz", NAMES[3])), &archive[..archive.len() / 2]).unwrap();

    // No source has a better one: both are reported and stay.
    let text = line(TrainTest::open(&alone).unwrap_err());
    assert!(text.contains("train-labels-idx1-ubyte: wrong magic: starts with 3c 68"), "{text}");
    assert!(text.contains("t10k-labels-idx1-ubyte.gz: gzip data is cut short"), "{text}");
    assert!(
        text.contains("https://storage.googleapis.com/cvdf-datasets/mnist/: not tried, offline"),
        "{text}"
    );
    assert_eq!(listing(&folder), ["t10k-labels-idx1-ubyte.gz", "train-labels-idx1-ubyte"]);

    // A mirror has good ones: the page is renamed, so that it can be inspected.
    assert_eq!(TrainTest::open(&source).unwrap().train.labels().take(5).collect::<Vec<_>>(), [5, 0, 4, 1, 9]);
    assert_eq!(
        listing(&folder),
        [
            "t10k-images-idx3-ubyte",
            "t10k-labels-idx1-ubyte",
            "t10k-labels-idx1-ubyte.gz",
            "train-images-idx3-ubyte",
            "train-labels-idx1-ubyte",
            "train-labels-idx1-ubyte.broken",
        ]
    );
    assert_eq!(
        fs::read(folder.join("train-labels-idx1-ubyte.broken")).unwrap(),
        b"<html>please log in</html>"
    );
    // From now on the folder is enough.
    TrainTest::open(&alone).unwrap();
}

/// By hand: labels are `i32`, eight for each image, of which the first is the class.
#[test]
fn qmnist_has_its_own_names_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let labels = |offset: u8| {
        let label = |n: u32| {
            let others = [9; 7].map(|other: i32| other.to_be_bytes());
            let class = ((n % 10) as i32 + i32::from(offset)) % 10;
            [class.to_be_bytes()].into_iter().chain(others).flatten()
        };
        idx(0x0c, &[60_000, 8], &(0..60_000).flat_map(label).collect::<Vec<u8>>())
    };
    let images = idx(0x08, &[60_000, 28, 28], &vec![3; 60_000 * 28 * 28]);
    let files = ["qmnist-train-images-idx3-ubyte", "qmnist-train-labels-idx2-int"];
    let tests = ["qmnist-test-images-idx3-ubyte", "qmnist-test-labels-idx2-int"];
    fs::write(folder.path().join(files[0]), &images).unwrap();
    fs::write(folder.path().join(files[1]), labels(0)).unwrap();
    fs::write(folder.path().join(tests[0]), images).unwrap();
    fs::write(folder.path().join(format!("{}.gz", tests[1])), gzip(&labels(5))).unwrap();
    let source = Source::default().data_dir(folder.path()).offline(true);
    let data = Qmnist::open(&source).unwrap();
    assert_eq!((data.train.len(), data.test.len(), data.train.classes()), (60_000, 60_000, 10));
    assert_eq!(data.train.labels().take(12).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    assert_eq!(data.test.labels().take(6).collect::<Vec<_>>(), [5, 6, 7, 8, 9, 0]);

    // Labels in MNIST's form are not QMNIST's.
    fs::write(folder.path().join(files[1]), idx(0x08, &[60_000], &[1; 60_000])).unwrap();
    let text = line(Qmnist::open(&source).unwrap_err());
    assert!(
        text.contains("found u8 values of shape [60000], expected i32 values of shape [60000, 8]"),
        "{text}"
    );
}
