//! Errors of augmentation.

use std::path::PathBuf;

use crate::idx::IdxError;

/// An error of [`Distorter`](super::Distorter) or [`Augmentation`](super::Augmentation).
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AugmentError {
    /// A setting is out of its range.
    #[error("{setting} is {value}, expected {expected}")]
    Setting {
        /// The name of the setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// The valid values.
        expected: &'static str,
    },
    /// The images do not have two axes.
    #[error("{}: found images of shape {shape:?}, expected rows and columns", path.display())]
    NotFlat {
        /// The file of images.
        path: PathBuf,
        /// The shape of an image.
        shape: Vec<usize>,
    },
    /// Images have too many rows or columns.
    #[error("found images of {} rows and {} columns, expected at most {expected} of each", shape[0], shape[1])]
    TooLarge {
        /// The rows and columns of an image.
        shape: [usize; 2],
        /// The maximum of both.
        expected: usize,
    },
    /// A file of the set cannot be read or written, or changed while it was read.
    #[error(transparent)]
    Idx(#[from] IdxError),
    /// The caller stopped it. No files are left behind.
    #[error("interrupted after {done} of {all} images")]
    Interrupted {
        /// The number of images that were written.
        done: u64,
        /// The number of all images.
        all: u64,
    },
}

ziffer_base::debug_as_message!(AugmentError);
