//! IDX files: round trips of every type and rank, and every kind of damage.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod support;

use std::fs;
use std::path::Path;

use ndarray::{ArrayD, IxDyn, array};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use support::{idx, line, listing};
use ziffer_dataset::idx::{
    BigEndian, Element, ElementType, IdxError, IdxFile, IdxFormatError, IdxView, write_idx, write_idx_to,
};

fn open_bytes(bytes: &[u8]) -> Result<IdxFile, IdxError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, bytes).unwrap();
    IdxFile::open(&path)
}

/// The error of a file that must be refused, and its message without the folder.
fn refuse(bytes: &[u8]) -> (IdxFormatError, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, bytes).unwrap();
    match IdxFile::open(&path) {
        Err(error) => {
            let text = line(&error).replace(&format!("{}/", folder.path().display()), "");
            match error {
                IdxError::Malformed { path: named, problem } => {
                    assert_eq!(named, path);
                    (problem, text)
                }
                other => panic!("{other:?}"),
            }
        }
        Ok(file) => panic!("{file:?}"),
    }
}

#[test]
fn a_file_of_each_type_by_hand() {
    let file = open_bytes(&[
        0, 0, 0x0B, 2, // magic, i16, rank 2
        0, 0, 0, 2, // 2 rows
        0, 0, 0, 3, // 3 columns
        0x00, 0x01, 0x00, 0x02, 0x01, 0x00, // 1, 2, 256
        0xFF, 0xFF, 0x7F, 0xFF, 0x80, 0x00, // -1, 32767, -32768
    ])
    .unwrap();
    assert_eq!((file.element_type(), file.shape()), (ElementType::I16, &[2, 3][..]));
    assert_eq!(
        file.as_i16().unwrap().mapv(BigEndian::get),
        array![[1, 2, 256], [-1, 32767, -32768]].into_dyn()
    );

    let file = open_bytes(&idx(0x08, &[2], &[0, 255])).unwrap();
    assert_eq!(file.as_u8().unwrap(), array![0, 255].into_dyn());
    let file = open_bytes(&idx(0x09, &[2], &[0x80, 0x7F])).unwrap();
    assert_eq!(file.as_i8().unwrap(), array![-128, 127].into_dyn());
    let file = open_bytes(&idx(0x0C, &[1], &[0xFF, 0xFF, 0xFF, 0xFE])).unwrap();
    assert_eq!(file.as_i32().unwrap()[[0]].get(), -2);
    // 1.5 = 1.1b: biased exponent 127 and 1023, first bit of the fraction set.
    let file = open_bytes(&idx(0x0D, &[1], &[0x3F, 0xC0, 0, 0])).unwrap();
    assert_eq!(file.as_f32().unwrap()[[0]].get(), 1.5);
    let file = open_bytes(&idx(0x0E, &[1], &[0x3F, 0xF8, 0, 0, 0, 0, 0, 0])).unwrap();
    assert_eq!(file.as_f64().unwrap()[[0]].get(), 1.5);
}

#[test]
fn another_type_is_an_error() {
    let file = open_bytes(&idx(0x0C, &[1], &[0, 0, 0, 7])).unwrap();
    let error = file.as_u8().unwrap_err();
    assert!(matches!(error, IdxError::WrongType { found: ElementType::I32, expected: ElementType::U8, .. }));
    assert!(line(error).ends_with("file: found i32 values, expected u8"));
    assert!(file.as_i8().is_err() && file.as_f32().is_err() && file.as_i32().is_ok());
}

#[test]
fn each_bad_file_has_its_error() {
    // Empty.
    let (problem, text) = refuse(&[]);
    assert_eq!(problem, IdxFormatError::Empty);
    assert_eq!(text, "file: empty, expected an IDX header of at least 4 bytes");
    // Wrong magic number, with a hint at the real format.
    let (problem, text) = refuse(b"<!DOCTYPE html><html>");
    assert_eq!(problem, IdxFormatError::Magic { found: *b"<!" });
    assert_eq!(
        text,
        "file: wrong magic: starts with 3c 21, expected 00 00; it is a web page, the download went wrong"
    );
    let (_, text) = refuse(&support::gzip(&idx(0x08, &[1], &[1])));
    assert!(text.ends_with("starts with 1f 8b, expected 00 00; it is gzip data, unpack it first"));
    // Wrong type.
    let (problem, text) = refuse(&idx(0x0A, &[1], &[1]));
    assert_eq!(problem, IdxFormatError::UnknownType { found: 0x0A });
    assert!(text.starts_with("file: unknown element type 0x0a, expected 08 (u8), 09 (i8), "), "{text}");
    // Truncated: inside the magic, inside the sizes, inside the values.
    assert_eq!(refuse(&[0]).0, IdxFormatError::HeaderCut { found: 1, expected: 4 });
    let (problem, text) = refuse(&idx(0x08, &[1, 2, 3], &[])[..14]);
    assert_eq!(problem, IdxFormatError::HeaderCut { found: 14, expected: 16 });
    assert_eq!(text, "file: cut short inside the header: found 14 bytes, expected a header of 16");
    let (problem, text) = refuse(&idx(0x08, &[2, 3], &[0; 5]));
    assert_eq!(problem, IdxFormatError::Short { found: 17, expected: 18 });
    assert_eq!(text, "file: cut short: found 17 bytes, expected 18 by its header");
    // Too long.
    let (problem, text) = refuse(&idx(0x08, &[2, 3], &[0; 7]));
    assert_eq!(problem, IdxFormatError::Long { found: 19, expected: 18 });
    assert_eq!(text, "file: too long: found 19 bytes, expected 18 by its header");
    // Sizes that overflow, in 32 bits (65536 * 65536), and in 64.
    assert_eq!(
        refuse(&idx(0x08, &[65_536, 65_536], &[])).0,
        IdxFormatError::Short { found: 12, expected: 12 + (1 << 32) }
    );
    let (problem, text) = refuse(&idx(0x0E, &[u32::MAX, u32::MAX, 7], &[]));
    assert!(matches!(problem, IdxFormatError::TooLarge { element_type: ElementType::F64, .. }));
    assert_eq!(text, "file: impossible sizes: [4294967295, 4294967295, 7] values of f64 do not fit");
}

#[test]
fn folders_pipes_and_devices_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = IdxFile::open(folder.path()).unwrap_err();
    assert!(matches!(error, IdxError::NotAFile { found: "a folder", .. }));
    assert!(line(error).ends_with(": found a folder, expected a file"));

    let error = IdxFile::open(folder.path().join("absent")).unwrap_err();
    assert!(std::error::Error::source(&error).is_some());
    assert!(matches!(error, IdxError::Io { action: "open", .. }));
    assert_eq!(
        line(error),
        format!("cannot open {}/absent: No such file or directory (os error 2)", folder.path().display())
    );
}

#[test]
#[cfg(unix)]
fn an_unreadable_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unreadable");
    fs::write(&path, idx(0x08, &[1], &[1])).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        println!("skipped: this user may read every file, whatever its permissions");
        return;
    }
    let error = IdxFile::open(&path).unwrap_err();
    assert!(matches!(error, IdxError::Io { action: "open", .. }));
    assert_eq!(line(error), format!("cannot open {}: Permission denied (os error 13)", path.display()));
}

#[test]
fn a_transposed_view_is_written_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("transposed");
    write_idx(&path, &array![[1u8, 2, 3], [4, 5, 6]].t()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), idx(0x08, &[3, 2], &[1, 4, 2, 5, 3, 6]));
}

#[test]
fn writing_replaces_the_file_and_keeps_mapped_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write_idx(&path, &array![1u8, 2, 3]).unwrap();
    let old = IdxFile::open(&path).unwrap();
    write_idx(&path, &array![4u8]).unwrap();
    assert_eq!(old.as_u8().unwrap(), array![1, 2, 3].into_dyn());
    assert_eq!(IdxFile::open(&path).unwrap().as_u8().unwrap(), array![4].into_dyn());
    assert_eq!(listing(folder.path()), ["file"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let plain = folder.path().join("plain");
        fs::write(&plain, b"").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&plain), "others may read it as any new file");
    }
}

#[test]
fn a_missing_folder_and_a_taken_name() {
    let folder = tempfile::tempdir().unwrap();
    let error = write_idx(folder.path().join("absent/file"), &array![1u8]).unwrap_err();
    assert!(matches!(error, IdxError::Io { action: "write", .. }));
    let absent = folder.path().join("absent");
    let expected = format!(
        "cannot write {}: the folder {} does not exist",
        absent.join("file").display(),
        absent.display()
    );
    assert_eq!(line(error), expected);
    // A folder has the name: the rename fails, and no file is left behind.
    fs::create_dir(folder.path().join("taken")).unwrap();
    assert!(write_idx(folder.path().join("taken"), &array![1u8]).is_err());
    assert_eq!(listing(folder.path()), ["taken"]);
}

#[test]
fn an_impossible_shape_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let deep = ArrayD::<u8>::zeros(IxDyn(&[1; 256]));
    let error = write_idx(folder.path().join("deep"), &deep).unwrap_err();
    assert!(line(&error).ends_with("deep: rank 256 is too high, expected at most 255"));
    assert!(listing(folder.path()).is_empty());
    assert_eq!(write_idx_to(Vec::new(), &deep).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}

/// Writes values of a type in every rank up to 4, and reads them back bit for bit.
fn round_trip<T: Element>(values: &[T], view_of: impl Fn(IdxView<'_>) -> bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for shape in [&[][..], &[6], &[2, 3], &[1, 3, 2], &[3, 1, 2, 1], &[0], &[2, 0, 3]] {
        let count = shape.iter().product();
        let array = ArrayD::from_shape_vec(IxDyn(shape), values[..count].to_vec()).unwrap();
        write_idx(&path, &array).unwrap();
        let file = IdxFile::open(&path).unwrap();
        assert_eq!((file.element_type(), file.shape()), (T::ELEMENT_TYPE, shape));
        assert_eq!(file.as_big_endian::<T>().unwrap().mapv(BigEndian::get), array);
        assert!(view_of(file.view()), "{:?}", file.view());

        let mut bytes = Vec::new();
        write_idx_to(&mut bytes, &array).unwrap();
        assert_eq!(bytes, fs::read(&path).unwrap());
    }
}

#[test]
fn round_trips_of_every_type_and_rank() {
    round_trip(&[0u8, 1, 127, 128, 254, 255], |view| matches!(view, IdxView::U8(_)));
    round_trip(&[0i8, 1, 127, -128, -2, -1], |view| matches!(view, IdxView::I8(_)));
    round_trip(&[0i16, 1, i16::MAX, i16::MIN, -2, 258], |view| matches!(view, IdxView::I16(_)));
    round_trip(&[0i32, 1, i32::MAX, i32::MIN, -2, 66_051], |view| matches!(view, IdxView::I32(_)));
    round_trip(&[0.0f32, -1.5, f32::MAX, f32::MIN_POSITIVE, 1e-45, f32::INFINITY], |view| {
        matches!(view, IdxView::F32(_))
    });
    round_trip(&[0.0f64, -1.5, f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::INFINITY], |view| {
        matches!(view, IdxView::F64(_))
    });
}

/// More values than one buffer holds.
#[test]
fn the_round_trip_of_a_long_file() {
    let values = ArrayD::from_shape_fn(IxDyn(&[300, 301]), |at| (at[0] * 1000 + at[1]) as i32);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long");
    write_idx(&path, &values).unwrap();
    assert_eq!(IdxFile::open(&path).unwrap().as_i32().unwrap().mapv(BigEndian::get), values);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_array_there_and_back(
        shape in prop::collection::vec(0usize..5, 0..5),
        seed in prop::collection::vec(any::<i32>(), 256),
    ) {
        let mut values = seed.iter().copied().cycle();
        let array = ArrayD::from_shape_fn(IxDyn(&shape), |_| values.next().unwrap());
        let mut bytes = Vec::new();
        write_idx_to(&mut bytes, &array).unwrap();
        let file = open_bytes(&bytes).unwrap();
        prop_assert_eq!(file.shape(), &shape[..]);
        prop_assert_eq!(file.as_i32().unwrap().mapv(BigEndian::get), array);
    }

    #[test]
    fn opening_arbitrary_bytes_never_panics(
        front in prop::sample::select(vec![vec![], vec![0, 0], vec![0, 0, 8, 1], vec![0, 0, 13, 2, 0, 0, 0, 1]]),
        tail in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let bytes = [front, tail].concat();
        if let Ok(file) = open_bytes(&bytes) {
            prop_assert_eq!(file.header().file_len(), bytes.len() as u64);
            let _ = file.view();
        }
    }

    /// A file with a byte more or less than the header declares is refused.
    #[test]
    fn the_length_is_exact(sizes in prop::collection::vec(1u32..4, 0..4), cut in 1usize..3) {
        let count: u32 = sizes.iter().product();
        let good = idx(0x09, &sizes, &vec![7; count as usize]);
        prop_assert!(open_bytes(&good).is_ok());
        prop_assert!(open_bytes(&good[..good.len() - cut.min(good.len())]).is_err());
        prop_assert!(open_bytes(&[good, vec![0; cut]].concat()).is_err());
    }
}
