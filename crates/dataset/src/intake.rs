//! Content on its way into the data folder: bounded by its own header, checked as it passes, and never under its
//! final name before it is whole and right.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::catalogue::{FileEntry, Name};
use crate::digest::{Digest, Hasher};
use crate::error::DatasetError;
use crate::idx::{FormatError, Header};
use crate::replacement::Replacement;

const BUFFER_BYTES: usize = 64 * 1024;

/// Why content did not arrive.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The place does not have it, or not a good one: another place may.
    Place(DatasetError),
    /// It cannot be kept here: no other place can help.
    Here(DatasetError),
}

/// What is to arrive: one file of one set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) set: Name,
    pub(crate) entry: &'static FileEntry,
    /// The raw file that it becomes.
    pub(crate) target: &'a Path,
}

/// Content that passed every check, still under a temporary name.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) replacement: Replacement,
    pub(crate) digest: Digest,
}

impl Wanted<'_> {
    /// Holds a header against the catalogue. `path` is named in the error.
    pub(crate) fn check_header(&self, path: &Path, header: &Header) -> Result<(), DatasetError> {
        match self.entry.shape {
            Some(expected)
                if header.element_type() != self.entry.element_type || header.shape() != expected =>
            {
                Err(DatasetError::WrongShape {
                    path: path.to_owned(),
                    set: self.set.title(),
                    found_type: header.element_type(),
                    found: header.shape().to_vec(),
                    expected_type: self.entry.element_type,
                    expected: expected.to_vec(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Holds the digest of some content against the catalogue.
    pub(crate) fn check_digest(&self, path: &Path, found: Digest) -> Result<(), DatasetError> {
        match self.entry.sha256 {
            Some(expected) if expected != found => Err(DatasetError::WrongDigest {
                path: path.to_owned(),
                set: self.set.title(),
                found,
                expected,
            }),
            _ => Ok(()),
        }
    }

    /// Takes in a raw file; `from` is named in errors.
    pub(crate) fn copy(&self, file: File, from: &Path) -> Result<Arrived, Failure> {
        self.take_in(file, from, |_, _, source| read_error(from, source))
    }

    /// Takes in an archive; `from` is named in errors. Several members in a row are one content, as the standard
    /// has it (RFC 1952, 2.2); anything else behind the last one is an error.
    pub(crate) fn unpack(&self, file: File, from: &Path) -> Result<Arrived, Failure> {
        let mut packed = BufReader::with_capacity(BUFFER_BYTES, file);
        match packed.fill_buf().map_err(|source| Failure::Place(read_error(from, source)))? {
            [0x1f, 0x8b, ..] | [] | [_] => {}
            [a, b, ..] => {
                return Err(Failure::Place(DatasetError::NotGzip { path: from.to_owned(), found: [*a, *b] }));
            }
        }
        self.take_in(MultiGzDecoder::new(packed), from, |unpacked, is_all, source| match source.kind() {
            io::ErrorKind::UnexpectedEof if is_all => {
                DatasetError::GzipEnd { path: from.to_owned(), unpacked }
            }
            io::ErrorKind::UnexpectedEof => DatasetError::GzipCutShort { path: from.to_owned(), unpacked },
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                DatasetError::GzipCorrupt { path: from.to_owned(), unpacked, source }
            }
            _ => read_error(from, source),
        })
    }

    /// Reads `content` to its end, into a temporary file beside the target. The header is judged before that file
    /// is made, and the reading stops as soon as there is more than the header says: a small archive that unpacks
    /// to terabytes ends there.
    fn take_in(
        &self,
        mut content: impl Read,
        from: &Path,
        read_failed: impl Fn(u64, bool, io::Error) -> DatasetError,
    ) -> Result<Arrived, Failure> {
        // All there should be, as far as a header has come that says it.
        let is_all =
            |read: &[u8], found: u64| Header::parse(read).is_ok_and(|header| header.file_len() == found);
        let malformed = |problem| Failure::Place(DatasetError::Content { path: from.to_owned(), problem });
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        content.by_ref().take(Header::MAX_LEN as u64).read_to_end(&mut buffer).map_err(|source| {
            let found = buffer.len() as u64;
            Failure::Place(read_failed(found, is_all(&buffer, found), source))
        })?;
        let header = Header::parse(&buffer).map_err(malformed)?;
        self.check_header(from, &header).map_err(Failure::Place)?;

        let mut replacement = self.create()?;
        let mut hasher = Hasher::default();
        let (mut found, expected) = (0, header.file_len());
        while !buffer.is_empty() {
            found += buffer.len() as u64;
            if found > expected {
                return Err(malformed(FormatError::Long { found, expected }));
            }
            hasher.update(&buffer);
            replacement.write_all(&buffer).map_err(|source| self.write_error(source))?;
            buffer.clear();
            content.by_ref().take(BUFFER_BYTES as u64).read_to_end(&mut buffer).map_err(|source| {
                let found = found + buffer.len() as u64;
                Failure::Place(read_failed(found, found == expected, source))
            })?;
        }
        header.check_file_len(found).map_err(malformed)?;
        let digest = hasher.finish();
        self.check_digest(from, digest).map_err(Failure::Place)?;
        Ok(Arrived { replacement, digest })
    }

    fn create(&self) -> Result<Replacement, Failure> {
        if let Some(folder) = self.target.parent() {
            create_folder(folder).map_err(Failure::Here)?;
        }
        Replacement::beside(self.target).map_err(|source| self.write_error(source))
    }

    fn write_error(&self, source: io::Error) -> Failure {
        Failure::Here(DatasetError::Io { action: "write", path: self.target.to_owned(), source })
    }
}

/// Makes a data folder, and those above it, if it is missing.
pub(crate) fn create_folder(folder: &Path) -> Result<(), DatasetError> {
    std::fs::create_dir_all(folder).map_err(|source| DatasetError::Io {
        action: "create the folder",
        path: folder.to_owned(),
        source,
    })
}

fn read_error(path: &Path, source: io::Error) -> DatasetError {
    DatasetError::Io { action: "read", path: path.to_owned(), source }
}
