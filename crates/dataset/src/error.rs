//! What can go wrong with a data set, and how it is said.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;
use ziffer_base::digest::Digest;

use crate::idx::{ElementType, FormatError, IdxError, magic_hint};

/// A data set that cannot be had or used.
///
/// Every message is one line, names the file, and says what was found, what was expected and, where that helps,
/// what to do. It leaves out the operating system's or a decoder's reason, which
/// [`source`](std::error::Error::source) gives: print the chain of sources, joined by `: `, as `anyhow`'s `{:#}` does.
#[derive(Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A file is not IDX, or not of the type that was needed, or cannot be opened.
    #[error(transparent)]
    Idx(#[from] IdxError),

    /// Images of rank 0 or 1.
    #[error("{}: found shape {}, expected pictures: a first axis of samples and one or more of pixels", .path.display(), dims_text(shape))]
    NotImages {
        /// The file of images.
        path: PathBuf,
        /// The shape in it.
        shape: Vec<usize>,
    },
    /// Labels that are neither `u8` or `i32` of rank 1 nor `i32` of rank 2.
    #[error("{}: found {element_type} values of shape {}, expected labels: u8 or i32 of rank 1, or i32 of rank 2 with the class in column 0", .path.display(), dims_text(shape))]
    NotLabels {
        /// The file of labels.
        path: PathBuf,
        /// The type of its values.
        element_type: ElementType,
        /// The shape in it.
        shape: Vec<usize>,
    },
    /// A file without samples.
    #[error("{}: found no samples, expected at least one", .path.display())]
    NoSamples {
        /// The file of images.
        path: PathBuf,
    },
    /// Pictures without pixels.
    #[error("{}: found pictures of shape {}, expected at least one pixel", .path.display(), dims_text(shape))]
    NoPixels {
        /// The file of images.
        path: PathBuf,
        /// The shape of a picture.
        shape: Vec<usize>,
    },
    /// Images and labels that do not belong together.
    #[error("{} has {images} images but {} has {labels} labels, expected equal counts", .images_path.display(), .labels_path.display())]
    CountMismatch {
        /// The file of images.
        images_path: PathBuf,
        /// Images in it.
        images: usize,
        /// The file of labels.
        labels_path: PathBuf,
        /// Labels in it.
        labels: usize,
    },
    /// A label that names no class.
    #[error("{}: label {value} at index {index} is out of range, expected at least {first} and below {}", .path.display(), first.saturating_add(*classes))]
    LabelOutOfRange {
        /// The file of labels.
        path: PathBuf,
        /// Which sample.
        index: usize,
        /// Its label.
        value: i64,
        /// The label of the first class: 0, but for some published files that count from 1.
        first: usize,
        /// The number of classes that was asked for, or the largest that is supported.
        classes: usize,
    },
    /// A validation share that is no share.
    #[error("validation split {value} is out of range, expected at least 0 and below 1")]
    SplitOutOfRange {
        /// The share asked for.
        value: f64,
    },
    /// A validation share that leaves one side without samples.
    #[error("validation split {value} of {samples} samples leaves none for {side}, choose a {} one", if *.side == "training" { "smaller" } else { "larger" })]
    SplitLeavesNothing {
        /// The share asked for.
        value: f64,
        /// Samples to share out.
        samples: usize,
        /// `training` or `validation`.
        side: &'static str,
    },
    /// The training and test parts of a custom set have pictures of different shapes.
    #[error("{} has pictures of shape {} but {} of shape {}, expected equal shapes", .train_path.display(), dims_text(train), .test_path.display(), dims_text(test))]
    PartsDiffer {
        /// The images of the training part.
        train_path: PathBuf,
        /// The shape of a picture in it.
        train: Vec<usize>,
        /// The images of the test part.
        test_path: PathBuf,
        /// The shape of a picture in it.
        test: Vec<usize>,
    },
    /// A name that the catalogue does not have.
    #[error("unknown data set {found:?}, expected one of {known}")]
    UnknownName {
        /// The name asked for.
        found: String,
        /// The names there are.
        known: String,
    },

    /// The operating system refused.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was tried: `create`, `open`, `read`, `write`, ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Content that is not IDX, in an archive or on its way from a mirror.
    #[error("{}: bad content: {problem}", .path.display())]
    Content {
        /// The archive, or the address of the file.
        path: PathBuf,
        /// What is wrong with it.
        problem: FormatError,
    },
    /// A file named `.gz` that is none.
    #[error("{}: starts with {:02x} {:02x}, expected gzip data (1f 8b){}", .path.display(), .found[0], .found[1], archive_hint(*.found))]
    NotGzip {
        /// The file.
        path: PathBuf,
        /// Its first two bytes.
        found: [u8; 2],
    },
    /// A gzip archive that ends too early.
    #[error("{}: gzip data is cut short after {unpacked} bytes of content, delete it or place a whole one", .path.display())]
    GzipCutShort {
        /// The archive.
        path: PathBuf,
        /// Bytes of content before it ended.
        unpacked: u64,
    },
    /// A gzip archive that ends neither with its content nor with another one: its last bytes are missing, or something
    /// else is behind them.
    #[error("{}: gzip data ends wrongly behind its {unpacked} bytes of content, delete it or place a good one", .path.display())]
    GzipEnd {
        /// The archive.
        path: PathBuf,
        /// Bytes of content, all there are.
        unpacked: u64,
    },
    /// A gzip archive that is damaged, or has something else behind it.
    #[error("{}: gzip data is corrupt after {unpacked} bytes of content, delete it or place a good one", .path.display())]
    GzipCorrupt {
        /// The archive.
        path: PathBuf,
        /// Bytes of content before the damage showed.
        unpacked: u64,
        /// What the decoder said.
        source: io::Error,
    },
    /// A good IDX file that is not the one expected.
    #[error("{}: found {found_type} values of shape {}, expected {expected_type} values of shape {} for {set}", .path.display(), dims_text(found), dims_text(expected))]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// The set that it should belong to.
        set: &'static str,
        /// The type of its values.
        found_type: ElementType,
        /// The shape in it.
        found: Vec<usize>,
        /// The type by the catalogue.
        expected_type: ElementType,
        /// The shape by the catalogue.
        expected: Vec<usize>,
    },
    /// A file of the right shape whose bytes are not the ones published.
    #[error("{}: found sha256 {found}, expected {expected} for {set}; delete it or place the original", .path.display())]
    WrongDigest {
        /// The file.
        path: PathBuf,
        /// The set that it should belong to.
        set: &'static str,
        /// The digest of what is there.
        found: Digest,
        /// The digest published.
        expected: Digest,
    },

    /// A zip that cannot be read, or has not what it should have.
    #[error("{}: {reason}", .path.display())]
    Zip {
        /// The zip.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// An address that did not yield a file.
    #[error("{url}: {reason}")]
    Download {
        /// The address.
        url: String,
        /// What happened, from the status to a time-out.
        reason: String,
    },

    /// A file stands where the data folder should be.
    #[error("{}: found a file, expected a folder for the data", .path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// The platform's cache folder cannot be told.
    #[error("no cache folder: the home folder of the user is unknown, name a data folder")]
    NoCacheFolder,
    /// A custom set was asked for without a folder.
    #[error("the custom data set has no folder of its own, name the data folder with its four files")]
    NoFolder,
    /// Files are missing, and no mirror had them.
    #[error("{set}: {} of 4 files missing in {}: {}{}; place them there, raw or .gz{}", .files.len(), .folder.display(), .files.join(", "), attempts_text(attempts), bundle_hint(*.bundle))]
    Missing {
        /// The set.
        set: &'static str,
        /// Where the files should be.
        folder: PathBuf,
        /// The names of the missing files, as they were published.
        files: Vec<&'static str>,
        /// The name of a zip that would do as well.
        bundle: Option<&'static str>,
        /// Where they were looked for besides, and why that failed.
        attempts: Vec<Attempt>,
    },
}

/// What a file named `.gz` is instead.
fn archive_hint(found: [u8; 2]) -> &'static str {
    match found {
        [0, 0] => "; it seems to be unpacked already, take .gz off its name",
        _ => magic_hint(found),
    }
}

/// What may be placed instead of single files.
fn bundle_hint(bundle: Option<&str>) -> String {
    bundle.map_or_else(String::new, |name| format!(", or {name} with all of them"))
}

/// A place that did not yield a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The place as it was given: a folder or an address.
    pub place: String,
    /// Why not, in words that name the file or the place.
    pub reason: String,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// The attempts as the middle of a sentence. One reason per place: the files of a set fail together, mostly.
fn attempts_text(attempts: &[Attempt]) -> String {
    let mut text = String::new();
    let mut places: Vec<&str> = Vec::new();
    for attempt in attempts {
        if !places.contains(&attempt.place.as_str()) {
            text.push_str(if places.is_empty() { " (tried " } else { " | " });
            text.push_str(&attempt.reason);
            places.push(&attempt.place);
        }
    }
    if !places.is_empty() {
        text.push(')');
    }
    text
}

ziffer_base::debug_as_message!(DatasetError);

/// An error and its causes as one line, for a message that has no cause of its own to name them.
pub(crate) fn chain_text(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts = causes.map(|error| error.downcast_ref().map_or_else(|| error.to_string(), reason));
    texts.collect::<Vec<_>>().join(": ")
}

/// The reason of an input or output error in our manner: lower case, without the error number or a second path.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => error.kind().to_string(),
    }
}

/// A shape as `[60000, 28, 28]`.
pub(crate) fn shape_text(shape: &[u64]) -> String {
    let sizes: Vec<String> = shape.iter().map(u64::to_string).collect();
    format!("[{}]", sizes.join(", "))
}

fn dims_text(shape: &[usize]) -> String {
    format!("{shape:?}")
}
