//! The sink that a layer pushes its gradients to.

use std::ops::Range;

use ndarray::ArrayView2;
use ziffer_tensor::{Scalar, matmul, pixels, reduce, update};

use super::{Input, WeightSpec};

/// Consumes the gradients that a layer pushes to a [`GradientSink`].
pub(crate) trait GradientConsumer<T: Scalar> {
    /// Takes the gradient of some elements of weight `index` that the thread owns, from element `offset` on.
    fn push(&mut self, index: usize, offset: usize, gradient: &[T]);

    /// The elements `range` of a weight with Adam's state, as rows of `columns` numbers, if the gradient is used by Adam at once.
    /// The caller then updates them, instead of pushing the gradient.
    fn adam(
        &mut self,
        index: usize,
        columns: usize,
        range: Range<usize>,
    ) -> Option<update::Parameters<'_, T>> {
        let _ = (index, columns, range);
        None
    }

    /// The elements of a non-trainable weight that the thread owns.
    fn non_trainable(&mut self, index: usize, range: Range<usize>) -> &mut [T];
}

/// The position of a [`GradientSink`] in each weight.
#[derive(Debug, Default)]
pub(crate) struct SinkCursor {
    /// The next element of each weight.
    next: Vec<usize>,
}

/// Takes a layer's gradients as they are computed: for each trainable weight the elements that the calling thread owns, in
/// ascending order, each once.
///
/// The sink stores them or updates the weights with them. The layer does not see the difference.
pub struct GradientSink<'a, T: Scalar> {
    specs: &'a [WeightSpec],
    /// The elements of each weight that the thread owns.
    owned: &'a [Range<usize>],
    cursor: &'a mut SinkCursor,
    consumer: &'a mut dyn GradientConsumer<T>,
}

impl<'a, T: Scalar> GradientSink<'a, T> {
    pub(crate) fn new(
        specs: &'a [WeightSpec],
        owned: &'a [Range<usize>],
        cursor: &'a mut SinkCursor,
        consumer: &'a mut dyn GradientConsumer<T>,
    ) -> Self {
        cursor.next.clear();
        cursor.next.extend(owned.iter().map(|range| range.start));
        Self { specs, owned, cursor, consumer }
    }

    /// The elements of weight `index` that the calling thread owns, in C order: whole rows of its first axis. With
    /// [`Parallelism::RowsOrOutputs`](super::Parallelism::RowsOrOutputs) a call may be for some outputs only. The elements are
    /// then counted within the columns of the call, and the range is all of them.
    ///
    /// # Panics
    /// If there is no such weight.
    pub fn range(&self, index: usize) -> Range<usize> {
        self.owned[index].clone()
    }

    /// Takes the gradient of the next elements of weight `index`.
    ///
    /// # Panics
    /// If there is no such trainable weight, or the thread does not own that many more elements.
    pub fn push(&mut self, index: usize, gradient: &[T]) {
        let first = self.advance(index, gradient.len());
        self.consumer.push(index, first, gradient);
    }

    /// Takes xᵀ d as the gradient of weight `index`, a matrix \[I, O\]: x is \[B, I\] and d \[B, O\]. Only the rows that the
    /// thread owns are computed.
    ///
    /// # Panics
    /// If the shapes do not fit together, or elements of the weight were pushed before.
    pub fn push_product(&mut self, index: usize, x: Input<'_, T>, d: ArrayView2<'_, T>) {
        let columns = d.ncols();
        let owned = self.range(index);
        assert!(
            columns > 0 && owned.start.is_multiple_of(columns) && owned.end.is_multiple_of(columns),
            "a product of {columns} columns for elements {owned:?} of {}",
            self.specs[index].name
        );
        let rows = owned.start / columns..owned.end / columns;
        assert!(
            rows.end <= x.dim().1,
            "a product of {} rows for rows {rows:?} of {}",
            x.dim().1,
            self.specs[index].name
        );
        let first = self.advance(index, owned.len());
        assert_eq!(
            first, owned.start,
            "the first element of {} that a product is for",
            self.specs[index].name
        );
        if let Some(parameters) = self.consumer.adam(index, columns, owned) {
            match x {
                Input::Real(x) => matmul::serial::matmul_tn_adam(x, d, rows, parameters),
                Input::Pixels(x) => pixels::matmul_tn_adam(x, d, rows, parameters),
            }
            return;
        }
        let push = &mut |row: usize, gradient: &[T]| self.consumer.push(index, row * columns, gradient);
        match x {
            Input::Real(x) => matmul::serial::matmul_tn(x, d, rows, push),
            Input::Pixels(x) => pixels::matmul_tn(x, d, rows, push),
        }
    }

    /// Takes the sum over the rows of d \[B, O\] as the gradient of weight `index`, a vector \[O\].
    ///
    /// # Panics
    /// If the shapes do not fit together, or elements of the weight were pushed before.
    pub fn push_column_sums(&mut self, index: usize, d: ArrayView2<'_, T>) {
        /// The number of columns summed at a time, on the stack.
        const CHUNK: usize = 256;
        let owned = self.range(index);
        assert!(
            owned.end <= d.ncols(),
            "{} columns for elements {owned:?} of {}",
            d.ncols(),
            self.specs[index].name
        );
        let mut sums = [T::zero(); CHUNK];
        for start in owned.clone().step_by(CHUNK) {
            let end = owned.end.min(start + CHUNK);
            let sums = &mut sums[..end - start];
            reduce::sum_rows_into(d.slice(ndarray::s![.., start..end]), sums);
            self.push(index, sums);
        }
    }

    /// The elements of the non-trainable weight `index` that the thread owns. The layer assigns their new values.
    ///
    /// # Panics
    /// If there is no such non-trainable weight.
    pub fn non_trainable(&mut self, index: usize) -> &mut [T] {
        let spec = &self.specs[index];
        assert!(!spec.trainable, "{} is trainable, and its values are not passed", spec.name);
        self.consumer.non_trainable(index, self.owned[index].clone())
    }

    /// Calls `work` with a sink of the weights from index `from` on, for a layer that contains another.
    ///
    /// # Panics
    /// If there are fewer weights.
    pub fn skip(&mut self, from: usize, work: impl FnOnce(&mut GradientSink<'_, T>)) {
        let mut cursor = SinkCursor { next: self.cursor.next.split_off(from) };
        let mut consumer = Skipped { from, consumer: &mut *self.consumer };
        work(&mut GradientSink {
            specs: &self.specs[from..],
            owned: &self.owned[from..],
            cursor: &mut cursor,
            consumer: &mut consumer,
        });
        self.cursor.next.append(&mut cursor.next);
    }

    /// Advances by `count` elements of weight `index`. Returns the first of them.
    fn advance(&mut self, index: usize, count: usize) -> usize {
        let spec = &self.specs[index];
        assert!(spec.trainable, "a gradient of {}, which is not trainable", spec.name);
        let (first, end) = (self.cursor.next[index], self.owned[index].end);
        assert!(
            count <= end - first,
            "{count} elements of the gradient of {} from {first} on, where the thread owns {:?}",
            spec.name,
            self.owned[index]
        );
        self.cursor.next[index] += count;
        first
    }

    /// Checks that all elements were pushed.
    ///
    /// # Panics
    /// If elements are missing.
    pub(crate) fn finish(self) {
        // There are fewer if a layer has caught a panic of a layer that it contains.
        assert_eq!(self.cursor.next.len(), self.specs.len(), "weights whose gradient is accounted for");
        for ((spec, owned), next) in self.specs.iter().zip(self.owned).zip(&self.cursor.next) {
            assert!(
                !spec.trainable || *next == owned.end,
                "elements {:?} of the gradient of {} are missing",
                *next..owned.end,
                spec.name
            );
        }
    }
}

impl<T: Scalar> std::fmt::Debug for GradientSink<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GradientSink").field("owned", &self.owned).finish_non_exhaustive()
    }
}

/// A consumer whose weights are counted from index `from` on.
struct Skipped<'a, T> {
    from: usize,
    consumer: &'a mut dyn GradientConsumer<T>,
}

impl<T: Scalar> GradientConsumer<T> for Skipped<'_, T> {
    fn push(&mut self, index: usize, offset: usize, gradient: &[T]) {
        self.consumer.push(self.from + index, offset, gradient);
    }

    fn adam(
        &mut self,
        index: usize,
        columns: usize,
        range: Range<usize>,
    ) -> Option<update::Parameters<'_, T>> {
        self.consumer.adam(self.from + index, columns, range)
    }

    fn non_trainable(&mut self, index: usize, range: Range<usize>) -> &mut [T] {
        self.consumer.non_trainable(self.from + index, range)
    }
}
