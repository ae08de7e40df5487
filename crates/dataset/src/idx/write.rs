//! Writes IDX files from ndarray views.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ndarray::{ArrayRef, Dimension};
use ziffer_base::fs::AtomicFile;

use super::{Element, ElementType, Header, IdxError};

/// Values are converted to the byte order of the file in pieces of this size.
const BUFFER_BYTES: usize = 64 * 1024;

/// Writes `array`, of any shape and memory layout, as an IDX file.
///
/// The file is written beside `path`, synced to the disk and renamed. So `path` has either the old content or all of the new one,
/// also after a crash, and a mapping of the old file keeps its content.
///
/// ```
/// use ndarray::array;
/// use ziffer_dataset::idx::{IdxFile, write_idx};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("counts-idx2-int");
/// write_idx(&path, &array![[1, -2, 3], [4, 5, -6]])?;
/// let file = IdxFile::open(&path)?;
/// assert_eq!(file.as_i32()?[[1, 2]].get(), -6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`IdxError::Malformed`] for a shape that the format cannot hold (rank above 255, a size above `u32::MAX`),
/// [`IdxError::Io`] if the file cannot be written. No file is left behind.
pub fn write_idx<T: Element, D: Dimension>(
    path: impl AsRef<Path>,
    array: &ArrayRef<T, D>,
) -> Result<(), IdxError> {
    let mut writer = IdxWriter::create(path.as_ref(), T::ELEMENT_TYPE, array.shape())?;
    each_piece(array, |bytes| writer.write(bytes))?;
    writer.finish()
}

/// Writes `array` as IDX to any writer. The writer need not be buffered.
///
/// # Errors
/// Those of the writer, and [`io::ErrorKind::InvalidInput`] around a [`IdxFormatError`](super::IdxFormatError) for a
/// shape that the format cannot hold.
pub fn write_idx_to<T: Element, D: Dimension>(
    mut writer: impl Write,
    array: &ArrayRef<T, D>,
) -> io::Result<()> {
    let header = Header::new(T::ELEMENT_TYPE, array.shape())
        .map_err(|problem| io::Error::new(io::ErrorKind::InvalidInput, problem))?;
    writer.write_all(&header.to_bytes())?;
    each_piece(array, |bytes| writer.write_all(bytes))?;
    writer.flush()
}

/// Writes an IDX file of any size piece by piece. It appears under its name once it is complete.
///
/// ```
/// use ziffer_dataset::idx::{ElementType, IdxFile, IdxWriter};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("labels-idx1-ubyte");
/// let mut writer = IdxWriter::create(&path, ElementType::U8, &[4])?;
/// writer.write(&[3, 1])?;
/// writer.write(&[4, 1])?;
/// writer.finish()?;
/// assert_eq!(IdxFile::open(&path)?.payload(), [3, 1, 4, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct IdxWriter {
    path: PathBuf,
    file: AtomicFile,
    header: Header,
    written: u64,
}

impl IdxWriter {
    /// Starts a file for an array of this shape, in a folder that exists.
    ///
    /// # Errors
    /// [`IdxError::Malformed`] for a shape that the format cannot hold, [`IdxError::Io`] if the file cannot be written.
    pub fn create(
        path: impl Into<PathBuf>,
        element_type: ElementType,
        shape: &[usize],
    ) -> Result<IdxWriter, IdxError> {
        let path = path.into();
        let header = Header::new(element_type, shape)
            .map_err(|problem| IdxError::Malformed { path: path.clone(), problem })?;
        let begin = || {
            let mut file = AtomicFile::create(&path)?;
            file.write_all(&header.to_bytes())?;
            Ok(file)
        };
        match begin() {
            Ok(file) => Ok(IdxWriter { written: header.header_len() as u64, path, file, header }),
            Err(source) => Err(IdxError::Io { action: "write", path, source }),
        }
    }

    /// Appends values in the byte order of the file, big-endian. Writes are not buffered: pass many values at a time.
    ///
    /// # Errors
    /// [`IdxError::Io`] if they cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), IdxError> {
        self.written += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|source| IdxError::Io {
            action: "write",
            path: self.path.clone(),
            source,
        })
    }

    /// Syncs the values to the disk, so that [`finish`](Self::finish) has little left to fail at.
    ///
    /// # Errors
    /// As `finish`.
    pub fn sync(&self) -> Result<(), IdxError> {
        let path = || self.path.clone();
        self.header
            .check_file_len(self.written)
            .map_err(|problem| IdxError::Malformed { path: path(), problem })?;
        self.file.sync().map_err(|source| IdxError::Io { action: "write", path: path(), source })
    }

    /// Syncs the file to the disk and gives it its name.
    ///
    /// # Errors
    /// [`IdxError::Malformed`] if the number of bytes differs from that of the shape, [`IdxError::Io`] if it cannot be written.
    pub fn finish(self) -> Result<(), IdxError> {
        let IdxWriter { path, file, header, written } = self;
        match header.check_file_len(written) {
            Ok(()) => file.commit().map_err(|source| IdxError::Io { action: "write", path, source }),
            Err(problem) => Err(IdxError::Malformed { path, problem }),
        }
    }
}

/// Calls `write` with the values in the byte order of the file, many at a time.
fn each_piece<T: Element, D: Dimension, E>(
    array: &ArrayRef<T, D>,
    mut write: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES.min(array.len() * T::ELEMENT_TYPE.size()));
    for value in array {
        buffer.extend_from_slice(value.to_be().as_ref());
        if buffer.len() >= BUFFER_BYTES {
            write(&buffer)?;
            buffer.clear();
        }
    }
    write(&buffer)
}
