//! What can go wrong.

use std::io;
use std::path::PathBuf;

use crate::file::{MAX_BYTES, MAX_FILE_BYTES, MAX_SIDE};

/// An error of [`prepare`](crate::prepare) or [`prepare_file`](crate::prepare_file). The message does not repeat the cause, which
/// [`source`](std::error::Error::source) gives.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// A file could not be prepared.
    #[error("{}: cannot prepare the picture", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        error: Box<PictureError>,
    },
    /// A file cannot be read.
    #[error("cannot read")]
    Read(#[source] io::Error),
    /// The path is a folder's.
    #[error("found a folder, expected a picture")]
    Folder,
    /// More bytes than are read of any picture.
    #[error("found a file of more than {} MiB, expected a picture in at most that", MAX_FILE_BYTES >> 20)]
    LargeFile,
    /// Nothing at all.
    #[error("found an empty file, expected a picture")]
    EmptyFile,
    /// The first bytes are those of no known format.
    #[error("found {found}, expected a picture: PNG, JPEG or BMP")]
    NotAPicture {
        /// What the file seems to be.
        found: &'static str,
    },
    /// The header promises a picture that would take too much memory.
    #[error(
        "found a picture of {width}x{height} pixels in {} MiB, expected at most {MAX_SIDE} a side in {} MiB",
        bytes.div_ceil(1 << 20), MAX_BYTES >> 20
    )]
    TooLarge {
        /// Pixels in a row.
        width: u32,
        /// Pixels in a column.
        height: u32,
        /// Bytes that decoding it would take.
        bytes: u64,
    },
    /// The file is not what its first bytes promise, or ends too early.
    #[error("not a whole {format} picture: {detail}")]
    Damaged {
        /// The format's name.
        format: &'static str,
        /// What the decoder says, in one line.
        detail: String,
    },
    /// All is paper.
    #[error("found an empty page, expected a digit that stands out from its paper")]
    EmptyPage,
    /// A shape that no digit is prepared for.
    #[error("found a shape of {shape:?}, expected rows and columns, from 7x7 to 1024x1024")]
    Shape {
        /// The shape.
        shape: Vec<usize>,
    },
}

ziffer_base::debug_as_message!(PictureError);
