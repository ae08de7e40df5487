//! Aligned memory for parameters, activations and packed operands.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::float::Float;

/// The size in bytes of a cache line, and of the widest vector register.
const LINE: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// A slice of numbers on the heap, aligned to a cache line, so that no vector of a kernel crosses a cache line.
///
/// It dereferences to `[T]`. New elements are zero.
#[derive(Clone)]
pub struct Buffer<T> {
    lines: Vec<Line>,
    len: usize,
    element: PhantomData<T>,
}

/// The error of a memory allocation that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory for {numbers} numbers of {size} bytes")]
pub struct NoMemory {
    numbers: usize,
    size: usize,
}

impl<T: Float> Buffer<T> {
    /// Allocates `len` zeros.
    ///
    /// # Panics
    /// If `len` numbers take more than `isize::MAX` bytes, the maximum of an allocation. If the allocation itself fails, the
    /// process aborts, as with `Vec`. [`Buffer::try_zeros`] returns an error in both cases.
    pub fn zeros(len: usize) -> Self {
        let count = Self::lines(len).unwrap_or_else(|error| panic!("{error}"));
        Self { lines: vec![Line([0; LINE]); count], len, element: PhantomData }
    }

    /// Allocates `len` zeros, without a panic or an abort.
    ///
    /// # Errors
    /// [`NoMemory`] if the allocation fails.
    pub fn try_zeros(len: usize) -> Result<Self, NoMemory> {
        let count = Self::lines(len)?;
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).map_err(|_| NoMemory { numbers: len, size: size_of::<T>() })?;
        lines.resize(count, Line([0; LINE]));
        Ok(Self { lines, len, element: PhantomData })
    }

    /// Grows the buffer to at least `len` numbers. The new ones are zero.
    ///
    /// # Panics
    /// Under the conditions of [`Buffer::zeros`]. The buffer is then unchanged.
    pub fn grow(&mut self, len: usize) {
        if len > self.len {
            let count = Self::lines(len).unwrap_or_else(|error| panic!("{error}"));
            self.lines.resize(count, Line([0; LINE]));
            self.len = len;
        }
    }

    /// The number of cache lines that `len` numbers take, or an error if it exceeds any allocation.
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
        // SAFETY: `lines` holds at least `len * size_of::<T>()` initialized bytes, and `Buffer::lines` has checked that the
        // product does not overflow. They are aligned to 64 bytes, a multiple of the alignment of `T`. `Float` is sealed, and
        // every bit pattern is a valid `f32` and a valid `f64`. The result borrows `self`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Float> DerefMut for Buffer<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: the proof is that of `deref`. The result borrows `self` uniquely.
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

    /// The lengths of slices of `f32` whose sizes in bytes, modulo 2^64, are 0, 64, `isize::MAX` + 1 and 2^64 - 4.
    const TOO_LONG: [usize; 4] =
        [1 << (usize::BITS - 2), (1 << (usize::BITS - 2)) + 16, 1 << (usize::BITS - 3), usize::MAX / 4];

    /// Runs `work`, which must panic, and returns the message of the panic.
    fn panic_of(work: impl FnOnce()) -> String {
        let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).expect_err("a panic");
        *payload.downcast().expect("a message")
    }

    #[test]
    fn lengths_whose_sizes_overflow_are_rejected() {
        for len in TOO_LONG {
            let expected = format!("no memory for {len} numbers of 4 bytes");
            assert_eq!(panic_of(|| drop(Buffer::<f32>::zeros(len))), expected);
            assert_eq!(Buffer::<f32>::try_zeros(len).unwrap_err().to_string(), expected);
            let mut buffer = Buffer::<f32>::zeros(3);
            assert_eq!(panic_of(|| buffer.grow(len)), expected);
            assert_eq!(*buffer, [0.0; 3], "the buffer is unchanged");
            assert_eq!(
                panic_of(|| drop(Buffer::<f64>::zeros(len))),
                format!("no memory for {len} numbers of 8 bytes")
            );
        }
    }
}
