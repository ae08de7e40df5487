use std::collections::HashMap;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread::JoinHandle;

use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;
use crate::Event;
use crate::catalogue::Name;
use crate::idx::Header;
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

/// A server of files that answers so many requests and then goes. Returns its address, and the paths asked for.
fn server(files: HashMap<&'static str, Vec<u8>>, requests: usize) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let answer = move |_| {
        let mut stream = listener.accept().unwrap().0;
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let path = lines.next().unwrap().split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
        while lines.next().is_some_and(|line| !line.is_empty()) {}
        let (status, body) = match files.get(path.as_str()) {
            Some(body) => ("200 OK", &body[..]),
            None => ("404 Not Found", &[][..]),
        };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).unwrap();
        path
    };
    (url, std::thread::spawn(move || (0..requests).map(answer).collect()))
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
    let (url, requests) = server(HashMap::from([("a/gzip.zip", zip.clone())]), 2);
    let source = Source::new(set)
        .data_dir(folder.join("one"))
        .public_mirrors(false)
        .mirror(Mirror::Url(format!("{url}nowhere")))
        .mirror(Mirror::Url(format!("{url}a")));
    open_set(&source, bundle, folder).unwrap();
    assert_eq!(requests.join().unwrap(), ["nowhere/gzip.zip", "a/gzip.zip"]);
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

    // Nobody listens any more: another folder is filled from the zip that is kept.
    open_set(&Source { data_dir: Some(folder.join("two")), ..source.clone() }, bundle, folder).unwrap();
    assert!(std::fs::read(folder.join("two/t10k-images-idx3-ubyte")).unwrap() == images);

    // A zip that went bad is noticed, moved aside, and replaced.
    let path = folder.join("emnist/gzip.zip");
    let mut bad = zip.clone();
    bad[1000] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    let third = Source { data_dir: Some(folder.join("three")), ..source.clone() };
    let text = open_set(&third.clone().offline(true), bundle, folder).unwrap_err().to_string();
    assert_eq!(text.matches("gzip.zip: found sha256 ").count(), 1, "{text}");
    let (url, requests) = server(HashMap::from([("gzip.zip", zip.clone())]), 1);
    open_set(&Source { mirrors: vec![Mirror::Url(url)], ..third }, bundle, folder).unwrap();
    assert_eq!(requests.join().unwrap(), ["gzip.zip"]);
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
    let (url, requests) = server(HashMap::from([("gzip.zip", zip)]), 1);
    let (done, all) = mpsc::channel();
    for name in ["one", "two", "emnist"] {
        let source = Source::new(set)
            .data_dir(folder.join(name))
            .public_mirrors(false)
            .mirror(Mirror::Url(url.clone()));
        let (folder, done) = (folder.to_owned(), done.clone());
        std::thread::spawn(move || {
            done.send(open_set(&source, bundle, &folder).map_err(|error| error.to_string()))
        });
    }
    for _ in 0..3 {
        all.recv_timeout(std::time::Duration::from_secs(60)).unwrap().unwrap();
    }
    assert_eq!(requests.join().unwrap().len(), 1);
    assert_eq!(names(&folder.join("emnist")).len(), 5);
}

#[test]
fn a_zip_that_is_not_the_published_one() {
    let folder = tempfile::tempdir().unwrap();
    let (url, requests) = server(HashMap::from([("gzip.zip", b"<html>log in</html>".to_vec())]), 1);
    let source = Source::new(Name::EmnistLetters)
        .data_dir(folder.path().join("letters"))
        .public_mirrors(false)
        .mirror(Mirror::Url(url.clone()));
    let bundle = bundle(b"something else, and longer");
    let text = open_set(&source, bundle, folder.path()).unwrap_err().to_string();
    assert!(text.contains(&format!("{url}gzip.zip: found sha256 ")), "{text}");
    assert!(text.contains(&format!("expected {} for EMNIST", bundle.sha256)), "{text}");
    assert_eq!(requests.join().unwrap().len(), 1, "asked once for four files");
    assert!(names(folder.path()).is_empty(), "nothing is left");
}
