//! The largest file and the largest picture that are accepted.

/// The largest number of pixels of a row or column.
pub(crate) const MAX_SIDE: u32 = 16_384;
/// The largest number of bytes for decoding: 89 million pixels in 8-bit color, a third of that for a progressive JPEG.
pub(crate) const MAX_BYTES: u64 = 256 << 20;
/// The largest size of a file.
pub(crate) const MAX_FILE_BYTES: u64 = 64 << 20;
