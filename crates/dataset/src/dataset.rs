//! One split of a data set: images with their labels, checked against each other.

use std::fmt;
use std::path::Path;

use crate::error::DatasetError;
use crate::idx::{ElementType, IdxError, IdxFile};
use crate::labels::{Labels, LabelsFile};

/// The images and labels of a training set or a test set: N samples of I pixels.
/// Images are `u8` of shape `[N, ...]`, labels are one class index per sample.
///
/// Images stay in their file, which is mapped, so a set of any size takes little memory. Labels are checked and copied when the
/// set is opened: one byte per sample for up to 256 classes, two for up to 65,536. Later changes of their file change no label.
pub struct Dataset {
    images: IdxFile,
    labels: Labels,
    features: usize,
}

impl Dataset {
    /// Opens a file of images (`u8`, rank 2 or more, the first axis counts samples) and a file of labels (`u8` or
    /// `i32` of rank 1; or `i32` of rank 2, of which column 0 is the class, as QMNIST has it).
    ///
    /// `classes` bounds the labels. `None` takes the largest label plus one, at most 256 for `u8` and 65,536 for
    /// `i32`. A `u8` label of 255 is then a class only if 254 is one too, since 255 often stands for "no label".
    ///
    /// # Errors
    /// [`DatasetError::Idx`] if a file cannot be opened, is not IDX, or changes while it is read; [`NotImages`](DatasetError::NotImages),
    /// [`NotLabels`](DatasetError::NotLabels), [`NoSamples`](DatasetError::NoSamples),
    /// [`NoPixels`](DatasetError::NoPixels), [`CountMismatch`](DatasetError::CountMismatch) or
    /// [`LabelOutOfRange`](DatasetError::LabelOutOfRange) if they are not as described above.
    pub fn open(
        images: impl AsRef<Path>,
        labels: impl AsRef<Path>,
        classes: Option<usize>,
    ) -> Result<Dataset, DatasetError> {
        Dataset::from_files(IdxFile::open(images)?, IdxFile::open(labels)?, classes)
    }

    /// The same from open files.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn from_files(
        images: IdxFile,
        labels: IdxFile,
        classes: Option<usize>,
    ) -> Result<Dataset, DatasetError> {
        images.expect_type(ElementType::U8)?;
        let path = || images.path().to_owned();
        let (samples, image_shape) = match images.shape() {
            [samples, image_shape @ ..] if !image_shape.is_empty() => (*samples, image_shape),
            shape => return Err(DatasetError::NotImages { path: path(), shape: shape.to_vec() }),
        };
        let labels = LabelsFile::new(labels)?;
        if samples != labels.len() {
            return Err(DatasetError::CountMismatch {
                images_path: path(),
                images: samples,
                labels_path: labels.path().to_owned(),
                labels: labels.len(),
            });
        }
        if samples == 0 {
            return Err(DatasetError::NoSamples { path: path() });
        }
        let features = image_shape.iter().product();
        if features == 0 {
            return Err(DatasetError::NoPixels { path: path(), shape: image_shape.to_vec() });
        }
        let labels = labels.read(classes)?;
        Ok(Dataset { images, labels, features })
    }

    /// N, the number of samples; at least one.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no samples. Always false: [`open`](Self::open) refuses empty files.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of an image, such as `[28, 28]`: rows, then columns.
    pub fn image_shape(&self) -> &[usize] {
        &self.images.shape()[1..]
    }

    /// I, the number of pixels of an image; at least one.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The number of classes; every label is below it.
    pub fn classes(&self) -> usize {
        self.labels.classes()
    }

    /// The I pixels of image `index`, row by row.
    ///
    /// # Panics
    /// If `index >= len()`.
    pub fn image(&self, index: usize) -> &[u8] {
        assert!(index < self.len(), "sample {index} of {}", self.len());
        &self.pixels()[index * self.features..][..self.features]
    }

    /// The class of image `index`.
    ///
    /// # Panics
    /// If `index >= len()`.
    pub fn label(&self, index: usize) -> usize {
        self.labels.get(index)
    }

    /// The pixels of all images, N * I bytes.
    pub fn pixels(&self) -> &[u8] {
        self.images.payload()
    }

    /// The N labels in the order of the file.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = usize> {
        (0..self.len()).map(|index| self.label(index))
    }

    /// The file that the images are mapped from.
    pub fn images_path(&self) -> &Path {
        self.images.path()
    }

    /// The file that the labels were read from.
    pub fn labels_path(&self) -> &Path {
        self.labels.path()
    }

    /// Checks that both files are unchanged since the set was opened; see [`IdxFile::check_unchanged`]. A change of the file of
    /// labels is reported too, although it changes no label.
    ///
    /// # Errors
    /// [`IdxError::Changed`], which names the file.
    pub fn check_unchanged(&self) -> Result<(), IdxError> {
        self.images.check_unchanged()?;
        self.labels.check_unchanged()
    }

    pub(crate) fn images(&self) -> &IdxFile {
        &self.images
    }
}

impl fmt::Debug for Dataset {
    /// Files, sizes and classes, without labels and pixels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("images", &self.images_path())
            .field("labels", &self.labels_path())
            .field("len", &self.len())
            .field("image_shape", &self.image_shape())
            .field("classes", &self.classes())
            .finish_non_exhaustive()
    }
}

/// Scales pixels from 0..=255 to 0..=1: `out = pixels / 255`, rounded once, as NumPy does in `f32`.
///
/// ```
/// let mut out = [0.0; 3];
/// ziffer_dataset::normalize(&[0, 51, 255], &mut out);
/// assert_eq!(out, [0.0, 0.2, 1.0]);
/// ```
///
/// # Panics
/// If the lengths differ.
pub fn normalize(pixels: &[u8], out: &mut [f32]) {
    assert_eq!(pixels.len(), out.len(), "a buffer for {} pixels", pixels.len());
    for (value, pixel) in out.iter_mut().zip(pixels) {
        *value = f32::from(*pixel) / 255.0;
    }
}
