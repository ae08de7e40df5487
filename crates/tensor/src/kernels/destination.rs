//! The destination of the gradient of a matrix of parameters, which a kernel computes row by row: a sink, or an update by Adam.

use ndarray::ArrayViewMut2;

use crate::isa::{Isa, SimdElement};

use super::adam::{AdamStep, Parameters};

/// The choice of a destination, without the types of an instruction set.
pub(crate) enum To<'a, T> {
    /// A function of the index of the first row and the elements of some rows.
    Sink(&'a mut dyn FnMut(usize, &[T])),
    /// The parameters that Adam updates.
    Adam(Parameters<'a, T>),
}

/// Receives the rows of a gradient \[I, O\], which a kernel computes in ascending order.
///
/// It is an enum, not a trait, so that a kernel is compiled once for both destinations.
pub(crate) enum Destination<'a, T: SimdElement, I: Isa> {
    /// Passes rows to a function, many at a time.
    Sink(&'a mut dyn FnMut(usize, &[T])),
    /// Updates the parameters row by row. The divisions of this update overlap with the multiply-adds of the next row's gradient.
    Adam(FusedAdam<'a, T, I>),
}

impl<T: SimdElement, I: Isa> Destination<'_, T, I> {
    /// Receives the rows from `first` on, which are contiguous in `gradient`.
    #[inline(always)]
    pub(crate) fn push(&mut self, first: usize, gradient: &[T]) {
        if let Self::Adam(adam) = self {
            let step = adam.step;
            for (row, g) in (first..).zip(gradient.chunks_exact(adam.w.ncols())) {
                let [w, m, v] = adam.row(row);
                step.update(w, m, v, g);
            }
        }
    }

    /// Receives rows from `first` on whose elements all are zero. `gradient` has the room for them and holds unspecified numbers.
    #[inline(always)]
    pub(crate) fn push_zeros(&mut self, first: usize, gradient: &mut [T]) {
        match self {
            Self::Sink(_) => gradient.fill(T::zero()),
            Self::Adam(adam) => {
                let step = adam.step;
                for row in first..first + gradient.len() / adam.w.ncols() {
                    let [w, m, v] = adam.row(row);
                    step.update_with_zero_gradient(w, m, v);
                }
            }
        }
    }

    /// Ends a group of rows: all rows from `first` on have been pushed, and `gradient` holds them.
    #[inline(always)]
    pub(crate) fn complete(&mut self, first: usize, gradient: &[T]) {
        if let Self::Sink(sink) = self {
            sink(first, gradient);
        }
    }
}

/// An update by Adam that is fused with the computation of the gradient, row by row.
pub(crate) struct FusedAdam<'a, T: SimdElement, I: Isa> {
    step: AdamStep<T, I>,
    w: ArrayViewMut2<'a, T>,
    m: ArrayViewMut2<'a, T>,
    v: ArrayViewMut2<'a, T>,
    /// The row of the gradient that belongs to the first row of `w`, `m` and `v`.
    first: usize,
}

impl<'a, T: SimdElement, I: Isa> FusedAdam<'a, T, I> {
    #[inline(always)]
    pub(crate) fn new(parameters: Parameters<'a, T>, first: usize) -> Self {
        let Parameters { w, m, v, step } = parameters;
        Self { step: AdamStep::new(step), w, m, v, first }
    }

    /// Returns the rows of w, m and v that belong to row `row` of the gradient.
    #[inline(always)]
    fn row(&mut self, row: usize) -> [&mut [T]; 3] {
        let row = row - self.first;
        let contiguous = "contiguous rows";
        [
            self.w.row_mut(row).into_slice().expect(contiguous),
            self.m.row_mut(row).into_slice().expect(contiguous),
            self.v.row_mut(row).into_slice().expect(contiguous),
        ]
    }
}
