//! Where training and evaluation take their samples from.

use std::error::Error;
use std::fmt::Debug;
use std::ops::Range;

use ndarray::ArrayView2;
use ziffer_tensor::{Scalar, prefetch};

use crate::layer::Feature;
use crate::loss::Target;

/// What a sample that is made anew for each use is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The run's seed.
    pub seed: u64,
    /// The epoch, from 0.
    pub epoch: u64,
}

/// A set of labelled samples.
///
/// A sample is written into memory of the step's, so that it may lie in an array or a mapped file, or be made anew each time.
pub trait Samples<T: Scalar>: Sync {
    /// What a sample consists of: `u8` for pixels, which stand for byte / 255 (a [`Rescaling`](crate::Rescaling) at the
    /// beginning of a network takes the bytes themselves), or the network's numbers, `f32` say, which stay as they are.
    type Value: Feature<T>;

    /// The number of samples.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers of a sample.
    fn features(&self) -> usize;

    /// Writes sample `index` to `out`, as many values as there are [`features`](Self::features).
    ///
    /// In a training step each sample of the batch is written once, by one of the threads, which call this at the same time.
    /// `draw` says what is drawn anew for it: a change that belongs to (seed, epoch, index) is the same on any number of
    /// threads. At an evaluation `draw` is `None`, and the sample is as it is.
    fn fill(&self, index: usize, draw: Option<Draw>, out: &mut [Self::Value]);

    /// What the output for sample `index` should be: a class, from 0, that the model has an output for, or a value for each
    /// of the outputs. Another one is an error of the step or the evaluation that uses it,
    /// [`FitError::Class`](crate::FitError::Class) or [`FitError::Targets`](crate::FitError::Targets).
    fn target(&self, index: usize) -> Target<'_, T>;

    /// Told of a sample that will be asked for soon, so that the processor can fetch it from memory. It returns at once.
    fn prefetch(&self, index: usize) {
        let _ = index;
    }

    /// Told ahead, by a thread of its own, of samples that are going to be asked for, so that those in a file can come into
    /// memory. It may block.
    fn will_need(&self, samples: Range<usize>) {
        let _ = samples;
    }

    /// Told of samples that will not be asked for for a while, so that the memory of those in a file can be used otherwise.
    fn release(&self, samples: Range<usize>) {
        let _ = samples;
    }

    /// Checks that the samples written so far are right. It is called now and then, and before results are kept.
    ///
    /// # Errors
    /// If they are not, since a file was changed meanwhile, say.
    fn check(&self) -> Result<(), SamplesError> {
        Ok(())
    }
}

/// Why samples turned out to be wrong.
pub type SamplesError = Box<dyn Error + Send + Sync>;

impl<T: Scalar, S: Samples<T>> Samples<T> for &S {
    type Value = S::Value;

    fn len(&self) -> usize {
        (**self).len()
    }

    fn features(&self) -> usize {
        (**self).features()
    }

    fn fill(&self, index: usize, draw: Option<Draw>, out: &mut [S::Value]) {
        (**self).fill(index, draw, out);
    }

    fn target(&self, index: usize) -> Target<'_, T> {
        (**self).target(index)
    }

    fn prefetch(&self, index: usize) {
        (**self).prefetch(index);
    }

    fn will_need(&self, samples: Range<usize>) {
        (**self).will_need(samples);
    }

    fn release(&self, samples: Range<usize>) {
        (**self).release(samples);
    }

    fn check(&self) -> Result<(), SamplesError> {
        (**self).check()
    }
}

/// Some of another set's samples, from the first of a range to its last.
#[derive(Clone, Debug)]
pub struct Slice<'a, S> {
    samples: &'a S,
    range: Range<usize>,
}

impl<'a, S> Slice<'a, S> {
    /// Samples `range` of `samples`. Of samples that are such for several types of numbers, as rows of bytes are, it must be
    /// said for which: `Slice::new::<f32>(&samples, 0..10)`. Errors count samples from the range's first.
    ///
    /// # Panics
    /// If the range reaches beyond them.
    pub fn new<T: Scalar>(samples: &'a S, range: Range<usize>) -> Self
    where
        S: Samples<T>,
    {
        let len = samples.len();
        assert!(range.start <= range.end && range.end <= len, "samples {range:?} of {len}");
        Self { samples, range }
    }

    fn within(&self, samples: Range<usize>) -> Range<usize> {
        self.range.start + samples.start..self.range.start + samples.end
    }
}

impl<T: Scalar, S: Samples<T>> Samples<T> for Slice<'_, S> {
    type Value = S::Value;

    fn len(&self) -> usize {
        self.range.len()
    }

    fn features(&self) -> usize {
        self.samples.features()
    }

    fn fill(&self, index: usize, draw: Option<Draw>, out: &mut [S::Value]) {
        self.samples.fill(self.range.start + index, draw, out);
    }

    fn target(&self, index: usize) -> Target<'_, T> {
        self.samples.target(self.range.start + index)
    }

    fn prefetch(&self, index: usize) {
        self.samples.prefetch(self.range.start + index);
    }

    fn will_need(&self, samples: Range<usize>) {
        self.samples.will_need(self.within(samples));
    }

    fn release(&self, samples: Range<usize>) {
        self.samples.release(self.within(samples));
    }

    fn check(&self) -> Result<(), SamplesError> {
        self.samples.check()
    }
}

/// An integer that names a class, from 0. A negative one names none.
pub trait Label: Copy + Debug + Sync {
    /// The class; beyond `isize::MAX` for a negative number.
    fn class(self) -> usize;
}

macro_rules! label {
    ($($integer:ty),*) => {
        $(impl Label for $integer {
            fn class(self) -> usize {
                // A negative number keeps its sign bit; one that is too large is beyond any number of classes anyway.
                isize::try_from(self).unwrap_or(isize::MAX) as usize
            }
        })*
    };
}

label!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

/// Rows of an array with a class each, of any integer type.
///
/// ```
/// use ndarray::arr2;
/// use ziffer_nn::{Samples, WithClasses};
/// let x = arr2(&[[0.0_f32, 1.0], [1.0, 0.0], [1.0, 1.0]]);
/// let samples = WithClasses::new(x.view(), &[1, 1, 0]);
/// assert_eq!((Samples::<f32>::len(&samples), Samples::<f32>::features(&samples)), (3, 2));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WithClasses<'a, V, C = usize> {
    rows: &'a [V],
    features: usize,
    classes: &'a [C],
}

impl<'a, V, C: Label> WithClasses<'a, V, C> {
    /// Rows of x \[N, I\], which must lie in C order, with N classes.
    ///
    /// # Panics
    /// If x does not lie in C order or there are not as many classes as rows.
    pub fn new(x: ArrayView2<'a, V>, classes: &'a [C]) -> Self {
        assert_eq!(x.nrows(), classes.len(), "rows and classes");
        let features = x.ncols();
        Self { rows: x.to_slice().expect("samples in C order"), features, classes }
    }

    fn row(&self, index: usize) -> &[V] {
        &self.rows[index * self.features..][..self.features]
    }
}

impl<T: Scalar, V: Feature<T>, C: Label> Samples<T> for WithClasses<'_, V, C> {
    type Value = V;

    fn len(&self) -> usize {
        self.classes.len()
    }

    fn features(&self) -> usize {
        self.features
    }

    fn fill(&self, index: usize, _: Option<Draw>, out: &mut [V]) {
        out.copy_from_slice(self.row(index));
    }

    fn target(&self, index: usize) -> Target<'_, T> {
        Target::Class(self.classes[index].class())
    }

    fn prefetch(&self, index: usize) {
        prefetch(self.row(index));
    }
}

/// Rows of an array with a row of target values each.
#[derive(Clone, Copy, Debug)]
pub struct WithValues<'a, V, T> {
    rows: &'a [V],
    features: usize,
    values: ArrayView2<'a, T>,
}

impl<'a, V, T> WithValues<'a, V, T> {
    /// Rows of x \[N, I\] with rows of t \[N, O\], both in C order.
    ///
    /// # Panics
    /// If one does not lie in C order or they have not the same number of rows.
    pub fn new(x: ArrayView2<'a, V>, t: ArrayView2<'a, T>) -> Self {
        assert_eq!(x.nrows(), t.nrows(), "rows of samples and of targets");
        assert!(t.is_standard_layout(), "targets in C order");
        let features = x.ncols();
        Self { rows: x.to_slice().expect("samples in C order"), features, values: t }
    }

    fn row(&self, index: usize) -> &[V] {
        &self.rows[index * self.features..][..self.features]
    }
}

impl<T: Scalar, V: Feature<T>> Samples<T> for WithValues<'_, V, T> {
    type Value = V;

    fn len(&self) -> usize {
        self.values.nrows()
    }

    fn features(&self) -> usize {
        self.features
    }

    fn fill(&self, index: usize, _: Option<Draw>, out: &mut [V]) {
        out.copy_from_slice(self.row(index));
    }

    fn target(&self, index: usize) -> Target<'_, T> {
        let row = self.values.row(index);
        Target::Values(row.to_slice().expect("targets in C order"))
    }

    fn prefetch(&self, index: usize) {
        prefetch(self.row(index));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_any_integer_type() {
        assert_eq!((7_u8.class(), 7_i64.class(), 7_u64.class(), 7_isize.class()), (7, 7, 7, 7));
        assert_eq!([(-1_i8).class() as isize, (-300_i64).class() as isize], [-1, -300]);
        assert!(u64::MAX.class() as isize > 1 << 40);
    }
}
