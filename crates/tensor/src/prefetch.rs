//! Prefetching of memory into the caches.

/// The size in bytes of a cache line.
const LINE: usize = 64;

/// Prefetches `slice` into the second-level cache, without waiting for it.
///
/// The function is a hint. It does nothing on processors other than x86-64.
pub fn prefetch<V>(slice: &[V]) {
    prefetch_bytes(slice.as_ptr().cast(), size_of_val(slice));
}

/// [`prefetch`] without a type parameter, so that this crate compiles the loop.
fn prefetch_bytes(start: *const i8, len: usize) {
    for offset in (0..len).step_by(LINE) {
        second_level(start.wrapping_add(offset));
    }
}

#[inline(always)]
fn second_level(address: *const i8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction belongs to SSE, which every x86-64 processor has. It is a hint without an effect on the program's
    // state, and it may be given any address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(address);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Prefetches the cache line at `address` into the first-level cache. The address may be invalid.
#[inline(always)]
pub(crate) fn first_level<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the proof is that of `second_level`.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    /// Checks that no address faults, at the end of an allocation and for empty slices.
    #[test]
    fn any_slice_can_be_prefetched() {
        let bytes = vec![1_u8; 3 * 4096];
        for start in [0, 1, 63, 4095, 3 * 4096 - 1, 3 * 4096] {
            super::prefetch(&bytes[start..]);
        }
        super::prefetch::<f64>(&[]);
    }
}
