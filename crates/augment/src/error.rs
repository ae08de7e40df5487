//! What can go wrong.

use std::path::PathBuf;

use ziffer_dataset::idx::IdxError;

/// An error of [`Distorter`](crate::Distorter) or [`Augmentation`](crate::Augmentation).
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AugmentError {
    /// A setting is out of its range.
    #[error("{setting} is {value}, expected {expected}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The set's samples are no pictures of rows and columns.
    #[error("{}: found pictures of shape {shape:?}, expected rows and columns", path.display())]
    NotFlat {
        /// The file of the pictures.
        path: PathBuf,
        /// The shape of one.
        shape: Vec<usize>,
    },
    /// Pictures have too many rows or columns to be changed.
    #[error("found pictures of {} rows and {} columns, expected at most {expected} of each", shape[0], shape[1])]
    TooLarge {
        /// The rows and columns of a picture.
        shape: [usize; 2],
        /// The most of either.
        expected: usize,
    },
    /// A file of the set cannot be read or written, or was changed meanwhile.
    #[error(transparent)]
    Idx(#[from] IdxError),
    /// It was told to stop. Nothing is left behind.
    #[error("interrupted after {done} of {all} pictures")]
    Interrupted {
        /// Pictures that were done.
        done: u64,
        /// Pictures that were to be done.
        all: u64,
    },
}

ziffer_base::debug_as_message!(AugmentError);
