use std::collections::HashMap;
use std::io::{Cursor, Write};
use std::sync::mpsc;

use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;
use crate::Event;
use crate::catalogue::Name;
use crate::idx::Header;
use crate::server::{Server, response};
use crate::shelf::Shelf;
use crate::source::{Mirror, Source};

/// The published file `file` of a set in its real shape: every picture is the same L, lying; labels follow each other.
fn published(set: Name, file: usize) -> Vec<u8> {
    let entry = &set.files()[file];
    let header = Header::new(entry.element_type, entry.shape.unwrap()).unwrap();
    let mut bytes = header.to_bytes();
    if file.is_multiple_of(2) {
        let mut picture = [0; 784];
        picture[..28].fill(200);
        picture[27] = 100;
        bytes.extend(picture.iter().cycle().take(header.payload_len()));
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

/// A zip as EMNIST's, with one of its sets.
fn zip_of(set: Name) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (file, entry) in set.files().iter().enumerate() {
        let name = format!("gzip/{}.gz", entry.original.unwrap().name);
        let options = SimpleFileOptions::default();
        // Both ways in which a zip has its members.
        let method = [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated][file % 2];
        writer.start_file(name, options.compression_method(method)).unwrap();
        writer.write_all(&gzip(&published(set, file))).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn bundle(zip: &[u8]) -> &'static Bundle {
    let bundle = Name::EmnistMnist.bundle().unwrap();
    Box::leak(Box::new(Bundle { len: zip.len() as u64, sha256: Digest::of(zip), ..*bundle }))
}

/// A server that has `zip` in its folder `a`, and elsewhere nothing.
fn server(zip: &[u8]) -> Server {
    Server::with_files(HashMap::from([("a/gzip.zip".to_owned(), zip.to_vec())]))
}

fn mirror(server: &Server, folder: &str) -> Mirror {
    Mirror::Url(format!("{}{folder}", server.url))
}

/// A set from a mirror, or from nowhere.
fn source(set: Name, data_folder: PathBuf, mirror: Mirror) -> Source {
    Source::new(set).data_dir(data_folder).public_mirrors(false).mirror(mirror)
}

/// Opens a set whose zip is `bundle`, kept in `folder/emnist`.
fn open_set(source: &Source, bundle: &'static Bundle, folder: &Path) -> Result<(), DatasetError> {
    let mut watch = |_: Event<'_>| {};
    let mut shelf = Shelf::new(source, &mut watch)?;
    shelf.keep_in(Store::new(bundle, folder.join("emnist")));
    shelf.files().map(drop)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
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
    let bundle = bundle(&zip);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(&zip);
    let source = source(set, folder.join("one"), mirror(&server, "nowhere")).mirror(mirror(&server, "a"));
    open_set(&source, bundle, folder).unwrap();
    assert_eq!(server.paths(), ["nowhere/gzip.zip", "a/gzip.zip"]);
    assert_eq!(names(&folder.join("emnist")), ["gzip.zip"]);
    assert_eq!(names(&folder.join("one")).len(), 4);

    // In the form that is kept: upright, and the same labels.
    let images = std::fs::read(folder.join("one/t10k-images-idx3-ubyte")).unwrap();
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
    assert!(std::fs::read(folder.join("one/train-labels-idx1-ubyte")).unwrap() == published(set, 1));

    // Another folder is filled from the zip that is kept.
    open_set(&Source { data_dir: Some(folder.join("two")), ..source.clone() }, bundle, folder).unwrap();
    assert_eq!(server.paths().len(), 2);
    assert!(std::fs::read(folder.join("two/t10k-images-idx3-ubyte")).unwrap() == images);

    // A zip that went bad is noticed, moved aside, and replaced.
    let path = folder.join("emnist/gzip.zip");
    let mut bad = zip.clone();
    bad[1000] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    let third = Source { data_dir: Some(folder.join("three")), ..source };
    let text = open_set(&third.clone().offline(true), bundle, folder).unwrap_err().to_string();
    assert_eq!(text.matches("gzip.zip: found sha256 ").count(), 1, "{text}");
    open_set(&third, bundle, folder).unwrap();
    assert_eq!(server.paths()[2..], ["nowhere/gzip.zip", "a/gzip.zip"]);
    assert_eq!(names(&folder.join("emnist")), ["gzip.zip", "gzip.zip.broken"]);
    assert!(std::fs::read(&path).unwrap() == zip);
}

/// All want the zip at once, one with the folder of the zip for its own data.
#[test]
fn who_waits_finds_it_there() {
    let set = Name::EmnistMnist;
    let zip = zip_of(set);
    let bundle = bundle(&zip);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(&zip);
    let (done, all) = mpsc::channel();
    for name in ["one", "two", "emnist"] {
        let source = source(set, folder.join(name), mirror(&server, "a"));
        let (folder, done) = (folder.to_owned(), done.clone());
        std::thread::spawn(move || {
            done.send(open_set(&source, bundle, &folder).map_err(|error| error.to_string()))
        });
    }
    for _ in 0..3 {
        all.recv_timeout(std::time::Duration::from_secs(60)).unwrap().unwrap();
    }
    assert_eq!(server.paths().len(), 1);
    assert_eq!(names(&folder.join("emnist")).len(), 5);
}

#[test]
fn a_zip_that_is_not_the_published_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(b"<html>log in</html>");
    let source = source(Name::EmnistLetters, folder.path().join("letters"), mirror(&server, "a"));
    let bundle = bundle(b"something else, and longer");
    let text = open_set(&source, bundle, folder.path()).unwrap_err().to_string();
    assert!(text.contains(&format!("{}a/gzip.zip: found sha256 ", server.url)), "{text}");
    assert!(text.contains(&format!("expected {} for EMNIST", bundle.sha256)), "{text}");
    assert_eq!(server.paths().len(), 1, "asked once for four files");
    assert!(names(folder.path()).is_empty(), "nothing is left");
}

/// A server that has `zip`; it breaks off the first answer after `cut` bytes, and then has nothing to say for `silent` calls.
fn halting(zip: &[u8], cut: usize, silent: usize) -> Server {
    let zip = zip.to_vec();
    let mut calls = 0;
    Server::new(move |request, stream| {
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
fn what_has_arrived_outlives_the_process() {
    let set = Name::EmnistMnist;
    let zip = zip_of(set);
    let bundle = bundle(&zip);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = halting(&zip, 5000, 3);
    let source = source(set, folder.join("mnist"), mirror(&server, ""));
    let text = open_set(&source, bundle, folder).unwrap_err().to_string();
    assert!(text.contains("answered 503"), "{text}");
    assert_eq!(names(&folder.join("emnist")), ["gzip.zip.part"]);
    assert!(std::fs::read(folder.join("emnist/gzip.zip.part")).unwrap() == zip[..5000]);
    open_set(&source, bundle, folder).unwrap();
    assert_eq!(names(&folder.join("emnist")), ["gzip.zip"]);
    let requests = server.requests();
    assert_eq!(requests.len(), 5);
    assert!(requests[1..].iter().all(|request| request.has("range: bytes=5000-")), "{requests:?}");
}

#[test]
fn a_beginning_of_something_else_is_noticed() {
    let set = Name::EmnistMnist;
    let zip = zip_of(set);
    let bundle = bundle(&zip);
    for (beginning, calls) in [
        (vec![7; 1000], 2),
        // As long as the whole, and longer.
        (vec![7; zip.len()], 1),
        (vec![7; zip.len() + 1], 1),
        (Vec::new(), 1),
        // All of it, whose process was killed just then.
        (zip.clone(), 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let server = halting(&zip, zip.len(), 0);
        let source = source(set, folder.join("mnist"), mirror(&server, ""));
        std::fs::create_dir(folder.join("emnist")).unwrap();
        std::fs::write(folder.join("emnist/gzip.zip.part"), beginning).unwrap();
        open_set(&source, bundle, folder).unwrap();
        assert_eq!(names(&folder.join("emnist")), ["gzip.zip"]);
        assert_eq!(server.requests().len(), calls);
    }
}
