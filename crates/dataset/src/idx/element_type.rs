//! The types of values of the IDX format.

use std::fmt;

/// The type of the values of an IDX file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// Unsigned byte, 0x08.
    U8,
    /// Signed byte, 0x09.
    I8,
    /// Signed 16-bit integer, 0x0B.
    I16,
    /// Signed 32-bit integer, 0x0C.
    I32,
    /// IEEE 754 binary32, 0x0D.
    F32,
    /// IEEE 754 binary64, 0x0E.
    F64,
}

impl ElementType {
    /// Every element type, in the order of their codes.
    pub const ALL: [ElementType; 6] = [Self::U8, Self::I8, Self::I16, Self::I32, Self::F32, Self::F64];

    /// The code of the type: the third byte of a file.
    pub const fn code(self) -> u8 {
        match self {
            Self::U8 => 0x08,
            Self::I8 => 0x09,
            Self::I16 => 0x0B,
            Self::I32 => 0x0C,
            Self::F32 => 0x0D,
            Self::F64 => 0x0E,
        }
    }

    /// The type with this code; `None` if there is none, as for 0x0A.
    pub fn from_code(code: u8) -> Option<ElementType> {
        Self::ALL.into_iter().find(|element_type| element_type.code() == code)
    }

    /// Bytes per value.
    pub const fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

impl fmt::Display for ElementType {
    /// The name of the Rust type.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}
