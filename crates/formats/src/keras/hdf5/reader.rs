//! Access to the bytes of a file by address, with a limit on the number of steps.

use std::cell::Cell;

use super::cursor::Cursor;
use crate::keras::error::ImportError;

/// The most messages, entries and nodes that are visited in a file. A network of a hundred layers takes some 20,000.
const MAX_STEPS: u32 = 1 << 22;

/// The bytes of a file.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    /// Steps that are left.
    steps: Cell<u32>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, steps: Cell::new(MAX_STEPS) }
    }

    /// Counts a step.
    pub(super) fn step(&self) -> Result<(), ImportError> {
        let left = self.steps.get().checked_sub(1);
        let endless = || ImportError::damaged("its parts refer to each other without end");
        self.steps.set(left.ok_or_else(endless)?);
        Ok(())
    }

    /// A cursor at an address.
    pub(super) fn at(&self, address: u64) -> Result<Cursor<'a>, ImportError> {
        Cursor::at(self.bytes, address)
    }

    /// A cursor behind the signature at an address.
    pub(super) fn signed(&self, address: u64, signature: &[u8; 4]) -> Result<Cursor<'a>, ImportError> {
        let mut cursor = self.at(address)?;
        if cursor.take(signature.len())? != signature {
            let signature = String::from_utf8_lossy(signature);
            return Err(ImportError::damaged(&format!("no {signature} at byte {address}")));
        }
        Ok(cursor)
    }
}
