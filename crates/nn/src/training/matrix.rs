//! Views of slices as matrices.

use ndarray::{ArrayView2, ArrayViewMut2};
use ziffer_tensor::Scalar;

use crate::layer::{Input, Parallelism};
use crate::model::LayerSlot;

/// A slice as rows of `width` elements.
pub(crate) fn matrix<V>(slice: &[V], width: usize) -> ArrayView2<'_, V> {
    ArrayView2::from_shape((slice.len() / width, width), slice).expect("whole rows")
}

/// A mutable slice as rows of `width` elements.
pub(crate) fn matrix_mut<V>(slice: &mut [V], width: usize) -> ArrayViewMut2<'_, V> {
    ArrayViewMut2::from_shape((slice.len() / width, width), slice).expect("whole rows")
}

/// A layer's input and output with one column per channel, if the layer is parallel over channels.
pub(crate) fn as_channels<'x, 'y, T: Scalar>(
    slot: &LayerSlot<T>,
    x: Input<'x, T>,
    y: ArrayViewMut2<'y, T>,
) -> (Input<'x, T>, ArrayViewMut2<'y, T>) {
    if slot.parallelism != Parallelism::Channels {
        return (x, y);
    }
    let channels = slot.output_shape.last().copied().unwrap_or(1);
    let shape = (y.len() / channels, channels);
    let y = y.into_shape_with_order(shape).expect("whole channels, in order");
    (x.channels(channels, 0..channels), y)
}
