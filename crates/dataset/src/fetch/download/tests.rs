//! What the downloader does with each response of a server.

use std::io::Write;

use ziffer_base::test_server::{Request, TestServer};

use super::*;

/// Downloads from a server that sends these responses one after the other. Returns the outcome and the requests.
fn get(sent: &[&str]) -> (Result<String, String>, Vec<Request>) {
    let close = |head: &&str| head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    let mut answers = sent.iter().map(close).collect::<Vec<_>>().into_iter();
    let server =
        TestServer::new(move |_, stream| stream.write_all(answers.next().unwrap_or_default().as_bytes()));
    let url = format!("{}file", server.url);
    let folder = tempfile::tempdir().unwrap();
    let mut last = None;
    let mut on_progress = |event: ProgressEvent<'_>| {
        let ProgressEvent::Download(download) = event else { panic!("{event:?}") };
        assert_eq!(download.url, url);
        last = Some((download.bytes, download.len));
    };
    let destination = Destination { max_bytes: 100, folder: folder.path(), kept: None };
    let outcome = match downloader().get(&url, &destination, None, &mut on_progress) {
        Ok(body) => {
            let text = std::fs::read_to_string(body.file.path()).unwrap();
            let len = text.len() as u64;
            assert_eq!(last, Some((len, Some(len))));
            assert_eq!(body.digest, Digest::of(text.as_bytes()));
            Ok(text)
        }
        Err(
            RequestError::Transient(reason)
            | RequestError::Permanent(reason)
            | RequestError::Unreachable(reason),
        ) => Err(reason),
        Err(RequestError::NotFound) => Err("404".to_owned()),
        Err(RequestError::Local(error)) => panic!("{error}"),
    };
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(server.requests().len(), sent.len());
    (outcome, server.requests())
}

/// Timeouts of seconds, pauses of milliseconds.
fn downloader() -> Downloader {
    let timeout = Duration::from_secs(5);
    Downloader::new(timeout, timeout, Duration::from_millis(1))
}

const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"a\"\r\n\r\n12345";
const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"b\"\r\n\r\nabcdefghij";

#[test]
fn interrupted_downloads_resume() {
    let rest = "HTTP/1.1 206 Partial\r\nContent-Length: 5\r\nContent-Range: bytes 5-9/10\r\n\r\n67890";
    let (outcome, requests) = get(&[HALF, rest]);
    assert_eq!(outcome.as_deref(), Ok("1234567890"));
    assert!(requests[1].has("range: bytes=5-") && requests[1].has("if-range: \"a\""), "{requests:?}");
    // Several interruptions, with progress between them.
    let (outcome, requests) = get(&[
        HALF,
        "HTTP/1.1 206 Partial\r\nContent-Length: 5\r\nContent-Range: bytes 5-9/10\r\n\r\n67",
        "HTTP/1.1 206 Partial\r\nContent-Length: 3\r\nContent-Range: bytes 7-9/10\r\n\r\n890",
    ]);
    assert_eq!(outcome.as_deref(), Ok("1234567890"));
    assert!(requests[2].has("range: bytes=7-"), "{requests:?}");
}

#[test]
fn a_rest_of_other_content_is_refused() {
    // The whole file in response to a range: the server does not support ranges, or the file has changed.
    assert_eq!(get(&[HALF, WHOLE]).0.as_deref(), Ok("abcdefghij"));
    // Another range than requested, or an unknown one.
    let other = "HTTP/1.1 206 Partial\r\nContent-Length: 4\r\nContent-Range: bytes 6-9/10\r\n\r\n7890";
    let unsaid = "HTTP/1.1 206 Partial\r\nContent-Length: 5\r\n\r\n67890";
    for part in [other, unsaid, "HTTP/1.1 416 Range\r\nContent-Length: 0\r\n\r\n"] {
        let (outcome, requests) = get(&[HALF, part, WHOLE]);
        assert_eq!(outcome.as_deref(), Ok("abcdefghij"));
        assert!(!requests[2].headers.contains("range:"), "{requests:?}");
    }
    // Without a validator, the rest could belong to other content.
    let nameless = HALF.replace("ETag", "X-Tag");
    let (outcome, requests) = get(&[&nameless, WHOLE]);
    assert_eq!(outcome.as_deref(), Ok("abcdefghij"));
    assert!(!requests[1].headers.contains("range:"), "{requests:?}");
}

#[test]
fn transient_errors_are_retried_and_others_are_not() {
    let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(get(&[busy, busy, busy, WHOLE]).0.as_deref(), Ok("abcdefghij"));
    // The connection is accepted and closed.
    assert_eq!(get(&["", WHOLE]).0.as_deref(), Ok("abcdefghij"));
    let (outcome, _) = get(&[busy, busy, busy, busy]);
    assert_eq!(outcome.unwrap_err(), "responded 503 Service Unavailable, after 4 attempts");
    let page = "HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\nContent-Type: text/html\r\n\r\n<html>";
    assert!(get(&[page]).0.unwrap_err().starts_with("responded 403"));
    assert_eq!(get(&["HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n"]).0.unwrap_err(), "404");
    let (outcome, _) = get(&[HALF, HALF, HALF, HALF]);
    assert!(outcome.unwrap_err().starts_with("interrupted after 5 bytes: "));
}

#[test]
fn only_this_machine_is_loopback() {
    for url in ["http://127.0.0.1:80/a", "http://localhost/", "http://[::1]:8080/", "http://127.8.8.8/"] {
        assert!(is_loopback(url), "{url}");
    }
    for url in ["http://example.org/127.0.0.1", "https://10.0.0.1/", "", "http://localhost.org/"] {
        assert!(!is_loopback(url), "{url}");
    }
}

/// More interruptions than attempts, with progress between them.
#[test]
fn a_download_with_many_interruptions_completes() {
    const PIECE: usize = 70_000;
    const PIECES: usize = 9;
    let body = "x".repeat(PIECE);
    let whole = PIECE * PIECES;
    let head = move |from: usize| match from {
        0 => format!("HTTP/1.1 200 OK\r\nContent-Length: {whole}\r\n"),
        from => format!(
            "HTTP/1.1 206 Partial\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{whole}\r\n",
            whole - from,
            whole - 1
        ),
    };
    let mut pieces = (0..PIECES)
        .map(move |n| format!("{}ETag: \"a\"\r\nConnection: close\r\n\r\n{body}", head(n * PIECE)));
    let server =
        TestServer::new(move |_, stream| stream.write_all(pieces.next().unwrap_or_default().as_bytes()));
    let folder = tempfile::tempdir().unwrap();
    let destination = Destination { max_bytes: 1 << 20, folder: folder.path(), kept: None };
    match downloader().get(&format!("{}file", server.url), &destination, None, &mut |_| {}) {
        Ok(body) => assert_eq!(body.file.as_file().metadata().unwrap().len(), whole as u64),
        Err(_) => panic!("the download failed"),
    }
    assert_eq!(server.requests().len(), PIECES);
}
