//! Where the gradient of a matrix of parameters goes as it is formed, row by row: to a function, or into the parameters.

use ndarray::ArrayViewMut2;

use crate::isa::{Isa, SimdElement};

use super::adam::{AdamStep, Parameters};

/// The two destinations.
pub(crate) enum To<'a, T> {
    Sink(&'a mut dyn FnMut(usize, &[T])),
    Adam(Parameters<'a, T>),
}

/// Takes a gradient [I, O], of which a kernel forms some rows after others.
///
/// One type for both destinations, not a trait, so that a kernel is compiled once.
pub(crate) enum Destination<'a, T: SimdElement, I: Isa> {
    /// Hands rows on, many at a time.
    Sink(&'a mut dyn FnMut(usize, &[T])),
    /// Updates parameters at once: while the processor forms the next gradient it divides for this one.
    Adam(FusedAdam<'a, T, I>),
}

impl<T: SimdElement, I: Isa> Destination<'_, T, I> {
    /// The rows that begin with `first` are in `formed`, side by side.
    #[inline(always)]
    pub(crate) fn push(&mut self, first: usize, formed: &[T]) {
        if let Self::Adam(adam) = self {
            let step = adam.step;
            for (row, g) in (first..).zip(formed.chunks_exact(adam.w.ncols())) {
                let [w, m, v] = adam.row(row);
                step.all(w, m, v, g);
            }
        }
    }

    /// The rows that begin with `first` are zero, and `formed`, where they would be, is anything.
    #[inline(always)]
    pub(crate) fn push_zeros(&mut self, first: usize, formed: &mut [T]) {
        match self {
            Self::Sink(_) => formed.fill(T::zero()),
            Self::Adam(adam) => {
                let step = adam.step;
                for row in first..first + formed.len() / adam.w.ncols() {
                    let [w, m, v] = adam.row(row);
                    step.zeros(w, m, v);
                }
            }
        }
    }

    /// All rows that begin with `first` have been pushed, and are in `formed`.
    #[inline(always)]
    pub(crate) fn complete(&mut self, first: usize, formed: &[T]) {
        if let Self::Sink(sink) = self {
            sink(first, formed);
        }
    }
}

/// Adam's update of the rows of a matrix.
pub(crate) struct FusedAdam<'a, T: SimdElement, I: Isa> {
    step: AdamStep<T, I>,
    w: ArrayViewMut2<'a, T>,
    m: ArrayViewMut2<'a, T>,
    v: ArrayViewMut2<'a, T>,
    /// The row of the gradient that belongs to the first one of these.
    first: usize,
}

impl<'a, T: SimdElement, I: Isa> FusedAdam<'a, T, I> {
    #[inline(always)]
    pub(crate) fn new(parameters: Parameters<'a, T>, first: usize) -> Self {
        let Parameters { w, m, v, step } = parameters;
        Self { step: AdamStep::new(step), w, m, v, first }
    }

    /// w, m and v of a row.
    #[inline(always)]
    fn row(&mut self, row: usize) -> [&mut [T]; 3] {
        let row = row - self.first;
        let in_order = "rows that lie in order";
        [
            self.w.row_mut(row).into_slice().expect(in_order),
            self.m.row_mut(row).into_slice().expect(in_order),
            self.v.row_mut(row).into_slice().expect(in_order),
        ]
    }
}
