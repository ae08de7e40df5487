//! IDX files.

use std::fs;
use std::path::Path;

use ndarray::ArrayViewD;
use ziffer_dataset::Dataset;
use ziffer_dataset::idx::{BigEndian, Element, Header, IdxFile, IdxView, write_idx_to};

use super::{check_line, check_message, write};

/// Four labels, and four images of one pixel: the files of a data set next to the checked one.
const LABELS: &[u8] = &[0, 0, 0x08, 1, 0, 0, 0, 4, 0, 1, 2, 1];
const IMAGES: &[u8] = &[0, 0, 0x08, 2, 0, 0, 0, 4, 0, 0, 0, 1, 9, 8, 7, 6];

/// Checks an IDX file. It is accepted if and only if it has the length that its header gives. Writing its values gives the same
/// file. A data set of it has as many labels as images, each below the number of classes.
pub fn idx(folder: &Path, bytes: &[u8]) -> bool {
    let path = write(folder, "idx", bytes);
    let header = Header::parse(bytes);
    let should_open = header.as_ref().is_ok_and(|header| header.file_len() == bytes.len() as u64);
    let file = match IdxFile::open(&path) {
        Ok(file) => file,
        Err(error) => {
            assert!(!should_open, "rejected: {error}");
            check_message(&error, &path);
            return false;
        }
    };
    assert!(should_open, "accepted with header {header:?} and {} bytes", bytes.len());
    assert_eq!(file.header().to_bytes(), bytes[..file.header().header_len()]);
    assert_eq!(rewritten(&file), bytes);

    let other = |name: &str, content| {
        let path = folder.join(name);
        if !path.exists() {
            fs::write(&path, content).expect("a folder that can be written");
        }
        path
    };
    let (images, labels) = (other("images", IMAGES), other("labels", LABELS));
    check_dataset(&path, &labels);
    check_dataset(&images, &path);
    true
}

fn rewritten(file: &IdxFile) -> Vec<u8> {
    fn numbers<T: Element>(values: &ArrayViewD<'_, BigEndian<T>>) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_idx_to(&mut bytes, &values.map(|value| value.get())).expect("the shape of a file");
        bytes
    }
    let mut bytes = Vec::new();
    match file.view() {
        IdxView::U8(values) => write_idx_to(&mut bytes, &values).expect("the shape of a file"),
        IdxView::I8(values) => write_idx_to(&mut bytes, &values).expect("the shape of a file"),
        IdxView::I16(values) => return numbers(&values),
        IdxView::I32(values) => return numbers(&values),
        IdxView::F32(values) => return numbers(&values),
        IdxView::F64(values) => return numbers(&values),
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
