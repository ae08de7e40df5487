//! IDX, the format of MNIST and its relatives: read by memory mapping without copies, and written.
//!
//! An IDX file is two zero bytes, a byte for the [element type](ElementType), a byte for the rank, `rank` sizes
//! as big-endian `u32`, then the values, big-endian, in C order (the last axis runs fastest), and nothing else.
//! The format was published with MNIST by Yann LeCun, Corinna Cortes and Christopher J. C. Burges.
//!
//! The format leaves two cases open:
//! - **Rank 0** is a single value: the product of no sizes is 1.
//! - **A size of 0** is an array without values, and the file ends with its header. The product of the other sizes must still not
//!   overflow, so that an array can have every accepted shape.
//!
//! # Files that change while they are mapped
//!
//! An [`IdxFile`] maps its file, so a process that changes the file also changes the values. No check on opening can prevent that.
//! The effects:
//!
//! | the file is | without a handler | after [`install_sigbus_handler`], on Linux |
//! |---|---|---|
//! | renamed, deleted, or replaced by renaming | none: the mapping keeps the old content | the same |
//! | overwritten in place | reads return the new bytes | the same |
//! | truncated | reading a page behind the new end raises `SIGBUS`, which ends the process | these bytes are read as zeros |
//! | extended | none: the mapping keeps its length | the same |
//!
//! A signal handler belongs to the process, so the program must install it explicitly. A system call with bytes behind the new end,
//! such as a write to a socket, returns an error instead of raising the signal.
//!
//! No code in this crate relies on reading the same byte twice. The header is parsed from a copy, no length, offset or index is read
//! from the mapping, and every byte is valid in every element type. The labels of a [`Dataset`](crate::Dataset) are copied when it is
//! opened, and checked in the copy. So a change leads to wrong values, not to memory errors. A caller who checks a value and then
//! relies on it should copy it first. (Rust does not define a `&[u8]` whose bytes another process changes. Compiled code reads the
//! old byte or the new one, and this crate handles either.)
//!
//! [`check_unchanged`](IdxFile::check_unchanged) detects a change: it compares the length and the modification time with those at
//! opening. Programs that replace files should write beside them and rename, as [`write_idx`] does.

mod big_endian;
mod element_type;
mod error;
mod file;
#[cfg(target_os = "linux")]
mod guard;
mod header;
mod map;
mod write;

pub use big_endian::{BigEndian, Element};
pub use element_type::ElementType;
pub(crate) use error::magic_hint;
pub use error::{IdxError, IdxFormatError};
pub(crate) use file::check_regular;
pub use file::{IdxFile, IdxView};
pub use header::Header;
pub use write::{IdxWriter, write_idx, write_idx_to};

/// Installs a handler for `SIGBUS`, so that the process survives the truncation of a mapped file. It works on Linux, and does
/// nothing elsewhere. It belongs into a program's `main`; libraries leave it to the program.
///
/// With the handler, bytes of an [`IdxFile`] behind the file's new end are read as zeros, whether the file was opened before or after
/// the call, and [`check_unchanged`](IdxFile::check_unchanged) reports the file. A `SIGBUS` for any other reason goes to the previous
/// handler. Further calls do nothing. A program that installs its own handler afterwards must call this one, which `sigaction`
/// returns, for addresses that it does not know.
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
