//! Files from addresses: a GET into a temporary file, bounded in time and size, then the checks of every intake.
//!
//! A body that breaks off is gone on with from where it broke, by a range (RFC 9110, 14), or fetched again where the server
//! does not know ranges; what is a server's passing trouble is asked again. Between the tries is a pause that doubles.

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

use crate::catalogue::{ArchiveDigest, Bundle};
use crate::error::{DatasetError, reason};
use crate::idx::Header;
use crate::intake::{Arrived, Failure, Wanted, create_folder};
use crate::watch::{Event, Transfer, Watch};

/// To find the address, and again to reach it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// For the first answer, and for every piece of the body. There is no bound on the whole: a slow line that keeps
/// moving is let finish.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How often an address is asked in all, as long as the trouble may pass; counted anew whenever so many bytes more have come.
const TRIES: u32 = 4;
const MOVED: u64 = 64 * 1024;

/// Before the second try; it doubles with each.
const PAUSE: Duration = Duration::from_millis(250);

/// The bound for a file of which nothing is known.
const MAX_BYTES: u64 = 2 << 30;

/// Fetches files, and remembers which places did not answer.
#[derive(Debug)]
pub(crate) struct Downloader {
    agent: Agent,
    pause: Duration,
    /// Places that did not answer, or not rightly however often they were asked, with the reason: the other files of a set need
    /// not wait for them too.
    unreachable: HashMap<String, String>,
}

impl Default for Downloader {
    fn default() -> Downloader {
        Downloader::new(CONNECT_TIMEOUT, READ_TIMEOUT, PAUSE)
    }
}

impl Downloader {
    pub(crate) fn new(connect: Duration, read: Duration, pause: Duration) -> Downloader {
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
        Downloader { agent: config.new_agent(), pause, unreachable: HashMap::new() }
    }
}

/// What an address sent.
struct Body {
    file: NamedTempFile,
    digest: Digest,
}

/// Where a body goes.
struct Goal<'a> {
    max_bytes: u64,
    folder: &'a Path,
    /// A name under which what has arrived is kept if the rest does not come, for the next process to go on with. Only for
    /// content of a known digest, since it may be of another version, or of another place.
    kept: Option<&'a Path>,
}

impl Goal<'_> {
    fn create(&self) -> io::Result<NamedTempFile> {
        let Some(path) = self.kept else { return temporary_file_in(self.folder) };
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(NamedTempFile::from_parts(file, TempPath::try_from_path(path)?))
    }

    /// What an earlier process has got.
    fn kept(&self) -> Option<Arriving> {
        let path = self.kept?;
        let mut file = File::options().read(true).write(true).open(path).ok()?;
        let mut sha256 = Sha256::default();
        let found = io::copy(&mut file, &mut sha256).ok().filter(|&found| found > 0)?;
        let file = NamedTempFile::from_parts(file, TempPath::try_from_path(path).ok()?);
        Some(Arriving { file, sha256, found, len: None, validator: None })
    }
}

/// What an address has sent so far.
struct Arriving {
    file: NamedTempFile,
    sha256: Sha256,
    found: u64,
    len: Option<u64>,
    /// The server's word for this very content, which a range must be of (RFC 9110, 13.1.5).
    validator: Option<HeaderValue>,
}

/// How a request went wrong.
enum Refusal {
    /// Nobody answered; it will be so for every file.
    Unreachable(String),
    /// The server has no such file.
    NotFound,
    /// It may go better the next time.
    Passing(String),
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
        watch: &mut Watch<'_>,
    ) -> Result<Arrived, Failure> {
        self.check_reachable(mirror)?;
        let raw_url = address(mirror, wanted.entry.name);
        let archive_url = format!("{raw_url}.gz");
        // Without a digest of the content only the published archive can be trusted: see `unpack`.
        let urls = [Some(&archive_url), wanted.entry.sha256.map(|_| &raw_url)];
        for url in urls.into_iter().flatten() {
            let goal = Goal { max_bytes: size_bound(wanted), folder, kept: None };
            match self.get(url, &goal, None, watch) {
                Ok(body) if url == &archive_url => return unpack(wanted, &body, url),
                Ok(body) => return wanted.take(rewound(&body)?, Path::new(url)),
                Err(Refusal::NotFound) => {}
                Err(refusal) => return Err(self.failure(mirror, url, refusal)),
            }
        }
        Err(self.failure(mirror, &archive_url, Refusal::NotFound))
    }

    /// Fetches a bundle from the place `mirror` into a temporary file in `folder`, which is made if it is missing. It must be
    /// the one that was published. What has arrived of it outlives this process, and is gone on with by the next.
    pub(crate) fn fetch_bundle(
        &mut self,
        bundle: &Bundle,
        folder: &Path,
        mirror: &str,
        watch: &mut Watch<'_>,
    ) -> Result<NamedTempFile, Failure> {
        self.check_reachable(mirror)?;
        let url = address(mirror, bundle.name);
        let kept = folder.join(format!("{}.part", bundle.name));
        let goal = Goal { max_bytes: bundle.len, folder, kept: Some(&kept) };
        let mut beginning = goal.kept();
        if let Some(Arriving { file, sha256, .. }) = beginning.take_if(|all| all.found >= bundle.len)
            && sha256.finish() == bundle.sha256
        {
            return Ok(file);
        }
        let is_resumed = beginning.is_some();
        let mut outcome = self.get(&url, &goal, beginning, watch);
        if is_resumed && outcome.as_ref().is_ok_and(|body| body.digest != bundle.sha256) {
            // The beginning was of something else.
            drop(outcome);
            outcome = self.get(&url, &goal, None, watch);
        }
        let body = outcome.map_err(|refusal| self.failure(mirror, &url, refusal))?;
        if body.digest != bundle.sha256 {
            return Err(Failure::Place(DatasetError::WrongDigest {
                path: url.into(),
                set: bundle.title,
                found: body.digest,
                expected: bundle.sha256,
            }));
        }
        Ok(body.file)
    }

    fn check_reachable(&self, mirror: &str) -> Result<(), Failure> {
        self.unreachable.get(mirror).map_or(Ok(()), |reason| Err(failure(mirror, reason.clone())))
    }

    /// What a refusal of `url` means, which is remembered if it is of the whole place.
    fn failure(&mut self, mirror: &str, url: &str, refusal: Refusal) -> Failure {
        match refusal {
            Refusal::NotFound => failure(url, "answered 404, not found".to_owned()),
            Refusal::Here(error) => Failure::Here(error),
            Refusal::Other(reason) => failure(url, reason),
            // Trouble that did not pass would be there for the other files too, and cost as much time for each.
            Refusal::Passing(reason) | Refusal::Unreachable(reason) => {
                self.unreachable.insert(mirror.to_owned(), reason.clone());
                failure(url, reason)
            }
        }
    }

    /// The body of one address, in a temporary file, of which the beginning may have arrived already.
    fn get(
        &self,
        url: &str,
        goal: &Goal<'_>,
        mut arriving: Option<Arriving>,
        watch: &mut Watch<'_>,
    ) -> Result<Body, Refusal> {
        let outcome = self.try_often(url, goal, &mut arriving, watch);
        if let Some(Arriving { file, .. }) = arriving.filter(|_| goal.kept.is_some()) {
            // If it cannot be kept, the next process starts over.
            let _ = file.keep();
        }
        outcome
    }

    fn try_often(
        &self,
        url: &str,
        goal: &Goal<'_>,
        arriving: &mut Option<Arriving>,
        watch: &mut Watch<'_>,
    ) -> Result<Body, Refusal> {
        let mut trouble = None;
        let (mut tries, mut moved_from) = (0, arriving.as_ref().map_or(0, |arriving| arriving.found));
        loop {
            match self.try_once(url, goal, arriving, watch) {
                Ok(body) => return Ok(body),
                Err(Refusal::Passing(reason)) => trouble = Some(reason),
                // It was there a moment ago: the first trouble says more.
                Err(Refusal::Unreachable(_)) if trouble.is_some() => {}
                Err(refusal) => return Err(refusal),
            }
            tries += 1;
            let found = arriving.as_ref().map_or(0, |arriving| arriving.found);
            if found >= moved_from + MOVED {
                // It moves, if haltingly.
                (tries, moved_from) = (1, found);
            }
            if tries == TRIES {
                return Err(Refusal::Other(format!(
                    "{}, at the last of {TRIES} tries",
                    trouble.unwrap_or_default()
                )));
            }
            std::thread::sleep(self.pause * (1 << (tries - 1)));
        }
    }

    /// Asks once, for what has not arrived yet.
    fn try_once(
        &self,
        url: &str,
        goal: &Goal<'_>,
        so_far: &mut Option<Arriving>,
        watch: &mut Watch<'_>,
    ) -> Result<Body, Refusal> {
        let Goal { max_bytes, folder, kept } = *goal;
        let mut request = self.agent.get(url);
        match so_far.as_ref() {
            Some(Arriving { found, validator, .. }) if validator.is_some() || kept.is_some() => {
                request = request.header("Range", format!("bytes={found}-"));
                // Without a validator, the digest will tell whether it was the same.
                if let Some(validator) = validator {
                    request = request.header("If-Range", validator.clone());
                }
            }
            // A rest of something else must not be taken for the rest of this.
            _ => *so_far = None,
        }
        // A proxy from the environment is for the world outside: it cannot know this machine's own addresses.
        if is_loopback(url) {
            request = request.config().proxy(None).build();
        }
        let response = request.call().map_err(refusal)?;
        let found = so_far.as_ref().map_or(0, |arriving| arriving.found);
        let is_rest = match response.status().as_u16() {
            206 => found > 0 && range_start(response.headers()) == Some(found),
            200 => false,
            404 => return Err(Refusal::NotFound),
            408 | 425 | 429 | 500 | 502 | 503 | 504 => {
                return Err(Refusal::Passing(format!("answered {}", response.status())));
            }
            // The file has become shorter than what has arrived of it.
            416 if found > 0 => {
                *so_far = None;
                return Err(Refusal::Passing("has not the rest".to_owned()));
            }
            _ => return Err(Refusal::Other(format!("answered {}", response.status()))),
        };
        if response.status() == 206 && !is_rest {
            *so_far = None;
            return Err(Refusal::Passing("sent another part than asked for".to_owned()));
        }
        let found = if is_rest { found } else { 0 };
        let len = response.body().content_length().map(|len| len.saturating_add(found));
        if let Some(len) = len.filter(|&len| len > max_bytes) {
            return Err(too_long(len, max_bytes));
        }
        if !is_rest {
            create_folder(folder).map_err(Refusal::Here)?;
            let validator = response.headers().get("ETag").filter(|etag| !etag.as_bytes().starts_with(b"W/"));
            let validator = validator.or_else(|| response.headers().get("Last-Modified")).cloned();
            // What had arrived goes first, which may have the same name.
            *so_far = None;
            let file = goal.create().map_err(|source| write_error(folder, source))?;
            *so_far = Some(Arriving { file, sha256: Sha256::default(), found: 0, len, validator });
        }
        let Some(arriving) = so_far.as_mut() else { unreachable!("set just now, or there before") };
        arriving.len = len;
        arriving.read(&mut response.into_body().into_reader(), goal, &mut |bytes, len| {
            watch(Event::Transfer(Transfer { url, bytes, len }));
        })?;
        let Some(Arriving { file, sha256, .. }) = so_far.take() else { unreachable!("there a moment ago") };
        Ok(Body { file, digest: sha256.finish() })
    }
}

impl Arriving {
    /// Reads to the end of what is sent.
    fn read(
        &mut self,
        body: &mut impl Read,
        goal: &Goal<'_>,
        watch: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), Refusal> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            watch(self.found, self.len);
            let count = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let reason = reason(&error);
                    return Err(Refusal::Passing(format!("broke off after {} bytes: {reason}", self.found)));
                }
            };
            self.found += count as u64;
            if self.found > goal.max_bytes {
                return Err(too_long(self.found, goal.max_bytes));
            }
            self.sha256.update(&buffer[..count]);
            self.file.write_all(&buffer[..count]).map_err(|source| write_error(goal.folder, source))?;
        }
        self.file.flush().map_err(|source| write_error(goal.folder, source))
    }
}

fn too_long(len: u64, max_bytes: u64) -> Refusal {
    Refusal::Other(format!("has {len} bytes or more, expected at most {max_bytes}"))
}

fn write_error(folder: &Path, source: io::Error) -> Refusal {
    Refusal::Here(DatasetError::Io { action: "write into", path: folder.to_owned(), source })
}

/// The first byte that a `Content-Range: bytes 5-9/10` says.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get("Content-Range")?.to_str().ok()?;
    text.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// An archive longer than its content, by more than the few bytes that packing costs at worst, is none.
fn size_bound(wanted: &Wanted<'_>) -> u64 {
    let header = wanted.entry.shape.and_then(|shape| Header::new(wanted.entry.element_type, shape).ok());
    header.map_or(MAX_BYTES, |header| header.file_len() + header.file_len() / 100 + 4096)
}

/// Unpacks a downloaded archive. If no digest of the content is known, the archive must be the published one.
fn unpack(wanted: &Wanted<'_>, body: &Body, url: &str) -> Result<Arrived, Failure> {
    let from = Path::new(url);
    let archive = wanted.entry.archive.filter(|_| wanted.entry.sha256.is_none());
    match archive.map(|archive| archive.digest) {
        Some(ArchiveDigest::Sha256(expected)) if expected != body.digest => {
            return Err(Failure::Place(DatasetError::WrongDigest {
                path: from.to_owned(),
                set: wanted.set.title(),
                found: body.digest,
                expected,
            }));
        }
        Some(ArchiveDigest::Md5(expected)) => {
            // Bounded by `size_bound`.
            let mut archive = Vec::new();
            let unreadable = |source| {
                Failure::Here(DatasetError::Io { action: "read", path: body.file.path().to_owned(), source })
            };
            rewound(body)?.read_to_end(&mut archive).map_err(unreadable)?;
            if <[u8; 16]>::from(Md5::digest(&archive)) != expected {
                let reason =
                    format!("has another MD5 digest than {}'s published archive", wanted.set.title());
                return Err(failure(url, reason));
            }
        }
        _ => {}
    }
    wanted.take(rewound(body)?, from)
}

/// What was sent, from its start. By the same handle, since some systems let nobody else read a file that is locked.
fn rewound(body: &Body) -> Result<&File, Failure> {
    let mut file = body.file.as_file();
    file.rewind().map_err(|source| {
        Failure::Here(DatasetError::Io { action: "read", path: body.file.path().to_owned(), source })
    })?;
    Ok(file)
}

/// The address of a file of a place.
fn address(mirror: &str, name: &str) -> String {
    let slash = if mirror.ends_with('/') { "" } else { "/" };
    format!("{mirror}{slash}{name}")
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

/// What a request without an answer means.
fn refusal(error: ureq::Error) -> Refusal {
    let is_passing = match &error {
        // Somebody answered and hung up.
        ureq::Error::Io(error) => !matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::TimedOut
        ),
        ureq::Error::TooManyRedirects => return Refusal::Other(describe(error)),
        _ => false,
    };
    let reason = describe(error);
    if is_passing { Refusal::Passing(reason) } else { Refusal::Unreachable(reason) }
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
mod tests;
