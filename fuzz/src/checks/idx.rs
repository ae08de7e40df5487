//! IDX files.

use std::fs;
use std::path::Path;

use ndarray::ArrayViewD;
use ziffer_dataset::Dataset;
use ziffer_dataset::idx::{BigEndian, Element, Header, IdxFile, IdxView, write_idx_to};

use super::{check_line, check_message, write};

/// Four labels, and four pictures of one pixel, for bytes that are the other half of a data set.
const LABELS: &[u8] = &[0, 0, 0x08, 1, 0, 0, 0, 4, 0, 1, 2, 1];
const IMAGES: &[u8] = &[0, 0, 0x08, 2, 0, 0, 0, 4, 0, 0, 0, 1, 9, 8, 7, 6];

/// A file is accepted exactly if it is as long as its header says, and what is read of it makes the same file again.
/// A data set made of it has as many labels as pictures, each below the number of classes.
pub fn idx(folder: &Path, bytes: &[u8]) -> bool {
    let path = write(folder, "idx", bytes);
    let header = Header::parse(bytes);
    let should_open = header.as_ref().is_ok_and(|header| header.file_len() == bytes.len() as u64);
    let file = match IdxFile::open(&path) {
        Ok(file) => file,
        Err(error) => {
            assert!(!should_open, "refused: {error}");
            check_message(&error, &path);
            return false;
        }
    };
    assert!(should_open, "accepted with header {header:?} and {} bytes", bytes.len());
    assert_eq!(file.header().to_bytes(), bytes[..file.header().header_len()]);
    assert_eq!(written_again(&file), bytes);

    let side = |name: &str, content| {
        let path = folder.join(name);
        if !path.exists() {
            fs::write(&path, content).expect("a folder that can be written");
        }
        path
    };
    let (images, labels) = (side("images", IMAGES), side("labels", LABELS));
    check_dataset(&path, &labels);
    check_dataset(&images, &path);
    true
}

fn written_again(file: &IdxFile) -> Vec<u8> {
    fn of<T: Element>(values: &ArrayViewD<'_, BigEndian<T>>) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_idx_to(&mut bytes, &values.map(|value| value.get())).expect("a shape that was read");
        bytes
    }
    let mut bytes = Vec::new();
    match file.view() {
        IdxView::U8(values) => write_idx_to(&mut bytes, &values).expect("a shape that was read"),
        IdxView::I8(values) => write_idx_to(&mut bytes, &values).expect("a shape that was read"),
        IdxView::I16(values) => return of(&values),
        IdxView::I32(values) => return of(&values),
        IdxView::F32(values) => return of(&values),
        IdxView::F64(values) => return of(&values),
    }
    bytes
}

fn check_dataset(images: &Path, labels: &Path) {
    for classes in [None, Some(2)] {
        match Dataset::open(images, labels, classes) {
            Ok(set) => {
                assert!(!set.is_empty() && set.features() > 0);
                assert_eq!((set.pixels().len(), set.labels().len()), (set.len() * set.features(), set.len()));
                assert_eq!(set.image_shape().iter().product::<usize>(), set.features());
                assert!((0..set.len()).all(|index| set.label(index) < set.classes()));
                assert!(classes.is_none_or(|classes| set.classes() == classes));
                assert_eq!(set.image(set.len() - 1), &set.pixels()[(set.len() - 1) * set.features()..]);
            }
            Err(error) => {
                let message = check_line(&error);
                assert!([images, labels].iter().any(|path| message.contains(&path.display().to_string())));
            }
        }
    }
}
