//! Fills the data folder of a set, which by default is its cache folder, with the set's four files.

use std::fs;
use std::path::{Path, PathBuf};

use ziffer_base::digest::Digest;
use ziffer_base::fs::FolderLock;

use crate::catalog::{FileEntry, Name};
use crate::digest_cache;
use crate::error::{Attempt, DatasetError, chain_text};
use crate::fetch::archive::CachedArchive;
use crate::fetch::candidate::{Candidate, file_names, published_name};
#[cfg(feature = "download")]
use crate::fetch::download::Downloader;
use crate::fetch::ingest::{FileSpec, IngestError, Ingested};
use crate::idx::IdxFile;
use crate::paths::{is_missing, move_aside};
use crate::progress::{OnProgress, lock_folder};
use crate::source::{Mirror, Source};

/// What to do with the URLs of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urls {
    /// Download from them, if the source is not offline and the feature `download` is on.
    Download,
    /// Leave them alone.
    Skip,
}

/// A data folder that is being filled.
pub(crate) struct Cache<'a> {
    source: &'a Source,
    urls: Urls,
    folder: PathBuf,
    /// Held from the first missing file to the end, so that several processes fetch the same set once.
    lock: Option<FolderLock>,
    /// The sources that did not yield a file, for the error if none does.
    attempts: Vec<Attempt>,
    /// The archive that the set was published in, if it was in one.
    archive: Option<CachedArchive>,
    #[cfg(feature = "download")]
    downloader: Downloader,
    on_progress: &'a mut OnProgress<'a>,
}

impl<'a> Cache<'a> {
    /// The data folder of `source`, which need not exist.
    pub(crate) fn new(
        source: &'a Source,
        urls: Urls,
        on_progress: &'a mut OnProgress<'a>,
    ) -> Result<Cache<'a>, DatasetError> {
        let folder = source.folder()?;
        if fs::metadata(&folder).is_ok_and(|metadata| !metadata.is_dir()) {
            return Err(DatasetError::NotAFolder { path: folder });
        }
        let archive = source.archive_folder().map(|(archive, folder)| CachedArchive::new(archive, folder));
        Ok(Cache {
            source,
            urls,
            folder,
            lock: None,
            attempts: Vec::new(),
            archive,
            #[cfg(feature = "download")]
            downloader: Downloader::default(),
            on_progress,
        })
    }

    pub(crate) fn into_folder(self) -> PathBuf {
        self.folder
    }

    /// The four files, open and verified. If one is missing, the others are still fetched and kept.
    pub(crate) fn files(&mut self) -> Result<[IdxFile; 4], DatasetError> {
        let mut files = Vec::with_capacity(4);
        let mut missing = Vec::new();
        for entry in self.source.name.files() {
            match self.file(entry)? {
                Some(file) => files.push(file),
                None => missing.push(published_name(entry)),
            }
        }
        // This also removes a folder that was created and stayed empty.
        self.lock = None;
        <[IdxFile; 4]>::try_from(files).map_err(|_| {
            let mut attempts = std::mem::take(&mut self.attempts);
            if !self.folder.exists() {
                let place = self.folder.display().to_string();
                attempts.insert(0, Attempt { reason: format!("{place}: no such folder"), place });
            }
            DatasetError::Missing {
                set: self.source.name.as_str(),
                folder: self.folder.clone(),
                files: missing,
                archive: self.source.name.archive().map(|archive| archive.name),
                attempts,
            }
        })
    }

    /// One file, from the first source that has it; `None` if none has it.
    fn file(&mut self, entry: &'static FileEntry) -> Result<Option<IdxFile>, DatasetError> {
        let target = self.folder.join(entry.name);
        let spec = FileSpec::new(self.source.name, entry, &target);
        // A custom set has no other source to fetch from.
        let force = self.source.force && self.source.name != Name::Custom;
        let mut is_broken = false;
        if !force {
            // Look again after locking: another process may have brought the file meanwhile.
            let mut found = self.present(&spec);
            if !matches!(found, Ok(Some(_))) && self.lock.is_none() {
                self.lock = lock_folder(&self.folder, self.on_progress);
                found = self.present(&spec);
            }
            match found {
                Ok(Some(file)) => return Ok(Some(file)),
                Ok(None) => {}
                Err(error) => {
                    self.skip_broken(&target, error)?;
                    is_broken = true;
                }
            }
        } else if self.lock.is_none() {
            self.lock = lock_folder(&self.folder, self.on_progress);
        }
        let mut ingested = if force { None } else { self.ingest_from_data_folder(&spec)? };
        if ingested.is_none() {
            ingested = self.ingest_from_archive(&spec)?;
        }
        if ingested.is_none() {
            ingested = self.ingest_from_mirrors(&spec)?;
        }
        ingested.map(|ingested| self.commit(&spec, ingested, is_broken)).transpose()
    }

    /// The raw file in the data folder, verified; `None` if there is none.
    fn present(&self, spec: &FileSpec<'_>) -> Result<Option<IdxFile>, DatasetError> {
        let path = spec.target;
        if is_missing(path) {
            return Ok(None);
        }
        let file = IdxFile::open(path)?;
        spec.check_header(path, file.header())?;
        if let Some(expected) = spec.expected_digest(self.source.is_cache())
            && !digest_cache::is_known(&self.folder, spec.entry.name, file.metadata(), expected)
        {
            let found = Digest::of(file.bytes());
            spec.check_digest(path, found, expected)?;
            digest_cache::record(&self.folder, spec.entry.name, file.metadata(), found);
        }
        Ok(Some(file))
    }

    /// The content from another file in the data folder, packed or as it was published; `None` if there is none.
    fn ingest_from_data_folder(&mut self, spec: &FileSpec<'_>) -> Result<Option<Ingested>, DatasetError> {
        for candidate in Candidate::in_data_folder(spec, &self.folder) {
            if is_missing(&candidate.path) {
                continue;
            }
            match candidate.ingest() {
                Ok(ingested) => return Ok(Some(ingested)),
                Err(IngestError::Local(error)) => return Err(error),
                Err(IngestError::Source(error)) => self.skip_broken(&candidate.path, error)?,
            }
        }
        Ok(None)
    }

    /// The content from the archive in its cache folder; `None` if there is no archive. With `force` the archive is verified
    /// again.
    fn ingest_from_archive(&mut self, spec: &FileSpec<'_>) -> Result<Option<Ingested>, DatasetError> {
        let Some(archive) = &mut self.archive else { return Ok(None) };
        let place = archive.path().display().to_string();
        let outcome = match archive.find(self.source.force) {
            Ok(None) => return Ok(None),
            Ok(Some(zip)) => Candidate::zip(spec, zip).ingest(),
            Err(error) => Err(error),
        };
        self.or_attempt(place, outcome)
    }

    /// The ingested content; `None` if the source failed, which is recorded as an attempt.
    fn or_attempt(
        &mut self,
        place: String,
        outcome: Result<Ingested, IngestError>,
    ) -> Result<Option<Ingested>, DatasetError> {
        match outcome {
            Ok(ingested) => Ok(Some(ingested)),
            Err(IngestError::Local(error)) => Err(error),
            Err(IngestError::Source(error)) => {
                self.attempts.push(Attempt { place, reason: chain_text(&error) });
                Ok(None)
            }
        }
    }

    /// Handles a wrong file in the data folder. In a folder that the caller named, somebody placed it, so it is an error. In the
    /// cache folder it is skipped, and replaced later.
    fn skip_broken(&mut self, path: &Path, error: DatasetError) -> Result<(), DatasetError> {
        if self.source.data_dir.is_some() {
            return Err(error);
        }
        self.attempts.push(Attempt { place: path.display().to_string(), reason: chain_text(&error) });
        Ok(())
    }

    /// The file from the first mirror that has a good one.
    fn ingest_from_mirrors(&mut self, spec: &FileSpec<'_>) -> Result<Option<Ingested>, DatasetError> {
        let source = self.source;
        if source.name == Name::Custom {
            return Ok(None);
        }
        for mirror in &source.mirrors {
            let ingested = match mirror {
                Mirror::Folder(folder) => self.ingest_from_folder(spec, folder)?,
                Mirror::Url(url) => self.ingest_from_url(spec, url)?,
            };
            if ingested.is_some() {
                return Ok(ingested);
            }
        }
        if source.public_mirrors {
            for folder in source.name.folders() {
                let ingested = self.ingest_from_folder(spec, Path::new(folder))?;
                if ingested.is_some() {
                    return Ok(ingested);
                }
            }
            for url in source.name.mirrors() {
                let ingested = self.ingest_from_url(spec, url)?;
                if ingested.is_some() {
                    return Ok(ingested);
                }
            }
        }
        Ok(None)
    }

    fn ingest_from_folder(
        &mut self,
        spec: &FileSpec<'_>,
        folder: &Path,
    ) -> Result<Option<Ingested>, DatasetError> {
        let place = folder.display().to_string();
        if !folder.is_dir() {
            self.attempts.push(Attempt { reason: format!("{place}: no such folder"), place });
            return Ok(None);
        }
        let mut exists = false;
        for candidate in Candidate::in_mirror(spec, folder) {
            if is_missing(&candidate.path) {
                continue;
            }
            exists = true;
            let ingested = self.or_attempt(place.clone(), candidate.ingest())?;
            if ingested.is_some() {
                return Ok(ingested);
            }
        }
        if !exists {
            let [raw, gzip] = file_names(spec.entry);
            let archive =
                spec.set.archive().map_or_else(String::new, |archive| format!(" nor {}", archive.name));
            let reason = format!("{place}: has neither {raw} nor {gzip}{archive}");
            self.attempts.push(Attempt { place, reason });
        }
        Ok(None)
    }

    fn ingest_from_url(&mut self, spec: &FileSpec<'_>, url: &str) -> Result<Option<Ingested>, DatasetError> {
        let why = if self.source.offline {
            "offline"
        } else if cfg!(not(feature = "download")) {
            "ziffer-dataset was built without its feature `download`"
        } else if self.urls == Urls::Skip {
            "`open` reads local files only, `open_or_download` downloads"
        } else {
            return self.download(spec, url);
        };
        self.attempts.push(Attempt { place: url.to_owned(), reason: format!("{url}: not tried, {why}") });
        Ok(None)
    }

    #[cfg(feature = "download")]
    fn download(&mut self, spec: &FileSpec<'_>, url: &str) -> Result<Option<Ingested>, DatasetError> {
        let outcome = match &mut self.archive {
            None => self.downloader.fetch(spec, &self.folder, url, &mut *self.on_progress),
            Some(archive) => {
                match archive.fetch(&self.folder, url, &mut self.downloader, &mut *self.on_progress) {
                    Ok(Some(zip)) => Candidate::zip(spec, zip).ingest(),
                    // The mirror failed to yield the archive before.
                    Ok(None) => return Ok(None),
                    Err(error) => Err(error),
                }
            }
        };
        self.or_attempt(url.to_owned(), outcome)
    }

    #[cfg(not(feature = "download"))]
    #[expect(clippy::unused_self, reason = "the feature `download` gives it a body")]
    fn download(&mut self, _: &FileSpec<'_>, _: &str) -> Result<Option<Ingested>, DatasetError> {
        Ok(None)
    }

    /// Gives ingested content its final name, and opens it.
    fn commit(
        &self,
        spec: &FileSpec<'_>,
        ingested: Ingested,
        is_broken: bool,
    ) -> Result<IdxFile, DatasetError> {
        let path = spec.target;
        let failed = |action| move |source| DatasetError::Io { action, path: path.to_owned(), source };
        if is_broken {
            move_aside(path).map_err(failed("move aside"))?;
        }
        ingested.file.commit().map_err(failed("write"))?;
        let file = IdxFile::open(path)?;
        if spec.entry.sha256.is_some() || self.source.is_cache() {
            digest_cache::record(&self.folder, spec.entry.name, file.metadata(), ingested.digest);
        }
        Ok(file)
    }
}

#[cfg(feature = "download")]
#[cfg(test)]
mod archive_tests;
#[cfg(feature = "download")]
#[cfg(test)]
mod mirror_tests;
