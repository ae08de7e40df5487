//! What a data folder really has.

use std::io;
use std::path::{Path, PathBuf};

use ziffer_base::digest::Digest;

use crate::catalogue::FileEntry;
use crate::error::DatasetError;
use crate::idx::IdxFile;
use crate::intake::{Failure, Wanted};
use crate::place::{Place, is_missing};
use crate::source::Source;

/// What was found of one of the four files, at one place.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The file.
    pub file: FileEntry,
    /// Where its content is, or where it should be.
    pub path: PathBuf,
    /// What is to be said of it.
    pub state: FileState,
}

/// What is to be said of a file of a data folder, or of an archive that has it.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileState {
    /// It is not there, nor any archive of it.
    Missing,
    /// It is in the zip that several sets share: see [`Source::examine_bundle`].
    InBundle,
    /// It is there, and right as far as that can be known.
    Good(Known),
    /// It is there, and wrong.
    Wrong(DatasetError),
}

/// What a good file was held against besides its type and shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The digest that was published.
    Published,
    /// The digest that it came with: none was published.
    AsItCame,
    /// Nothing: no digest was published, and nobody noted with which it came.
    Nothing,
}

impl Source {
    /// Looks at each of the four files of the data folder, and at the archives that have it, and reads them whole, whatever was
    /// found of them before. Nothing is changed. At least one finding for each file, in the order of the catalogue.
    ///
    /// # Errors
    /// If there is no [folder](Source::folder) to look into, or a file in its place.
    pub fn examine(&self) -> Result<Vec<Finding>, DatasetError> {
        let folder = self.folder()?;
        if !is_missing(&folder) && !folder.is_dir() {
            return Err(DatasetError::NotAFolder { path: folder });
        }
        Ok(self.each_file(|wanted| self.findings(wanted))?.into_iter().flatten().collect())
    }

    /// Reads the zip whole that this set shares with others, if it is kept in the cache, and says where it is and what is wrong
    /// with it. `None` if there is none. Nothing is changed.
    pub fn examine_bundle(&self) -> Option<(PathBuf, Result<(), DatasetError>)> {
        let store = self.store()?;
        let path = store.path();
        if is_missing(&path) {
            return None;
        }
        Some((path, store.check().map(drop).map_err(Failure::into_error)))
    }

    /// Where the content of each of the four files lies, in the data folder or in a zip in the cache. Nothing is read.
    ///
    /// # Errors
    /// If there is no [folder](Source::folder) to look into.
    pub fn locate(&self) -> Result<[Option<PathBuf>; 4], DatasetError> {
        self.each_file(|wanted| {
            let raw = Some(wanted.target.to_owned()).filter(|path| !is_missing(path) && path.is_file());
            raw.or_else(|| Some(packed(wanted).next()?.path)).or_else(|| self.bundle_path())
        })
    }

    fn each_file<T>(&self, mut look: impl FnMut(&Wanted<'_>) -> T) -> Result<[T; 4], DatasetError> {
        let folder = self.folder()?;
        let target = |entry: &FileEntry| folder.join(entry.name);
        Ok(self.name.files().each_ref().map(|entry| look(&Wanted::new(self.name, entry, &target(entry)))))
    }

    /// The zip in the cache, if it is there.
    fn bundle_path(&self) -> Option<PathBuf> {
        self.store().map(|store| store.path()).filter(|path| !is_missing(path))
    }

    fn findings(&self, wanted: &Wanted<'_>) -> Vec<Finding> {
        let finding = |path, state| Finding { file: *wanted.entry, path, state };
        let raw = wanted.target.to_owned();
        let mut findings = Vec::new();
        if !is_missing(&raw) {
            findings.push(finding(
                raw.clone(),
                self.check(wanted).map_or_else(FileState::Wrong, FileState::Good),
            ));
        }
        for place in packed(wanted) {
            let state = match place.read(|| Ok(io::sink())) {
                Ok(_) if wanted.entry.sha256.is_some() => FileState::Good(Known::Published),
                Ok(_) => FileState::Good(Known::Nothing),
                Err(failure) => FileState::Wrong(failure.into_error()),
            };
            findings.push(finding(place.path, state));
        }
        if findings.is_empty() {
            findings.push(match self.bundle_path() {
                Some(zip) => finding(zip, FileState::InBundle),
                None => finding(raw, FileState::Missing),
            });
        }
        findings
    }

    /// Holds a file against all that is known of it.
    fn check(&self, wanted: &Wanted<'_>) -> Result<Known, DatasetError> {
        let path = wanted.target;
        let file = IdxFile::open(path)?;
        wanted.check_header(path, file.header())?;
        let Some(expected) = wanted.expected(self) else { return Ok(Known::Nothing) };
        wanted.check_digest(path, Digest::of(file.bytes()), expected)?;
        Ok(if wanted.entry.sha256.is_some() { Known::Published } else { Known::AsItCame })
    }
}

/// The archives of the data folder that have a file, and those that it was published as.
fn packed<'a>(wanted: &Wanted<'a>) -> impl Iterator<Item = Place<'a>> {
    let folder = wanted.target.parent().unwrap_or(Path::new(""));
    Place::in_data_folder(wanted, folder).into_iter().filter(|place| !is_missing(&place.path))
}
