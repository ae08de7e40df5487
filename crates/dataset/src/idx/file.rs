//! An open IDX file: mapped, checked, with its values as ndarray views.

use std::fs::{File, Metadata};
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{ArrayViewD, IxDyn};

use super::big_endian::{self, BigEndian, Element};
use super::map::Mapping;
use super::{ElementType, Header, IdxError};

/// An open IDX file. Its values are read in place from the page cache, without copies.
///
/// `IdxFile` is `Send` and `Sync`: threads may read through one at the same time.
#[derive(Debug)]
pub struct IdxFile {
    path: PathBuf,
    file: File,
    map: Mapping,
    header: Header,
    metadata: Metadata,
}

/// The values of an [`IdxFile`], in the type and shape that the file has.
#[derive(Clone, Debug)]
pub enum IdxView<'a> {
    /// Unsigned bytes.
    U8(ArrayViewD<'a, u8>),
    /// Signed bytes.
    I8(ArrayViewD<'a, i8>),
    /// 16-bit integers.
    I16(ArrayViewD<'a, BigEndian<i16>>),
    /// 32-bit integers.
    I32(ArrayViewD<'a, BigEndian<i32>>),
    /// 32-bit floats.
    F32(ArrayViewD<'a, BigEndian<f32>>),
    /// 64-bit floats.
    F64(ArrayViewD<'a, BigEndian<f64>>),
}

impl IdxFile {
    /// Opens, checks and maps a file. Magic number, type, rank, sizes and the exact length are checked before memory is mapped or
    /// allocated by what the header declares.
    ///
    /// No other program should truncate or overwrite the file while the `IdxFile` lives; see
    /// [the module's documentation](crate::idx#files-that-change-while-they-are-mapped).
    ///
    /// # Errors
    /// [`IdxError::NotAFile`] for a folder, pipe or device, [`IdxError::Io`] if it cannot be opened or mapped,
    /// [`IdxError::Malformed`] if it is not IDX.
    pub fn open(path: impl AsRef<Path>) -> Result<IdxFile, IdxError> {
        let path = path.as_ref();
        let failed = |action| move |source| IdxError::Io { action, path: path.to_owned(), source };
        let malformed = |problem| IdxError::Malformed { path: path.to_owned(), problem };
        // Before opening, since opening a pipe would wait for a writer.
        check_regular(path, &std::fs::metadata(path).map_err(failed("open"))?)?;
        let mut file = File::open(path).map_err(failed("open"))?;
        let metadata = file.metadata().map_err(failed("open"))?;

        let mut start = Vec::with_capacity(Header::MAX_LEN);
        file.by_ref().take(Header::MAX_LEN as u64).read_to_end(&mut start).map_err(failed("read"))?;
        let header = Header::parse(&start).map_err(malformed)?;
        header.check_file_len(metadata.len()).map_err(malformed)?;

        let map = Mapping::new(&file).map_err(failed("map"))?;
        // The mapping has the length of the file at this moment. It is compared with the header again, so that every slice is inside
        // the mapping even if the file has changed in between.
        header.check_file_len(map.bytes().len() as u64).map_err(malformed)?;
        Ok(IdxFile { path: path.to_owned(), file, map, header, metadata })
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The type of the values.
    pub fn element_type(&self) -> ElementType {
        self.header.element_type()
    }

    /// The sizes of the axes, outermost first; empty for a single value.
    pub fn shape(&self) -> &[usize] {
        self.header.shape()
    }

    /// The bytes of the values, in the byte order of the file.
    pub fn payload(&self) -> &[u8] {
        &self.map.bytes()[self.header.header_len()..]
    }

    /// The values, of any type.
    pub fn view(&self) -> IdxView<'_> {
        match self.element_type() {
            ElementType::U8 => IdxView::U8(self.shaped(self.payload())),
            ElementType::I8 => IdxView::I8(self.shaped(big_endian::as_signed(self.payload()))),
            ElementType::I16 => IdxView::I16(self.shaped(big_endian::from_bytes(self.payload()))),
            ElementType::I32 => IdxView::I32(self.shaped(big_endian::from_bytes(self.payload()))),
            ElementType::F32 => IdxView::F32(self.shaped(big_endian::from_bytes(self.payload()))),
            ElementType::F64 => IdxView::F64(self.shaped(big_endian::from_bytes(self.payload()))),
        }
    }

    /// The values, if they are of type `T`.
    ///
    /// # Errors
    /// [`IdxError::WrongType`] if the file holds another type.
    pub fn as_big_endian<T: Element>(&self) -> Result<ArrayViewD<'_, BigEndian<T>>, IdxError> {
        self.expect_type(T::ELEMENT_TYPE)?;
        Ok(self.shaped(big_endian::from_bytes(self.payload())))
    }

    /// The values, if they are unsigned bytes.
    ///
    /// # Errors
    /// [`IdxError::WrongType`] if the file holds another type.
    pub fn as_u8(&self) -> Result<ArrayViewD<'_, u8>, IdxError> {
        self.expect_type(ElementType::U8)?;
        Ok(self.shaped(self.payload()))
    }

    /// The values, if they are signed bytes.
    ///
    /// # Errors
    /// [`IdxError::WrongType`] if the file holds another type.
    pub fn as_i8(&self) -> Result<ArrayViewD<'_, i8>, IdxError> {
        self.expect_type(ElementType::I8)?;
        Ok(self.shaped(big_endian::as_signed(self.payload())))
    }

    /// The values, if they are 16-bit integers.
    ///
    /// # Errors
    /// [`IdxError::WrongType`] if the file holds another type.
    pub fn as_i16(&self) -> Result<ArrayViewD<'_, BigEndian<i16>>, IdxError> {
        self.as_big_endian()
    }

    /// The values, if they are 32-bit integers.
    ///
    /// # Errors
    /// [`IdxError::WrongType`] if the file holds another type.
    pub fn as_i32(&self) -> Result<ArrayViewD<'_, BigEndian<i32>>, IdxError> {
        self.as_big_endian()
    }

    /// The values, if they are 32-bit floats.
    ///
    /// # Errors
    /// [`IdxError::WrongType`] if the file holds another type.
    pub fn as_f32(&self) -> Result<ArrayViewD<'_, BigEndian<f32>>, IdxError> {
        self.as_big_endian()
    }

    /// The values, if they are 64-bit floats.
    ///
    /// # Errors
    /// [`IdxError::WrongType`] if the file holds another type.
    pub fn as_f64(&self) -> Result<ArrayViewD<'_, BigEndian<f64>>, IdxError> {
        self.as_big_endian()
    }

    /// The whole file with its header, of which digests are computed.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.map.bytes()
    }

    /// Reads a range of the [`payload`](Self::payload) into the page cache ahead of its use.
    pub(crate) fn will_need(&self, payload: Range<usize>) {
        self.map.will_need(self.in_file(payload));
    }

    /// Releases the memory of a range of the [`payload`](Self::payload) to the page cache.
    pub(crate) fn release(&self, payload: Range<usize>) {
        self.map.release(self.in_file(payload));
    }

    fn in_file(&self, payload: Range<usize>) -> Range<usize> {
        let start = self.header.header_len();
        start + payload.start..start + payload.end
    }

    /// Checks that the file has the same length as when it was opened, and was not written to. `Ok` means that all values read so
    /// far were those of the file. It takes one system call.
    ///
    /// # Errors
    /// [`IdxError::Changed`], or [`IdxError::Io`] if the system call fails.
    pub fn check_unchanged(&self) -> Result<(), IdxError> {
        let io = |source| IdxError::Io { action: "examine", path: self.path.clone(), source };
        let now = self.file.metadata().map_err(io)?;
        let is_same = match (now.modified(), self.metadata.modified()) {
            (Ok(now), Ok(then)) => now == then,
            _ => true,
        };
        let (expected, found) = (self.metadata.len(), now.len());
        if is_same && found == expected && !self.map.is_cut() {
            Ok(())
        } else {
            Err(IdxError::Changed { path: self.path.clone(), expected, found })
        }
    }

    /// The metadata of the file when it was opened.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(crate) fn expect_type(&self, expected: ElementType) -> Result<(), IdxError> {
        let found = self.element_type();
        if found == expected {
            Ok(())
        } else {
            Err(IdxError::WrongType { path: self.path.clone(), found, expected })
        }
    }

    fn shaped<'a, E>(&self, values: &'a [E]) -> ArrayViewD<'a, E> {
        ArrayViewD::from_shape(IxDyn(self.shape()), values)
            .expect("the header's sizes were checked against the length of the file")
    }
}

/// Returns an error for anything but a regular file. `metadata` is that of the target of links.
pub(crate) fn check_regular(path: &Path, metadata: &Metadata) -> Result<(), IdxError> {
    let found = if metadata.is_file() {
        return Ok(());
    } else if metadata.is_dir() {
        "a folder"
    } else {
        "a pipe, socket or device"
    };
    Err(IdxError::NotAFile { path: path.to_owned(), found })
}
