//! The samples of a step, without the type of their values.

use std::ops::Range;

use ziffer_tensor::Scalar;
use ziffer_tensor::shared::Shared;

use super::matrix::matrix;
use crate::layer::{Input, InputType, SampleValue, checked_input};
use crate::loss::Target;
use crate::samples::{EpochSeed, Samples};

/// [`Samples`] as a trait object.
pub(crate) trait DynSamples<T: Scalar>: Sync {
    /// The number of samples.
    fn count(&self) -> usize;

    /// The number of values of a sample.
    fn features(&self) -> usize;

    /// The type of the values.
    fn input_type(&self) -> InputType;

    /// The target of a sample.
    fn target(&self, index: usize) -> Target<'_, T>;

    /// Loads a sample into the processor's cache.
    fn prefetch(&self, index: usize);

    /// Calls `work` with memory for two batches of at most `samples` samples.
    fn with_batches(&self, samples: usize, work: &mut dyn FnMut(&dyn Batches<T>));

    /// Memory for samples of one thread.
    fn block(&self) -> Box<dyn Block<T> + '_>;
}

/// Two batches that alternate: one is used while the other is written.
pub(crate) trait Batches<T: Scalar>: Sync {
    /// Copies samples to the rows of batch `number` from `row` on.
    ///
    /// # Safety
    /// During the call no other thread may access these rows.
    unsafe fn fill(&self, number: usize, row: usize, samples: &[u32], epoch_seed: EpochSeed);

    /// Rows of batch `number` as the input of the first layer.
    ///
    /// # Safety
    /// While the result lives, no thread may write these rows.
    unsafe fn input(&self, number: usize, rows: Range<usize>) -> Input<'_, T>;
}

/// Consecutive samples in memory of their own.
pub(crate) trait Block<T: Scalar> {
    /// Copies these samples, without augmentation, and returns them as the input of the first layer.
    fn read(&mut self, samples: Range<usize>) -> Input<'_, T>;
}

impl<T: Scalar, S: Samples<T>> DynSamples<T> for S {
    fn count(&self) -> usize {
        Samples::len(self)
    }

    fn features(&self) -> usize {
        Samples::features(self)
    }

    fn input_type(&self) -> InputType {
        S::Value::input_type()
    }

    fn target(&self, index: usize) -> Target<'_, T> {
        Samples::target(self, index)
    }

    fn prefetch(&self, index: usize) {
        Samples::prefetch(self, index);
    }

    fn with_batches(&self, samples: usize, work: &mut dyn FnMut(&dyn Batches<T>)) {
        let features = Samples::features(self);
        let mut x = [(); 2].map(|()| vec![S::Value::default(); samples * features]);
        let [even, odd] = &mut x;
        work(&SharedBatches { samples: self, features, x: [Shared::new(even), Shared::new(odd)] });
    }

    fn block(&self) -> Box<dyn Block<T> + '_> {
        Box::new(OwnBlock::<T, S> { samples: self, features: Samples::features(self), x: Vec::new() })
    }
}

/// The [`Batches`] of a step.
struct SharedBatches<'a, T: Scalar, S: Samples<T>> {
    samples: &'a S,
    features: usize,
    x: [Shared<'a, S::Value>; 2],
}

impl<T: Scalar, S: Samples<T>> Batches<T> for SharedBatches<'_, T, S> {
    unsafe fn fill(&self, number: usize, row: usize, samples: &[u32], epoch_seed: EpochSeed) {
        let range = row * self.features..(row + samples.len()) * self.features;
        // SAFETY: no other thread accesses them, as the caller promises.
        let x = unsafe { self.x[number % 2].get_mut(range) };
        for (&sample, x) in samples.iter().zip(x.chunks_exact_mut(self.features)) {
            self.samples.fill(sample as usize, Some(epoch_seed), x);
        }
    }

    unsafe fn input(&self, number: usize, rows: Range<usize>) -> Input<'_, T> {
        // SAFETY: no thread writes them, as the caller promises.
        let x = unsafe { self.x[number % 2].get(rows.start * self.features..rows.end * self.features) };
        checked_input(matrix(x, self.features))
    }
}

/// The [`Block`] of an evaluation.
struct OwnBlock<'a, T: Scalar, S: Samples<T>> {
    samples: &'a S,
    features: usize,
    x: Vec<S::Value>,
}

impl<T: Scalar, S: Samples<T>> Block<T> for OwnBlock<'_, T, S> {
    fn read(&mut self, samples: Range<usize>) -> Input<'_, T> {
        self.x.resize(samples.len() * self.features, S::Value::default());
        for (sample, x) in samples.zip(self.x.chunks_exact_mut(self.features)) {
            self.samples.fill(sample, None, x);
        }
        checked_input(matrix(&self.x, self.features))
    }
}
