//! A cache of digests, so that a start does not hash the same 55 MB again.
//!
//! A small file in the data folder records, per name, the digest of a file and the file's metadata at that time: length, times,
//! inode. If any of them differs, the file is hashed again. The cache saves time and protects from nothing: any program that can write the
//! folder can forge it. Nor does it notice a change of the same length within the resolution of the file system's clock, some
//! milliseconds after hashing.
//!
//! In a cache folder, files without a published digest are compared with the recorded one.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use ziffer_base::digest::Digest;
use ziffer_base::fs::AtomicFile;

/// The name of the cache file in a data folder.
const CACHE_FILE: &str = ".ziffer-verified.json";

/// A longer file is not a digest cache: four entries take some 800 bytes.
const MAX_BYTES: u64 = 64 * 1024;

#[derive(Debug, Default, Serialize, Deserialize)]
struct DigestCache {
    files: BTreeMap<String, Stamp>,
}

/// The digest of a file, and the file's metadata when it was hashed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    sha256: String,
    len: u64,
    modified_ns: Option<u64>,
    /// Device, inode, and the time of the last change of content or attributes in ns, which programs cannot set.
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

/// Whether the file `name` in `folder` is recorded with this digest and this metadata, which is that of the open file.
pub(crate) fn is_known(folder: &Path, name: &str, metadata: &Metadata, digest: Digest) -> bool {
    read(folder).files.get(name) == Some(&Stamp::of(metadata, digest))
}

/// The recorded digest of the file `name` in `folder`.
pub(crate) fn recorded(folder: &Path, name: &str) -> Option<Digest> {
    read(folder).files.get(name).and_then(|stamp| Digest::parse(&stamp.sha256))
}

/// Records the digest of a file. Errors are ignored: if the folder cannot be written, or another process writes at the same time,
/// the file is hashed again at the next start.
pub(crate) fn record(folder: &Path, name: &str, metadata: &Metadata, digest: Digest) {
    let mut cache = read(folder);
    cache.files.insert(name.to_owned(), Stamp::of(metadata, digest));
    let _ = write(folder, &cache);
}

/// The cache of a folder; empty if the file is missing or damaged.
fn read(folder: &Path) -> DigestCache {
    let path = folder.join(CACHE_FILE);
    let is_small =
        std::fs::metadata(&path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_BYTES);
    let text = if is_small { std::fs::read(&path).unwrap_or_default() } else { Vec::new() };
    serde_json::from_slice(&text).unwrap_or_default()
}

fn write(folder: &Path, cache: &DigestCache) -> io::Result<()> {
    AtomicFile::write(folder.join(CACHE_FILE), &serde_json::to_vec_pretty(cache)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let path = folder.join("file");
        std::fs::write(&path, b"abc").unwrap();
        let (digest, other) = (Digest::of(b"abc"), Digest::of(b"abd"));
        let metadata = std::fs::metadata(&path).unwrap();

        assert!(!is_known(folder, "file", &metadata, digest));
        assert_eq!(recorded(folder, "file"), None);
        record(folder, "file", &metadata, digest);
        assert!(is_known(folder, "file", &metadata, digest));
        assert_eq!(recorded(folder, "file"), Some(digest));
        assert!(!is_known(folder, "file", &metadata, other));
        assert!(!is_known(folder, "other", &metadata, digest));

        // The same length and modification time: the inode and the change time differ.
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
    fn a_damaged_cache_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = std::fs::metadata(folder.path()).unwrap();
        for damaged in [&b"{\"files\": {\"file\""[..], b"", b"[1]", b"\xFF"] {
            std::fs::write(folder.path().join(CACHE_FILE), damaged).unwrap();
            assert!(!is_known(folder.path(), "file", &metadata, Digest::of(b"")));
        }
        record(folder.path(), "file", &metadata, Digest::of(b""));
        assert!(is_known(folder.path(), "file", &metadata, Digest::of(b"")));
    }
}
