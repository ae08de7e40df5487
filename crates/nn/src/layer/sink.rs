//! Where a layer hands its gradients to.

use std::ops::Range;

use ndarray::ArrayView2;
use ziffer_tensor::{Scalar, matmul, pixels, reduce, update};

use super::{Input, WeightSpec};

/// What becomes of the gradients that pass a [`GradientSink`]. `offset` counts the elements of the weight.
pub(crate) trait GradientTarget<T: Scalar> {
    /// Takes the gradient of some elements of a weight that the thread owns.
    fn push(&mut self, index: usize, offset: usize, gradient: &[T]);

    /// The elements of a weight, as rows of `columns` numbers, with Adam's state, if that is what the gradient is for: they
    /// are updated at once then, instead of the gradient being pushed.
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

/// How far a layer's gradients have come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// For each weight the next element.
    next: Vec<usize>,
}

/// Takes a layer's gradients as they are formed: for each trainable weight the elements that the calling thread owns, in
/// ascending order, each once.
///
/// It stores them, or updates the weights with them; a layer cannot tell which.
pub struct GradientSink<'a, T: Scalar> {
    specs: &'a [WeightSpec],
    /// The elements of each weight that the thread owns.
    owned: &'a [Range<usize>],
    progress: &'a mut Progress,
    target: &'a mut dyn GradientTarget<T>,
}

impl<'a, T: Scalar> GradientSink<'a, T> {
    pub(crate) fn new(
        specs: &'a [WeightSpec],
        owned: &'a [Range<usize>],
        progress: &'a mut Progress,
        target: &'a mut dyn GradientTarget<T>,
    ) -> Self {
        progress.next.clear();
        progress.next.extend(owned.iter().map(|range| range.start));
        Self { specs, owned, progress, target }
    }

    /// The elements of weight `index` that the calling thread owns, in C order: whole rows of its first axis. With
    /// [`Sharing::RowsOrOutputs`](super::Sharing::RowsOrOutputs) a call may be for some outputs alone; the elements then
    /// count within the columns of the call, and are all of these.
    ///
    /// # Panics
    /// If there is no such weight.
    pub fn range(&self, index: usize) -> Range<usize> {
        self.owned[index].clone()
    }

    /// Takes the gradient of the next elements of weight `index`.
    ///
    /// # Panics
    /// If there is no such trainable weight, or the thread does not own as many more elements.
    pub fn push(&mut self, index: usize, gradient: &[T]) {
        let first = self.advance(index, gradient.len());
        self.target.push(index, first, gradient);
    }

    /// Takes xᵀ d as the gradient of weight `index`, a matrix \[I, O\]: x is \[B, I\] and d \[B, O\]. Only the rows that the
    /// thread owns are computed.
    ///
    /// # Panics
    /// If the shapes do not fit together, or some of the weight was pushed before.
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
        if let Some(parameters) = self.target.adam(index, columns, owned) {
            match x {
                Input::Real(x) => matmul::serial::matmul_tn_adam(x, d, rows, parameters),
                Input::Pixels(x) => pixels::matmul_tn_adam(x, d, rows, parameters),
            }
            return;
        }
        let to_target = &mut |row: usize, gradient: &[T]| self.target.push(index, row * columns, gradient);
        match x {
            Input::Real(x) => matmul::serial::matmul_tn(x, d, rows, to_target),
            Input::Pixels(x) => pixels::matmul_tn(x, d, rows, to_target),
        }
    }

    /// Takes the sum over the rows of d \[B, O\] as the gradient of weight `index`, a vector \[O\].
    ///
    /// # Panics
    /// If the shapes do not fit together, or some of the weight was pushed before.
    pub fn push_column_sums(&mut self, index: usize, d: ArrayView2<'_, T>) {
        /// Columns at a time, in memory of the stack.
        const PIECE: usize = 256;
        let owned = self.range(index);
        assert!(
            owned.end <= d.ncols(),
            "{} columns for elements {owned:?} of {}",
            d.ncols(),
            self.specs[index].name
        );
        let mut sums = [T::zero(); PIECE];
        for start in owned.clone().step_by(PIECE) {
            let end = owned.end.min(start + PIECE);
            let sums = &mut sums[..end - start];
            reduce::sum_rows_into(d.slice(ndarray::s![.., start..end]), sums);
            self.push(index, sums);
        }
    }

    /// The elements of the non-trainable weight `index` that the thread owns, to be assigned new values.
    ///
    /// # Panics
    /// If there is no such non-trainable weight.
    pub fn non_trainable(&mut self, index: usize) -> &mut [T] {
        let spec = &self.specs[index];
        assert!(!spec.trainable, "{} is trainable, and its values are not passed", spec.name);
        self.target.non_trainable(index, self.owned[index].clone())
    }

    /// The sink of the weights from number `from` on, for a layer that holds another.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn skip(&mut self, from: usize, work: impl FnOnce(&mut GradientSink<'_, T>)) {
        let mut progress = Progress { next: self.progress.next.split_off(from) };
        let mut target = Skipped { from, target: &mut *self.target };
        work(&mut GradientSink {
            specs: &self.specs[from..],
            owned: &self.owned[from..],
            progress: &mut progress,
            target: &mut target,
        });
        self.progress.next.append(&mut progress.next);
    }

    /// Moves on by `count` elements of weight `index`, and returns the first.
    fn advance(&mut self, index: usize, count: usize) -> usize {
        let spec = &self.specs[index];
        assert!(spec.trainable, "a gradient of {}, which is not trainable", spec.name);
        let (first, end) = (self.progress.next[index], self.owned[index].end);
        assert!(
            count <= end - first,
            "{count} elements of the gradient of {} from {first} on, where the thread owns {:?}",
            spec.name,
            self.owned[index]
        );
        self.progress.next[index] += count;
        first
    }

    /// Checks that all elements were handed over.
    ///
    /// # Panics
    /// If not.
    pub(crate) fn finish(self) {
        // Fewer are left where a layer has caught a panic of the layer that it holds.
        assert_eq!(self.progress.next.len(), self.specs.len(), "weights whose gradient is accounted for");
        for ((spec, owned), next) in self.specs.iter().zip(self.owned).zip(&self.progress.next) {
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

/// A target whose weights count from another one on.
struct Skipped<'a, T> {
    from: usize,
    target: &'a mut dyn GradientTarget<T>,
}

impl<T: Scalar> GradientTarget<T> for Skipped<'_, T> {
    fn push(&mut self, index: usize, offset: usize, gradient: &[T]) {
        self.target.push(self.from + index, offset, gradient);
    }

    fn adam(
        &mut self,
        index: usize,
        columns: usize,
        range: Range<usize>,
    ) -> Option<update::Parameters<'_, T>> {
        self.target.adam(self.from + index, columns, range)
    }

    fn non_trainable(&mut self, index: usize, range: Range<usize>) -> &mut [T] {
        self.target.non_trainable(self.from + index, range)
    }
}
