//! The archive that EMNIST's sets share: one download for all of them.

use std::collections::HashMap;
use std::io::{Cursor, Write};
use std::sync::mpsc;

use ziffer_base::test_server::{TestServer, response};
use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;
use crate::ProgressEvent;
use crate::catalog::Archive;
use crate::idx::Header;

/// The published file `file` of a set in its real shape: every image is the same transposed L, and labels run from 0 to 9 repeatedly.
fn published(set: Name, file: usize) -> Vec<u8> {
    let entry = &set.files()[file];
    let header = Header::new(entry.element_type, entry.shape.unwrap()).unwrap();
    let mut bytes = header.to_bytes();
    if file.is_multiple_of(2) {
        let mut image = [0; 784];
        image[..28].fill(200);
        image[27] = 100;
        bytes.extend(image.iter().cycle().take(header.payload_len()));
    } else {
        bytes.extend((0..=9).cycle().take(header.payload_len()));
    }
    bytes
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// An archive like EMNIST's, with one of its sets.
fn zip_of(set: Name) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (file, entry) in set.files().iter().enumerate() {
        let name = format!("gzip/{}.gz", entry.published.unwrap().name);
        let options = SimpleFileOptions::default();
        // Both compression methods.
        let method = [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated][file % 2];
        writer.start_file(name, options.compression_method(method)).unwrap();
        writer.write_all(&gzip(&published(set, file))).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn archive(zip: &[u8]) -> &'static Archive {
    let archive = Name::EmnistMnist.archive().unwrap();
    Box::leak(Box::new(Archive { len: zip.len() as u64, sha256: Digest::of(zip), ..*archive }))
}

/// A server that has `zip` in its folder `a`, and nothing else.
fn server(zip: &[u8]) -> TestServer {
    TestServer::with_files(HashMap::from([("a/gzip.zip".to_owned(), zip.to_vec())]))
}

fn mirror(server: &TestServer, folder: &str) -> Mirror {
    Mirror::Url(format!("{}{folder}", server.url))
}

/// A set from one mirror.
fn source(set: Name, data_folder: PathBuf, mirror: Mirror) -> Source {
    Source::new(set).data_dir(data_folder).public_mirrors(false).mirror(mirror)
}

/// Opens a set whose archive is kept in `folder/emnist`.
fn open_set(source: &Source, archive: &'static Archive, folder: &Path) -> Result<(), DatasetError> {
    let mut on_progress = |_: ProgressEvent<'_>| {};
    let mut cache = Cache::new(source, Urls::Download, &mut on_progress)?;
    cache.archive = Some(CachedArchive::new(archive, folder.join("emnist")));
    cache.files().map(drop)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != ".ziffer-verified.json");
    names.sort();
    names
}

#[test]
fn one_download_for_all() {
    let set = Name::EmnistMnist;
    let zip = zip_of(set);
    let archive = archive(&zip);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(&zip);
    let source = source(set, folder.join("one"), mirror(&server, "nowhere")).mirror(mirror(&server, "a"));
    open_set(&source, archive, folder).unwrap();
    assert_eq!(server.paths(), ["nowhere/gzip.zip", "a/gzip.zip"]);
    assert_eq!(names(&folder.join("emnist")), ["gzip.zip"]);
    assert_eq!(names(&folder.join("one")).len(), 4);

    // In the form that is kept: images upright, labels unchanged.
    let images = fs::read(folder.join("one/t10k-images-idx3-ubyte")).unwrap();
    assert_eq!(images[..16], published(set, 2)[..16]);
    for (at, pixel) in images[16 + 784 * 9_999..].iter().enumerate() {
        let expected = if at == 27 * 28 {
            100
        } else if at % 28 == 0 {
            200
        } else {
            0
        };
        assert_eq!(*pixel, expected, "{at}");
    }
    assert!(fs::read(folder.join("one/train-labels-idx1-ubyte")).unwrap() == published(set, 1));

    // Another folder is filled from the kept archive.
    open_set(&Source { data_dir: Some(folder.join("two")), ..source.clone() }, archive, folder).unwrap();
    assert_eq!(server.paths().len(), 2);
    assert!(fs::read(folder.join("two/t10k-images-idx3-ubyte")).unwrap() == images);

    // A damaged archive is noticed, moved aside, and replaced.
    let path = folder.join("emnist/gzip.zip");
    let mut bad = zip.clone();
    bad[1000] ^= 1;
    fs::write(&path, &bad).unwrap();
    let third = Source { data_dir: Some(folder.join("three")), ..source };
    let text = open_set(&third.clone().offline(true), archive, folder).unwrap_err().to_string();
    assert_eq!(text.matches("gzip.zip: found sha256 ").count(), 1, "{text}");
    open_set(&third, archive, folder).unwrap();
    assert_eq!(server.paths()[2..], ["nowhere/gzip.zip", "a/gzip.zip"]);
    assert_eq!(names(&folder.join("emnist")), ["gzip.zip", "gzip.zip.broken"]);
    assert!(fs::read(&path).unwrap() == zip);
}

/// Three threads need the archive at once, one of them with the archive's folder as its data folder.
#[test]
fn threads_that_wait_use_the_same_download() {
    let set = Name::EmnistMnist;
    let zip = zip_of(set);
    let archive = archive(&zip);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(&zip);
    let (done, all) = mpsc::channel();
    for name in ["one", "two", "emnist"] {
        let source = source(set, folder.join(name), mirror(&server, "a"));
        let (folder, done) = (folder.to_owned(), done.clone());
        std::thread::spawn(move || {
            done.send(open_set(&source, archive, &folder).map_err(|error| error.to_string()))
        });
    }
    for _ in 0..3 {
        all.recv_timeout(std::time::Duration::from_secs(60)).unwrap().unwrap();
    }
    assert_eq!(server.paths().len(), 1);
    assert_eq!(names(&folder.join("emnist")).len(), 5);
}

#[test]
fn an_archive_that_is_not_the_published_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(b"<html>log in</html>");
    let source = source(Name::EmnistLetters, folder.path().join("letters"), mirror(&server, "a"));
    let archive = archive(b"something else, and longer");
    let text = open_set(&source, archive, folder.path()).unwrap_err().to_string();
    assert!(text.contains(&format!("{}a/gzip.zip: found sha256 ", server.url)), "{text}");
    assert!(text.contains(&format!("expected {} for EMNIST", archive.sha256)), "{text}");
    assert_eq!(server.paths().len(), 1, "one request for four files");
    assert!(names(folder.path()).is_empty(), "no files are left");
}

/// A server that has `zip`. It interrupts the first response after `cut` bytes, and fails the next `silent` requests.
fn interrupting(zip: &[u8], cut: usize, silent: usize) -> TestServer {
    let zip = zip.to_vec();
    let mut calls = 0;
    TestServer::new(move |request, stream| {
        calls += 1;
        let start =
            request.headers.lines().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-'));
        let start: usize = start.map_or(0, |start| start.parse().unwrap());
        if calls > 1 && calls <= 1 + silent {
            return stream.write_all(&response("503 Service Unavailable", "", b""));
        }
        let status = if start > 0 { "206 Partial Content" } else { "200 OK" };
        let range = format!("Content-Range: bytes {start}-{}/{}\r\n", zip.len() - 1, zip.len());
        let whole = response(status, &range, &zip[start..]);
        let head = whole.len() - (zip.len() - start);
        stream.write_all(&whole[..if calls == 1 { whole.len().min(head + cut) } else { whole.len() }])
    })
}

#[test]
fn an_incomplete_download_is_resumed() {
    let set = Name::EmnistMnist;
    let zip = zip_of(set);
    let archive = archive(&zip);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = interrupting(&zip, 5000, 3);
    let source = source(set, folder.join("mnist"), mirror(&server, ""));
    let text = open_set(&source, archive, folder).unwrap_err().to_string();
    assert!(text.contains("responded 503"), "{text}");
    assert_eq!(names(&folder.join("emnist")), ["gzip.zip.part"]);
    assert!(fs::read(folder.join("emnist/gzip.zip.part")).unwrap() == zip[..5000]);
    open_set(&source, archive, folder).unwrap();
    assert_eq!(names(&folder.join("emnist")), ["gzip.zip"]);
    let requests = server.requests();
    assert_eq!(requests.len(), 5);
    assert!(requests[1..].iter().all(|request| request.has("range: bytes=5000-")), "{requests:?}");
}

#[test]
fn kept_bytes_of_other_content_are_discarded() {
    let set = Name::EmnistMnist;
    let zip = zip_of(set);
    let archive = archive(&zip);
    for (beginning, calls) in [
        (vec![7; 1000], 2),
        // As long as the archive, and longer.
        (vec![7; zip.len()], 1),
        (vec![7; zip.len() + 1], 1),
        (Vec::new(), 1),
        // The complete archive: its process was killed before the rename.
        (zip.clone(), 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let server = interrupting(&zip, zip.len(), 0);
        let source = source(set, folder.join("mnist"), mirror(&server, ""));
        fs::create_dir(folder.join("emnist")).unwrap();
        fs::write(folder.join("emnist/gzip.zip.part"), beginning).unwrap();
        open_set(&source, archive, folder).unwrap();
        assert_eq!(names(&folder.join("emnist")), ["gzip.zip"]);
        assert_eq!(server.requests().len(), calls);
    }
}
