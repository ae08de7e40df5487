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
//! A mapped file should not be changed by anyone while it is open. If another process *overwrites* it, the values change
//! underneath. If it *truncates* it, what lay behind the new end reads as zeros: on Linux the first file that is opened
//! installs a handler for `SIGBUS`, by which the kernel tells of such an access and which would end the process; of a
//! `SIGBUS` for any other reason, the handler that was there before is told. (On other systems the process ends.) No
//! check at opening can prevent either, so who has used values asks after it:
//! [`check_unchanged`](IdxFile::check_unchanged). Programs that replace files should write beside and rename, as
//! [`write_idx`] does: an open mapping then keeps the old content.

mod big_endian;
mod error;
mod file;
#[cfg(target_os = "linux")]
mod guard;
mod header;
mod map;
mod write;

pub use big_endian::{BigEndian, Scalar};
pub(crate) use error::magic_hint;
pub use error::{FormatError, IdxError};
pub(crate) use file::check_regular;
pub use file::{IdxFile, IdxView};
pub use header::{ElementType, Header};
pub use write::{IdxWriter, write_idx, write_idx_to};
