//! Where training and evaluation draw their samples from.

use std::error::Error;
use std::ops::Range;

use ndarray::ArrayView2;
use ziffer_tensor::Scalar;

use crate::layer::Feature;
use crate::loss::Target;

/// A set of labelled samples.
///
/// Rows are lent, not copied: a memory-mapped file serves as well as an array.
pub trait Samples<T: Scalar>: Sync {
    /// What a sample consists of: `u8` for pixels, which stand for byte / 255, or numbers.
    type Value: Feature<T>;

    /// The number of samples.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers of a sample.
    fn features(&self) -> usize;

    /// Sample `index`, as many values as there are [`features`](Self::features). It is asked for by each thread, and ahead.
    fn row(&self, index: usize) -> &[Self::Value];

    /// What the output for sample `index` should be.
    fn target(&self, index: usize) -> Target<'_, T>;

    /// Told ahead, by a thread of its own, of samples that are going to be asked for, so that those in a file can come into
    /// memory. It may block.
    fn will_need(&self, samples: Range<usize>) {
        let _ = samples;
    }

    /// Told of samples that will not be asked for for a while, so that the memory of those in a file can be used otherwise.
    fn release(&self, samples: Range<usize>) {
        let _ = samples;
    }

    /// Whether what was lent so far was right: asked now and then, and before results are kept.
    ///
    /// # Errors
    /// If not, since a file was changed underneath, say.
    fn check(&self) -> Result<(), SamplesError> {
        Ok(())
    }
}

/// Why samples turned out to be wrong.
pub type SamplesError = Box<dyn Error + Send + Sync>;

/// Rows of an array with a class each.
///
/// ```
/// use ndarray::arr2;
/// use ziffer_nn::{Samples, WithClasses};
/// let x = arr2(&[[0.0_f32, 1.0], [1.0, 0.0], [1.0, 1.0]]);
/// let samples = WithClasses::new(x.view(), &[1, 1, 0]);
/// assert_eq!((samples.len(), samples.features()), (3, 2));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WithClasses<'a, V> {
    rows: &'a [V],
    features: usize,
    classes: &'a [usize],
}

impl<'a, V> WithClasses<'a, V> {
    /// Rows of x \[N, I\], which must lie in C order, with N classes.
    ///
    /// # Panics
    /// If x does not lie in C order or there are not as many classes as rows.
    pub fn new(x: ArrayView2<'a, V>, classes: &'a [usize]) -> Self {
        assert_eq!(x.nrows(), classes.len(), "rows and classes");
        let features = x.ncols();
        Self { rows: x.to_slice().expect("samples in C order"), features, classes }
    }
}

impl<T: Scalar, V: Feature<T>> Samples<T> for WithClasses<'_, V> {
    type Value = V;

    fn len(&self) -> usize {
        self.classes.len()
    }

    fn features(&self) -> usize {
        self.features
    }

    fn row(&self, index: usize) -> &[V] {
        &self.rows[index * self.features..][..self.features]
    }

    fn target(&self, index: usize) -> Target<'_, T> {
        Target::Class(self.classes[index])
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
}

impl<T: Scalar, V: Feature<T>> Samples<T> for WithValues<'_, V, T> {
    type Value = V;

    fn len(&self) -> usize {
        self.values.nrows()
    }

    fn features(&self) -> usize {
        self.features
    }

    fn row(&self, index: usize) -> &[V] {
        &self.rows[index * self.features..][..self.features]
    }

    fn target(&self, index: usize) -> Target<'_, T> {
        let row = self.values.row(index);
        Target::Values(row.to_slice().expect("targets in C order"))
    }
}
