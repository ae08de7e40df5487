//! The samples that a model is trained and evaluated on.

use std::error::Error;
use std::fmt::Debug;
use std::ops::Range;

use ndarray::ArrayView2;
use ziffer_tensor::{Scalar, prefetch};

use crate::layer::SampleValue;
use crate::loss::Target;

/// The seed of samples that are generated anew in each epoch, augmented images for example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochSeed {
    /// The seed of the training.
    pub seed: u64,
    /// The epoch, from 0.
    pub epoch: u64,
}

/// A set of samples with their targets.
///
/// A sample is copied into memory of the training step. So it may come from an array or a memory-mapped file, or be generated
/// on each call. [`WithLabels`] and [`WithTargets`] are samples in arrays.
///
/// ```
/// use ziffer_nn::{EpochSeed, MeanSquaredError, Samples, Target};
///
/// /// Points of the line y = 2 x.
/// struct Line([[f32; 1]; 4]);
///
/// impl Samples<f32> for Line {
///     type Value = f32;
///     fn len(&self) -> usize {
///         self.0.len()
///     }
///     fn features(&self) -> usize {
///         1
///     }
///     fn fill(&self, index: usize, _: Option<EpochSeed>, out: &mut [f32]) {
///         out[0] = 0.5 * self.0[index][0];
///     }
///     fn target(&self, index: usize) -> Target<'_, f32> {
///         Target::Values(&self.0[index])
///     }
/// }
///
/// let mut model = ziffer_nn::Sequential::new([1]).dense(1, ziffer_nn::Activation::Linear).build(0)?;
/// model.set_weight("dense.kernel", ndarray::arr2(&[[2.0]]).view())?;
/// let line = Line([[0.0], [1.0], [2.0], [3.0]]);
/// assert_eq!(model.evaluate_with(&MeanSquaredError, &line)?.loss, 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Samples<T: Scalar>: Sync {
    /// The type of a sample's values: `u8` for pixels, which the model divides by 255 (unless the network begins with a
    /// [`Rescaling`](crate::Rescaling), which takes the bytes themselves), or the model's number type, such as `f32`.
    type Value: SampleValue<T>;

    /// The number of samples.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of values of a sample.
    fn features(&self) -> usize;

    /// Writes the values of sample `index` to `out`, which has [`features`](Self::features) elements.
    ///
    /// The threads of a training step call it concurrently, once for each sample of the batch. `epoch_seed` is given in training,
    /// for random changes of the sample: a change that depends on seed, epoch and index only is the same for any number of
    /// threads. In an evaluation it is `None`, and the sample is not changed.
    fn fill(&self, index: usize, epoch_seed: Option<EpochSeed>, out: &mut [Self::Value]);

    /// The target of sample `index`: a class, from 0, that the model has an output for, or one value per output. A target that
    /// does not fit makes the step or the evaluation fail with [`FitError::Class`](crate::FitError::Class) or
    /// [`FitError::Targets`](crate::FitError::Targets).
    fn target(&self, index: usize) -> Target<'_, T>;

    /// Prefetches a sample into the processor's cache. Called shortly before `fill`. It must return at once. By default it does
    /// nothing.
    fn prefetch(&self, index: usize) {
        let _ = index;
    }

    /// Reads samples ahead, from a file for example. Called on a separate thread. It may block. By default it does nothing.
    fn will_need(&self, samples: Range<usize>) {
        let _ = samples;
    }

    /// Releases the memory of samples that are not needed for a while. By default it does nothing.
    fn release(&self, samples: Range<usize>) {
        let _ = samples;
    }

    /// Checks that the samples returned so far are still valid. Called periodically, and before results are saved.
    ///
    /// # Errors
    /// If they are not valid, for example because their file has changed.
    fn check(&self) -> Result<(), SamplesError> {
        Ok(())
    }
}

/// The reason why samples are no longer valid.
pub type SamplesError = Box<dyn Error + Send + Sync>;

impl<T: Scalar, S: Samples<T>> Samples<T> for &S {
    type Value = S::Value;

    fn len(&self) -> usize {
        (**self).len()
    }

    fn features(&self) -> usize {
        (**self).features()
    }

    fn fill(&self, index: usize, epoch_seed: Option<EpochSeed>, out: &mut [S::Value]) {
        (**self).fill(index, epoch_seed, out);
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

/// A range of another set's samples.
#[derive(Clone, Debug)]
pub struct Slice<'a, S> {
    samples: &'a S,
    range: Range<usize>,
}

impl<'a, S> Slice<'a, S> {
    /// The samples `range` of `samples`. Errors count samples from the start of the range.
    ///
    /// Samples of bytes implement [`Samples`] for several number types. The type must then be given:
    /// `Slice::new::<f32>(&samples, 0..10)`.
    ///
    /// # Panics
    /// If the range is out of bounds.
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

    fn fill(&self, index: usize, epoch_seed: Option<EpochSeed>, out: &mut [S::Value]) {
        self.samples.fill(self.range.start + index, epoch_seed, out);
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

/// An integer that is a class, counted from 0. A negative integer is no class.
pub trait Label: Copy + Debug + Sync {
    /// The class. For a negative integer it is larger than `isize::MAX`.
    fn class(self) -> usize;
}

macro_rules! label {
    ($($integer:ty),*) => {
        $(impl Label for $integer {
            fn class(self) -> usize {
                // A negative integer keeps its sign bit. An integer above `isize::MAX` exceeds any number of classes.
                isize::try_from(self).unwrap_or(isize::MAX) as usize
            }
        })*
    };
}

label!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

/// Samples in an array, with a label each: a class, of any integer type.
///
/// ```
/// use ndarray::arr2;
/// use ziffer_nn::{Samples, WithLabels};
/// let x = arr2(&[[0.0_f32, 1.0], [1.0, 0.0], [1.0, 1.0]]);
/// let samples = WithLabels::new(x.view(), &[1, 1, 0]);
/// assert_eq!((Samples::<f32>::len(&samples), Samples::<f32>::features(&samples)), (3, 2));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WithLabels<'a, V, C = usize> {
    rows: &'a [V],
    features: usize,
    labels: &'a [C],
}

impl<'a, V, C: Label> WithLabels<'a, V, C> {
    /// The rows of x \[N, I\] as N samples, with N labels. x must be in C order.
    ///
    /// # Panics
    /// If x is not in C order, or the number of labels differs from the number of rows.
    pub fn new(x: ArrayView2<'a, V>, labels: &'a [C]) -> Self {
        assert_eq!(x.nrows(), labels.len(), "the number of samples must equal the number of labels");
        let features = x.ncols();
        Self { rows: x.to_slice().expect("samples in C order"), features, labels }
    }

    fn row(&self, index: usize) -> &[V] {
        &self.rows[index * self.features..][..self.features]
    }
}

impl<T: Scalar, V: SampleValue<T>, C: Label> Samples<T> for WithLabels<'_, V, C> {
    type Value = V;

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn features(&self) -> usize {
        self.features
    }

    fn fill(&self, index: usize, _: Option<EpochSeed>, out: &mut [V]) {
        out.copy_from_slice(self.row(index));
    }

    fn target(&self, index: usize) -> Target<'_, T> {
        Target::Class(self.labels[index].class())
    }

    fn prefetch(&self, index: usize) {
        prefetch(self.row(index));
    }
}

/// Samples in an array, with target values each.
///
/// ```
/// use ndarray::arr2;
/// use ziffer_nn::{Samples, Target, WithTargets};
/// let (x, t) = (arr2(&[[0.0_f32], [1.0]]), arr2(&[[0.5_f32, 0.0], [1.5, 1.0]]));
/// let samples = WithTargets::new(x.view(), t.view());
/// assert_eq!(samples.target(1), Target::Values(&[1.5, 1.0]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WithTargets<'a, V, T> {
    rows: &'a [V],
    features: usize,
    targets: ArrayView2<'a, T>,
}

impl<'a, V, T> WithTargets<'a, V, T> {
    /// The rows of x \[N, I\] as N samples, with the rows of t \[N, O\] as targets. Both must be in C order.
    ///
    /// # Panics
    /// If x or t is not in C order, or their numbers of rows differ.
    pub fn new(x: ArrayView2<'a, V>, t: ArrayView2<'a, T>) -> Self {
        assert_eq!(x.nrows(), t.nrows(), "the number of samples must equal the number of targets");
        assert!(t.is_standard_layout(), "targets in C order");
        let features = x.ncols();
        Self { rows: x.to_slice().expect("samples in C order"), features, targets: t }
    }

    fn row(&self, index: usize) -> &[V] {
        &self.rows[index * self.features..][..self.features]
    }
}

impl<T: Scalar, V: SampleValue<T>> Samples<T> for WithTargets<'_, V, T> {
    type Value = V;

    fn len(&self) -> usize {
        self.targets.nrows()
    }

    fn features(&self) -> usize {
        self.features
    }

    fn fill(&self, index: usize, _: Option<EpochSeed>, out: &mut [V]) {
        out.copy_from_slice(self.row(index));
    }

    fn target(&self, index: usize) -> Target<'_, T> {
        let row = self.targets.row(index);
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
    fn labels_can_be_any_integer_type() {
        assert_eq!((7_u8.class(), 7_i64.class(), 7_u64.class(), 7_isize.class()), (7, 7, 7, 7));
        assert_eq!([(-1_i8).class() as isize, (-300_i64).class() as isize], [-1, -300]);
        assert!(u64::MAX.class() as isize > 1 << 40);
    }
}
