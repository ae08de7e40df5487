//! Values in the byte order of the file: big-endian, at any address.
#![allow(unsafe_code, reason = "views bytes as wrappers of byte arrays; the two casts are proved below")]

use std::fmt;

use super::ElementType;

mod sealed {
    pub trait Sealed {}
}

/// A type of values in IDX files: `u8`, `i8`, `i16`, `i32`, `f32` or `f64`. Sealed.
pub trait Element: sealed::Sealed + Copy + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// The type in the format.
    const ELEMENT_TYPE: ElementType;
    /// The bytes of one value.
    type Bytes: AsRef<[u8]> + Copy + Send + Sync + 'static;
    /// The value of big-endian bytes.
    fn from_be(bytes: Self::Bytes) -> Self;
    /// The big-endian bytes of the value.
    fn to_be(self) -> Self::Bytes;
}

macro_rules! element {
    ($($type:ty, $element_type:ident;)+) => {$(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const ELEMENT_TYPE: ElementType = ElementType::$element_type;
            type Bytes = [u8; size_of::<$type>()];
            fn from_be(bytes: Self::Bytes) -> Self {
                <$type>::from_be_bytes(bytes)
            }
            fn to_be(self) -> Self::Bytes {
                self.to_be_bytes()
            }
        }
    )+};
}

element! {
    u8, U8;
    i8, I8;
    i16, I16;
    i32, I32;
    f32, F32;
    f64, F64;
}

/// A value in the byte order of the file, of alignment 1, so that a mapped file can be viewed in place.
///
/// ```
/// use ziffer_dataset::idx::BigEndian;
/// assert_eq!(BigEndian::new(-2i16).get(), -2);
/// assert_eq!(align_of::<BigEndian<f64>>(), 1);
/// ```
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct BigEndian<T: Element>(T::Bytes);

impl<T: Element> BigEndian<T> {
    /// Stores `value`.
    pub fn new(value: T) -> Self {
        Self(value.to_be())
    }

    /// The value, in the machine's own byte order.
    pub fn get(self) -> T {
        T::from_be(self.0)
    }
}

impl<T: Element> PartialEq for BigEndian<T> {
    /// Compares the values, so a NaN differs from itself.
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Element> fmt::Debug for BigEndian<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// Views bytes as values. Remaining bytes, too few for a value, are ignored.
pub(super) fn from_bytes<T: Element>(bytes: &[u8]) -> &[BigEndian<T>] {
    let count = bytes.len() / size_of::<BigEndian<T>>();
    // SAFETY: `BigEndian<T>` is `repr(transparent)` over `T::Bytes`. `Element` is sealed, and its only
    // implementations, by the macro above, have `Bytes = [u8; N]` with N >= 1: alignment 1, no padding, every bit
    // pattern valid. So the pointer is aligned for it, `count * N <= bytes.len()` bytes from it are initialized
    // and inside the borrow `bytes`, whose lifetime the result has.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), count) }
}

/// Views bytes as signed bytes.
pub(super) fn as_signed(bytes: &[u8]) -> &[i8] {
    // SAFETY: `i8` has the size, the alignment and the valid bit patterns of `u8`; pointer, length and lifetime
    // are those of the borrow `bytes`.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_address_and_the_right_order() {
        // One surplus byte in front, so that no element is aligned by accident, and one behind.
        let bytes = [9, 0x3F, 0x80, 0x00, 0x00, 0xC0, 0x00, 0x00, 0x00, 9];
        let values: Vec<f32> = from_bytes::<f32>(&bytes[1..]).iter().map(|value| value.get()).collect();
        assert_eq!(values, [1.0, -2.0]);
        assert_eq!(from_bytes::<i16>(&[0x01, 0x02]), [BigEndian::new(258)]);
        assert_eq!(from_bytes::<f64>(&[]).len(), 0);
        assert_eq!(as_signed(&[0, 127, 128, 255]), [0, 127, -128, -1]);
    }

    /// Compares views of `bytes` at every address and of every length with values made byte by byte. The boxes have no spare bytes, so
    /// Miri detects reads beyond them.
    fn agrees_with_copies<T: Element>(of_bytes: impl Fn(&[u8]) -> T) {
        let size = T::ELEMENT_TYPE.size();
        for len in 0..=3 * size + 1 {
            let bytes: Box<[u8]> = (0..len).map(|at| (37 * at + 200) as u8).collect();
            for start in 0..=len {
                let view = from_bytes::<T>(&bytes[start..]);
                let copies: Vec<T> = bytes[start..].chunks_exact(size).map(&of_bytes).collect();
                assert_eq!(view.len(), (len - start) / size);
                for (value, copy) in view.iter().zip(copies) {
                    assert_eq!(value.get().to_be().as_ref(), copy.to_be().as_ref());
                }
            }
        }
    }

    #[test]
    fn views_agree_with_copies() {
        agrees_with_copies(|bytes| bytes[0]);
        agrees_with_copies(|bytes| bytes[0] as i8);
        agrees_with_copies(|bytes| i16::from_be_bytes(bytes.try_into().unwrap()));
        agrees_with_copies(|bytes| i32::from_be_bytes(bytes.try_into().unwrap()));
        agrees_with_copies(|bytes| f32::from_be_bytes(bytes.try_into().unwrap()));
        agrees_with_copies(|bytes| f64::from_be_bytes(bytes.try_into().unwrap()));
        for len in 0..10 {
            let bytes: Box<[u8]> = (0..len).map(|at| 120 + at).collect();
            assert!(as_signed(&bytes).iter().zip(&bytes).all(|(signed, byte)| *signed == *byte as i8));
            assert_eq!(as_signed(&bytes).len(), bytes.len());
        }
    }
}
