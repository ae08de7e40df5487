//! Data sets as samples.

use std::ops::Range;

use ziffer_dataset::View;
use ziffer_nn::{EpochSeed, Samples, SamplesError, Scalar, Target};
use ziffer_tensor::prefetch;

/// A view of a data set as samples: the pixels of the memory-mapped file, each standing for byte / 255, and the labels.
#[derive(Clone, Copy, Debug)]
pub struct DatasetSamples<'a>(pub View<'a>);

impl<T: Scalar> Samples<T> for DatasetSamples<'_> {
    type Value = u8;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn features(&self) -> usize {
        self.0.features()
    }

    fn fill(&self, index: usize, _: Option<EpochSeed>, out: &mut [u8]) {
        out.copy_from_slice(self.0.image(index));
    }

    fn prefetch(&self, index: usize) {
        prefetch(self.0.image(index));
    }

    fn target(&self, index: usize) -> Target<'_, T> {
        Target::Class(self.0.label(index))
    }

    fn will_need(&self, samples: Range<usize>) {
        self.0.will_need(samples);
    }

    fn release(&self, samples: Range<usize>) {
        self.0.release(samples);
    }

    fn check(&self) -> Result<(), SamplesError> {
        Ok(self.0.check_unchanged()?)
    }
}
