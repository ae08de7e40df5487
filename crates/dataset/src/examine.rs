//! Examines the files of a data folder without changing them.

use std::io;
use std::path::{Path, PathBuf};

use ziffer_base::digest::Digest;

use crate::catalog::FileEntry;
use crate::error::DatasetError;
use crate::fetch::archive::CachedArchive;
use crate::fetch::candidate::Candidate;
use crate::fetch::ingest::{FileSpec, IngestError};
use crate::idx::IdxFile;
use crate::paths::is_missing;
use crate::source::Source;

/// The state of one of the four files at one path.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The file.
    pub file: FileEntry,
    /// The path of its content, or the path where it is missing.
    pub path: PathBuf,
    /// Its state.
    pub state: FileState,
}

/// The state of a file of a data folder, or of a packed file with its content.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileState {
    /// There is no such file, and no packed file with its content.
    Missing,
    /// The content is in the archive that several sets share; see [`Source::examine_archive`].
    InArchive,
    /// The file passed every possible check.
    Good(Verified),
    /// The file failed a check.
    Wrong(DatasetError),
}

/// What a good file was verified with, besides its type and shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The published digest.
    PublishedDigest,
    /// The digest that was recorded when the file arrived. None was published.
    RecordedDigest,
    /// No digest: none was published, and none was recorded.
    ShapeOnly,
}

impl Source {
    /// Reads each of the four files of the data folder, and the packed files with their content, whole and without the cache of
    /// digests. Returns at least one finding for each file, in the order of the catalog. Changes nothing.
    ///
    /// # Errors
    /// If there is no [folder](Source::folder), or a file has its path.
    pub fn examine(&self) -> Result<Vec<Finding>, DatasetError> {
        let folder = self.folder()?;
        if !is_missing(&folder) && !folder.is_dir() {
            return Err(DatasetError::NotAFolder { path: folder });
        }
        Ok(self.each_file(|spec| self.findings(spec))?.into_iter().flatten().collect())
    }

    /// Reads the archive that this set shares with others whole. Returns its path, and the error if it is wrong; `None` if there is
    /// no archive in the cache. Changes nothing.
    pub fn examine_archive(&self) -> Option<(PathBuf, Result<(), DatasetError>)> {
        let archive = self.cached_archive()?;
        let path = archive.path();
        if is_missing(&path) {
            return None;
        }
        Some((path, archive.check().map(drop).map_err(IngestError::into_error)))
    }

    /// The path of the content of each of the four files, in the data folder or in the archive in the cache. Nothing is read.
    ///
    /// # Errors
    /// If there is no [folder](Source::folder).
    pub fn locate(&self) -> Result<[Option<PathBuf>; 4], DatasetError> {
        self.each_file(|spec| {
            let raw = Some(spec.target.to_owned()).filter(|path| !is_missing(path) && path.is_file());
            raw.or_else(|| Some(packed(spec).next()?.path)).or_else(|| self.archive_path())
        })
    }

    fn each_file<T>(&self, mut examine: impl FnMut(&FileSpec<'_>) -> T) -> Result<[T; 4], DatasetError> {
        let folder = self.folder()?;
        let target = |entry: &FileEntry| folder.join(entry.name);
        let files = self.name.files().each_ref();
        Ok(files.map(|entry| examine(&FileSpec::new(self.name, entry, &target(entry)))))
    }

    fn cached_archive(&self) -> Option<CachedArchive> {
        self.archive_folder().map(|(archive, folder)| CachedArchive::new(archive, folder))
    }

    /// The path of the archive in the cache, if it exists.
    fn archive_path(&self) -> Option<PathBuf> {
        self.cached_archive().map(|archive| archive.path()).filter(|path| !is_missing(path))
    }

    fn findings(&self, spec: &FileSpec<'_>) -> Vec<Finding> {
        let finding = |path, state| Finding { file: *spec.entry, path, state };
        let raw = spec.target.to_owned();
        let mut findings = Vec::new();
        if !is_missing(&raw) {
            let state = self.check(spec).map_or_else(FileState::Wrong, FileState::Good);
            findings.push(finding(raw.clone(), state));
        }
        for candidate in packed(spec) {
            let state = match candidate.read(|| Ok(io::sink())) {
                Ok(_) if spec.entry.sha256.is_some() => FileState::Good(Verified::PublishedDigest),
                Ok(_) => FileState::Good(Verified::ShapeOnly),
                Err(error) => FileState::Wrong(error.into_error()),
            };
            findings.push(finding(candidate.path, state));
        }
        if findings.is_empty() {
            findings.push(match self.archive_path() {
                Some(zip) => finding(zip, FileState::InArchive),
                None => finding(raw, FileState::Missing),
            });
        }
        findings
    }

    /// Compares a raw file with everything that is known of it.
    fn check(&self, spec: &FileSpec<'_>) -> Result<Verified, DatasetError> {
        let path = spec.target;
        let file = IdxFile::open(path)?;
        spec.check_header(path, file.header())?;
        let Some(expected) = spec.expected_digest(self.is_cache()) else { return Ok(Verified::ShapeOnly) };
        spec.check_digest(path, Digest::of(file.bytes()), expected)?;
        let is_published = spec.entry.sha256.is_some();
        Ok(if is_published { Verified::PublishedDigest } else { Verified::RecordedDigest })
    }
}

/// The packed files in the data folder with the content of a file, and the published files.
fn packed<'a>(spec: &FileSpec<'a>) -> impl Iterator<Item = Candidate<'a>> {
    let folder = spec.target.parent().unwrap_or(Path::new(""));
    Candidate::in_data_folder(spec, folder).into_iter().filter(|candidate| !is_missing(&candidate.path))
}
