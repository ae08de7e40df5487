//! IDX, the format of MNIST and its relatives: read by memory mapping without copies, and written.
//!
//! An IDX file is two zero bytes, a byte for the [element type](ElementType), a byte for the rank, `rank` sizes
//! as big-endian `u32`, then the values, big-endian, in C order (the last axis runs fastest), and nothing else.
//! The format was published with MNIST by Yann LeCun, Corinna Cortes and Christopher J. C. Burges.
//!
//! What the format leaves open, and what this module does:
//! - **Rank 0** is a single value: the product of no sizes is 1.
//! - **A size of 0** is an array without values, and the file ends with its header. The other sizes must still
//!   not overflow when multiplied, so that every shape that is accepted is a shape an array can have.
//!
//! # Files that change while they are mapped
//!
//! An [`IdxFile`] is a mapping of its file, so another process that changes the file changes the values underneath. No
//! check at opening can prevent that. What a change does:
//!
//! | the file is | without a handler | after [`install_sigbus_handler`], on Linux |
//! |---|---|---|
//! | renamed, deleted, or replaced by renaming | nothing: the mapping keeps the old content | the same |
//! | overwritten in place | changed bytes are read as other bytes | the same |
//! | truncated | reading a page behind the new end raises `SIGBUS`, which ends the process | these bytes read as zeros |
//! | extended | nothing: the mapping keeps its length | the same |
//!
//! A signal handler belongs to the process, so this library installs none unless the program asks for it. A system call
//! that is handed bytes behind the new end, to write them to a socket say, fails instead of raising the signal.
//!
//! Nothing in this crate relies on a byte of the mapping to be the same at a second reading. The header is parsed from a
//! copy, and no length, offset or index is read from the mapping; every byte is valid in every element type. The labels of
//! a [`Dataset`](crate::Dataset) are copied when it is opened, and checked in the copy. So a change leads to wrong values
//! and to no memory error. A caller who checks a value and then relies on it should copy it first, too. (Rust itself says
//! nothing of a `&[u8]` whose bytes another process changes. Compiled code reads the old byte or the new one, and this crate
//! is written for either.)
//!
//! Who has used values asks afterwards whether they were the file's: [`check_unchanged`](IdxFile::check_unchanged) compares
//! the length and the time of modification with those at opening. Programs that replace files should write beside and
//! rename, as [`write_idx`] does.

mod big_endian;
mod error;
mod file;
#[cfg(target_os = "linux")]
mod guard;
mod header;
mod map;
mod write;

pub use big_endian::{BigEndian, Element};
pub(crate) use error::magic_hint;
pub use error::{IdxError, IdxFormatError};
pub(crate) use file::check_regular;
pub use file::{IdxFile, IdxView};
pub use header::{ElementType, Header};
pub use write::{IdxWriter, write_idx, write_idx_to};

/// Lets the process survive that a mapped file is truncated: installs a handler for `SIGBUS`, on Linux; elsewhere it does
/// nothing. Meant for a program's `main`; a library leaves it to the program.
///
/// With the handler, bytes of an [`IdxFile`] behind the file's new end read as zeros, in files that were opened before or
/// after, and [`check_unchanged`](IdxFile::check_unchanged) reports the file. A `SIGBUS` for any other reason goes to the
/// handler that was there before. Further calls do nothing. A program that installs a handler of its own afterwards must
/// call this one, which `sigaction` returns, for what it does not know.
///
/// ```
/// use ziffer_dataset::idx::install_sigbus_handler;
///
/// fn main() {
///     install_sigbus_handler();
///     // Now open files.
/// }
/// ```
pub fn install_sigbus_handler() {
    #[cfg(target_os = "linux")]
    guard::install();
}
