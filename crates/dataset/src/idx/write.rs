//! Writing IDX from ndarray views.

use std::io::{self, Write};
use std::path::Path;

use ndarray::{ArrayRef, Dimension};

use super::{Header, IdxError, Scalar};
use crate::replacement::Replacement;

/// Values are converted to file order in pieces of this size, large enough to make the writes rare.
const BUFFER_BYTES: usize = 64 * 1024;

/// Writes `array`, of any shape and memory layout, as an IDX file.
///
/// The file is written beside its place, synced to the disk and renamed: under `path` stands the old content or
/// the whole new one, also after a crash, and who has the old one mapped keeps it.
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
/// [`IdxError::Io`] if the file cannot be written; no file is left behind then.
pub fn write_idx<T: Scalar, D: Dimension>(
    path: impl AsRef<Path>,
    array: &ArrayRef<T, D>,
) -> Result<(), IdxError> {
    let path = path.as_ref();
    let header = Header::new(T::ELEMENT_TYPE, array.shape())
        .map_err(|problem| IdxError::Malformed { path: path.to_owned(), problem })?;
    let write = || {
        let mut replacement = Replacement::beside(path)?;
        write_values(&mut replacement, &header, array)?;
        replacement.commit()
    };
    write().map_err(|source| IdxError::Io { action: "write", path: path.to_owned(), source })
}

/// Writes `array` as IDX to any writer. The writer need not be buffered.
///
/// # Errors
/// Those of the writer, and [`io::ErrorKind::InvalidInput`] around a [`FormatError`](super::FormatError) for a
/// shape that the format cannot hold.
pub fn write_idx_to<T: Scalar, D: Dimension>(
    mut writer: impl Write,
    array: &ArrayRef<T, D>,
) -> io::Result<()> {
    let header = Header::new(T::ELEMENT_TYPE, array.shape())
        .map_err(|problem| io::Error::new(io::ErrorKind::InvalidInput, problem))?;
    write_values(&mut writer, &header, array)
}

fn write_values<T: Scalar, D: Dimension>(
    writer: &mut impl Write,
    header: &Header,
    array: &ArrayRef<T, D>,
) -> io::Result<()> {
    let mut buffer = header.to_bytes();
    buffer.reserve(BUFFER_BYTES.min(header.payload_len()));
    for value in array {
        buffer.extend_from_slice(value.to_be().as_ref());
        if buffer.len() >= BUFFER_BYTES {
            writer.write_all(&buffer)?;
            buffer.clear();
        }
    }
    writer.write_all(&buffer)?;
    writer.flush()
}
