//! Unpacks and verifies content on its way into the data folder. Its own header bounds it, and it gets its final name only once
//! it is complete and correct.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use ziffer_base::digest::{Digest, Sha256};
use ziffer_base::fs::AtomicFile;

use super::transform::Transformer;
use crate::catalog::{FileEntry, Name, Transform};
use crate::digest_cache;
use crate::error::DatasetError;
use crate::idx::{Header, IdxFormatError};
use crate::paths::create_folder;

const BUFFER_BYTES: usize = 64 * 1024;

/// Why content could not be ingested.
#[derive(Debug)]
pub(crate) enum IngestError {
    /// The source does not have it, or has wrong content. Another source may be good.
    Source(DatasetError),
    /// It cannot be written to the data folder. Another source would not help.
    Local(DatasetError),
}

impl IngestError {
    pub(crate) fn into_error(self) -> DatasetError {
        match self {
            IngestError::Source(error) | IngestError::Local(error) => error,
        }
    }
}

/// Which file is needed: one of the four files of a set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileSpec<'a> {
    pub(crate) set: Name,
    pub(crate) entry: &'static FileEntry,
    /// How to get the content of the file from the content of the source.
    pub(crate) transform: Option<Transform>,
    /// The path of the raw file in the data folder.
    pub(crate) target: &'a Path,
}

/// Verified content in a temporary file.
#[derive(Debug)]
pub(crate) struct Ingested {
    pub(crate) file: AtomicFile,
    pub(crate) digest: Digest,
}

impl<'a> FileSpec<'a> {
    /// A file of `set`, from sources with the content that is kept.
    pub(crate) fn new(set: Name, entry: &'static FileEntry, target: &'a Path) -> FileSpec<'a> {
        FileSpec { set, entry, transform: None, target }
    }

    /// The same file, from sources with the published content.
    pub(crate) fn as_published(&self) -> FileSpec<'a> {
        FileSpec { transform: self.entry.published.map(|published| published.transform), ..*self }
    }

    /// Compares a header with the catalog. The error names `path`.
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

    /// The digest that the file in the data folder must have: the published one, or, if the folder `is_cache`, the one that was
    /// recorded when the file arrived. `None` if there is neither.
    pub(crate) fn expected_digest(&self, is_cache: bool) -> Option<Digest> {
        let folder = self.target.parent().filter(|_| is_cache);
        self.entry.sha256.or_else(|| digest_cache::recorded(folder?, self.entry.name))
    }

    /// Compares the digest of content with the expected one. The error names `path`.
    pub(crate) fn check_digest(
        &self,
        path: &Path,
        found: Digest,
        expected: Digest,
    ) -> Result<(), DatasetError> {
        if found == expected {
            return Ok(());
        }
        Err(DatasetError::WrongDigest { path: path.to_owned(), set: self.set.title(), found, expected })
    }

    /// Ingests downloaded content: gzip data if `from`, its URL, ends with `.gz`. Errors name `from`.
    #[cfg(feature = "download")]
    pub(crate) fn ingest(&self, content: impl Read, from: &Path) -> Result<Ingested, IngestError> {
        let (file, digest) = self.read(content, from, || self.create())?;
        Ok(Ingested { file, digest })
    }

    /// Reads content to its end, with every check, into the writer that `open` creates after the header was checked. Several gzip
    /// members in a row are one content (RFC 1952, 2.2). Anything else after the last one is an error.
    pub(crate) fn read<W: Write>(
        &self,
        content: impl Read,
        from: &Path,
        open: impl FnOnce() -> Result<W, IngestError>,
    ) -> Result<(W, Digest), IngestError> {
        if from.extension() != Some(OsStr::new("gz")) {
            return self.copy(content, from, |_, _, source| read_error(from, source), open);
        }
        let mut packed = BufReader::with_capacity(BUFFER_BYTES, content);
        match packed.fill_buf().map_err(|source| IngestError::Source(read_error(from, source)))? {
            [0x1f, 0x8b, ..] | [] | [_] => {}
            [a, b, ..] => {
                return Err(IngestError::Source(DatasetError::NotGzip {
                    path: from.to_owned(),
                    found: [*a, *b],
                }));
            }
        }
        let read_failed = |unpacked, is_complete, source: io::Error| match source.kind() {
            io::ErrorKind::UnexpectedEof if is_complete => {
                DatasetError::GzipEnd { path: from.to_owned(), unpacked }
            }
            io::ErrorKind::UnexpectedEof => DatasetError::GzipCutShort { path: from.to_owned(), unpacked },
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                DatasetError::GzipCorrupt { path: from.to_owned(), unpacked, source }
            }
            _ => read_error(from, source),
        };
        self.copy(MultiGzDecoder::new(packed), from, read_failed, open)
    }

    /// Copies unpacked content. The header is checked before `open` is called, and reading stops at more bytes than the header
    /// declares, so a small archive that unpacks to terabytes is read no further.
    fn copy<W: Write>(
        &self,
        mut content: impl Read,
        from: &Path,
        read_failed: impl Fn(u64, bool, io::Error) -> DatasetError,
        open: impl FnOnce() -> Result<W, IngestError>,
    ) -> Result<(W, Digest), IngestError> {
        // Whether all content was read, as far as the header was.
        let is_complete =
            |read: &[u8], found: u64| Header::parse(read).is_ok_and(|header| header.file_len() == found);
        let malformed =
            |problem| IngestError::Source(DatasetError::Content { path: from.to_owned(), problem });
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        content.by_ref().take(Header::MAX_LEN as u64).read_to_end(&mut buffer).map_err(|source| {
            let found = buffer.len() as u64;
            IngestError::Source(read_failed(found, is_complete(&buffer, found), source))
        })?;
        let header = Header::parse(&buffer).map_err(malformed)?;
        self.check_header(from, &header).map_err(IngestError::Source)?;

        let expected = header.file_len();
        let check = |found| {
            if found > expected { Err(malformed(IdxFormatError::Long { found, expected })) } else { Ok(()) }
        };
        check(buffer.len() as u64)?;

        let mut out = open()?;
        let mut sha256 = Sha256::default();
        let mut transformer = Transformer::new(self.transform, &header, self.set.classes(), from);
        let piece = transformer.piece_len(BUFFER_BYTES);
        let (mut found, mut values) = (0, header.header_len());
        loop {
            let room = (values + piece).saturating_sub(buffer.len());
            content.by_ref().take(room as u64).read_to_end(&mut buffer).map_err(|source| {
                let found = found + buffer.len() as u64;
                IngestError::Source(read_failed(found, found == expected, source))
            })?;
            if buffer.is_empty() {
                break;
            }
            found += buffer.len() as u64;
            check(found)?;
            transformer.apply(&mut buffer[values..]).map_err(IngestError::Source)?;
            sha256.update(&buffer);
            out.write_all(&buffer).map_err(|source| self.write_error(source))?;
            buffer.clear();
            values = 0;
        }
        header.check_file_len(found).map_err(malformed)?;
        let digest = sha256.finish();
        if let Some(expected) = self.entry.sha256 {
            self.check_digest(from, digest, expected).map_err(IngestError::Source)?;
        }
        Ok((out, digest))
    }

    /// Creates the temporary file for the content, beside the target.
    pub(crate) fn create(&self) -> Result<AtomicFile, IngestError> {
        if let Some(folder) = self.target.parent() {
            create_folder(folder).map_err(IngestError::Local)?;
        }
        AtomicFile::create(self.target).map_err(|source| self.write_error(source))
    }

    fn write_error(&self, source: io::Error) -> IngestError {
        IngestError::Local(DatasetError::Io { action: "write", path: self.target.to_owned(), source })
    }
}

fn read_error(path: &Path, source: io::Error) -> DatasetError {
    DatasetError::Io { action: "read", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
