//! One part of a data set: images with their labels, checked against each other.

use std::fmt;
use std::path::{Path, PathBuf};

use ndarray::Axis;

use crate::error::DatasetError;
use crate::idx::{ElementType, IdxFile, IdxView};
use crate::view::View;

/// The most classes that labels of type `i32` may name. Far above any set of the family; a file that goes beyond
/// it does not hold class numbers, and a network would be built as wide as the largest of them.
const MAX_CLASSES: usize = 1 << 16;

/// Images and labels of one part, training or test. N samples of I pixels:
/// images are `u8` of shape `[N, ...]`, mapped from their file; labels are one class number per sample.
///
/// The labels are copied out of their file (4 bytes a sample) and checked there, so that `label < classes` holds
/// for the lifetime of the value whatever happens to the file. The images stay where they are.
pub struct Dataset {
    images: IdxFile,
    labels_path: PathBuf,
    labels: Box<[u32]>,
    features: usize,
    classes: usize,
}

impl Dataset {
    /// Opens a file of images (`u8`, rank 2 or more, the first axis counts samples) and a file of labels (`u8` or
    /// `i32` of rank 1; or `i32` of rank 2, of which column 0 is the class, as QMNIST has it).
    ///
    /// `classes` bounds the labels. `None` takes the largest label plus one, at most 256 for `u8` and 65,536 for
    /// `i32`; a `u8` label of 255 is then a class only if 254 is one too, for it is what "no label" is written as.
    ///
    /// # Errors
    /// [`DatasetError::Idx`] if a file cannot be opened or is not IDX; [`NotImages`](DatasetError::NotImages),
    /// [`NotLabels`](DatasetError::NotLabels), [`NoSamples`](DatasetError::NoSamples),
    /// [`NoPixels`](DatasetError::NoPixels), [`CountMismatch`](DatasetError::CountMismatch) or
    /// [`LabelOutOfRange`](DatasetError::LabelOutOfRange) if they are not what is described above.
    pub fn open(
        images: impl AsRef<Path>,
        labels: impl AsRef<Path>,
        classes: Option<usize>,
    ) -> Result<Dataset, DatasetError> {
        Dataset::from_files(IdxFile::open(images)?, IdxFile::open(labels)?, classes)
    }

    /// The same of files that are open already.
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
        let (samples, picture) = match images.shape() {
            [samples, picture @ ..] if !picture.is_empty() => (*samples, picture),
            shape => return Err(DatasetError::NotImages { path: path(), shape: shape.to_vec() }),
        };
        let count = label_count(&labels)?;
        if samples != count {
            return Err(DatasetError::CountMismatch {
                images_path: path(),
                images: samples,
                labels_path: labels.path().to_owned(),
                labels: count,
            });
        }
        if samples == 0 {
            return Err(DatasetError::NoSamples { path: path() });
        }
        let features = picture.iter().product();
        if features == 0 {
            return Err(DatasetError::NoPixels { path: path(), shape: picture.to_vec() });
        }
        let (classes, checked) = read_labels(&labels, classes)?;
        Ok(Dataset { labels_path: labels.path().to_owned(), labels: checked, features, classes, images })
    }

    /// N, the number of samples; at least one.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no samples: never, [`open`](Self::open) sees to it.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The shape of a picture, such as `[28, 28]`: rows, then columns.
    pub fn image_shape(&self) -> &[usize] {
        &self.images.shape()[1..]
    }

    /// I, the number of pixels of a picture; at least one.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The number of classes; every label is below it.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The I pixels of picture `index`, row by row.
    ///
    /// # Panics
    /// If `index >= len()`.
    pub fn image(&self, index: usize) -> &[u8] {
        assert!(index < self.len(), "sample {index} of {}", self.len());
        &self.pixels()[index * self.features..][..self.features]
    }

    /// The class of picture `index`.
    ///
    /// # Panics
    /// If `index >= len()`.
    pub fn label(&self, index: usize) -> usize {
        self.labels[index] as usize
    }

    /// All pixels of all pictures, N * I bytes.
    pub fn pixels(&self) -> &[u8] {
        self.images.payload()
    }

    /// All labels, N of them.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The file that the images are mapped from.
    pub fn images_path(&self) -> &Path {
        self.images.path()
    }

    /// The file that the labels were read from.
    pub fn labels_path(&self) -> &Path {
        &self.labels_path
    }

    /// All samples.
    pub fn view(&self) -> View<'_> {
        View::new(self, 0, self.len())
    }

    /// A training and a validation part, without copying; see [`View::split`].
    ///
    /// # Errors
    /// Those of [`View::split`].
    pub fn split(&self, validation_split: f64) -> Result<(View<'_>, View<'_>), DatasetError> {
        self.view().split(validation_split)
    }
}

impl fmt::Debug for Dataset {
    /// What it is, without its thousands of labels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("images", &self.images_path())
            .field("labels", &self.labels_path())
            .field("len", &self.len())
            .field("image_shape", &self.image_shape())
            .field("classes", &self.classes)
            .finish_non_exhaustive()
    }
}

/// How many samples a file of labels has, if it is one.
fn label_count(labels: &IdxFile) -> Result<usize, DatasetError> {
    match (labels.element_type(), labels.shape()) {
        (ElementType::U8 | ElementType::I32, [count]) => Ok(*count),
        (ElementType::I32, [count, columns]) if *columns > 0 => Ok(*count),
        (element_type, shape) => Err(DatasetError::NotLabels {
            path: labels.path().to_owned(),
            element_type,
            shape: shape.to_vec(),
        }),
    }
}

/// Copies the labels out, and checks the copies against `classes` or finds the number of classes.
fn read_labels(labels: &IdxFile, classes: Option<usize>) -> Result<(usize, Box<[u32]>), DatasetError> {
    let bound = classes.unwrap_or(MAX_CLASSES);
    let check = |(index, value): (usize, i64)| match u32::try_from(value) {
        Ok(label) if (label as usize) < bound => Ok(label),
        _ => Err(DatasetError::LabelOutOfRange {
            path: labels.path().to_owned(),
            index,
            value,
            classes: bound,
        }),
    };
    let checked: Box<[u32]> = match labels.view() {
        IdxView::U8(values) => {
            values.iter().map(|value| i64::from(*value)).enumerate().map(check).collect::<Result<_, _>>()?
        }
        IdxView::I32(values) => {
            let column = if values.ndim() == 2 { values.index_axis(Axis(1), 0) } else { values.view() };
            let values = column.iter().map(|value| i64::from(value.get()));
            values.enumerate().map(check).collect::<Result<_, _>>()?
        }
        _ => unreachable!("label_count lets no other type pass"),
    };
    let found = checked.iter().max().map_or(0, |largest| *largest as usize + 1);
    if classes.is_none()
        && labels.element_type() == ElementType::U8
        && found == 256
        && !checked.contains(&254)
    {
        let below =
            checked.iter().filter(|label| **label < 255).max().map_or(1, |largest| *largest as usize + 1);
        let index = checked.iter().position(|label| *label == 255).unwrap_or_default();
        return Err(DatasetError::LabelOutOfRange {
            path: labels.path().to_owned(),
            index,
            value: 255,
            classes: below,
        });
    }
    Ok((classes.unwrap_or(found), checked))
}

/// Pixels from 0..=255 to 0..=1: `out = pixels / 255`, the division rounded once, as NumPy's in `f32`.
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
