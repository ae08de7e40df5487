//! The zip archive that several sets share. It is kept in a cache folder of its own, and is downloaded once for all of them.

use std::fs::Metadata;
use std::path::PathBuf;

use ziffer_base::digest::Digest;

use super::ingest::IngestError;
use crate::catalog::Archive;
use crate::digest_cache;
use crate::error::DatasetError;
use crate::paths::{is_missing, open_file};
#[cfg(feature = "download")]
use {
    super::download::Downloader,
    crate::paths::{create_folder, move_aside},
    crate::progress::{OnProgress, lock_folder},
    std::path::Path,
    ziffer_base::fs::AtomicFile,
};

/// An archive in its cache folder.
#[derive(Debug)]
pub(crate) struct CachedArchive {
    archive: &'static Archive,
    folder: PathBuf,
    state: State,
    /// The mirrors that did not yield the archive. They are not asked again for the other files of a set.
    #[cfg(feature = "download")]
    failed_mirrors: Vec<String>,
}

/// What this process knows of the archive.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Unknown,
    Good,
    /// Bad, and reported.
    Bad,
}

impl CachedArchive {
    pub(crate) fn new(archive: &'static Archive, folder: PathBuf) -> CachedArchive {
        CachedArchive {
            archive,
            folder,
            state: State::Unknown,
            #[cfg(feature = "download")]
            failed_mirrors: Vec::new(),
        }
    }

    /// The path of the archive, which need not exist.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(self.archive.name)
    }

    /// The path of the archive, if it exists and is verified. With `force` it is read whole even if it was verified before.
    ///
    /// # Errors
    /// If the archive is wrong or cannot be read. The error is returned once; later calls return `None`.
    pub(crate) fn find(&mut self, force: bool) -> Result<Option<PathBuf>, IngestError> {
        let path = self.path();
        match self.state {
            State::Good => return Ok(Some(path)),
            State::Bad => return Ok(None),
            State::Unknown if is_missing(&path) => return Ok(None),
            State::Unknown => self.state = State::Bad,
        }
        let Archive { name, sha256, .. } = *self.archive;
        let is_known = !force
            && std::fs::metadata(&path)
                .is_ok_and(|metadata| digest_cache::is_known(&self.folder, name, &metadata, sha256));
        if !is_known {
            let metadata = self.check()?;
            digest_cache::record(&self.folder, name, &metadata, sha256);
        }
        self.state = State::Good;
        Ok(Some(path))
    }

    /// Reads the archive, which exists, whole, and compares its digest. Returns the metadata of the file that was read.
    pub(crate) fn check(&self) -> Result<Metadata, IngestError> {
        let path = self.path();
        let failed =
            |source| IngestError::Source(DatasetError::Io { action: "read", path: path.clone(), source });
        let file = open_file(&path).map_err(IngestError::Source)?;
        let metadata = file.metadata().map_err(failed)?;
        let found = Digest::of_reader(file).map_err(failed)?;
        let Archive { title: set, sha256: expected, .. } = *self.archive;
        if found != expected {
            return Err(IngestError::Source(DatasetError::WrongDigest { path, set, found, expected }));
        }
        Ok(metadata)
    }

    /// Downloads the archive from `mirror`, unless another process has done so meanwhile; `None` if the mirror failed before.
    /// The caller has locked `data_folder`.
    #[cfg(feature = "download")]
    pub(crate) fn fetch(
        &mut self,
        data_folder: &Path,
        mirror: &str,
        downloader: &mut Downloader,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<Option<PathBuf>, IngestError> {
        if self.failed_mirrors.iter().any(|failed| failed == mirror) {
            return Ok(None);
        }
        // If the data folder is the archive's own folder, waiting for its lock would not end.
        let is_locked = data_folder
            .canonicalize()
            .is_ok_and(|data_folder| self.folder.canonicalize().is_ok_and(|folder| folder == data_folder));
        let _lock = if is_locked { None } else { lock_folder(&self.folder, on_progress) };
        self.state = State::Unknown;
        if let Ok(Some(path)) = self.find(false) {
            return Ok(Some(path));
        }
        self.download(mirror, downloader, on_progress)
            .map(Some)
            .inspect_err(|_| self.failed_mirrors.push(mirror.to_owned()))
    }

    #[cfg(feature = "download")]
    fn download(
        &mut self,
        mirror: &str,
        downloader: &mut Downloader,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<PathBuf, IngestError> {
        create_folder(&self.folder).map_err(IngestError::Local)?;
        let temporary = downloader.fetch_archive(self.archive, &self.folder, mirror, on_progress)?;
        let path = self.path();
        let failed = |action| {
            let path = &path;
            move |source| IngestError::Local(DatasetError::Io { action, path: path.clone(), source })
        };
        if !is_missing(&path) {
            move_aside(&path).map_err(failed("move aside"))?;
        }
        AtomicFile::from_temporary(temporary, &path).and_then(AtomicFile::commit).map_err(failed("write"))?;
        let metadata = std::fs::metadata(&path).map_err(failed("open"))?;
        digest_cache::record(&self.folder, self.archive.name, &metadata, self.archive.sha256);
        self.state = State::Good;
        Ok(path)
    }
}
