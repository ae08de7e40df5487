//! Published content on its way to the form that is kept: pictures upright, labels from 0.

use std::path::Path;

use crate::catalogue::Form;
use crate::error::DatasetError;
use crate::idx::Header;
use crate::intake::Wanted;

/// Changes content piece by piece, as it passes.
pub(crate) struct Change<'a> {
    form: Option<Form>,
    /// Rows of a picture, and columns.
    side: usize,
    classes: usize,
    /// Values that have passed.
    passed: usize,
    from: &'a Path,
}

impl<'a> Change<'a> {
    /// For content with a header that was held against the catalogue; `from` is named in errors.
    pub(crate) fn new(wanted: &Wanted<'_>, header: &Header, from: &'a Path) -> Change<'a> {
        let side = match header.shape() {
            // The catalogue has no others in another form.
            [_, rows, columns] if rows == columns => *rows,
            _ => 1,
        };
        let classes = wanted.set.classes().unwrap_or(usize::MAX);
        Change { form: wanted.form, side, classes, passed: 0, from }
    }

    /// The length of the pieces to be changed, about `bytes`: whole pictures.
    pub(crate) fn piece_len(&self, bytes: usize) -> usize {
        match self.form {
            Some(Form::Transposed) => bytes.next_multiple_of(self.picture_len()),
            _ => bytes,
        }
    }

    fn picture_len(&self) -> usize {
        (self.side * self.side).max(1)
    }

    /// Changes values; of pictures, whole ones. An incomplete one at the end, of content that is cut short, stays as it is.
    ///
    /// # Errors
    /// [`DatasetError::LabelOutOfRange`] for a label that names no class.
    pub(crate) fn apply(&mut self, values: &mut [u8]) -> Result<(), DatasetError> {
        match self.form {
            None => {}
            Some(Form::Transposed) => {
                let side = self.side;
                for picture in values.chunks_exact_mut(self.picture_len()) {
                    for row in 0..side {
                        for column in row + 1..side {
                            picture.swap(row * side + column, column * side + row);
                        }
                    }
                }
            }
            Some(Form::LabelsFrom(first)) => {
                for (index, label) in values.iter_mut().enumerate() {
                    *label = match label.checked_sub(first) {
                        Some(class) if usize::from(class) < self.classes => class,
                        _ => {
                            return Err(DatasetError::LabelOutOfRange {
                                path: self.from.to_owned(),
                                index: self.passed + index,
                                value: i64::from(*label),
                                first: usize::from(first),
                                classes: self.classes,
                            });
                        }
                    };
                }
            }
        }
        self.passed += values.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{FileEntry, Name, Original};
    use crate::intake::Failure;

    /// An entry of EMNIST's letters, shorter.
    fn entry(file: usize, shape: &'static [usize]) -> &'static FileEntry {
        let mut entry = Name::EmnistLetters.files()[file];
        entry.shape = Some(shape);
        Box::leak(Box::new(entry))
    }

    /// `values` behind a header, as the content of a published file.
    fn pass(entry: &'static FileEntry, values: &[u8]) -> Result<Vec<u8>, DatasetError> {
        let header = Header::new(entry.element_type, entry.shape.unwrap()).unwrap();
        let content = [&header.to_bytes(), values].concat();
        let wanted = Wanted::new(Name::EmnistLetters, entry, Path::new("target")).as_published();
        match wanted.read(&content[..], Path::new("published"), || Ok(Vec::new())) {
            Ok((out, _)) => {
                assert_eq!(out[..header.header_len()], content[..header.header_len()]);
                Ok(out[header.header_len()..].to_vec())
            }
            Err(Failure::Place(error)) => Err(error),
            Err(Failure::Here(error)) => panic!("{error}"),
        }
    }

    /// By hand: an L, which a transposition lays on its back.
    #[test]
    fn a_picture_stands_up() {
        let mut entry = *entry(0, &[2, 3, 3]);
        let lying = [[1, 1, 1], [0, 0, 2], [0, 0, 3]].concat();
        let upright = [[1, 0, 0], [1, 0, 0], [1, 2, 3]].concat();
        let both = [lying.clone(), upright.clone()].concat();
        assert_eq!(pass(Box::leak(Box::new(entry)), &both).unwrap(), [upright, lying].concat());
        entry.original = None;
        assert_eq!(pass(Box::leak(Box::new(entry)), &both).unwrap(), both);
    }

    /// More than one piece of the reading, by the definition.
    #[test]
    fn pictures_of_many_pieces() {
        const COUNT: usize = 300;
        let pixels: Vec<u8> = (0..COUNT * 784).map(|at| (at * 31 % 251) as u8).collect();
        let turned = pass(entry(0, &[COUNT, 28, 28]), &pixels).unwrap();
        for (at, pixel) in turned.iter().enumerate() {
            let (picture, row, column) = (at / 784, at / 28 % 28, at % 28);
            assert_eq!(*pixel, pixels[picture * 784 + column * 28 + row], "{at}");
        }
        assert_eq!(turned.len(), pixels.len());
    }

    #[test]
    fn letters_count_from_0() {
        let labels: Vec<u8> = (0..70_000).map(|at| 1 + (at % 26) as u8).collect();
        let counted = pass(entry(1, &[70_000]), &labels).unwrap();
        assert!(counted.iter().zip(&labels).all(|(class, label)| *class == label - 1));
        for (wrong, index) in [(0, 0), (27, 69_999), (255, 65_530)] {
            let mut labels = labels.clone();
            labels[index] = wrong;
            let error = pass(entry(1, &[70_000]), &labels).unwrap_err().to_string();
            let expected = format!(
                "published: label {wrong} at index {index} is out of range, expected at least 1 and below 27"
            );
            assert_eq!(error, expected);
        }
        // Digits count from 0 already.
        let form = Form::LabelsFrom(0);
        let mut digits = *entry(1, &[3]);
        digits.original = Some(Original { name: "digits", form });
        assert_eq!(pass(Box::leak(Box::new(digits)), &[0, 9, 25]).unwrap(), [0, 9, 25]);
    }

    #[test]
    fn content_of_another_length() {
        for len in [0, 1, 783, 784, 785, 2 * 784 - 1] {
            let error = pass(entry(0, &[2, 28, 28]), &vec![7; len]).unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "published: bad content: cut short: found {} bytes, expected 1584 by its header",
                    16 + len
                )
            );
        }
        let error = pass(entry(0, &[2, 28, 28]), &[7; 2 * 784 + 1]).unwrap_err().to_string();
        assert!(error.contains("too long: found "), "{error}");
    }
}
