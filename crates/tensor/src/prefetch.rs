//! Memory that will be read soon.

/// Bytes that a processor fetches at a time.
const LINE: usize = 64;

/// Asks the processor to bring `slice` from memory into its second-level cache, where it can be asked; it goes on meanwhile.
#[inline]
pub fn prefetch<V>(slice: &[V]) {
    for offset in (0..size_of_val(slice)).step_by(LINE) {
        second_level(slice.as_ptr().cast::<i8>().wrapping_add(offset));
    }
}

#[inline(always)]
fn second_level(address: *const i8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction belongs to SSE, which is part of x86-64; it is a hint, which changes nothing that a program can
    // see, at any address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(address);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Asks the processor to bring the line at `address`, which may be any, into its first-level cache.
#[inline(always)]
pub(crate) fn first_level<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    /// Nothing to see but that no address is a wrong one: slices at the very end of a mapping's worth of memory, and none.
    #[test]
    fn any_slice() {
        let bytes = vec![1_u8; 3 * 4096];
        for start in [0, 1, 63, 4095, 3 * 4096 - 1, 3 * 4096] {
            super::prefetch(&bytes[start..]);
        }
        super::prefetch::<f64>(&[]);
    }
}
