//! Content on its way into the data folder: bounded by its own header, checked as it passes, and never under its
//! final name before it is whole and right.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use ziffer_base::digest::{Digest, Sha256};
use ziffer_base::fs::AtomicFile;

use crate::catalogue::{FileEntry, Form, Name};
use crate::change::Change;
use crate::error::DatasetError;
use crate::idx::{FormatError, Header};
use crate::source::Source;
use crate::verified;

const BUFFER_BYTES: usize = 64 * 1024;

/// Why content did not arrive.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The place does not have it, or not a good one: another place may.
    Place(DatasetError),
    /// It cannot be kept here: no other place can help.
    Here(DatasetError),
}

impl Failure {
    pub(crate) fn into_error(self) -> DatasetError {
        match self {
            Failure::Place(error) | Failure::Here(error) => error,
        }
    }
}

/// What is to arrive: one file of one set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) set: Name,
    pub(crate) entry: &'static FileEntry,
    /// The form that the content comes in, if it is another than that of the file.
    pub(crate) form: Option<Form>,
    /// The raw file that it becomes.
    pub(crate) target: &'a Path,
}

/// Content that passed every check, still under a temporary name.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) file: AtomicFile,
    pub(crate) digest: Digest,
}

impl<'a> Wanted<'a> {
    /// A file of `set` in its own form.
    pub(crate) fn new(set: Name, entry: &'static FileEntry, target: &'a Path) -> Wanted<'a> {
        Wanted { set, entry, form: None, target }
    }

    /// The same file in the form that it was published in.
    pub(crate) fn as_published(&self) -> Wanted<'a> {
        Wanted { form: self.entry.original.map(|original| original.form), ..*self }
    }

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

    /// The digest that the file in the data folder must have: the one that was published, or in the cache folder the one that
    /// it came with; `None` if there is neither.
    pub(crate) fn expected(&self, source: &Source) -> Option<Digest> {
        let folder = self.target.parent().filter(|_| source.is_cache());
        self.entry.sha256.or_else(|| verified::recorded(folder?, self.entry.name))
    }

    /// Holds the digest of some content against the one that it must have.
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

    /// Takes in what an address sent, an archive if `from` is the name of one; `from` is named in errors.
    #[cfg(feature = "download")]
    pub(crate) fn take(&self, content: impl Read, from: &Path) -> Result<Arrived, Failure> {
        let (file, digest) = self.read(content, from, || self.create())?;
        Ok(Arrived { file, digest })
    }

    /// Reads content to its end, with every check, into what `open` makes once the header is good. Of an archive several
    /// members in a row are one content, as the standard has it (RFC 1952, 2.2); anything else behind the last one is an
    /// error.
    pub(crate) fn read<W: Write>(
        &self,
        content: impl Read,
        from: &Path,
        open: impl FnOnce() -> Result<W, Failure>,
    ) -> Result<(W, Digest), Failure> {
        if from.extension() != Some(OsStr::new("gz")) {
            return self.pass(content, from, |_, _, source| read_error(from, source), open);
        }
        let mut packed = BufReader::with_capacity(BUFFER_BYTES, content);
        match packed.fill_buf().map_err(|source| Failure::Place(read_error(from, source)))? {
            [0x1f, 0x8b, ..] | [] | [_] => {}
            [a, b, ..] => {
                return Err(Failure::Place(DatasetError::NotGzip { path: from.to_owned(), found: [*a, *b] }));
            }
        }
        let read_failed = |unpacked, is_all, source: io::Error| match source.kind() {
            io::ErrorKind::UnexpectedEof if is_all => {
                DatasetError::GzipEnd { path: from.to_owned(), unpacked }
            }
            io::ErrorKind::UnexpectedEof => DatasetError::GzipCutShort { path: from.to_owned(), unpacked },
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                DatasetError::GzipCorrupt { path: from.to_owned(), unpacked, source }
            }
            _ => read_error(from, source),
        };
        self.pass(MultiGzDecoder::new(packed), from, read_failed, open)
    }

    /// Passes unpacked `content` on. The header is judged before `open` is called, and the reading stops as soon as there is
    /// more than the header says: a small archive that unpacks to terabytes ends there.
    fn pass<W: Write>(
        &self,
        mut content: impl Read,
        from: &Path,
        read_failed: impl Fn(u64, bool, io::Error) -> DatasetError,
        open: impl FnOnce() -> Result<W, Failure>,
    ) -> Result<(W, Digest), Failure> {
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

        let expected = header.file_len();
        let check = |found| {
            if found > expected { Err(malformed(FormatError::Long { found, expected })) } else { Ok(()) }
        };
        check(buffer.len() as u64)?;

        let mut out = open()?;
        let mut sha256 = Sha256::default();
        let mut change = Change::new(self, &header, from);
        let piece = change.piece_len(BUFFER_BYTES);
        let (mut found, mut values) = (0, header.header_len());
        loop {
            let room = (values + piece).saturating_sub(buffer.len());
            content.by_ref().take(room as u64).read_to_end(&mut buffer).map_err(|source| {
                let found = found + buffer.len() as u64;
                Failure::Place(read_failed(found, found == expected, source))
            })?;
            if buffer.is_empty() {
                break;
            }
            found += buffer.len() as u64;
            check(found)?;
            change.apply(&mut buffer[values..]).map_err(Failure::Place)?;
            sha256.update(&buffer);
            out.write_all(&buffer).map_err(|source| self.write_error(source))?;
            buffer.clear();
            values = 0;
        }
        header.check_file_len(found).map_err(malformed)?;
        let digest = sha256.finish();
        if let Some(expected) = self.entry.sha256 {
            self.check_digest(from, digest, expected).map_err(Failure::Place)?;
        }
        Ok((out, digest))
    }

    /// A temporary file for the content, beside the target.
    pub(crate) fn create(&self) -> Result<AtomicFile, Failure> {
        if let Some(folder) = self.target.parent() {
            create_folder(folder).map_err(Failure::Here)?;
        }
        AtomicFile::create(self.target).map_err(|source| self.write_error(source))
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
