//! What several test files need: small sets written by hand, and looks into folders.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// MNIST's four file names, in the order train images, train labels, test images, test labels.
pub(crate) const NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// The bytes of an IDX file, put together by hand: two zero bytes, type, rank, sizes, values.
pub(crate) fn idx(type_code: u8, sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, type_code, sizes.len() as u8];
    for size in sizes {
        bytes.extend(size.to_be_bytes());
    }
    bytes.extend(values);
    bytes
}

/// A set of pictures of 2x3 pixels: three for training with the labels 2, 0, 1, and two for testing with 1, 3.
pub(crate) fn small_set() -> [Vec<u8>; 4] {
    let pixels = |count: u8| (0..6 * count).collect::<Vec<u8>>();
    [
        idx(0x08, &[3, 2, 3], &pixels(3)),
        idx(0x08, &[3], &[3, 0, 1]),
        idx(0x08, &[2, 2, 3], &pixels(2)),
        idx(0x08, &[2], &[1, 2]),
    ]
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A folder with the small set, raw.
pub(crate) fn small_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in NAMES.iter().zip(small_set()) {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// The names in a folder, sorted, without the record of verified files.
pub(crate) fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".ziffer-verified.json")
        .collect();
    names.sort();
    names
}

/// The project's own copy of MNIST, as `.gz`.
pub(crate) fn mnist_mirror() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist")
}

/// The messages of an error and its causes as a program prints them, joined by colons. Checks their form: one line,
/// no full stop, and no message that says its cause, which would be printed twice.
pub(crate) fn line(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        assert!(!text.contains(&error.to_string()), "{text}: {error}");
        text = format!("{text}: {error}");
        cause = error.source();
    }
    assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
    text
}

/// A data folder with MNIST unpacked, kept between the tests of a build.
pub(crate) fn mnist_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("mnist")
}

/// The cache folder of a process that runs `test` alone; `None` in the process that starts it, waits for it, and has then no
/// more to do. The platform's cache folder follows `XDG_CACHE_HOME` on Linux and the BSDs.
pub(crate) fn own_cache(test: &str) -> Option<PathBuf> {
    const CACHE: &str = "ZIFFER_TEST_CACHE";
    if let Some(cache) = std::env::var_os(CACHE) {
        return Some(cache.into());
    }
    let cache = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("XDG_CACHE_HOME", cache.path())
        .env(CACHE, cache.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    None
}
