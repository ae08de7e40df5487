//! Errors of IDX files.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::ElementType;

/// Why bytes are not IDX, from a file or from a stream.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdxFormatError {
    /// There are no bytes.
    #[error("empty, expected an IDX header of at least 4 bytes")]
    Empty,
    /// The first two bytes are not zero.
    #[error("wrong magic: starts with {:02x} {:02x}, expected 00 00{}", .found[0], .found[1], magic_hint(*.found))]
    Magic {
        /// The first two bytes.
        found: [u8; 2],
    },
    /// The third byte is the code of no type.
    #[error(
        "unknown element type 0x{found:02x}, expected 08 (u8), 09 (i8), 0b (i16), 0c (i32), 0d (f32) or 0e (f64)"
    )]
    UnknownType {
        /// The third byte.
        found: u8,
    },
    /// The bytes end inside the header.
    #[error("cut short inside the header: found {found} bytes, expected a header of {expected}")]
    HeaderCut {
        /// The number of bytes.
        found: usize,
        /// The length of the header.
        expected: usize,
    },
    /// The shape is too large for the format, or for the address space.
    #[error("impossible sizes: {} values of {element_type} do not fit", shape_text(shape))]
    TooLarge {
        /// The sizes of the axes.
        shape: Vec<u64>,
        /// The type of the values.
        element_type: ElementType,
    },
    /// More axes than the rank byte can count (writing only).
    #[error("rank {found} is too high, expected at most 255")]
    RankTooHigh {
        /// The rank of the array.
        found: usize,
    },
    /// Fewer bytes than the header declares.
    #[error("cut short: found {found} bytes, expected {expected} by its header")]
    Short {
        /// The number of bytes.
        found: u64,
        /// The length by the header.
        expected: u64,
    },
    /// More bytes than the header declares.
    #[error("too long: found {found} bytes, expected {expected} by its header")]
    Long {
        /// The number of bytes, or, for a stream, of those that were read before the error.
        found: u64,
        /// The length by the header.
        expected: u64,
    },
}

/// What the first bytes suggest, for common mistakes.
pub(crate) fn magic_hint(found: [u8; 2]) -> &'static str {
    match &found {
        [0x1f, 0x8b] => "; it is gzip data, unpack it first",
        b"PK" => "; it is a zip archive, unpack it first",
        b"<!" | b"<h" | b"<H" | b"<?" => "; it is a web page, the download went wrong",
        b"ve" => "; it may be a Git LFS pointer, fetch the file itself",
        _ => "",
    }
}

/// An IDX file that cannot be read or written. Every message is one line and names the file. The operating system's reason is the
/// [`source`](std::error::Error::source): print the chain of sources, joined by `: `. `Debug` prints it.
#[derive(Error)]
#[non_exhaustive]
pub enum IdxError {
    /// An I/O error.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// The failed action: `open`, `read`, `map`, `examine`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The path is a folder, a pipe or a device.
    #[error("{}: found {found}, expected a file", .path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The content is not IDX.
    #[error("{}: {problem}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The wrong field, with found and expected values.
        problem: IdxFormatError,
    },
    /// Another program wrote to the file, or truncated it, while it was open.
    #[error("{}: the file changed while it was mapped{}; restore it and try again", .path.display(), length_change(*expected, *found))]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its length when it was opened.
        expected: u64,
        /// Its length now.
        found: u64,
    },
    /// A valid IDX file with values of another type than requested.
    #[error("{}: found {found} values, expected {expected}", .path.display())]
    WrongType {
        /// The file.
        path: PathBuf,
        /// The type in the file.
        found: ElementType,
        /// The requested type.
        expected: ElementType,
    },
}

ziffer_base::debug_as_message!(IdxError);

/// How a length changed; empty if it did not.
fn length_change(expected: u64, found: u64) -> String {
    if expected == found { String::new() } else { format!(": had {expected} bytes, has {found}") }
}

/// A shape as `[60000, 28, 28]`.
fn shape_text(shape: &[u64]) -> String {
    format!("{shape:?}")
}
