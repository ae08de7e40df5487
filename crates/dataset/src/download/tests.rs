use std::net::TcpListener;

use super::*;

/// A server that takes the call and then says nothing, and one that stops in the middle of the body.
#[test]
fn nothing_waits_for_ever() {
    for sent in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.write_all(sent.as_bytes()).unwrap();
            // Until the client hangs up.
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let folder = tempfile::tempdir().unwrap();
        let patience = Duration::from_millis(200);
        let downloader = Downloader::new(patience, patience, Duration::from_millis(1));
        match downloader.get(&url, 100, folder.path(), &mut |_| {}) {
            Err(Refusal::Unreachable(reason)) => {
                assert!(sent.is_empty() && reason.starts_with("no answer in time"), "{reason}");
            }
            Err(Refusal::Other(reason)) => {
                assert!(!sent.is_empty() && reason.starts_with("broke off after 5 bytes: "), "{reason}");
            }
            _ => panic!("an answer to {sent:?}"),
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        server.join().unwrap();
    }
}

/// A server that answers each call with the next of these, after which it hangs up. Returns the requests' headers.
fn answers(listener: TcpListener, answers: Vec<String>) -> std::thread::JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let answer = |answer: String| {
            let mut stream = listener.accept().unwrap().0;
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap().to_lowercase()
        };
        answers.into_iter().map(answer).collect()
    })
}

fn get(sent: &[&str]) -> (Result<String, String>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    let close = |head: &&str| head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    let server = answers(listener, sent.iter().map(close).collect());
    let folder = tempfile::tempdir().unwrap();
    let patience = Duration::from_secs(5);
    let downloader = Downloader::new(patience, patience, Duration::from_millis(1));
    let mut last = None;
    let mut watch = |event: Event<'_>| {
        let Event::Transfer(transfer) = event else { panic!("{event:?}") };
        assert_eq!(transfer.url, url);
        last = Some((transfer.bytes, transfer.len));
    };
    let outcome = match downloader.get(&url, 100, folder.path(), &mut watch) {
        Ok(body) => {
            let text = std::fs::read_to_string(body.file.path()).unwrap();
            let len = text.len() as u64;
            assert_eq!(last, Some((len, Some(len))));
            assert_eq!(body.digest, Digest::of(text.as_bytes()));
            Ok(text)
        }
        Err(Refusal::Passing(reason) | Refusal::Other(reason) | Refusal::Unreachable(reason)) => Err(reason),
        Err(Refusal::NotFound) => Err("404".to_owned()),
        Err(Refusal::Here(error)) => panic!("{error}"),
    };
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    (outcome, server.join().unwrap())
}

const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"a\"\r\n\r\n12345";
const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"b\"\r\n\r\nabcdefghij";

#[test]
fn what_breaks_off_is_gone_on_with() {
    let rest = "HTTP/1.1 206 Partial\r\nContent-Length: 5\r\nContent-Range: bytes 5-9/10\r\n\r\n67890";
    let (outcome, requests) = get(&[HALF, rest]);
    assert_eq!(outcome.as_deref(), Ok("1234567890"));
    assert!(
        requests[1].contains("range: bytes=5-\r\n") && requests[1].contains("if-range: \"a\""),
        "{requests:?}"
    );
    // It breaks off again and again, but moves.
    let (outcome, requests) = get(&[
        HALF,
        "HTTP/1.1 206 Partial\r\nContent-Length: 5\r\nContent-Range: bytes 5-9/10\r\n\r\n67",
        "HTTP/1.1 206 Partial\r\nContent-Length: 3\r\nContent-Range: bytes 7-9/10\r\n\r\n890",
    ]);
    assert_eq!(outcome.as_deref(), Ok("1234567890"));
    assert!(requests[2].contains("range: bytes=7-\r\n"), "{requests:?}");
}

#[test]
fn a_rest_of_something_else_is_not_taken() {
    // The whole in answer to a range: the server knows none, or the file has changed meanwhile.
    assert_eq!(get(&[HALF, WHOLE]).0.as_deref(), Ok("abcdefghij"));
    // Another part than asked for, or one of which nothing is said.
    let other = "HTTP/1.1 206 Partial\r\nContent-Length: 4\r\nContent-Range: bytes 6-9/10\r\n\r\n7890";
    let unsaid = "HTTP/1.1 206 Partial\r\nContent-Length: 5\r\n\r\n67890";
    for part in [other, unsaid, "HTTP/1.1 416 Range\r\nContent-Length: 0\r\n\r\n"] {
        let (outcome, requests) = get(&[HALF, part, WHOLE]);
        assert_eq!(outcome.as_deref(), Ok("abcdefghij"));
        assert!(!requests[2].contains("range:"), "{requests:?}");
    }
    // Without a word for the content, it could be of any other.
    let nameless = HALF.replace("ETag", "X-Tag");
    let (outcome, requests) = get(&[&nameless, WHOLE]);
    assert_eq!(outcome.as_deref(), Ok("abcdefghij"));
    assert!(!requests[1].contains("range:"), "{requests:?}");
}

#[test]
fn passing_trouble_is_asked_again_and_other_is_not() {
    let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(get(&[busy, busy, busy, WHOLE]).0.as_deref(), Ok("abcdefghij"));
    // Taken and hung up on.
    assert_eq!(get(&["", WHOLE]).0.as_deref(), Ok("abcdefghij"));
    let (outcome, _) = get(&[busy, busy, busy, busy]);
    assert_eq!(outcome.unwrap_err(), "answered 503 Service Unavailable, at the last of 4 tries");
    let page = "HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\nContent-Type: text/html\r\n\r\n<html>";
    assert!(get(&[page]).0.unwrap_err().starts_with("answered 403"));
    assert_eq!(get(&["HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n"]).0.unwrap_err(), "404");
    let (outcome, _) = get(&[HALF, HALF, HALF, HALF]);
    assert!(outcome.unwrap_err().starts_with("broke off after 5 bytes: "));
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

/// As often as it takes, as long as it moves.
#[test]
fn a_line_that_breaks_again_and_again_gets_there() {
    const PIECE: usize = 70_000;
    const PIECES: usize = 9;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    let body = "x".repeat(PIECE);
    let whole = PIECE * PIECES;
    let head = |from: usize| match from {
        0 => format!("HTTP/1.1 200 OK\r\nContent-Length: {whole}\r\n"),
        from => format!(
            "HTTP/1.1 206 Partial\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{whole}\r\n",
            whole - from,
            whole - 1
        ),
    };
    let sent = |n: usize| format!("{}ETag: \"a\"\r\nConnection: close\r\n\r\n{body}", head(n * PIECE));
    let server = answers(listener, (0..PIECES).map(sent).collect());
    let folder = tempfile::tempdir().unwrap();
    let patience = Duration::from_secs(5);
    let downloader = Downloader::new(patience, patience, Duration::from_millis(1));
    match downloader.get(&url, 1 << 20, folder.path(), &mut |_| {}) {
        Ok(body) => assert_eq!(body.file.as_file().metadata().unwrap().len(), whole as u64),
        Err(_) => panic!("it did not get there"),
    }
    assert_eq!(server.join().unwrap().len(), PIECES);
}
