//! Transforms of published content into the form that is kept: images upright, labels from 0.

use std::path::Path;

use crate::catalog::Transform;
use crate::error::DatasetError;
use crate::idx::Header;

/// Applies a [`Transform`] to content piece by piece.
pub(crate) struct Transformer<'a> {
    transform: Option<Transform>,
    /// The rows of an image, which equal its columns.
    side: usize,
    classes: usize,
    /// The number of values that were transformed.
    done: usize,
    from: &'a Path,
}

impl<'a> Transformer<'a> {
    /// For content with a header that agrees with the catalog, and labels of `classes` classes. Errors name `from`.
    pub(crate) fn new(
        transform: Option<Transform>,
        header: &Header,
        classes: Option<usize>,
        from: &'a Path,
    ) -> Transformer<'a> {
        let side = match header.shape() {
            // The catalog transposes no other shapes.
            [_, rows, columns] if rows == columns => *rows,
            _ => 1,
        };
        Transformer { transform, side, classes: classes.unwrap_or(usize::MAX), done: 0, from }
    }

    /// The length of a piece: `bytes`, rounded up to whole images.
    pub(crate) fn piece_len(&self, bytes: usize) -> usize {
        match self.transform {
            Some(Transform::Transpose) => bytes.next_multiple_of(self.image_len()),
            _ => bytes,
        }
    }

    fn image_len(&self) -> usize {
        (self.side * self.side).max(1)
    }

    /// Transforms the next values in place; of images, whole ones. An incomplete image at the end, of truncated content, stays
    /// unchanged.
    ///
    /// # Errors
    /// [`DatasetError::LabelOutOfRange`] for a label that is no class.
    pub(crate) fn apply(&mut self, values: &mut [u8]) -> Result<(), DatasetError> {
        match self.transform {
            None => {}
            Some(Transform::Transpose) => {
                let side = self.side;
                for image in values.chunks_exact_mut(self.image_len()) {
                    for row in 0..side {
                        for column in row + 1..side {
                            image.swap(row * side + column, column * side + row);
                        }
                    }
                }
            }
            Some(Transform::SubtractFromLabels(first)) => {
                for (index, label) in values.iter_mut().enumerate() {
                    *label = match label.checked_sub(first) {
                        Some(class) if usize::from(class) < self.classes => class,
                        _ => {
                            return Err(DatasetError::LabelOutOfRange {
                                path: self.from.to_owned(),
                                index: self.done + index,
                                value: i64::from(*label),
                                first: usize::from(first),
                                classes: self.classes,
                            });
                        }
                    };
                }
            }
        }
        self.done += values.len();
        Ok(())
    }
}
