//! Files from addresses: one GET into a temporary file, bounded in time and size, then the checks of every intake.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use tempfile::NamedTempFile;
use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};

use crate::digest::{Digest, Hasher};
use crate::error::{DatasetError, reason};
use crate::idx::{ElementType, Header};
use crate::intake::{Arrived, Failure, Wanted, create_folder};
use crate::replacement::temporary_in;

/// To find the address, and again to reach it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// For the first answer, and for every piece of the body. There is no bound on the whole: a slow line that keeps
/// moving is let finish.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The bound for a file of which nothing is known.
const MAX_BYTES: u64 = 2 << 30;

/// Fetches files, and remembers which places did not answer.
#[derive(Debug)]
pub(crate) struct Downloader {
    agent: Agent,
    /// Places that could not be reached, with the reason: the other files of a set need not wait for them too.
    unreachable: HashMap<String, String>,
}

impl Default for Downloader {
    fn default() -> Downloader {
        Downloader::with_timeouts(CONNECT_TIMEOUT, READ_TIMEOUT)
    }
}

impl Downloader {
    fn with_timeouts(connect: Duration, read: Duration) -> Downloader {
        // The platform's certificates, so that a company's own or `SSL_CERT_FILE` counts.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .user_agent(concat!("ziffer/", env!("CARGO_PKG_VERSION")))
            // An archive is wanted as it is, not packed once more for the way.
            .accept_encoding("identity")
            .http_status_as_error(false)
            .timeout_resolve(Some(connect))
            .timeout_connect(Some(connect))
            .timeout_recv_response(Some(read))
            .timeout_per_read(Some(read))
            .build();
        Downloader { agent: config.new_agent(), unreachable: HashMap::new() }
    }
}

/// What an address sent.
struct Body {
    file: NamedTempFile,
    digest: Digest,
}

/// How a request went wrong.
enum Refusal {
    /// Nobody answered; it will be so for every file.
    Unreachable(String),
    /// The server has no such file.
    NotFound,
    /// Anything else.
    Other(String),
    /// The file cannot be kept here.
    Here(DatasetError),
}

impl Downloader {
    /// Fetches a file from the place `mirror`: the archive, or the raw file if the place has no archive.
    /// The bytes pass through a temporary file in `folder`, the data folder, which is made if it is missing.
    pub(crate) fn fetch(
        &mut self,
        wanted: &Wanted<'_>,
        folder: &Path,
        mirror: &str,
    ) -> Result<Arrived, Failure> {
        if let Some(reason) = self.unreachable.get(mirror) {
            return Err(failure(mirror, reason.clone()));
        }
        let slash = if mirror.ends_with('/') { "" } else { "/" };
        let raw_url = format!("{mirror}{slash}{}", wanted.entry.name);
        let archive_url = format!("{raw_url}.gz");
        // Without a digest of the content only the published archive can be trusted: see `unpack`.
        let urls = [Some(&archive_url), wanted.entry.sha256.map(|_| &raw_url)];
        for url in urls.into_iter().flatten() {
            match self.get(url, size_bound(wanted), folder) {
                Ok(body) if url == &archive_url => return unpack(wanted, &body, url),
                Ok(body) => return wanted.copy(reopen(&body)?, Path::new(url)),
                Err(Refusal::NotFound) => {}
                Err(Refusal::Here(error)) => return Err(Failure::Here(error)),
                Err(Refusal::Other(reason)) => return Err(failure(url, reason)),
                Err(Refusal::Unreachable(reason)) => {
                    self.unreachable.insert(mirror.to_owned(), reason.clone());
                    return Err(failure(url, reason));
                }
            }
        }
        Err(failure(&archive_url, "answered 404, not found".to_owned()))
    }

    /// The body of one address, in a temporary file.
    fn get(&self, url: &str, max_bytes: u64, folder: &Path) -> Result<Body, Refusal> {
        let mut request = self.agent.get(url);
        // A proxy from the environment is for the world outside: it cannot know this machine's own addresses.
        if is_loopback(url) {
            request = request.config().proxy(None).build();
        }
        let response = request.call().map_err(|error| Refusal::Unreachable(describe(error)))?;
        let status = response.status();
        if status == 404 {
            return Err(Refusal::NotFound);
        }
        if !status.is_success() {
            return Err(Refusal::Other(format!("answered {status}")));
        }
        let too_long =
            |len: u64| Refusal::Other(format!("has {len} bytes or more, expected at most {max_bytes}"));
        if let Some(len) = response.body().content_length()
            && len > max_bytes
        {
            return Err(too_long(len));
        }
        create_folder(folder).map_err(Refusal::Here)?;
        let write_error = |source| {
            Refusal::Here(DatasetError::Io { action: "write into", path: folder.to_owned(), source })
        };
        let mut file = temporary_in(folder).map_err(write_error)?;
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 64 * 1024];
        let mut hasher = Hasher::default();
        let mut found = 0;
        loop {
            let count = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(Refusal::Other(format!("broke off after {found} bytes: {}", reason(&error))));
                }
            };
            found += count as u64;
            if found > max_bytes {
                return Err(too_long(found));
            }
            hasher.update(&buffer[..count]);
            file.write_all(&buffer[..count]).map_err(write_error)?;
        }
        file.flush().map_err(write_error)?;
        Ok(Body { file, digest: hasher.finish() })
    }
}

/// An archive longer than its content, by more than the few bytes that packing costs at worst, is none.
fn size_bound(wanted: &Wanted<'_>) -> u64 {
    let header = wanted.entry.shape.and_then(|shape| Header::new(ElementType::U8, shape).ok());
    header.map_or(MAX_BYTES, |header| header.file_len() + header.file_len() / 100 + 4096)
}

/// Unpacks a downloaded archive. If no digest of the content is known, the archive must be the published one.
fn unpack(wanted: &Wanted<'_>, body: &Body, url: &str) -> Result<Arrived, Failure> {
    let from = Path::new(url);
    match wanted.entry.archive {
        Some(archive) if wanted.entry.sha256.is_none() && archive.sha256 != body.digest => {
            return Err(Failure::Place(DatasetError::WrongDigest {
                path: from.to_owned(),
                set: wanted.set.title(),
                found: body.digest,
                expected: archive.sha256,
            }));
        }
        _ => {}
    }
    wanted.unpack(reopen(body)?, from)
}

fn reopen(body: &Body) -> Result<File, Failure> {
    body.file.reopen().map_err(|source| {
        Failure::Here(DatasetError::Io { action: "open", path: body.file.path().to_owned(), source })
    })
}

fn failure(url: &str, reason: String) -> Failure {
    Failure::Place(DatasetError::Download { url: url.to_owned(), reason })
}

fn is_loopback(url: &str) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    uri.as_ref().and_then(Uri::host).is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

/// One line in our manner.
fn describe(error: ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => reason(&error),
        ureq::Error::Timeout(phase) => format!("no answer in time ({phase})"),
        ureq::Error::HostNotFound => "no such host, or no network".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
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
            match Downloader::with_timeouts(patience, patience).get(&url, 100, folder.path()) {
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

    #[test]
    fn only_this_machine_is_loopback() {
        for url in ["http://127.0.0.1:80/a", "http://localhost/", "http://[::1]:8080/", "http://127.8.8.8/"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["http://example.org/127.0.0.1", "https://10.0.0.1/", "", "http://localhost.org/"] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
