//! Downloads: a GET into a temporary file with bounds on time and size, and then the checks of [`ingest`](super::ingest).
//!
//! An interrupted download resumes with a range request (RFC 9110, 14), or starts over if the server does not support ranges.
//! Transient errors are retried, with a pause between attempts that doubles.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use md5::{Digest as _, Md5};
use tempfile::{NamedTempFile, TempPath};
use ureq::Agent;
use ureq::http::{HeaderMap, HeaderValue, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ziffer_base::digest::{Digest, Sha256};
use ziffer_base::fs::temporary_file_in;

use super::ingest::{FileSpec, IngestError, Ingested};
use crate::catalog::{Archive, PublishedDigest};
use crate::error::{DatasetError, reason};
use crate::idx::Header;
use crate::paths::create_folder;
use crate::progress::{DownloadProgress, OnProgress, ProgressEvent};

/// To resolve the host name, and again to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// For the response header, and for every piece of the body. The whole download has no time limit: a slow one that makes progress
/// may finish.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The number of attempts at a URL, as long as errors are transient. The count restarts after this many new bytes.
const ATTEMPTS: u32 = 4;
const PROGRESS_BYTES: u64 = 64 * 1024;

/// The pause before the second attempt. It doubles with each attempt.
const PAUSE: Duration = Duration::from_millis(250);

/// The size limit for a file of unknown shape.
const MAX_BYTES: u64 = 2 << 30;

/// Downloads files, and remembers which mirrors did not respond.
#[derive(Debug)]
pub(crate) struct Downloader {
    agent: Agent,
    pause: Duration,
    /// The mirrors that did not respond, or failed at every attempt, with the reason. They are not asked for the other files of a
    /// set.
    unreachable: HashMap<String, String>,
}

impl Default for Downloader {
    fn default() -> Downloader {
        Downloader::new(CONNECT_TIMEOUT, READ_TIMEOUT, PAUSE)
    }
}

impl Downloader {
    pub(crate) fn new(connect: Duration, read: Duration, pause: Duration) -> Downloader {
        // The platform's certificates, which include a company's own and `SSL_CERT_FILE`.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .user_agent(concat!("ziffer/", env!("CARGO_PKG_VERSION")))
            // A gzip file is not compressed again for the transfer.
            .accept_encoding("identity")
            .http_status_as_error(false)
            .timeout_resolve(Some(connect))
            .timeout_connect(Some(connect))
            .timeout_recv_response(Some(read))
            .timeout_per_read(Some(read))
            .build();
        Downloader { agent: config.new_agent(), pause, unreachable: HashMap::new() }
    }
}

/// A complete response body.
struct Body {
    file: NamedTempFile,
    digest: Digest,
}

/// Where a response body is written.
struct Destination<'a> {
    max_bytes: u64,
    folder: &'a Path,
    /// The path under which an incomplete body is kept, so that the next process can resume. Only for content with a known digest,
    /// since the rest may come from another version or another mirror.
    kept: Option<&'a Path>,
}

impl Destination<'_> {
    fn create(&self) -> io::Result<NamedTempFile> {
        let Some(path) = self.kept else { return temporary_file_in(self.folder) };
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(NamedTempFile::from_parts(file, TempPath::try_from_path(path)?))
    }

    /// The incomplete body that an earlier process kept.
    fn kept(&self) -> Option<PartialBody> {
        let path = self.kept?;
        let mut file = File::options().read(true).write(true).open(path).ok()?;
        let mut sha256 = Sha256::default();
        let found = io::copy(&mut file, &mut sha256).ok().filter(|&found| found > 0)?;
        let file = NamedTempFile::from_parts(file, TempPath::try_from_path(path).ok()?);
        Some(PartialBody { file, sha256, found, len: None, validator: None })
    }
}

/// An incomplete response body.
struct PartialBody {
    file: NamedTempFile,
    sha256: Sha256,
    found: u64,
    len: Option<u64>,
    /// The server's validator of this content, which a range must belong to (RFC 9110, 13.1.5).
    validator: Option<HeaderValue>,
}

/// Why a request failed.
enum RequestError {
    /// No response. The other files of the mirror would fail as well.
    Unreachable(String),
    /// The server has no such file.
    NotFound,
    /// A transient error: another attempt may succeed.
    Transient(String),
    /// Any other error of the server.
    Permanent(String),
    /// The body cannot be written.
    Local(DatasetError),
}

impl Downloader {
    /// Downloads a file from `mirror`: the gzip file, or the raw file if the mirror has no gzip file. The body is written to a
    /// temporary file in `folder`, the data folder, which is created if it is missing.
    pub(crate) fn fetch(
        &mut self,
        spec: &FileSpec<'_>,
        folder: &Path,
        mirror: &str,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<Ingested, IngestError> {
        self.check_reachable(mirror)?;
        let raw_url = url_of(mirror, spec.entry.name);
        let gzip_url = format!("{raw_url}.gz");
        // Without a digest of the content only the published gzip file is accepted, see `unpack`.
        let urls = [Some(&gzip_url), spec.entry.sha256.map(|_| &raw_url)];
        for url in urls.into_iter().flatten() {
            let destination = Destination { max_bytes: size_bound(spec), folder, kept: None };
            match self.get(url, &destination, None, on_progress) {
                Ok(body) if url == &gzip_url => return unpack(spec, &body, url),
                Ok(body) => return spec.ingest(rewound(&body)?, Path::new(url)),
                Err(RequestError::NotFound) => {}
                Err(error) => return Err(self.failure(mirror, url, error)),
            }
        }
        Err(self.failure(mirror, &gzip_url, RequestError::NotFound))
    }

    /// Downloads an archive from `mirror` to a temporary file in `folder`, which is created if it is missing, and verifies its
    /// digest. An incomplete body is kept, and the next process resumes it.
    pub(crate) fn fetch_archive(
        &mut self,
        archive: &Archive,
        folder: &Path,
        mirror: &str,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<NamedTempFile, IngestError> {
        self.check_reachable(mirror)?;
        let url = url_of(mirror, archive.name);
        let kept = folder.join(format!("{}.part", archive.name));
        let destination = Destination { max_bytes: archive.len, folder, kept: Some(&kept) };
        let mut kept_body = destination.kept();
        if let Some(PartialBody { file, sha256, .. }) = kept_body.take_if(|all| all.found >= archive.len)
            && sha256.finish() == archive.sha256
        {
            return Ok(file);
        }
        let is_resumed = kept_body.is_some();
        let mut outcome = self.get(&url, &destination, kept_body, on_progress);
        if is_resumed && outcome.as_ref().is_ok_and(|body| body.digest != archive.sha256) {
            // The kept bytes belong to other content.
            drop(outcome);
            outcome = self.get(&url, &destination, None, on_progress);
        }
        let body = outcome.map_err(|error| self.failure(mirror, &url, error))?;
        if body.digest != archive.sha256 {
            return Err(IngestError::Source(DatasetError::WrongDigest {
                path: url.into(),
                set: archive.title,
                found: body.digest,
                expected: archive.sha256,
            }));
        }
        Ok(body.file)
    }

    fn check_reachable(&self, mirror: &str) -> Result<(), IngestError> {
        self.unreachable.get(mirror).map_or(Ok(()), |reason| Err(failure(mirror, reason.clone())))
    }

    /// The error of a request to `url`. If it concerns the whole mirror, it is remembered.
    fn failure(&mut self, mirror: &str, url: &str, error: RequestError) -> IngestError {
        match error {
            RequestError::NotFound => failure(url, "responded 404 Not Found".to_owned()),
            RequestError::Local(error) => IngestError::Local(error),
            RequestError::Permanent(reason) => failure(url, reason),
            // The same attempts would fail for the other files, and take as long for each.
            RequestError::Transient(reason) | RequestError::Unreachable(reason) => {
                self.unreachable.insert(mirror.to_owned(), reason.clone());
                failure(url, reason)
            }
        }
    }

    /// Downloads the body of a URL, of which the first bytes may be there already.
    fn get(
        &self,
        url: &str,
        destination: &Destination<'_>,
        mut partial: Option<PartialBody>,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<Body, RequestError> {
        let outcome = self.with_retries(url, destination, &mut partial, on_progress);
        if let Some(PartialBody { file, .. }) = partial.filter(|_| destination.kept.is_some()) {
            // If the file cannot be kept, the next process starts over.
            let _ = file.keep();
        }
        outcome
    }

    fn with_retries(
        &self,
        url: &str,
        destination: &Destination<'_>,
        partial: &mut Option<PartialBody>,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<Body, RequestError> {
        let mut last_error = None;
        let (mut attempts, mut counted_from) = (0, partial.as_ref().map_or(0, |partial| partial.found));
        loop {
            match self.request(url, destination, partial, on_progress) {
                Ok(body) => return Ok(body),
                Err(RequestError::Transient(reason)) => last_error = Some(reason),
                // The mirror responded before, so the transient error says more.
                Err(RequestError::Unreachable(_)) if last_error.is_some() => {}
                Err(error) => return Err(error),
            }
            attempts += 1;
            let found = partial.as_ref().map_or(0, |partial| partial.found);
            if found >= counted_from + PROGRESS_BYTES {
                // The download makes progress.
                (attempts, counted_from) = (1, found);
            }
            if attempts == ATTEMPTS {
                return Err(RequestError::Permanent(format!(
                    "{}, after {ATTEMPTS} attempts",
                    last_error.unwrap_or_default()
                )));
            }
            std::thread::sleep(self.pause * (1 << (attempts - 1)));
        }
    }

    /// Sends one request, for the bytes that are missing.
    fn request(
        &self,
        url: &str,
        destination: &Destination<'_>,
        partial: &mut Option<PartialBody>,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<Body, RequestError> {
        let Destination { max_bytes, folder, kept } = *destination;
        let mut request = self.agent.get(url);
        match partial.as_ref() {
            Some(PartialBody { found, validator, .. }) if validator.is_some() || kept.is_some() => {
                request = request.header("Range", format!("bytes={found}-"));
                // Without a validator, the digest shows whether the content was the same.
                if let Some(validator) = validator {
                    request = request.header("If-Range", validator.clone());
                }
            }
            // Without a validator and a digest, the rest could belong to other content.
            _ => *partial = None,
        }
        // A proxy from the environment cannot reach this machine's loopback addresses.
        if is_loopback(url) {
            request = request.config().proxy(None).build();
        }
        let response = request.call().map_err(request_error)?;
        let found = partial.as_ref().map_or(0, |partial| partial.found);
        let is_range = match response.status().as_u16() {
            206 => found > 0 && range_start(response.headers()) == Some(found),
            200 => false,
            404 => return Err(RequestError::NotFound),
            408 | 425 | 429 | 500 | 502 | 503 | 504 => {
                return Err(RequestError::Transient(format!("responded {}", response.status())));
            }
            // The file is shorter now than the bytes that were received.
            416 if found > 0 => {
                *partial = None;
                return Err(RequestError::Transient("does not have the rest".to_owned()));
            }
            _ => return Err(RequestError::Permanent(format!("responded {}", response.status()))),
        };
        if response.status() == 206 && !is_range {
            *partial = None;
            return Err(RequestError::Transient("sent another range than requested".to_owned()));
        }
        let found = if is_range { found } else { 0 };
        let len = response.body().content_length().map(|len| len.saturating_add(found));
        if let Some(len) = len.filter(|&len| len > max_bytes) {
            return Err(too_long(len, max_bytes));
        }
        if !is_range {
            create_folder(folder).map_err(RequestError::Local)?;
            let validator = response.headers().get("ETag").filter(|etag| !etag.as_bytes().starts_with(b"W/"));
            let validator = validator.or_else(|| response.headers().get("Last-Modified")).cloned();
            // The old file may have the same name, so it is removed first.
            *partial = None;
            let file = destination.create().map_err(|source| write_error(folder, source))?;
            *partial = Some(PartialBody { file, sha256: Sha256::default(), found: 0, len, validator });
        }
        let Some(body) = partial.as_mut() else { unreachable!("it was set above, or before") };
        body.len = len;
        body.read(&mut response.into_body().into_reader(), destination, &mut |bytes, len| {
            on_progress(ProgressEvent::Download(DownloadProgress { url, bytes, len }));
        })?;
        let Some(PartialBody { file, sha256, .. }) = partial.take() else {
            unreachable!("it was read above")
        };
        Ok(Body { file, digest: sha256.finish() })
    }
}

impl PartialBody {
    /// Reads the response to its end.
    fn read(
        &mut self,
        body: &mut impl Read,
        destination: &Destination<'_>,
        on_progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), RequestError> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            on_progress(self.found, self.len);
            let count = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let reason = reason(&error);
                    return Err(RequestError::Transient(format!(
                        "interrupted after {} bytes: {reason}",
                        self.found
                    )));
                }
            };
            self.found += count as u64;
            if self.found > destination.max_bytes {
                return Err(too_long(self.found, destination.max_bytes));
            }
            self.sha256.update(&buffer[..count]);
            self.file
                .write_all(&buffer[..count])
                .map_err(|source| write_error(destination.folder, source))?;
        }
        self.file.flush().map_err(|source| write_error(destination.folder, source))
    }
}

fn too_long(len: u64, max_bytes: u64) -> RequestError {
    RequestError::Permanent(format!("has {len} bytes or more, expected at most {max_bytes}"))
}

fn write_error(folder: &Path, source: io::Error) -> RequestError {
    RequestError::Local(DatasetError::Io { action: "write into", path: folder.to_owned(), source })
}

/// The first byte of a range: 5 for `Content-Range: bytes 5-9/10`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get("Content-Range")?.to_str().ok()?;
    text.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// The maximum length of a gzip file: its content and the few bytes that compression adds at worst.
fn size_bound(spec: &FileSpec<'_>) -> u64 {
    let header = spec.entry.shape.and_then(|shape| Header::new(spec.entry.element_type, shape).ok());
    header.map_or(MAX_BYTES, |header| header.file_len() + header.file_len() / 100 + 4096)
}

/// Unpacks a downloaded gzip file. If no digest of the content is known, it must be the published gzip file.
fn unpack(spec: &FileSpec<'_>, body: &Body, url: &str) -> Result<Ingested, IngestError> {
    let from = Path::new(url);
    let gzip = spec.entry.gzip.filter(|_| spec.entry.sha256.is_none());
    match gzip.map(|gzip| gzip.digest) {
        Some(PublishedDigest::Sha256(expected)) if expected != body.digest => {
            return Err(IngestError::Source(DatasetError::WrongDigest {
                path: from.to_owned(),
                set: spec.set.title(),
                found: body.digest,
                expected,
            }));
        }
        Some(PublishedDigest::Md5(expected)) => {
            // Bounded by `size_bound`.
            let mut content = Vec::new();
            let unreadable = |source| {
                IngestError::Local(DatasetError::Io {
                    action: "read",
                    path: body.file.path().to_owned(),
                    source,
                })
            };
            rewound(body)?.read_to_end(&mut content).map_err(unreadable)?;
            if <[u8; 16]>::from(Md5::digest(&content)) != expected {
                let reason =
                    format!("has another MD5 digest than the published file of {}", spec.set.title());
                return Err(failure(url, reason));
            }
        }
        _ => {}
    }
    spec.ingest(rewound(body)?, from)
}

/// The file of a body, from its start. It is the same handle: some systems allow no other to read a locked file.
fn rewound(body: &Body) -> Result<&File, IngestError> {
    let mut file = body.file.as_file();
    file.rewind().map_err(|source| {
        IngestError::Local(DatasetError::Io { action: "read", path: body.file.path().to_owned(), source })
    })?;
    Ok(file)
}

/// The URL of a file of a mirror.
fn url_of(mirror: &str, name: &str) -> String {
    let slash = if mirror.ends_with('/') { "" } else { "/" };
    format!("{mirror}{slash}{name}")
}

fn failure(url: &str, reason: String) -> IngestError {
    IngestError::Source(DatasetError::Download { url: url.to_owned(), reason })
}

fn is_loopback(url: &str) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    uri.as_ref().and_then(Uri::host).is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

/// The error of a request without a response.
fn request_error(error: ureq::Error) -> RequestError {
    let is_transient = match &error {
        // The server accepted the connection and closed it.
        ureq::Error::Io(error) => !matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::TimedOut
        ),
        ureq::Error::TooManyRedirects => return RequestError::Permanent(describe(error)),
        _ => false,
    };
    let reason = describe(error);
    if is_transient { RequestError::Transient(reason) } else { RequestError::Unreachable(reason) }
}

/// The error in one line.
fn describe(error: ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => reason(&error),
        ureq::Error::Timeout(phase) => format!("no response in time ({phase})"),
        ureq::Error::HostNotFound => "no such host, or no internet connection".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
