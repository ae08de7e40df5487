//! Reading numbers and byte ranges one after the other.

use crate::keras::error::ImportError;

/// The address that stands for "none".
pub(super) const UNDEFINED: u64 = u64::MAX;

/// A position in bytes, from which numbers are read.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    left: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// At the beginning of bytes.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// At an address in the bytes of a file.
    pub(super) fn at(bytes: &'a [u8], address: u64) -> Result<Self, ImportError> {
        let left = usize::try_from(address).ok().and_then(|start| bytes.get(start..));
        let problem = || ImportError::damaged(&format!("refers to byte {address} of {}", bytes.len()));
        Ok(Self { left: left.ok_or_else(problem)? })
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], ImportError> {
        let (taken, left) = self.left.split_at_checked(count).ok_or_else(|| {
            ImportError::damaged(&format!("expected {count} bytes, {} are left", self.left.len()))
        })?;
        self.left = left;
        Ok(taken)
    }

    /// The next `count` bytes, for a count that is read from the file.
    pub(super) fn take_u64(&mut self, count: u64) -> Result<&'a [u8], ImportError> {
        self.take(usize::try_from(count).unwrap_or(usize::MAX))
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), ImportError> {
        self.take(count).map(drop)
    }

    pub(super) fn left(&self) -> usize {
        self.left.len()
    }

    /// The bytes that are left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.left
    }

    pub(super) fn u8(&mut self) -> Result<u8, ImportError> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, ImportError> {
        self.number(2).map(|number| number as u16)
    }

    pub(super) fn u32(&mut self) -> Result<u32, ImportError> {
        self.number(4).map(|number| number as u32)
    }

    pub(super) fn u64(&mut self) -> Result<u64, ImportError> {
        self.number(8)
    }

    /// A little-endian number of up to 8 bytes.
    pub(super) fn number(&mut self, width: usize) -> Result<u64, ImportError> {
        Ok(self.take(width)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }
}
