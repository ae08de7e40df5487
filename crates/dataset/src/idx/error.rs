//! What can be wrong with an IDX file.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::ElementType;
use crate::error::shape_text;

/// Bytes that are not an IDX file, whatever file or stream they came from.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// There are no bytes at all.
    #[error("empty, expected an IDX header of at least 4 bytes")]
    Empty,
    /// The first two bytes are not zero.
    #[error("wrong magic: starts with {:02x} {:02x}, expected 00 00{}", .found[0], .found[1], magic_hint(*.found))]
    Magic {
        /// The first two bytes.
        found: [u8; 2],
    },
    /// The third byte stands for no type.
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
        /// Bytes there are.
        found: usize,
        /// Bytes that the header should have.
        expected: usize,
    },
    /// The shape cannot be held, by this machine's memory or by the format.
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
    /// Fewer bytes than the header calls for.
    #[error("cut short: found {found} bytes, expected {expected} by its header")]
    Short {
        /// Bytes there are.
        found: u64,
        /// Bytes by the header.
        expected: u64,
    },
    /// More bytes than the header calls for.
    #[error("too long: found {found} bytes, expected {expected} by its header")]
    Long {
        /// Bytes there are, or, for a stream, bytes seen until it was given up.
        found: u64,
        /// Bytes by the header.
        expected: u64,
    },
}

/// What the first bytes are, for the mix-ups that happen.
pub(crate) fn magic_hint(found: [u8; 2]) -> &'static str {
    match &found {
        [0x1f, 0x8b] => "; it is gzip data, unpack it first",
        b"PK" => "; it is a zip archive, unpack it first",
        b"<!" | b"<h" | b"<H" | b"<?" => "; it is a web page, the download went wrong",
        b"ve" => "; it may be a Git LFS pointer, fetch the file itself",
        _ => "",
    }
}

/// An IDX file that cannot be read or written. Every message is one line and names the file. It leaves out the operating
/// system's reason, which [`source`](std::error::Error::source) gives: print the chain of sources, joined by `: `.
#[derive(Error)]
#[non_exhaustive]
pub enum IdxError {
    /// The operating system refused.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was tried: `open`, `read`, `map`, `look at`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A folder, a pipe or a device stands under the name.
    #[error("{}: found {found}, expected a file", .path.display())]
    NotAFile {
        /// What stands there.
        path: PathBuf,
        /// Which kind of thing it is.
        found: &'static str,
    },
    /// The content is not IDX.
    #[error("{}: {problem}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which field is wrong, and how.
        problem: FormatError,
    },
    /// Another program wrote to the file, or cut it short, while it was open.
    #[error("{}: was changed by another program while in use{}; put the file back and go on", .path.display(), length_change(*expected, *found))]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its length when it was opened.
        expected: u64,
        /// Its length now.
        found: u64,
    },
    /// A good IDX file, with values of another type than was asked for.
    #[error("{}: found {found} values, expected {expected}", .path.display())]
    WrongType {
        /// The file.
        path: PathBuf,
        /// The type in the file.
        found: ElementType,
        /// The type asked for.
        expected: ElementType,
    },
}

ziffer_base::debug_as_message!(IdxError);

/// How a length changed; nothing if it did not.
fn length_change(expected: u64, found: u64) -> String {
    if expected == found { String::new() } else { format!(": had {expected} bytes, has {found}") }
}
