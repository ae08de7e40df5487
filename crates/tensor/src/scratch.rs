//! Working memory of the kernels, kept by each thread from one call to the next.

use std::cell::Cell;
use std::thread::LocalKey;

use crate::buffer::Buffer;
use crate::float::Float;

/// The buffers of a thread. Each kernel grows the ones that it uses.
pub struct Scratch<T> {
    /// A panel of a product's right operand, padded to whole vectors.
    pub(crate) panel: Option<Buffer<T>>,
    /// Unfinished sums of a product.
    pub(crate) sums: Option<Buffer<T>>,
    /// A left operand that had to be copied.
    pub(crate) left: Option<Buffer<T>>,
    /// A right operand that had to be transposed or padded.
    pub(crate) operand: Option<Buffer<T>>,
    /// Pixels as numbers.
    pub(crate) real: Option<Buffer<T>>,
    /// Finished rows on their way to a sink.
    pub(crate) rows: Option<Buffer<T>>,
    /// Which pixels are not zero.
    pub(crate) masks: Vec<u64>,
    /// The same of eight samples.
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

/// Where a thread keeps its scratch between calls.
pub(crate) type Local<T> = Cell<Option<Box<Scratch<T>>>>;

/// A type of number for which each thread keeps a scratch.
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

/// Calls `work` with this thread's scratch. A nested call gets a fresh one.
pub(crate) fn with<T: ScratchElement, R>(work: impl FnOnce(&mut Scratch<T>) -> R) -> R {
    let local: &'static LocalKey<Local<T>> = T::local();
    let mut scratch = local.take().unwrap_or_default();
    let result = work(&mut scratch);
    local.set(Some(scratch));
    result
}

/// `len` numbers of a buffer, which the first call allocates. They hold values of earlier calls.
pub(crate) fn at_least<T: Float>(buffer: &mut Option<Buffer<T>>, len: usize) -> &mut [T] {
    let buffer = buffer.get_or_insert_with(|| Buffer::zeros(len));
    buffer.grow(len);
    &mut buffer[..len]
}
