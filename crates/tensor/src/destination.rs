//! Where the gradient of a matrix of parameters goes as it is formed, row by row: to a function, or into the parameters.

use ndarray::ArrayViewMut2;

use crate::Scalar;
use crate::isa::Isa;
use crate::update::{AdamStep, Parameters};

/// The two ways.
pub(crate) enum To<'a, T> {
    Sink(&'a mut dyn FnMut(usize, &[T])),
    Adam(Parameters<'a, T>),
}

/// Takes a gradient [I, O], of which a kernel forms some rows after others.
///
/// Every method of an implementation must be `#[inline(always)]`.
pub(crate) trait Destination<T: Scalar> {
    /// The rows that begin with `first` are in `formed`, side by side.
    fn take(&mut self, first: usize, formed: &[T]);

    /// The rows that begin with `first` are zero, and `formed`, where they would be, is anything.
    fn take_zeros(&mut self, first: usize, formed: &mut [T]);

    /// All rows that begin with `first` have been taken, and are in `formed`.
    fn complete(&mut self, first: usize, formed: &[T]);
}

/// Hands rows on, many at a time.
pub(crate) struct Handed<'a, T>(pub(crate) &'a mut dyn FnMut(usize, &[T]));

impl<T: Scalar> Destination<T> for Handed<'_, T> {
    #[inline(always)]
    fn take(&mut self, _: usize, _: &[T]) {}

    #[inline(always)]
    fn take_zeros(&mut self, _: usize, formed: &mut [T]) {
        formed.fill(T::zero());
    }

    #[inline(always)]
    fn complete(&mut self, first: usize, formed: &[T]) {
        (self.0)(first, formed);
    }
}

/// Moves parameters by Adam, at once: while the processor forms the next gradient it divides for this one.
pub(crate) struct Moved<'a, T: Scalar, I: Isa> {
    step: AdamStep<T, I>,
    w: ArrayViewMut2<'a, T>,
    m: ArrayViewMut2<'a, T>,
    v: ArrayViewMut2<'a, T>,
    /// The row of the gradient that belongs to the first one of these.
    first: usize,
}

impl<'a, T: Scalar, I: Isa> Moved<'a, T, I> {
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

impl<T: Scalar, I: Isa> Destination<T> for Moved<'_, T, I> {
    #[inline(always)]
    fn take(&mut self, first: usize, formed: &[T]) {
        let step = self.step;
        for (row, g) in (first..).zip(formed.chunks_exact(self.w.ncols())) {
            let [w, m, v] = self.row(row);
            step.all(w, m, v, g);
        }
    }

    #[inline(always)]
    fn take_zeros(&mut self, first: usize, formed: &mut [T]) {
        let step = self.step;
        for row in first..first + formed.len() / self.w.ncols() {
            let [w, m, v] = self.row(row);
            step.zeros(w, m, v);
        }
    }

    #[inline(always)]
    fn complete(&mut self, _: usize, _: &[T]) {}
}
