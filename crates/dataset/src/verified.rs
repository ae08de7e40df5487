//! Which files were verified already, so that a start does not hash the same 55 MB again.
//!
//! A small file beside the data remembers, per name, the digest that was found and what the operating system said
//! about the file then: length, times, inode. If anything differs the file is hashed again. Who can write the
//! folder can forge the record, but could as well write a program's data: it saves time and is no protection. Nor
//! does it see a change of the same length within the tick of the file system's clock, some milliseconds after the
//! hashing.
//!
//! In a cache folder the record is also what the files are held against of which no digest was published: as they came,
//! so they must stay.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use ziffer_base::digest::Digest;
use ziffer_base::fs::AtomicFile;

/// The name of the record in a data folder.
const RECORD: &str = ".ziffer-verified.json";

/// A record longer than this is none of ours: four files take some 800 bytes.
const RECORD_MAX_BYTES: u64 = 64 * 1024;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    files: BTreeMap<String, Stamp>,
}

/// A file as it was when its digest was taken.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    sha256: String,
    len: u64,
    modified_ns: Option<u64>,
    /// Device, inode, and time of the last change of content or attributes in ns, which no program can set back.
    #[serde(default)]
    unix: Option<(u64, u64, i64)>,
}

impl Stamp {
    fn of(metadata: &Metadata, digest: Digest) -> Stamp {
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Stamp {
            sha256: digest.to_string(),
            len: metadata.len(),
            modified_ns: modified.and_then(|time| u64::try_from(time.as_nanos()).ok()),
            unix: unix_stamp(metadata),
        }
    }
}

#[cfg(unix)]
fn unix_stamp(metadata: &Metadata) -> Option<(u64, u64, i64)> {
    use std::os::unix::fs::MetadataExt;
    let changed_ns = metadata.ctime().checked_mul(1_000_000_000)?.checked_add(metadata.ctime_nsec())?;
    Some((metadata.dev(), metadata.ino(), changed_ns))
}

#[cfg(not(unix))]
fn unix_stamp(_: &Metadata) -> Option<(u64, u64, i64)> {
    None
}

/// Whether the file `name` in `folder`, of which `metadata` was taken through the open file, is known to have
/// `digest`.
pub(crate) fn is_known(folder: &Path, name: &str, metadata: &Metadata, digest: Digest) -> bool {
    read(folder).files.get(name) == Some(&Stamp::of(metadata, digest))
}

/// The digest that the file `name` of `folder` had when it was remembered.
pub(crate) fn recorded(folder: &Path, name: &str) -> Option<Digest> {
    read(folder).files.get(name).and_then(|stamp| Digest::parse(&stamp.sha256))
}

/// Remembers it. A folder that cannot be written, or a record lost to another process that wrote at the same
/// time, costs another hashing at the next start and nothing else; so failures are let pass.
pub(crate) fn remember(folder: &Path, name: &str, metadata: &Metadata, digest: Digest) {
    let mut record = read(folder);
    record.files.insert(name.to_owned(), Stamp::of(metadata, digest));
    let _ = write(folder, &record);
}

/// The record, or an empty one for anything that is not a record.
fn read(folder: &Path) -> Record {
    let path = folder.join(RECORD);
    let is_small = std::fs::metadata(&path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= RECORD_MAX_BYTES);
    let text = if is_small { std::fs::read(&path).unwrap_or_default() } else { Vec::new() };
    serde_json::from_slice(&text).unwrap_or_default()
}

fn write(folder: &Path, record: &Record) -> io::Result<()> {
    AtomicFile::write(folder.join(RECORD), &serde_json::to_vec_pretty(record)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_file_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let path = folder.join("file");
        std::fs::write(&path, b"abc").unwrap();
        let (digest, other) = (Digest::of(b"abc"), Digest::of(b"abd"));
        let metadata = std::fs::metadata(&path).unwrap();

        assert!(!is_known(folder, "file", &metadata, digest));
        assert_eq!(recorded(folder, "file"), None);
        remember(folder, "file", &metadata, digest);
        assert!(is_known(folder, "file", &metadata, digest));
        assert_eq!(recorded(folder, "file"), Some(digest));
        assert!(!is_known(folder, "file", &metadata, other));
        assert!(!is_known(folder, "other", &metadata, digest));

        // The same length and the same time of modification: the inode and the change time still tell.
        let modified = metadata.modified().unwrap();
        let beside = folder.join("beside");
        std::fs::write(&beside, b"abd").unwrap();
        std::fs::File::options().write(true).open(&beside).unwrap().set_modified(modified).unwrap();
        std::fs::rename(&beside, &path).unwrap();
        let replaced = std::fs::metadata(&path).unwrap();
        assert_eq!((replaced.len(), replaced.modified().unwrap()), (metadata.len(), modified));
        assert_eq!(is_known(folder, "file", &replaced, digest), cfg!(not(unix)));
    }

    #[test]
    fn a_damaged_record_knows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = std::fs::metadata(folder.path()).unwrap();
        for damaged in [&b"{\"files\": {\"file\""[..], b"", b"[1]", b"\xFF"] {
            std::fs::write(folder.path().join(RECORD), damaged).unwrap();
            assert!(!is_known(folder.path(), "file", &metadata, Digest::of(b"")));
        }
        remember(folder.path(), "file", &metadata, Digest::of(b""));
        assert!(is_known(folder.path(), "file", &metadata, Digest::of(b"")));
    }
}
