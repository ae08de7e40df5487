//! `.keras`: a ZIP archive of `config.json`, `metadata.json` and `model.weights.h5`, each stored without compression.

use std::io::{Cursor, Read};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::error::ImportError;

/// The first bytes of a ZIP archive whose first entry is at its beginning.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";

/// An archive.
pub(super) struct Archive<'a>(ZipArchive<Cursor<&'a [u8]>>);

impl<'a> Archive<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, ImportError> {
        let archive = ZipArchive::new(Cursor::new(bytes));
        archive.map(Self).map_err(|error| failed("damaged".to_owned(), error))
    }

    /// The bytes of an entry, whose checksum is verified.
    pub(super) fn entry(&mut self, name: &str) -> Result<Vec<u8>, ImportError> {
        let refused = |problem: String| ImportError::Archive { problem, source: None };
        let mut entry = self.0.by_name(name).map_err(|error| match error {
            ZipError::FileNotFound => refused(format!("has no {name}; was it saved by Keras 3?")),
            error => failed(format!("cannot read {name}"), error),
        })?;
        // Keras does not compress. A stored entry is never longer than the archive.
        if entry.compression() != CompressionMethod::Stored {
            let method = entry.compression();
            return Err(refused(format!(
                "{name} is compressed ({method}), expected a stored entry as Keras writes it; repack with zip -0"
            )));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| failed(format!("{name} is damaged"), error.into()))?;
        Ok(bytes)
    }
}

/// An error of the decoder. The text of `ZipError::Io` repeats its cause, so the cause is the source.
fn failed(problem: String, error: ZipError) -> ImportError {
    let source = match error {
        ZipError::Io(cause) => cause.into(),
        error => error.into(),
    };
    ImportError::Archive { problem, source: Some(source) }
}
