//! The one place that maps a file into memory.
#![allow(unsafe_code, reason = "mapping a file is unsafe by nature: others can change it")]

use std::fs::File;
use std::io;

use memmap2::Mmap;

/// Maps the whole of `file`, read-only.
///
/// The contract with the outside, which no code here can enforce, is in the documentation of [`crate::idx`]:
/// nobody truncates or overwrites a file while it is mapped.
pub(super) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is read-only and owned by the returned value, and every borrow of its bytes is tied to
    // that value. What remains is a change of the file by somebody else. This crate never changes a file in place:
    // it writes beside and renames, which leaves the mapped file as it was. For other programs it is the caller's
    // duty, stated at `IdxFile::open`. Truncation ends the process by SIGBUS, not in wrong memory; an overwritten
    // byte is another `u8`, always a valid one, and no length, offset or index is ever read through the mapping
    // again after opening: the header is parsed once, and labels are copied out before they are checked.
    unsafe { Mmap::map(file) }
}
