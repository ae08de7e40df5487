//! Messages of object headers: shapes, element types, storage and attributes.

use std::fmt;

use super::cursor::{Cursor, UNDEFINED};
use crate::keras::error::ImportError;

/// The most dimensions of an array.
const MAX_DIMENSIONS: u8 = 32;

/// The type of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datatype {
    /// An IEEE 754 number of 4 or 8 bytes.
    Float { size: usize, big_endian: bool },
    /// A text of a fixed size, padded with zeros or spaces.
    Text { size: usize },
    /// A text of variable length in a heap.
    VariableText,
    /// Any other type: the format's number of its class, and its size.
    Other { class: u8, size: u32 },
}

/// How an array is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Storage<'a> {
    /// In one range of bytes.
    Contiguous(&'a [u8]),
    /// In chunks, or not at all.
    Chunked,
}

/// An attribute's value.
pub(super) struct Attribute<'a> {
    pub(super) datatype: Datatype,
    pub(super) shape: Vec<usize>,
    pub(super) data: &'a [u8],
}

/// Reads a dataspace: the shape of an array, `[]` for a single element.
pub(super) fn dataspace(cursor: &mut Cursor<'_>) -> Result<Vec<usize>, ImportError> {
    let (version, rank, _flags) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
    match version {
        1 => cursor.skip(5)?,
        2 => cursor.skip(1)?,
        _ => return Err(ImportError::damaged(&format!("dataspace version {version}, expected 1 or 2"))),
    }
    if rank > MAX_DIMENSIONS {
        return Err(ImportError::damaged(&format!(
            "an array of {rank} dimensions, expected at most {MAX_DIMENSIONS}"
        )));
    }
    (0..rank)
        .map(|_| {
            usize::try_from(cursor.u64()?)
                .map_err(|_| ImportError::damaged("a size exceeds the address space"))
        })
        .collect()
}

/// Reads a datatype. Compound types are not resolved.
pub(super) fn datatype(cursor: &mut Cursor<'_>) -> Result<Datatype, ImportError> {
    /// Bit offset, precision, exponent's place and size, mantissa's place and size, exponent's bias.
    const SINGLE: [u64; 7] = [0, 32, 23, 8, 0, 23, 127];
    const DOUBLE: [u64; 7] = [0, 64, 52, 11, 0, 52, 1023];
    /// Classes by number.
    const FLOAT: u8 = 1;
    const TEXT: u8 = 3;
    const VARIABLE: u8 = 9;

    let class = cursor.u8()? & 0x0F;
    let bits = [cursor.u8()?, cursor.u8()?, cursor.u8()?];
    let size = cursor.u32()?;
    let other = Ok(Datatype::Other { class, size });
    match class {
        FLOAT => {
            let mut properties = [0; 7];
            for (property, width) in properties.iter_mut().zip([2, 2, 1, 1, 1, 1, 4]) {
                *property = cursor.number(width)?;
            }
            // Bits 0 and 6 are the byte order, which may be that of the VAX.
            let big_endian = bits[0] & 0x41 == 0x01;
            match (size, properties, bits[0] & 0x40) {
                (4, SINGLE, 0) => Ok(Datatype::Float { size: 4, big_endian }),
                (8, DOUBLE, 0) => Ok(Datatype::Float { size: 8, big_endian }),
                _ => other,
            }
        }
        TEXT => Ok(Datatype::Text { size: size as usize }),
        // Type 1 is a text. An element is its length, the heap's address, and the object's number in the heap.
        VARIABLE if bits[0] & 0x0F == 1 && size == 16 => Ok(Datatype::VariableText),
        _ => other,
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float { size, .. } => write!(f, "numbers of type float{}", 8 * size),
            Self::Text { .. } | Self::VariableText => f.write_str("texts"),
            Self::Other { class: 0, size } => write!(f, "integers of {size} bytes"),
            Self::Other { class: 1, size } => write!(f, "floating-point numbers of {size} bytes"),
            Self::Other { class, size } => write!(f, "elements of HDF5 class {class} of {size} bytes"),
        }
    }
}

/// Reads a layout: where in the file an array is stored.
pub(super) fn layout<'a>(file: &'a [u8], data: &'a [u8]) -> Result<Storage<'a>, ImportError> {
    let mut cursor = Cursor::new(data);
    let version = cursor.u8()?;
    // Versions 3 to 5 differ only in chunked storage.
    if !(3..=5).contains(&version) {
        return Err(ImportError::damaged(&format!("layout version {version}, expected 3 to 5")));
    }
    match cursor.u8()? {
        0 => {
            let size = cursor.u16()?;
            cursor.take(size.into()).map(Storage::Contiguous)
        }
        1 => match (cursor.u64()?, cursor.u64()?) {
            (UNDEFINED, 0) => Ok(Storage::Contiguous(&[])),
            (address, size) => Cursor::at(file, address)?.take_u64(size).map(Storage::Contiguous),
        },
        _ => Ok(Storage::Chunked),
    }
}

/// Reads an attribute: its name, and its value, which may be damaged although the name is not.
pub(super) fn attribute(data: &[u8]) -> Result<(&[u8], Result<Attribute<'_>, ImportError>), ImportError> {
    let mut cursor = Cursor::new(data);
    let (version, flags) = (cursor.u8()?, cursor.u8()?);
    let sizes = [cursor.u16()?, cursor.u16()?, cursor.u16()?].map(usize::from);
    match version {
        1 | 2 => {}
        3 => cursor.skip(1)?,
        _ => return Err(ImportError::damaged(&format!("attribute version {version}, expected 1 to 3"))),
    }
    // Version 1 pads each part to a multiple of 8 bytes.
    let mut part = |size: usize| cursor.take(if version == 1 { size.next_multiple_of(8) } else { size });
    let [name, kind, space] = [part(sizes[0])?, part(sizes[1])?, part(sizes[2])?];
    let name = name.split(|&byte| byte == 0).next().unwrap_or(name);
    let value = || {
        if version > 1 && flags != 0 {
            return Err(ImportError::damaged("an attribute with a shared type"));
        }
        let datatype = datatype(&mut Cursor::new(kind))?;
        let shape = dataspace(&mut Cursor::new(space))?;
        Ok(Attribute { datatype, shape, data: cursor.rest() })
    };
    Ok((name, value()))
}
