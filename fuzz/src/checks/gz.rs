//! IDX files as `.gz`.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use flate2::{Crc, Decompress, FlushDecompress, Status};
use ziffer_dataset::idx::Header;
use ziffer_dataset::{Name, Source, TrainTest};

use super::{check_message, write};

/// The files of the custom set: the one that comes as an archive, and those that lie beside it.
const IMAGES: &str = "train-images-idx3-ubyte";
const OTHERS: [(&str, &[u8]); 3] = [
    ("train-labels-idx1-ubyte", &[0, 0, 0x08, 1, 0, 0, 0, 2, 1, 0]),
    ("t10k-images-idx3-ubyte", &[0, 0, 0x08, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 7, 8]),
    ("t10k-labels-idx1-ubyte", &[0, 0, 0x08, 1, 0, 0, 0, 1, 1]),
];

/// An archive is unpacked exactly if all of it is gzip data and its content is an IDX file, and what then stands under
/// the file's name is that content. Nothing else is left in the folder. The same once more with the checksum put right.
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
    assert_eq!(entries, OTHERS.len() + 1, "something is left in the folder");
    match outcome {
        Ok(set) => assert_eq!((set.train.len(), set.test.len()), (2, 1)),
        // What was unpacked may still be no half of a data set.
        Err(error) => check_message(&error, if unpacked.is_some() { &folder } else { &archive }),
    }
    unpacked.is_some()
}

/// The IDX file that is packed in `bytes`, if that is what they are.
fn content(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = MultiGzDecoder::new(bytes);
    let mut content = Vec::new();
    decoder.by_ref().take(Header::MAX_LEN as u64).read_to_end(&mut content).ok()?;
    let expected = Header::parse(&content).ok()?.file_len();
    let rest = (expected + 1).saturating_sub(content.len() as u64);
    decoder.take(rest).read_to_end(&mut content).ok()?;
    (content.len() as u64 == expected).then_some(content)
}

/// The first member of an archive with the checksum and the length that its content has (RFC 1952, 2.3.1).
fn with_checksum(bytes: &[u8]) -> Option<Vec<u8>> {
    const LARGEST: usize = 1 << 16;
    let deflated = bytes.strip_prefix(&[0x1f, 0x8b, 8, 0])?.get(6..)?;
    let mut content = Vec::with_capacity(LARGEST);
    let mut decoder = Decompress::new(false);
    let status = decoder.decompress_vec(deflated, &mut content, FlushDecompress::Finish).ok()?;
    (status == Status::StreamEnd).then(|| {
        let mut crc = Crc::new();
        crc.update(&content);
        let end = 10 + decoder.total_in() as usize;
        [&bytes[..end], &crc.sum().to_le_bytes(), &crc.amount().to_le_bytes()].concat()
    })
}
