//! IDX files in `.gz` archives.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use flate2::{Crc, Decompress, FlushDecompress, Status};
use ziffer_dataset::idx::Header;
use ziffer_dataset::{Name, Source, TrainTest};

use super::{check_message, write};

/// The files of a data set: the one in the archive, and those that lie next to it.
const IMAGES: &str = "train-images-idx3-ubyte";
const OTHERS: [(&str, &[u8]); 3] = [
    ("train-labels-idx1-ubyte", &[0, 0, 0x08, 1, 0, 0, 0, 2, 1, 0]),
    ("t10k-images-idx3-ubyte", &[0, 0, 0x08, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 7, 8]),
    ("t10k-labels-idx1-ubyte", &[0, 0, 0x08, 1, 0, 0, 0, 1, 1]),
];

/// Checks an archive. It is unpacked if and only if all of it is gzip data and its content is an IDX file. The unpacked file then
/// has that content. The folder contains no other files. The check is repeated with the checksum corrected.
pub fn gz(folder: &Path, bytes: &[u8]) -> bool {
    let accepted = check(folder, bytes);
    with_checksum(bytes).is_some_and(|repaired| repaired != bytes && check(folder, &repaired)) || accepted
}

fn check(folder: &Path, bytes: &[u8]) -> bool {
    let folder = folder.join("set");
    if !folder.exists() {
        fs::create_dir(&folder).expect("a folder that can be written");
        OTHERS.iter().for_each(|(name, content)| drop(write(&folder, name, content)));
    }
    let archive = write(&folder, &format!("{IMAGES}.gz"), bytes);
    let outcome = TrainTest::open(&Source::new(Name::Custom).data_dir(&folder));

    let raw = folder.join(IMAGES);
    let unpacked = fs::read(&raw).ok();
    assert_eq!(unpacked, content(bytes), "{outcome:?}");
    let _ = fs::remove_file(&raw);
    let entries = fs::read_dir(&folder).expect("a folder").count();
    assert_eq!(entries, OTHERS.len() + 1, "the folder contains another file");
    match outcome {
        Ok(set) => assert_eq!((set.train.len(), set.test.len()), (2, 1)),
        // The unpacked file may not fit the rest of the data set.
        Err(error) => check_message(&error, if unpacked.is_some() { &folder } else { &archive }),
    }
    unpacked.is_some()
}

/// The IDX file in the archive `bytes`, or `None` if there is none.
fn content(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = MultiGzDecoder::new(bytes);
    let mut content = Vec::new();
    decoder.by_ref().take(Header::MAX_LEN as u64).read_to_end(&mut content).ok()?;
    let expected = Header::parse(&content).ok()?.file_len();
    let rest = (expected + 1).saturating_sub(content.len() as u64);
    decoder.take(rest).read_to_end(&mut content).ok()?;
    (content.len() as u64 == expected).then_some(content)
}

/// The first member of an archive with the checksum and the length of its content (RFC 1952, 2.3.1).
fn with_checksum(bytes: &[u8]) -> Option<Vec<u8>> {
    const MAX_CONTENT_BYTES: usize = 1 << 16;
    let deflated = bytes.strip_prefix(&[0x1f, 0x8b, 8, 0])?.get(6..)?;
    let mut content = Vec::with_capacity(MAX_CONTENT_BYTES);
    let mut decoder = Decompress::new(false);
    let status = decoder.decompress_vec(deflated, &mut content, FlushDecompress::Finish).ok()?;
    (status == Status::StreamEnd).then(|| {
        let mut crc = Crc::new();
        crc.update(&content);
        let end = 10 + decoder.total_in() as usize;
        [&bytes[..end], &crc.sum().to_le_bytes(), &crc.amount().to_le_bytes()].concat()
    })
}
