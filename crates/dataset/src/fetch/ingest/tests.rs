//! Published content, read with its transform.

use super::*;
use crate::catalog::{PublishedFile, Transform};

/// An entry of EMNIST's letters with another shape.
fn entry(file: usize, shape: &'static [usize]) -> &'static FileEntry {
    let mut entry = Name::EmnistLetters.files()[file];
    entry.shape = Some(shape);
    Box::leak(Box::new(entry))
}

/// Reads `values` with their header as the content of a published file.
fn pass(entry: &'static FileEntry, values: &[u8]) -> Result<Vec<u8>, DatasetError> {
    let header = Header::new(entry.element_type, entry.shape.unwrap()).unwrap();
    let content = [&header.to_bytes(), values].concat();
    let spec = FileSpec::new(Name::EmnistLetters, entry, Path::new("target")).as_published();
    match spec.read(&content[..], Path::new("published"), || Ok(Vec::new())) {
        Ok((out, _)) => {
            assert_eq!(out[..header.header_len()], content[..header.header_len()]);
            Ok(out[header.header_len()..].to_vec())
        }
        Err(IngestError::Source(error)) => Err(error),
        Err(IngestError::Local(error)) => panic!("{error}"),
    }
}

/// By hand: the letter L, transposed.
#[test]
fn images_are_transposed() {
    let mut entry = *entry(0, &[2, 3, 3]);
    let transposed = [[1, 1, 1], [0, 0, 2], [0, 0, 3]].concat();
    let upright = [[1, 0, 0], [1, 0, 0], [1, 2, 3]].concat();
    let both = [transposed.clone(), upright.clone()].concat();
    assert_eq!(pass(Box::leak(Box::new(entry)), &both).unwrap(), [upright, transposed].concat());
    entry.published = None;
    assert_eq!(pass(Box::leak(Box::new(entry)), &both).unwrap(), both);
}

/// More content than one piece, by the definition of the transpose.
#[test]
fn many_images_are_transposed() {
    const COUNT: usize = 300;
    let pixels: Vec<u8> = (0..COUNT * 784).map(|at| (at * 31 % 251) as u8).collect();
    let transposed = pass(entry(0, &[COUNT, 28, 28]), &pixels).unwrap();
    for (at, pixel) in transposed.iter().enumerate() {
        let (image, row, column) = (at / 784, at / 28 % 28, at % 28);
        assert_eq!(*pixel, pixels[image * 784 + column * 28 + row], "{at}");
    }
    assert_eq!(transposed.len(), pixels.len());
}

#[test]
fn labels_of_letters_start_from_0() {
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
    // Labels of digits start from 0 already.
    let transform = Transform::SubtractFromLabels(0);
    let mut digits = *entry(1, &[3]);
    digits.published = Some(PublishedFile { name: "digits", transform });
    assert_eq!(pass(Box::leak(Box::new(digits)), &[0, 9, 25]).unwrap(), [0, 9, 25]);
}

#[test]
fn content_of_a_wrong_length_is_refused() {
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
