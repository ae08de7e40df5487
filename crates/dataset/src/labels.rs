//! The labels of one split: one class index per sample, copied from their file.

use std::path::Path;

use crate::error::DatasetError;
use crate::idx::{ElementType, IdxError, IdxFile};

/// The maximum number of classes for labels of type `i32`, far above that of any known set. A file beyond it holds other numbers
/// than classes, and a network would have as many outputs as the largest of them.
const MAX_CLASSES: usize = 1 << 16;

/// The classes of all samples, each below [`classes`](Self::classes). They are checked and copied in one pass, so later writes to
/// the file have no effect.
#[derive(Debug)]
pub(crate) struct Labels {
    file: IdxFile,
    values: Values,
    classes: usize,
}

/// Class indices in the smallest type that holds all of them.
#[derive(Debug)]
enum Values {
    U8(Vec<u8>),
    U16(Vec<u16>),
    /// Only if the caller requests more than 65,536 classes.
    U32(Vec<u32>),
}

impl Values {
    /// Room for `count` classes below `bound`.
    fn with_capacity(count: usize, bound: usize) -> Values {
        match bound {
            0..=0x100 => Values::U8(Vec::with_capacity(count)),
            0x101..=0x1_0000 => Values::U16(Vec::with_capacity(count)),
            _ => Values::U32(Vec::with_capacity(count)),
        }
    }

    /// Appends a class below the bound.
    fn push(&mut self, class: usize) {
        match self {
            Values::U8(values) => values.push(class as u8),
            Values::U16(values) => values.push(class as u16),
            Values::U32(values) => values.push(class as u32),
        }
    }

    fn len(&self) -> usize {
        match self {
            Values::U8(values) => values.len(),
            Values::U16(values) => values.len(),
            Values::U32(values) => values.len(),
        }
    }

    fn get(&self, index: usize) -> usize {
        match self {
            Values::U8(values) => usize::from(values[index]),
            Values::U16(values) => usize::from(values[index]),
            Values::U32(values) => values[index] as usize,
        }
    }
}

/// A file of labels with a valid type and shape, whose values are not read yet.
#[derive(Debug)]
pub(crate) struct LabelsFile {
    file: IdxFile,
    count: usize,
    /// Bytes from a label to the next.
    stride: usize,
}

impl LabelsFile {
    /// Checks the type and shape of a file of labels: `u8` or `i32` of rank 1, or `i32` of rank 2, of which column 0 is the class.
    pub(crate) fn new(file: IdxFile) -> Result<LabelsFile, DatasetError> {
        let (count, stride) = match (file.element_type(), file.shape()) {
            (element_type @ (ElementType::U8 | ElementType::I32), [count]) => (*count, element_type.size()),
            (ElementType::I32, [count, columns]) if *columns > 0 => {
                (*count, columns * ElementType::I32.size())
            }
            (element_type, shape) => {
                return Err(DatasetError::NotLabels {
                    path: file.path().to_owned(),
                    element_type,
                    shape: shape.to_vec(),
                });
            }
        };
        Ok(LabelsFile { file, count, stride })
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Reads all labels. Checks them against `classes`, or determines the number of classes.
    pub(crate) fn read(self, classes: Option<usize>) -> Result<Labels, DatasetError> {
        let out_of_range = |index, value, classes| {
            let path = self.file.path().to_owned();
            Err(DatasetError::LabelOutOfRange { path, index, value, first: 0, classes })
        };
        let bound = classes.unwrap_or(MAX_CLASSES);
        let is_bytes = self.file.element_type() == ElementType::U8;
        let mut values = Values::with_capacity(self.count, if is_bytes { bound.min(256) } else { bound });
        // The number of classes by the labels other than 255, and the index of the first 255.
        let (mut found, mut first_255) = (0, None);
        for (index, value) in self.values().enumerate() {
            let Some(label) = usize::try_from(value).ok().filter(|label| *label < bound) else {
                return out_of_range(index, value, bound);
            };
            if label == 255 {
                first_255.get_or_insert(index);
            } else {
                found = found.max(label + 1);
            }
            values.push(label);
        }
        // Another process may have truncated the file while it was read.
        self.file.check_unchanged()?;
        // A byte of 255 stands for "no label", unless class 254 exists.
        if let (None, true, Some(index)) = (classes, is_bytes, first_255)
            && found < 255
        {
            return out_of_range(index, 255, found.max(1));
        }
        let found = first_255.map_or(found, |_| found.max(256));
        Ok(Labels { file: self.file, values, classes: classes.unwrap_or(found) })
    }

    /// The labels in the file.
    fn values(&self) -> impl Iterator<Item = i64> {
        let element_type = self.file.element_type();
        self.file.payload().chunks_exact(self.stride).map(move |row| match (element_type, row) {
            (ElementType::U8, [value, ..]) => i64::from(*value),
            (_, [a, b, c, d, ..]) => i64::from(i32::from_be_bytes([*a, *b, *c, *d])),
            _ => unreachable!("a label of type i32 has four bytes"),
        })
    }
}

impl Labels {
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn classes(&self) -> usize {
        self.classes
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Checks that the file is unchanged since the labels were read.
    pub(crate) fn check_unchanged(&self) -> Result<(), IdxError> {
        self.file.check_unchanged()
    }

    /// The class of sample `index`.
    ///
    /// # Panics
    /// If there is no such sample.
    pub(crate) fn get(&self, index: usize) -> usize {
        assert!(index < self.len(), "sample {index} of {}", self.len());
        self.values.get(index)
    }
}
