//! The labels of one part of a set: one class number per sample, read where they lie in their file.

use std::path::Path;

use crate::error::DatasetError;
use crate::idx::{ElementType, IdxFile};

/// The most classes that labels of type `i32` may name. Far above any set of the family; a file that goes beyond
/// it does not hold class numbers, and a network would be built as wide as the largest of them.
const MAX_CLASSES: usize = 1 << 16;

/// A file of labels whose every value was a class when it was opened.
#[derive(Debug)]
pub(crate) struct Labels {
    file: IdxFile,
    count: usize,
    /// Bytes from a label to the next.
    stride: usize,
    classes: usize,
}

impl Labels {
    /// Takes a file of labels: `u8` or `i32` of rank 1, or `i32` of rank 2, of which column 0 is the class.
    pub(crate) fn new(file: IdxFile) -> Result<Labels, DatasetError> {
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
        Ok(Labels { file, count, stride, classes: 0 })
    }

    /// Checks every label against `classes`, or finds the number of classes.
    pub(crate) fn checked(mut self, classes: Option<usize>) -> Result<Labels, DatasetError> {
        let out_of_range = |index, value, classes| {
            let path = self.file.path().to_owned();
            Err(DatasetError::LabelOutOfRange { path, index, value, first: 0, classes })
        };
        let bound = classes.unwrap_or(MAX_CLASSES);
        // Classes by the labels but for 255, and where 255 is.
        let (mut found, mut first_255) = (0, None);
        for index in 0..self.count {
            let value = self.value(index);
            let Some(label) = usize::try_from(value).ok().filter(|label| *label < bound) else {
                return out_of_range(index, value, bound);
            };
            if label == 255 {
                first_255.get_or_insert(index);
            } else {
                found = found.max(label + 1);
            }
        }
        // As a byte, 255 is how "no label" is written, unless the class below it is there too.
        if let (None, ElementType::U8, Some(index)) = (classes, self.file.element_type(), first_255)
            && found < 255
        {
            return out_of_range(index, 255, found.max(1));
        }
        let found = first_255.map_or(found, |_| found.max(256));
        self.classes = classes.unwrap_or(found);
        Ok(self)
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn classes(&self) -> usize {
        self.classes
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(crate) fn file(&self) -> &IdxFile {
        &self.file
    }

    /// The class of sample `index`. It is below `classes` also if somebody has written to the file in the meantime.
    pub(crate) fn get(&self, index: usize) -> usize {
        usize::try_from(self.value(index)).unwrap_or(0).min(self.classes - 1)
    }

    fn value(&self, index: usize) -> i64 {
        assert!(index < self.count, "sample {index} of {}", self.count);
        let bytes = &self.file.payload()[index * self.stride..];
        match (self.file.element_type(), bytes) {
            (ElementType::U8, [value, ..]) => i64::from(*value),
            (_, [a, b, c, d, ..]) => i64::from(i32::from_be_bytes([*a, *b, *c, *d])),
            _ => unreachable!("a label of type i32 has four bytes"),
        }
    }
}
