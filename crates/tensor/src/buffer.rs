//! Aligned memory for parameters, activations and packed operands.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::float::Float;

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// A slice of numbers on the heap that begins at a cache line, so that no vector of a kernel straddles two.
///
/// It derefs to `[T]` and starts as zeros.
#[derive(Clone)]
pub struct Buffer<T> {
    lines: Vec<Line>,
    len: usize,
    of: PhantomData<T>,
}

/// The error of a memory allocation that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory for {numbers} numbers of {size} bytes")]
pub struct NoMemory {
    numbers: usize,
    size: usize,
}

impl<T: Float> Buffer<T> {
    /// `len` zeros.
    ///
    /// # Panics
    /// If `len` numbers take more than `isize::MAX` bytes, which no allocation may have. If the system has no memory left, the
    /// process is aborted, as by `Vec`; [`Buffer::try_zeros`] returns an error for both.
    pub fn zeros(len: usize) -> Self {
        let count = Self::lines(len).unwrap_or_else(|error| panic!("{error}"));
        Self { lines: vec![Line([0; LINE]); count], len, of: PhantomData }
    }

    /// `len` zeros, or an error if there is no memory for them.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn try_zeros(len: usize) -> Result<Self, NoMemory> {
        let count = Self::lines(len)?;
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).map_err(|_| NoMemory { numbers: len, size: size_of::<T>() })?;
        lines.resize(count, Line([0; LINE]));
        Ok(Self { lines, len, of: PhantomData })
    }

    /// Grows the buffer to at least `len` numbers; the new ones are zero.
    ///
    /// # Panics
    /// As [`Buffer::zeros`]. The buffer is then as it was.
    pub fn grow(&mut self, len: usize) {
        if len > self.len {
            let count = Self::lines(len).unwrap_or_else(|error| panic!("{error}"));
            self.lines.resize(count, Line([0; LINE]));
            self.len = len;
        }
    }

    /// How many lines hold `len` numbers; an error if no allocation can.
    fn lines(len: usize) -> Result<usize, NoMemory> {
        let bytes = len.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_next_multiple_of(LINE));
        match bytes {
            Some(bytes) if isize::try_from(bytes).is_ok() => Ok(bytes / LINE),
            _ => Err(NoMemory { numbers: len, size: size_of::<T>() }),
        }
    }
}

impl<T: Float> Deref for Buffer<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `lines` holds at least `len * size_of::<T>()` initialized bytes, aligned to 64, a multiple of `T`'s
        // alignment; `Buffer::lines` has checked that the product does not overflow. `Float` is sealed, and every pattern of
        // bits is a value of `f32` and `f64`. The borrow is that of `self`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Float> DerefMut for Buffer<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; the borrow is unique, as that of `self` is.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl<T: Float> std::fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_aligned_zero_and_grows() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let mut buffer = Buffer::<f32>::zeros(len);
            assert_eq!((buffer.len(), buffer.as_ptr() as usize % LINE), (len, 0));
            assert!(buffer.iter().all(|&x| x == 0.0));
            buffer.fill(1.0);
            buffer.grow(len + 40);
            assert_eq!(buffer.iter().filter(|&&x| x == 1.0).count(), len);
            assert_eq!((buffer.len(), buffer.as_ptr() as usize % LINE), (len + 40, 0));
            assert_eq!(*Buffer::<f32>::try_zeros(len).unwrap(), *Buffer::<f32>::zeros(len));
            let half = Buffer::<f64>::zeros(len);
            assert_eq!((half.len(), half.as_ptr() as usize % LINE), (len, 0));
        }
        for len in [usize::MAX, usize::MAX / 4, usize::MAX / 8] {
            let error = Buffer::<f32>::try_zeros(len).unwrap_err();
            assert_eq!(error.to_string(), format!("no memory for {len} numbers of 4 bytes"));
        }
    }

    /// In bytes these are 0, 64, `isize::MAX` + 1 and the largest multiple of 4 below 2^64, modulo 2^64.
    const TOO_LONG: [usize; 4] =
        [1 << (usize::BITS - 2), (1 << (usize::BITS - 2)) + 16, 1 << (usize::BITS - 3), usize::MAX / 4];

    /// The message of the panic that `work` ends in.
    fn panic_of(work: impl FnOnce()) -> String {
        let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).expect_err("a panic");
        *payload.downcast().expect("a message")
    }

    #[test]
    fn refuses_lengths_whose_bytes_overflow() {
        for len in TOO_LONG {
            let expected = format!("no memory for {len} numbers of 4 bytes");
            assert_eq!(panic_of(|| drop(Buffer::<f32>::zeros(len))), expected);
            assert_eq!(Buffer::<f32>::try_zeros(len).unwrap_err().to_string(), expected);
            let mut buffer = Buffer::<f32>::zeros(3);
            assert_eq!(panic_of(|| buffer.grow(len)), expected);
            assert_eq!(*buffer, [0.0; 3], "as it was");
            assert_eq!(
                panic_of(|| drop(Buffer::<f64>::zeros(len))),
                format!("no memory for {len} numbers of 8 bytes")
            );
        }
    }
}
