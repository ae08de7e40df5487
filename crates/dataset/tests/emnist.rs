//! EMNIST from files placed by hand: every accepted packaging, and damaged files.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{NAMES, gzip, idx, line, listing, own_cache};
use ziffer_dataset::{DatasetError, FileState, Mirror, Name, Source, TrainTest, Verified};

/// The names of the published files of the letters.
const LETTERS: [&str; 4] = [
    "emnist-letters-train-images-idx3-ubyte",
    "emnist-letters-train-labels-idx1-ubyte",
    "emnist-letters-test-images-idx3-ubyte",
    "emnist-letters-test-labels-idx1-ubyte",
];

/// A published file of the letters in its real shape. Once transposed, image n has the pixel n mod 251 in the first row and last
/// column; label n is n mod 26 + 1.
fn letters(file: usize) -> Vec<u8> {
    let count: u32 = [124_800, 124_800, 20_800, 20_800][file];
    if file % 2 == 1 {
        return idx(0x08, &[count], &(0..count).map(|n| (n % 26 + 1) as u8).collect::<Vec<_>>());
    }
    let mut pixels = vec![0; count as usize * 784];
    for (n, picture) in pixels.chunks_exact_mut(784).enumerate() {
        picture[27 * 28] = (n % 251) as u8;
    }
    idx(0x08, &[count, 28, 28], &pixels)
}

/// A source that uses its folder and then the archive in the cache.
fn source(folder: &Path) -> Source {
    Source::new(Name::EmnistLetters).data_dir(folder).public_mirrors(false).offline(true)
}

fn assert_letters(data: &TrainTest) {
    assert_eq!((data.train.len(), data.test.len(), data.train.classes()), (124_800, 20_800, 26));
    for part in [&data.train, &data.test] {
        for n in [0, 1, 82, 83, 84, 20_799] {
            assert_eq!(part.label(n), n % 26);
            let picture = part.image(n);
            assert_eq!(usize::from(picture[27]), n % 251, "{n}");
            assert_eq!(picture.iter().filter(|pixel| **pixel != 0).count(), usize::from(n % 251 != 0));
        }
    }
}

/// By hand: a zip archive with one stored member (APPNOTE, 4.3.7, 4.3.12 and 4.3.16).
fn zip(name: &str, content: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(content);
    let len = u32::try_from(content.len()).unwrap();
    // Version, flags, method, time, date, checksum, both lengths, length of the name and of the extra field.
    let mut fields = [20_u16, 0, 0, 0, 0x21].map(u16::to_le_bytes).concat();
    fields.extend([crc.sum(), len, len].map(u32::to_le_bytes).concat());
    fields.extend([name.len() as u16, 0].map(u16::to_le_bytes).concat());
    let mut bytes = [&b"PK\x03\x04"[..], &fields, name.as_bytes(), content].concat();
    let start = bytes.len();
    bytes.extend([&b"PK\x01\x02"[..], &20_u16.to_le_bytes(), &fields].concat());
    // Comment, disk, attributes, and the offset of the member.
    bytes.extend([[0; 10].as_slice(), &0_u32.to_le_bytes(), name.as_bytes()].concat());
    let directory = (bytes.len() - start) as u32;
    bytes.extend([&b"PK\x05\x06"[..], &[0; 4], &[1, 0, 1, 0]].concat());
    bytes.extend([directory, start as u32].map(u32::to_le_bytes).concat());
    bytes.extend([0; 2]);
    bytes
}

#[test]
#[cfg(feature = "zip")]
fn each_file_in_another_packaging() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("gzip")).unwrap();
    fs::write(folder.join("gzip").join(format!("{}.gz", LETTERS[0])), gzip(&letters(0))).unwrap();
    fs::write(folder.join(LETTERS[1]), letters(1)).unwrap();
    fs::write(folder.join(format!("{}.gz", LETTERS[3])), gzip(&letters(3))).unwrap();
    fs::write(folder.join("gzip.zip"), zip(&format!("gzip/{}.gz", LETTERS[2]), &gzip(&letters(2)))).unwrap();
    let places = source(folder).locate().unwrap().map(|place| place.unwrap());
    let expected = [
        format!("gzip/{}.gz", LETTERS[0]),
        LETTERS[1].to_owned(),
        "gzip.zip".to_owned(),
        format!("{}.gz", LETTERS[3]),
    ];
    assert_eq!(places, expected.map(|name| folder.join(name)));
    assert_letters(&ziffer_dataset::EmnistLetters::open(&source(folder)).unwrap());

    // From now on the raw files are enough.
    for name in ["gzip.zip", LETTERS[1], &format!("{}.gz", LETTERS[3])] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    fs::remove_dir_all(folder.join("gzip")).unwrap();
    assert_letters(&TrainTest::open(&source(folder)).unwrap());
}

#[test]
#[cfg(not(any(windows, target_os = "macos", target_os = "ios")))]
fn mirrors_have_published_files_only() {
    // A data folder may have the archive.
    if own_cache("from_a_mirrors_folder_as_published_only").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (mirror, target) = (folder.path().join("mirror"), folder.path().join("target"));
    fs::create_dir(&mirror).unwrap();
    // Files under MNIST's names are MNIST: the right shape is no proof.
    fs::write(mirror.join(NAMES[1]), idx(0x08, &[124_800], &[1; 124_800])).unwrap();
    let source = source(&target).mirror(Mirror::Folder(mirror.clone()));
    let text = line(TrainTest::open(&source).unwrap_err());
    let place = mirror.display();
    assert!(
        text.contains(&format!("{place}: has neither {0} nor {0}.gz nor gzip.zip", LETTERS[0])),
        "{text}"
    );
    let expected = format!("missing in {}: {} (tried ", target.display(), LETTERS.join(", "));
    assert!(text.contains(&expected), "{text}");
    assert!(text.ends_with("); place them there, raw or .gz, or gzip.zip with all of them"), "{text}");

    for (file, name) in LETTERS.iter().enumerate() {
        fs::write(mirror.join(name), letters(file)).unwrap();
    }
    assert_letters(&TrainTest::open(&source).unwrap());
    assert_eq!(listing(&target).len(), 4);
    let findings = source.examine().unwrap();
    assert_eq!(findings.len(), 4);
    assert!(
        findings.iter().all(|finding| matches!(finding.state, FileState::Good(Verified::ShapeOnly))),
        "{findings:?}"
    );
    assert_eq!(listing(&mirror).len(), 5, "mirrors are only read");
}

/// The error for a folder with one file, without the folder's name.
fn refusal(name: &str, content: &[u8]) -> (DatasetError, String) {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join(name);
    fs::write(path, content).unwrap();
    let error = TrainTest::open(&source(folder.path())).unwrap_err();
    assert_eq!(listing(folder.path()), [name], "nothing unfinished is left");
    let text = line(&error).replace(&format!("{}/", folder.path().display()), "");
    (error, text)
}

#[test]
fn files_that_are_wrong() {
    let digits = idx(0x08, &[240_000, 28, 28], &[]);
    let (error, text) = refusal(&format!("{}.gz", LETTERS[0]), &gzip(&digits));
    assert!(matches!(error, DatasetError::WrongShape { .. }), "{error:?}");
    assert!(text.contains("expected u8 values of shape [124800, 28, 28] for EMNIST Letters"), "{text}");

    let mut labels = letters(1);
    labels[8 + 70_000] = 27;
    // Labels are read after images.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(NAMES[0]), letters(0)).unwrap();
    fs::write(folder.path().join(LETTERS[1]), labels).unwrap();
    let text = line(TrainTest::open(&source(folder.path())).unwrap_err());
    assert!(
        text.ends_with(
            "train-labels-idx1-ubyte: label 27 at index 70000 is out of range, expected at least 1 and below 27"
        ),
        "{text}"
    );
}

#[test]
#[cfg(feature = "zip")]
fn zips_that_are_wrong() {
    let name = format!("gzip/{}.gz", LETTERS[0]);
    let good = zip(&name, &gzip(&letters(0)));
    let (error, text) = refusal("gzip.zip", b"<html>log in</html>");
    assert!(matches!(error, DatasetError::Zip { .. }), "{error:?}");
    assert!(text.starts_with("gzip.zip: bad zip archive ("), "{text}");
    assert!(refusal("gzip.zip", &good[..good.len() / 2]).1.starts_with("gzip.zip: bad zip archive ("));
    assert_eq!(refusal("gzip.zip", &zip("other", b"x")).1, format!("gzip.zip: has no {name}"));
    // A flipped bit of the compressed content violates gzip's checksum or its format.
    let mut damaged = good;
    damaged[30 + name.len() + 5000] ^= 4;
    let (error, text) = refusal("gzip.zip", &damaged);
    assert!(matches!(error, DatasetError::GzipCorrupt { .. }), "{error:?}");
    assert!(text.starts_with(&format!("gzip.zip/{name}: gzip data is corrupt after ")), "{text}");
    // A member that unpacks to far more than its header declares is read no further.
    let content = [letters(0), vec![0; 10_000_000]].concat();
    let text = refusal("gzip.zip", &zip(&name, &gzip(&content))).1;
    assert!(text.contains("bad content: too long: found 978"), "{text}");
}

#[test]
#[cfg(not(feature = "zip"))]
fn a_zip_that_cannot_be_read() {
    let text = refusal("gzip.zip", &zip("other", b"x")).1;
    assert_eq!(
        text,
        "gzip.zip: cannot be read, ziffer-dataset was built without its feature `zip`; unpack it there"
    );
}
