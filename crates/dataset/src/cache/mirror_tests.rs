//! Faulty servers, alone and followed by a good mirror: one clear line, and the right data.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ziffer_base::test_server::{Request, TestServer, response};

use super::*;

/// The smallest of MNIST's gzip files: the test labels.
fn archive() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist");
    fs::read(folder.join("t10k-labels-idx1-ubyte.gz")).unwrap()
}

/// The timeout for each piece of a response: short enough for tests, long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_millis(400);

/// Downloads MNIST's test labels from these mirrors. `Err` has the reasons of their failures.
fn labels(mirrors: &[&TestServer]) -> Result<Digest, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut source = Source::default().data_dir(folder.path()).public_mirrors(false);
    for server in mirrors {
        source = source.mirror(Mirror::Url(server.url.clone()));
    }
    let mut on_progress = |_: crate::ProgressEvent<'_>| {};
    let mut cache = Cache::new(&source, Urls::Download, &mut on_progress).unwrap();
    cache.downloader = Downloader::new(TIMEOUT, TIMEOUT, Duration::from_millis(1));
    let entry = &Name::Mnist.files()[3];
    let file = cache.file(entry).unwrap();
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    match file {
        Some(file) => Ok(Digest::of(file.bytes())),
        None => {
            assert!(names.is_empty(), "{names:?}");
            Err(cache.attempts.iter().map(|attempt| attempt.reason.as_str()).collect::<Vec<_>>().join(" | "))
        }
    }
}

/// Responds to every request with `fault`. Alone it ends in an error with `words`, and followed by a good mirror in the right data.
#[track_caller]
fn ends_in(words: &str, fault: impl Fn(&Request, &mut TcpStream) -> io::Result<()> + Send + 'static) {
    let bad = TestServer::new(fault);
    let text = labels(&[&bad]).unwrap_err();
    assert!(text.contains(words) && !text.contains('\n'), "{text:?}");
    assert!(text.starts_with(&bad.url), "{text}");
    let good = TestServer::new(|_, stream| stream.write_all(&response("200 OK", "", &archive())));
    assert_eq!(Some(labels(&[&bad, &good]).unwrap()), Name::Mnist.files()[3].sha256);
}

#[test]
fn responses_without_the_file() {
    ends_in(".gz: responded 404 Not Found", |_, stream| {
        stream.write_all(&response("404 Not Found", "", b""))
    });
    let page = b"<!DOCTYPE html><html>you may not</html>";
    ends_in(".gz: responded 403 Forbidden", |_, stream| {
        stream.write_all(&response("403 Forbidden", "Content-Type: text/html\r\n", page))
    });
    ends_in("it is a web page", |_, stream| stream.write_all(&response("200 OK", "", page)));
    ends_in("responded 500 Internal Server Error, after 4 attempts", |_, stream| {
        stream.write_all(&response("500 Oh", "", b""))
    });
    ends_in(".gz: too many redirects", |request, stream| {
        let onward = format!("Location: /{}\r\n", request.path);
        stream.write_all(&response("302 Found", &onward, b""))
    });
    ends_in(".gz: too many redirects", |request, stream| {
        let onward = format!("Location: /{}x\r\n", request.path);
        stream.write_all(&response("301 Moved", &onward, b""))
    });
    ends_in("protocol", |_, stream| stream.write_all(b"no HTTP at all\r\n\r\n"));
    ends_in(", after 4 attempts", |_, _| Ok(()));
}

#[test]
fn wrong_content() {
    let whole = archive();
    let shorter = whole[..whole.len() - 100].to_vec();
    ends_in("gzip data is cut short after ", move |_, stream| {
        stream.write_all(&response("200 OK", "", &shorter))
    });
    // The end of the connection ends the body, so HTTP does not show that it is truncated.
    let half = whole[..whole.len() / 2].to_vec();
    ends_in("gzip data is cut short after ", move |_, stream| {
        stream.write_all(&[b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", &half[..]].concat())
    });
    let longer = [&whole[..], &[0; 100]].concat();
    ends_in("gzip data is corrupt after 10008 bytes", move |_, stream| {
        stream.write_all(&response("200 OK", "", &longer))
    });
    let mut damaged = whole.clone();
    damaged[2000] ^= 1;
    ends_in("gzip data is corrupt after ", move |_, stream| {
        stream.write_all(&response("200 OK", "", &damaged))
    });
    let mut other = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    other.write_all(&[&[0, 0, 8, 1, 0, 0, 0x27, 0x10], &[7; 10_000][..]].concat()).unwrap();
    let other = other.finish().unwrap();
    ends_in("expected ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", move |_, stream| {
        stream.write_all(&response("200 OK", "", &other))
    });
    // The server announces more bytes than it sends.
    ends_in("interrupted after 4000 bytes", move |_, stream| {
        let answer = response("200 OK", "", &whole);
        stream.write_all(&answer[..answer.len() - whole.len() + 4000])
    });
}

/// Waits until the client closes the connection.
fn hang(stream: &mut TcpStream) -> io::Result<()> {
    stream.read_to_end(&mut Vec::new()).map(drop)
}

#[test]
fn connections_that_stall_before_the_body() {
    ends_in("no response in time", |_, stream| hang(stream));
    ends_in("no response in time", |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le")?;
        hang(stream)
    });
}

#[test]
fn connections_that_stall_in_the_body() {
    ends_in("interrupted after 1000 bytes", |_, stream| {
        let answer = response("200 OK", "", &archive());
        stream.write_all(&answer[..answer.len() - archive().len() + 1000])?;
        hang(stream)
    });
}

/// The whole takes longer than the timeout for a piece, but makes progress.
#[test]
fn a_slow_download_completes() {
    let slow = TestServer::new(|_, stream| {
        stream.set_nodelay(true)?;
        for piece in response("200 OK", "", &archive()).chunks(100) {
            stream.write_all(piece)?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    });
    let start = std::time::Instant::now();
    assert_eq!(labels(&[&slow]).ok(), Name::Mnist.files()[3].sha256);
    assert!(start.elapsed() > TIMEOUT);
    assert_eq!(slow.paths().len(), 1);
}

/// The first response is cut at any byte. The second request gets the rest, or everything.
#[test]
fn a_response_that_is_cut_anywhere() {
    let whole = archive();
    let tag = "ETag: \"a\"\r\n";
    let answer = response("200 OK", tag, &whole);
    let head = answer.len() - whole.len();
    // Each byte of the head, and some of the body.
    let cuts = (0..head + 3).chain((head + 3..answer.len()).step_by(509)).chain([answer.len() - 1]);
    for cut in cuts {
        let (answer, whole) = (answer.clone(), whole.clone());
        let asked = AtomicUsize::new(0);
        let server = TestServer::new(move |request, stream| {
            if asked.fetch_add(1, Ordering::Relaxed) == 0 {
                return stream.write_all(&answer[..cut]);
            }
            let from = request
                .headers
                .lines()
                .find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-'));
            let from: usize = from.map_or(0, |from| from.parse().unwrap());
            assert_eq!(from, cut.saturating_sub(head));
            if from == 0 {
                return stream.write_all(&answer);
            }
            let range = format!("{tag}Content-Range: bytes {from}-{}/{}\r\n", whole.len() - 1, whole.len());
            stream.write_all(&response("206 Partial Content", &range, &whole[from..]))
        });
        assert_eq!(labels(&[&server]).ok(), Name::Mnist.files()[3].sha256, "cut at {cut}");
        assert_eq!(server.paths().len(), 2, "cut at {cut}");
    }
}

/// The response to a range request is the whole file, with 200 (RFC 9110, 14.2).
#[test]
fn a_server_without_ranges() {
    let asked = AtomicUsize::new(0);
    let server = TestServer::new(move |_, stream| {
        let answer = response("200 OK", "ETag: \"a\"\r\n", &archive());
        let is_first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        stream.write_all(&answer[..if is_first { answer.len() - 1000 } else { answer.len() }])
    });
    assert_eq!(labels(&[&server]).ok(), Name::Mnist.files()[3].sha256);
    assert!(server.requests()[1].headers.contains("range: bytes="));
}
