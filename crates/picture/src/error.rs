//! Errors of preparing a picture.

use std::io;
use std::path::PathBuf;

use crate::limits::{MAX_BYTES, MAX_FILE_BYTES, MAX_SIDE};

/// An error of [`prepare`](crate::prepare) or [`prepare_file`](crate::prepare_file). The message does not repeat the cause, which
/// [`source`](std::error::Error::source) gives.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The picture in a file cannot be prepared.
    #[error("{}: cannot prepare the picture", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        error: Box<PictureError>,
    },
    /// The file cannot be read.
    #[error("cannot read")]
    Read(#[source] io::Error),
    /// The path is a folder.
    #[error("found a folder, expected a picture")]
    Folder,
    /// The file is larger than the limit.
    #[error("found a file of more than {} MiB, expected a picture in at most that", MAX_FILE_BYTES >> 20)]
    LargeFile,
    /// The file is empty.
    #[error("found an empty file, expected a picture")]
    EmptyFile,
    /// The first bytes are not those of PNG, JPEG or BMP.
    #[error("found {found}, expected a picture: PNG, JPEG or BMP")]
    NotAPicture {
        /// The format that the file seems to have.
        found: &'static str,
    },
    /// According to its header, the picture takes too much memory.
    #[error(
        "found a picture of {width}x{height} pixels in {} MiB, expected at most {MAX_SIDE} a side in {} MiB",
        bytes.div_ceil(1 << 20), MAX_BYTES >> 20
    )]
    TooLarge {
        /// Pixels in a row.
        width: u32,
        /// Pixels in a column.
        height: u32,
        /// Bytes that decoding takes.
        bytes: u64,
    },
    /// The file is damaged or ends too early.
    #[error("not a whole {format} picture: {detail}")]
    Damaged {
        /// The format's name.
        format: &'static str,
        /// The decoder's message, in one line.
        detail: String,
    },
    /// The picture is all background.
    #[error("found an empty page, expected a digit that stands out from its background")]
    EmptyPage,
    /// Digits are not prepared for this shape.
    #[error("found a shape of {shape:?}, expected rows and columns, from 7x7 to 1024x1024")]
    Shape {
        /// The shape.
        shape: Vec<usize>,
    },
}

ziffer_base::debug_as_message!(PictureError);
