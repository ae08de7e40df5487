//! Errors of data sets.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;
use ziffer_base::digest::Digest;

use crate::idx::{ElementType, IdxError, IdxFormatError, magic_hint};

/// A data set that cannot be opened or used.
///
/// Every message is one line. It names the file, what was found, what was expected and, where that helps, what to do. The reason
/// of the operating system or of a decoder is the [`source`](std::error::Error::source): print the chain of sources, joined by
/// `: `, as `anyhow`'s `{:#}` does. `Debug` prints it.
#[derive(Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A file is not IDX, has values of another type, or cannot be opened.
    #[error(transparent)]
    Idx(#[from] IdxError),

    /// Images of rank 0 or 1.
    #[error("{}: found shape {}, expected images: a first axis of samples and at least one axis of pixels", .path.display(), dims_text(shape))]
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
    /// Images without pixels.
    #[error("{}: found images of shape {}, expected at least one pixel", .path.display(), dims_text(shape))]
    NoPixels {
        /// The file of images.
        path: PathBuf,
        /// The shape of an image.
        shape: Vec<usize>,
    },
    /// Images and labels of different counts.
    #[error("{} has {images} images but {} has {labels} labels, expected equal counts", .images_path.display(), .labels_path.display())]
    CountMismatch {
        /// The file of images.
        images_path: PathBuf,
        /// The number of images.
        images: usize,
        /// The file of labels.
        labels_path: PathBuf,
        /// The number of labels.
        labels: usize,
    },
    /// A label that is no class.
    #[error("{}: label {value} at index {index} is out of range, expected at least {first} and below {}", .path.display(), first.saturating_add(*classes))]
    LabelOutOfRange {
        /// The file of labels.
        path: PathBuf,
        /// The index of the sample.
        index: usize,
        /// Its label.
        value: i64,
        /// The label of the first class: 0, or 1 in some published files.
        first: usize,
        /// The number of classes that was requested, or the supported maximum.
        classes: usize,
    },
    /// A validation split outside 0 to below 1.
    #[error("validation split {value} is out of range, expected at least 0 and below 1")]
    SplitOutOfRange {
        /// The requested split.
        value: f64,
    },
    /// A validation split that leaves the training set or the validation set empty.
    #[error("validation split {value} of {samples} samples leaves none for {side}, choose a {} one", if *.side == "training" { "smaller" } else { "larger" })]
    SplitLeavesNothing {
        /// The requested split.
        value: f64,
        /// The number of samples to split.
        samples: usize,
        /// `training` or `validation`.
        side: &'static str,
    },
    /// The training set and the test set of a custom set have images of different shapes.
    #[error("{} has images of shape {} but {} of shape {}, expected equal shapes", .train_path.display(), dims_text(train), .test_path.display(), dims_text(test))]
    ShapesDiffer {
        /// The file of the training images.
        train_path: PathBuf,
        /// The shape of an image in it.
        train: Vec<usize>,
        /// The file of the test images.
        test_path: PathBuf,
        /// The shape of an image in it.
        test: Vec<usize>,
    },
    /// A name that is not in the catalog.
    #[error("unknown data set {found:?}, expected one of {known}")]
    UnknownName {
        /// The requested name.
        found: String,
        /// The known names.
        known: String,
    },

    /// An I/O error.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// The failed action: `create`, `open`, `read`, `write`, ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Packed or downloaded content that is not IDX.
    #[error("{}: bad content: {problem}", .path.display())]
    Content {
        /// The packed file, or the URL.
        path: PathBuf,
        /// What is wrong with it.
        problem: IdxFormatError,
    },
    /// A file named `.gz` that is not gzip data.
    #[error("{}: starts with {:02x} {:02x}, expected gzip data (1f 8b){}", .path.display(), .found[0], .found[1], gzip_hint(*.found))]
    NotGzip {
        /// The file.
        path: PathBuf,
        /// Its first two bytes.
        found: [u8; 2],
    },
    /// A gzip file that ends too early.
    #[error("{}: gzip data is cut short after {unpacked} bytes of content, delete it or place a complete one", .path.display())]
    GzipCutShort {
        /// The archive.
        path: PathBuf,
        /// Bytes of content before it ended.
        unpacked: u64,
    },
    /// A gzip file whose content is complete, but whose last bytes are missing or followed by other data.
    #[error("{}: gzip data ends wrongly after its {unpacked} bytes of content, delete it or place a good one", .path.display())]
    GzipEnd {
        /// The archive.
        path: PathBuf,
        /// Bytes of content.
        unpacked: u64,
    },
    /// A gzip file that is damaged, or followed by other data.
    #[error("{}: gzip data is corrupt after {unpacked} bytes of content, delete it or place a good one", .path.display())]
    GzipCorrupt {
        /// The archive.
        path: PathBuf,
        /// Bytes of content before the damage.
        unpacked: u64,
        /// The error of the decoder.
        source: io::Error,
    },
    /// A valid IDX file of another type or shape than expected.
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
        /// The type in the catalog.
        expected_type: ElementType,
        /// The shape in the catalog.
        expected: Vec<usize>,
    },
    /// A file of the right shape with other content than the published one.
    #[error("{}: found sha256 {found}, expected {expected} for {set}; delete it or place the original", .path.display())]
    WrongDigest {
        /// The file.
        path: PathBuf,
        /// The set that it should belong to.
        set: &'static str,
        /// The digest of the file.
        found: Digest,
        /// The published digest.
        expected: Digest,
    },

    /// A zip archive that cannot be read, or lacks a file.
    #[error("{}: {reason}", .path.display())]
    Zip {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A URL that did not yield a file.
    #[error("{url}: {reason}")]
    Download {
        /// The URL.
        url: String,
        /// The reason, such as an HTTP status or a timeout.
        reason: String,
    },

    /// The path of the data folder is a file.
    #[error("{}: found a file, expected a folder for the data", .path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// The platform's cache folder is unknown.
    #[error("no cache folder: the home folder of the user is unknown, name a data folder")]
    NoCacheFolder,
    /// A custom set was requested without a folder.
    #[error("the custom data set has no folder of its own, name the data folder with its four files")]
    NoFolder,
    /// Files are missing, and no source has them.
    #[error("{set}: {} of 4 files missing in {}: {}{}; place them there, raw or .gz{}", .files.len(), .folder.display(), .files.join(", "), attempts_text(attempts), archive_hint(*.archive))]
    Missing {
        /// The set.
        set: &'static str,
        /// The data folder.
        folder: PathBuf,
        /// The published names of the missing files.
        files: Vec<&'static str>,
        /// The name of the archive that has all of them.
        archive: Option<&'static str>,
        /// The sources that were tried, and why they failed.
        attempts: Vec<Attempt>,
    },
}

/// What a file named `.gz` may be instead.
fn gzip_hint(found: [u8; 2]) -> &'static str {
    match found {
        [0, 0] => "; it seems to be unpacked already, remove .gz from its name",
        _ => magic_hint(found),
    }
}

/// The archive that may be placed instead of single files.
fn archive_hint(archive: Option<&str>) -> String {
    archive.map_or_else(String::new, |name| format!(", or {name} with all of them"))
}

/// A source that did not yield a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The folder or URL, as it was given.
    pub place: String,
    /// The reason, which names the file or the source.
    pub reason: String,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// The attempts in parentheses, with one reason per source: the files of a set mostly fail together.
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

/// An error and its causes as one line, as the reason of an attempt.
pub(crate) fn chain_text(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts = causes.map(|error| error.downcast_ref().map_or_else(|| error.to_string(), reason));
    texts.collect::<Vec<_>>().join(": ")
}

/// The message of an I/O error in lower case, without the error number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => error.kind().to_string(),
    }
}

fn dims_text(shape: &[usize]) -> String {
    format!("{shape:?}")
}
