//! Data for the tests: tiny IDX data sets, and MNIST unpacked once for all tests.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// MNIST's file names, in the order of the files in [`IdxSet`].
pub(crate) const NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

pub(crate) const TRAIN_IMAGES: usize = 0;
pub(crate) const TRAIN_LABELS: usize = 1;
pub(crate) const TEST_IMAGES: usize = 2;
pub(crate) const TEST_LABELS: usize = 3;

/// The type byte of unsigned bytes, and of f32.
pub(crate) const U8: u8 = 0x08;
pub(crate) const F32: u8 = 0x0D;

/// An IDX file: two zero bytes, the type, the number of axes, the sizes as big-endian u32, the values.
pub(crate) fn idx(kind: u8, sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, u8::try_from(sizes.len()).expect("a small rank")];
    for size in sizes {
        bytes.extend_from_slice(&size.to_be_bytes());
    }
    bytes.extend_from_slice(values);
    bytes
}

/// A file of labels.
pub(crate) fn labels(values: &[u8]) -> Vec<u8> {
    idx(U8, &[u32::try_from(values.len()).expect("few labels")], values)
}

/// A file of images, one for each label, brighter for higher classes, with some noise.
pub(crate) fn images(classes: &[u8], rows: u32, columns: u32) -> Vec<u8> {
    let mut state = 12345_u32;
    let pixels: Vec<u8> = classes
        .iter()
        .flat_map(|&class| (0..rows * columns).map(move |_| class))
        .map(|class| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            class.wrapping_mul(70).wrapping_add((state >> 26) as u8)
        })
        .collect();
    idx(U8, &[u32::try_from(classes.len()).expect("few pictures"), rows, columns], &pixels)
}

/// 0, 1, 2, 0, 1, ...
pub(crate) fn three_classes(samples: usize) -> Vec<u8> {
    [0, 1, 2].into_iter().cycle().take(samples).collect()
}

/// The bytes of a data set's four files.
#[derive(Clone)]
pub(crate) struct IdxSet {
    pub(crate) files: [Vec<u8>; 4],
}

impl IdxSet {
    /// 60 training and 20 test images of 5x4 pixels in 3 classes.
    pub(crate) fn tiny() -> Self {
        Self::of(&three_classes(60), &three_classes(20))
    }

    /// Images of 5x4 pixels with these labels.
    pub(crate) fn of(train: &[u8], test: &[u8]) -> Self {
        Self { files: [images(train, 5, 4), labels(train), images(test, 5, 4), labels(test)] }
    }

    /// 60,016 bytes of black training images: small as .gz, large when unpacked.
    pub(crate) fn black() -> Self {
        Self::of(&[1; 3000], &[0, 1]).with(TRAIN_IMAGES, idx(U8, &[3000, 5, 4], &[0; 60_000]))
    }

    /// The same data set with one file replaced.
    pub(crate) fn with(mut self, file: usize, bytes: Vec<u8>) -> Self {
        self.files[file] = bytes;
        self
    }

    /// Writes the files to `folder`, raw.
    pub(crate) fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).expect("a folder for the set");
        for (name, bytes) in NAMES.iter().zip(&self.files) {
            fs::write(folder.join(name), bytes).expect("a file of the set");
        }
    }

    /// Writes the files to `folder`, each as .gz.
    pub(crate) fn write_gz(&self, folder: &Path) {
        fs::create_dir_all(folder).expect("a folder for the set");
        for (name, bytes) in NAMES.iter().zip(&self.files) {
            fs::write(folder.join(format!("{name}.gz")), gz(bytes)).expect("a file of the set");
        }
    }
}

/// `bytes` as one gzip member.
pub(crate) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    std::io::Write::write_all(&mut encoder, bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

/// The repository's folder with MNIST as .gz.
pub(crate) fn mnist_gz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist")
}

/// A folder with MNIST's four raw files, which tests must not change.
pub(crate) fn mnist() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mnist");
        fs::create_dir_all(&folder).expect("a folder for MNIST");
        for name in NAMES {
            let packed = File::open(mnist_gz().join(format!("{name}.gz"))).expect("MNIST in the repository");
            let mut bytes = Vec::new();
            GzDecoder::new(packed).read_to_end(&mut bytes).expect("a good .gz");
            if fs::metadata(folder.join(name)).is_ok_and(|there| there.len() == bytes.len() as u64) {
                continue;
            }
            // Another test process may do the same: files are renamed into place, and the last rename wins.
            let part = folder.join(format!("{name}.{}", std::process::id()));
            fs::write(&part, bytes).expect("room for MNIST");
            fs::rename(&part, folder.join(name)).expect("a file of MNIST in its place");
        }
        folder
    })
}
