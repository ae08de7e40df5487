//! URL mirrors, on a test server of this machine. No test uses the internet.
#![cfg(feature = "download")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod support;

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::net::TcpListener;

use support::{NAMES, gzip, line, listing, mnist_folder, mnist_mirror};
use ziffer_base::test_server::{TestServer, response};
use ziffer_dataset::{DatasetError, Mirror, Mnist, Name, Source, TrainTest};

fn mirror(server: &TestServer) -> Mirror {
    Mirror::Url(server.url.clone())
}

fn archive_name(file: usize) -> String {
    format!("{}.gz", NAMES[file])
}

/// MNIST's gzip files, by their names.
fn archives() -> HashMap<String, Vec<u8>> {
    (0..4).map(|file| (archive_name(file), archive(file))).collect()
}

fn archive(file: usize) -> Vec<u8> {
    fs::read(mnist_mirror().join(archive_name(file))).unwrap()
}

fn source() -> Source {
    Source::default().public_mirrors(false)
}

#[test]
fn the_four_archives() {
    let server = TestServer::with_files(archives());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("mnist");
    // Also without the slash at the end.
    let mirror = Mirror::Url(server.url.trim_end_matches('/').to_owned());
    let data = Mnist::open_or_download(&source().data_dir(&folder).mirror(mirror)).unwrap();
    assert_eq!(data.train.labels().take(5).collect::<Vec<_>>(), [5, 0, 4, 1, 9]);
    let mut names = NAMES;
    names.sort_unstable();
    assert_eq!(listing(&folder), names, "raw files, no archives, nothing unfinished");
    assert_eq!(server.paths(), [0, 1, 2, 3].map(archive_name));
}

#[test]
fn the_next_mirror_follows_a_faulty_one() {
    let page = b"<!DOCTYPE html><title>log in</title>".to_vec();
    let bad = TestServer::new(move |request, stream| {
        let name = |file| request.path == archive_name(file);
        let answer = if name(0) {
            // The server announces the full length and sends half.
            let whole = response("200 OK", "", &archive(0));
            whole[..whole.len() / 2].to_vec()
        } else if name(1) {
            response("200 OK", "", &page)
        } else if name(2) {
            response("503 Service Unavailable", "", b"")
        } else {
            response("404 Not Found", "", b"")
        };
        stream.write_all(&answer)
    });
    let folder = tempfile::tempdir().unwrap();
    let source = source().data_dir(folder.path()).mirror(mirror(&bad));
    let error = TrainTest::open_or_download(&source).unwrap_err();
    let url = &bad.url;
    let DatasetError::Missing { attempts, files, .. } = &error else { panic!("{error:?}") };
    assert_eq!(files[..], NAMES);
    let reasons: Vec<&str> = attempts.iter().map(|attempt| attempt.reason.as_str()).collect();
    assert!(reasons[0].starts_with(&format!("{url}{}: interrupted after ", archive_name(0))), "{reasons:?}");
    assert_eq!(
        reasons[1..],
        [
            format!(
                "{url}{}: starts with 3c 21, expected gzip data (1f 8b); it is a web page, the download went wrong",
                archive_name(1)
            ),
            format!("{url}{}: responded 503 Service Unavailable, after 4 attempts", archive_name(2)),
            format!("{url}{}: responded 404 Not Found", archive_name(3)),
        ]
    );
    line(error);
    assert!(listing(folder.path()).is_empty(), "{:?}", listing(folder.path()));

    let good = TestServer::with_files(archives());
    assert_eq!(TrainTest::open_or_download(&source.mirror(mirror(&good))).unwrap().test.label(0), 7);
}

#[test]
fn raw_files_and_redirects() {
    let raw =
        Mnist::open_or_download(&source().data_dir(mnist_folder()).mirror(Mirror::Folder(mnist_mirror())))
            .unwrap();
    let labels = fs::read(raw.folder().join(NAMES[1])).unwrap();
    let other = TestServer::with_files(archives());
    let onward = format!("Location: {}{}\r\n", other.url, archive_name(3));
    let server = TestServer::new(move |request, stream| {
        let name = |file| request.path == archive_name(file);
        let body = (0..3).find(|file| *file != 1 && name(*file)).map(archive);
        stream.write_all(&match body {
            Some(body) => response("200 OK", "", &body),
            None if request.path == NAMES[1] => response("200 OK", "", &labels),
            None if name(3) => response("302 Found", &onward, b""),
            None => response("404 Not Found", "", b""),
        })
    });
    let folder = tempfile::tempdir().unwrap();
    TrainTest::open_or_download(&source().data_dir(folder.path()).mirror(mirror(&server))).unwrap();
    assert_eq!(listing(folder.path()).len(), 4);
    assert_eq!(other.paths(), [archive_name(3)]);
}

#[test]
fn more_bytes_than_the_file_can_have() {
    // The labels take some kilobytes. The server announces a hundred.
    let mut answers = archives();
    answers.insert(archive_name(3), vec![0x1f; 100_000]);
    let server = TestServer::with_files(answers);
    let folder = tempfile::tempdir().unwrap();
    let error =
        TrainTest::open_or_download(&source().data_dir(folder.path()).mirror(mirror(&server))).unwrap_err();
    let text = line(error);
    // 10,008 bytes of content, one percent more, and 4 KiB.
    assert!(text.contains("has 100000 bytes or more, expected at most 14204"), "{text}");
    assert_eq!(listing(folder.path()).len(), 3, "the others are there");
}

/// No server listens. The mirror is asked once, not once for each file.
#[test]
fn a_mirror_that_does_not_respond() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("mnist");
    let error = TrainTest::open_or_download(&source().data_dir(&target).mirror(Mirror::Url(url.clone())))
        .unwrap_err();
    let text = line(error);
    assert!(text.contains(&format!("{url}train-images-idx3-ubyte.gz: connection refused")), "{text}");
    assert!(!target.exists(), "a folder is made when there is something for it");
}

#[test]
fn offline_sends_no_request() {
    let server = TestServer::with_files(archives());
    let folder = tempfile::tempdir().unwrap();
    let source = Source::default().data_dir(folder.path()).mirror(mirror(&server)).offline(true);
    let text = line(TrainTest::open_or_download(&source).unwrap_err());
    assert!(text.contains(&format!("{}: not tried, offline", server.url)), "{text}");
    assert!(server.paths().is_empty());
}

/// Only KMNIST's published gzip files have known digests, so no other download is accepted: no other packaging, and no raw file.
#[test]
fn a_gzip_file_with_a_published_digest() {
    let labels = gzip(&support::idx(0x08, &[10_000], &[1; 10_000]));
    let server = TestServer::with_files(HashMap::from([
        (archive_name(3), labels),
        (NAMES[1].to_owned(), support::idx(0x08, &[60_000], &[1; 60_000])),
    ]));
    let folder = tempfile::tempdir().unwrap();
    let source = Source { name: Name::Kmnist, ..source() }.data_dir(folder.path()).mirror(mirror(&server));
    let error = TrainTest::open_or_download(&source).unwrap_err();
    let DatasetError::Missing { attempts, files, .. } = error else { panic!("{error:?}") };
    assert_eq!(files, NAMES);
    assert!(attempts[3].reason.contains("expected 20bb9a0ef54c7db3efc55a92eef5582c"), "{attempts:?}");
    assert_eq!(server.paths(), [0, 1, 2, 3].map(archive_name));
    assert!(listing(folder.path()).is_empty());
}

/// QMNIST's gzip files were published with MD5 digests, which another packaging of the same content does not have.
#[test]
fn a_gzip_file_with_a_published_md5() {
    let name = Name::Qmnist.files()[3].name;
    let labels = gzip(&support::idx(0x0c, &[60_000, 8], &vec![0; 60_000 * 8 * 4]));
    let server = TestServer::with_files(HashMap::from([(format!("{name}.gz"), labels)]));
    let folder = tempfile::tempdir().unwrap();
    let source = Source { name: Name::Qmnist, ..source() }.data_dir(folder.path()).mirror(mirror(&server));
    let error = TrainTest::open_or_download(&source).unwrap_err();
    let DatasetError::Missing { attempts, .. } = error else { panic!("{error:?}") };
    assert!(
        attempts[3].reason.ends_with("has another MD5 digest than the published file of QMNIST"),
        "{attempts:?}"
    );
    assert!(listing(folder.path()).is_empty());
}
