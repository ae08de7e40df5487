//! Memory that will be read soon.

/// Bytes that a processor fetches at a time.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// Asks the processor to bring `slice` from memory into its second-level cache, where it can be asked; it goes on meanwhile.
pub fn prefetch<V>(slice: &[V]) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..size_of_val(slice)).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: the address lies within the slice, the instruction belongs to SSE, which is part of x86-64, and it
        // changes nothing that a program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(slice.as_ptr().cast::<i8>().add(offset)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = slice;
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
