//! Ranges of a data set, and batches of them.

use std::ops::{Bound, Range, RangeBounds};

use ndarray::ArrayView2;
use ziffer_base::digest::{Digest, Sha256};

use crate::dataset::Dataset;
use crate::error::DatasetError;
use crate::idx::IdxError;

/// A range of the samples of a [`Dataset`], in the order of the file. Copying a view copies no samples.
///
/// Indices count from the start of the view.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    dataset: &'a Dataset,
    start: usize,
    end: usize,
}

impl Dataset {
    /// A view of all samples.
    pub fn view(&self) -> View<'_> {
        View::new(self, 0, self.len())
    }

    /// Views of a training set and a validation set; see [`View::split`].
    ///
    /// # Errors
    /// Those of [`View::split`].
    pub fn split(&self, validation_split: f64) -> Result<(View<'_>, View<'_>), DatasetError> {
        self.view().split(validation_split)
    }
}

impl<'a> View<'a> {
    /// The samples `start..end`, which the caller has checked.
    fn new(dataset: &'a Dataset, start: usize, end: usize) -> View<'a> {
        debug_assert!(start <= end && end <= dataset.len());
        View { dataset, start, end }
    }

    /// The number of samples in the view.
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether the view has no samples, as the validation set of a split of 0.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The shape of an image; see [`Dataset::image_shape`].
    pub fn image_shape(self) -> &'a [usize] {
        self.dataset.image_shape()
    }

    /// I, the number of pixels of an image.
    pub fn features(self) -> usize {
        self.dataset.features()
    }

    /// The number of classes of the whole set.
    pub fn classes(self) -> usize {
        self.dataset.classes()
    }

    /// The I pixels of image `index`.
    ///
    /// # Panics
    /// If `index >= len()`.
    pub fn image(self, index: usize) -> &'a [u8] {
        assert!(index < self.len(), "sample {index} of {}", self.len());
        &self.pixels()[self.features() * index..][..self.features()]
    }

    /// The class of image `index`.
    ///
    /// # Panics
    /// If `index >= len()`.
    pub fn label(self, index: usize) -> usize {
        assert!(index < self.len(), "sample {index} of {}", self.len());
        self.dataset.label(self.start + index)
    }

    /// The pixels of all images of the view, `len() * features()` bytes.
    pub fn pixels(self) -> &'a [u8] {
        &self.dataset.pixels()[self.bytes()]
    }

    /// The labels of the view, in the order of the file.
    pub fn labels(self) -> impl ExactSizeIterator<Item = usize> + 'a {
        (self.start..self.end).map(|index| self.dataset.label(index))
    }

    /// Reads the images of a range into the page cache ahead of their use, and blocks until they are there. Errors are ignored: they
    /// come back when the images are used.
    ///
    /// # Panics
    /// If the range does not lie inside `0..len()`.
    pub fn will_need(self, range: Range<usize>) {
        self.dataset.images().will_need(self.slice(range).bytes());
    }

    /// Releases the memory of the images of a range to the page cache. They can still be used, and are then mapped again.
    ///
    /// # Panics
    /// If the range does not lie inside `0..len()`.
    pub fn release(self, range: Range<usize>) {
        self.dataset.images().release(self.slice(range).bytes());
    }

    /// Checks that the files are unchanged since the set was opened; see [`Dataset::check_unchanged`].
    ///
    /// # Errors
    /// Those of `Dataset::check_unchanged`.
    pub fn check_unchanged(self) -> Result<(), IdxError> {
        self.dataset.check_unchanged()
    }

    /// A digest that identifies the content. Up to 256 MiB of pixels it covers all samples. Of more, which would take seconds, it
    /// covers their number and 4,096 of them, evenly spaced, and does not notice a change of a few samples.
    pub fn fingerprint(self) -> Digest {
        let is_small = self.pixels().len() <= 256 << 20;
        let step = if is_small { 1 } else { self.len().div_ceil(4096) };
        let mut sha256 = Sha256::default();
        sha256.update((self.len() as u64).to_le_bytes());
        for index in (0..self.len()).step_by(step) {
            sha256.update(self.image(index));
            sha256.update((self.label(index) as u64).to_le_bytes());
        }
        if !is_small {
            self.release(0..self.len());
        }
        sha256.finish()
    }

    /// The range of the pixels in those of the set.
    fn bytes(self) -> Range<usize> {
        self.start * self.features()..self.end * self.features()
    }

    /// The samples of the view as one batch: images `[len(), I]`.
    pub fn batch(self) -> Batch<'a> {
        let images = ArrayView2::from_shape((self.len(), self.features()), self.pixels())
            .expect("a view has features() pixels per sample");
        Batch { images, labels: self.labels().collect() }
    }

    /// A range of the view.
    ///
    /// # Panics
    /// If the range does not lie inside `0..len()`.
    pub fn slice(self, range: impl RangeBounds<usize>) -> View<'a> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(end) => *end,
            Bound::Unbounded => self.len(),
        };
        assert!(start <= end && end <= self.len(), "range {start}..{end} of {} samples", self.len());
        View::new(self.dataset, self.start + start, self.start + end)
    }

    /// A training set and a validation set, split as Keras does (`array_slicing.py`): of n samples the first
    /// floor(n * (1 - `validation_split`)) are for training, the *last* ones for validation, before any shuffle.
    /// A split of 0 gives an empty validation set.
    ///
    /// # Errors
    /// [`DatasetError::SplitOutOfRange`] unless 0 <= `validation_split` < 1 (NaN is refused);
    /// [`DatasetError::SplitLeavesNothing`] if the training set is empty, or, with a positive split, the validation set.
    pub fn split(self, validation_split: f64) -> Result<(View<'a>, View<'a>), DatasetError> {
        if !(0.0..1.0).contains(&validation_split) {
            return Err(DatasetError::SplitOutOfRange { value: validation_split });
        }
        let split_at = (self.len() as f64 * (1.0 - validation_split)).floor() as usize;
        let side = if split_at == 0 {
            "training"
        } else if split_at == self.len() && validation_split > 0.0 {
            "validation"
        } else {
            return Ok((self.slice(..split_at), self.slice(split_at..)));
        };
        Err(DatasetError::SplitLeavesNothing { value: validation_split, samples: self.len(), side })
    }

    /// Batches of `batch_size` samples in the order of the file. The last batch has the remaining samples.
    ///
    /// # Panics
    /// If `batch_size` is 0.
    pub fn batches(self, batch_size: usize) -> Batches<'a> {
        assert!(batch_size > 0, "a batch has at least one sample");
        Batches { rest: self, batch_size }
    }

    /// Copies the samples `indices`, in that order, into the caller's buffers: a batch of a shuffled epoch.
    /// `images` takes `indices.len() * features()` pixels, `labels` one class per index.
    ///
    /// # Panics
    /// If a buffer has another length, or an index is not below `len()`.
    pub fn gather(self, indices: &[u32], images: &mut [u8], labels: &mut [usize]) {
        let features = self.features();
        assert_eq!(images.len(), indices.len() * features, "a buffer for {} images", indices.len());
        assert_eq!(labels.len(), indices.len(), "a buffer for {} labels", indices.len());
        let rows = images.chunks_exact_mut(features).zip(labels);
        for (index, (image, label)) in indices.iter().zip(rows) {
            let index = *index as usize;
            *label = self.label(index);
            image.copy_from_slice(self.image(index));
        }
    }
}

impl<'a> From<&'a Dataset> for View<'a> {
    fn from(dataset: &'a Dataset) -> View<'a> {
        dataset.view()
    }
}

/// Consecutive samples. The pixels are not copied.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    /// The pixels, `[B, I]`.
    pub images: ArrayView2<'a, u8>,
    /// The classes, B of them.
    pub labels: Vec<usize>,
}

impl Batch<'_> {
    /// B, the number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no samples. Always false for a batch from [`View::batches`].
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// The batches of a [`View`]; see [`View::batches`].
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: View<'a>,
    batch_size: usize,
}

impl<'a> Iterator for Batches<'a> {
    type Item = Batch<'a>;

    fn next(&mut self) -> Option<Batch<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let count = self.batch_size.min(self.rest.len());
        let batch = self.rest.slice(..count).batch();
        self.rest = self.rest.slice(count..);
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.rest.len().div_ceil(self.batch_size);
        (count, Some(count))
    }
}

impl ExactSizeIterator for Batches<'_> {}
