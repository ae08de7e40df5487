//! The working memory of the kernels. Each thread keeps its own from one call to the next.

use std::cell::Cell;
use std::thread::LocalKey;

use crate::buffer::Buffer;
use crate::float::Float;

/// The working memory of a thread. Each kernel grows the buffers that it uses.
pub struct Scratch<T> {
    /// A packed panel of the right operand of a product, padded to whole vectors.
    pub(crate) panel: Option<Buffer<T>>,
    /// Partial sums of a product.
    pub(crate) sums: Option<Buffer<T>>,
    /// A packed left operand.
    pub(crate) left: Option<Buffer<T>>,
    /// A packed right operand, possibly transposed or padded.
    pub(crate) operand: Option<Buffer<T>>,
    /// Pixels converted to numbers.
    pub(crate) real: Option<Buffer<T>>,
    /// Rows of a result that a sink receives next.
    pub(crate) rows: Option<Buffer<T>>,
    /// Bit masks of the nonzero pixels.
    pub(crate) masks: Vec<u64>,
    /// Bit masks of the nonzero pixels of eight samples.
    pub(crate) bits: Vec<u8>,
}

impl<T> Default for Scratch<T> {
    fn default() -> Self {
        Self {
            panel: None,
            sums: None,
            left: None,
            operand: None,
            real: None,
            rows: None,
            masks: Vec::new(),
            bits: Vec::new(),
        }
    }
}

/// The thread-local storage of a scratch. It is empty during a call.
pub(crate) type Local<T> = Cell<Option<Box<Scratch<T>>>>;

/// A number type for which each thread keeps a scratch.
pub trait ScratchElement: Float {
    #[doc(hidden)]
    fn local() -> &'static LocalKey<Local<Self>>;
}

thread_local! {
    static LOCAL_F32: Local<f32> = const { Cell::new(None) };
    static LOCAL_F64: Local<f64> = const { Cell::new(None) };
}

impl ScratchElement for f32 {
    fn local() -> &'static LocalKey<Local<f32>> {
        &LOCAL_F32
    }
}

impl ScratchElement for f64 {
    fn local() -> &'static LocalKey<Local<f64>> {
        &LOCAL_F64
    }
}

/// Calls `work` with the scratch of this thread. A nested call gets a new one.
pub(crate) fn with<T: ScratchElement, R>(work: impl FnOnce(&mut Scratch<T>) -> R) -> R {
    let local: &'static LocalKey<Local<T>> = T::local();
    let mut scratch = local.take().unwrap_or_default();
    let result = work(&mut scratch);
    local.set(Some(scratch));
    result
}

/// Returns the first `len` numbers of `buffer`, which is allocated or grown if necessary. They have unspecified values.
pub(crate) fn at_least<T: Float>(buffer: &mut Option<Buffer<T>>, len: usize) -> &mut [T] {
    let buffer = buffer.get_or_insert_with(|| Buffer::zeros(len));
    buffer.grow(len);
    &mut buffer[..len]
}
