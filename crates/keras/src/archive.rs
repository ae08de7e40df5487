//! `.keras`: a ZIP archive of `config.json`, `metadata.json` and `model.weights.h5`, each stored as it is.

use std::io::{Cursor, Read};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::ImportError;

/// What a ZIP archive begins with, if its first entry is at its beginning.
pub(crate) const MAGIC: &[u8] = b"PK\x03\x04";

/// An archive whose entries are looked up by name.
pub(crate) struct Archive<'a>(ZipArchive<Cursor<&'a [u8]>>);

impl<'a> Archive<'a> {
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, ImportError> {
        let archive = ZipArchive::new(Cursor::new(bytes));
        archive.map(Self).map_err(|error| failed("damaged".to_owned(), error))
    }

    /// The bytes of an entry, whose checksum must be right.
    pub(crate) fn entry(&mut self, name: &str) -> Result<Vec<u8>, ImportError> {
        let refused = |problem: String| ImportError::Archive { problem, source: None };
        let mut entry = self.0.by_name(name).map_err(|error| match error {
            ZipError::FileNotFound => refused(format!("has no {name}; was it saved by Keras 3?")),
            error => failed(format!("cannot read {name}"), error),
        })?;
        // Keras compresses nothing. What is stored cannot be longer than the archive.
        if entry.compression() != CompressionMethod::Stored {
            let method = entry.compression();
            return Err(refused(format!(
                "{name} is compressed ({method}), expected a stored entry as Keras writes it; pack with zip -0"
            )));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| failed(format!("{name} is damaged"), error.into()))?;
        Ok(bytes)
    }
}

/// What a decoder refused. The text of `ZipError::Io` repeats its cause, which takes its place.
fn failed(problem: String, error: ZipError) -> ImportError {
    let source = match error {
        ZipError::Io(cause) => cause.into(),
        error => error.into(),
    };
    ImportError::Archive { problem, source: Some(source) }
}
