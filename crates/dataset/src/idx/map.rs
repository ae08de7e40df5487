//! Memory-mapped files.
#![allow(unsafe_code, reason = "mapping a file is unsafe by nature: others can change it")]

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;

#[cfg(target_os = "linux")]
use super::guard::Guard;

/// A whole file, mapped read-only.
#[derive(Debug)]
pub(super) struct Mapping {
    /// Dropped before the mapping, since fields are dropped in their order.
    #[cfg(target_os = "linux")]
    guard: Guard,
    map: Mmap,
}

impl Mapping {
    /// Maps `file`. Other programs can still overwrite it while it is mapped; see [`crate::idx`].
    pub(super) fn new(file: &File) -> io::Result<Mapping> {
        // SAFETY: the mapping is read-only and owned by the returned value, and every borrow of its bytes is tied to
        // that value. What remains is a change of the file by somebody else. This crate never changes a file in place:
        // it writes beside and renames, which leaves the mapped file as it was. Of other programs, one that truncates
        // the file ends this process by SIGBUS, not in wrong memory, or, with the handler, leaves zeros to be read; an
        // overwritten byte is another `u8`, always a valid one. Nothing that memory safety rests on is read through the
        // mapping: the header is parsed from a copy, labels are copied before they are checked, and no other value
        // becomes a length, an offset or an index.
        let map = unsafe { Mmap::map(file) }?;
        Ok(Mapping {
            // SAFETY: these are the whole of the mapping, which the same value owns and drops after the guard.
            #[cfg(target_os = "linux")]
            guard: unsafe { Guard::new(&map) },
            map,
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Whether bytes were read that the file no longer has.
    pub(super) fn is_cut(&self) -> bool {
        #[cfg(target_os = "linux")]
        return self.guard.is_cut();
        #[cfg(not(target_os = "linux"))]
        false
    }

    /// Reads these bytes into the page cache ahead of their use. Errors are ignored: they come back when the bytes are used. On Windows
    /// this does nothing.
    #[cfg_attr(not(unix), expect(unused_variables, reason = "there is no such advice"))]
    pub(super) fn will_need(&self, bytes: Range<usize>) {
        #[cfg(target_os = "linux")]
        if self.map.advise_range(memmap2::Advice::PopulateRead, bytes.start, bytes.len()).is_ok() {
            return;
        }
        // Kernels before 5.14: into the page cache at least.
        #[cfg(unix)]
        let _ = self.map.advise_range(memmap2::Advice::WillNeed, bytes.start, bytes.len());
    }

    /// Releases the memory of these bytes to the page cache. On Windows this does nothing.
    #[cfg_attr(not(unix), expect(unused_variables, reason = "there is no such advice"))]
    pub(super) fn release(&self, bytes: Range<usize>) {
        // SAFETY: the mapping is read-only, so no data is lost: the next read gets the same bytes from the file, or the zeros
        // that the guard has mapped.
        #[cfg(unix)]
        let _ =
            unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, bytes.start, bytes.len()) };
    }
}
