//! The data folder of a set, and how its four files get there.

use std::fs;
use std::path::{Path, PathBuf};

use ziffer_base::digest::Digest;
use ziffer_base::fs::FolderLock;

use crate::bundle::Store;
use crate::catalogue::{FileEntry, Name};
#[cfg(feature = "download")]
use crate::download::Downloader;
use crate::error::{Attempt, DatasetError, chain_text};
use crate::idx::IdxFile;
use crate::intake::{Arrived, Failure, Wanted};
use crate::place::{Place, file_names, is_missing, move_aside, published_name};
use crate::source::{Mirror, Source};
use crate::verified;
use crate::watch::{Watch, lock};

/// A data folder being filled.
pub(crate) struct Shelf<'a> {
    source: &'a Source,
    folder: PathBuf,
    /// Held from the first file that is not there to the end, so that processes that want the same set fetch it once.
    lock: Option<FolderLock>,
    /// Places that did not have a file, for the error if no place has it.
    attempts: Vec<Attempt>,
    /// For sets that come in a bundle.
    store: Option<Store>,
    #[cfg(feature = "download")]
    downloader: Downloader,
    watch: &'a mut Watch<'a>,
}

impl<'a> Shelf<'a> {
    /// The data folder of `source`, which need not exist.
    pub(crate) fn new(source: &'a Source, watch: &'a mut Watch<'a>) -> Result<Shelf<'a>, DatasetError> {
        let folder = source.folder()?;
        if fs::metadata(&folder).is_ok_and(|metadata| !metadata.is_dir()) {
            return Err(DatasetError::NotAFolder { path: folder });
        }
        let store = source.store();
        Ok(Shelf {
            source,
            folder,
            lock: None,
            attempts: Vec::new(),
            store,
            #[cfg(feature = "download")]
            downloader: Downloader::default(),
            watch,
        })
    }

    /// Has the bundle kept elsewhere.
    #[cfg(all(test, feature = "download"))]
    pub(crate) fn keep_in(&mut self, store: Store) {
        self.store = Some(store);
    }

    /// The set's.
    pub(crate) fn name(&self) -> Name {
        self.source.name
    }

    pub(crate) fn into_folder(self) -> PathBuf {
        self.folder
    }

    /// The four files, open and checked. If any is missing the others are still got, and stay.
    pub(crate) fn files(&mut self) -> Result<[IdxFile; 4], DatasetError> {
        let mut files = Vec::with_capacity(4);
        let mut missing = Vec::new();
        for entry in self.source.name.files() {
            match self.file(entry)? {
                Some(file) => files.push(file),
                None => missing.push(published_name(entry)),
            }
        }
        // With the folder, if it was made for nothing.
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
                bundle: self.source.name.bundle().map(|bundle| bundle.name),
                attempts,
            }
        })
    }

    /// One file, from the first place that has it; `None` if no place does.
    fn file(&mut self, entry: &'static FileEntry) -> Result<Option<IdxFile>, DatasetError> {
        let target = self.folder.join(entry.name);
        let wanted = Wanted::new(self.source.name, entry, &target);
        // A custom set has no other place, so there is nothing to be forced.
        let force = self.source.force && self.source.name != Name::Custom;
        let mut is_broken = false;
        if !force {
            // A second look once no other process can be at it: it may have brought what was not there.
            let mut found = self.present(&wanted);
            if !matches!(found, Ok(Some(_))) && self.lock.is_none() {
                self.lock = lock(&self.folder, self.watch);
                found = self.present(&wanted);
            }
            match found {
                Ok(Some(file)) => return Ok(Some(file)),
                Ok(None) => {}
                Err(error) => {
                    self.pass_over(&target, error)?;
                    is_broken = true;
                }
            }
        } else if self.lock.is_none() {
            self.lock = lock(&self.folder, self.watch);
        }
        let mut arrived = if force { None } else { self.packed(&wanted)? };
        if arrived.is_none() {
            arrived = self.stored(&wanted)?;
        }
        if arrived.is_none() {
            arrived = self.try_mirrors(&wanted)?;
        }
        arrived.map(|arrived| self.put(&wanted, arrived, is_broken)).transpose()
    }

    /// The raw file of the folder, checked; `None` if there is none.
    fn present(&self, wanted: &Wanted<'_>) -> Result<Option<IdxFile>, DatasetError> {
        let path = wanted.target;
        if is_missing(path) {
            return Ok(None);
        }
        let file = IdxFile::open(path)?;
        wanted.check_header(path, file.header())?;
        if let Some(expected) = wanted.expected(self.source)
            && !verified::is_known(&self.folder, wanted.entry.name, file.metadata(), expected)
        {
            let found = Digest::of(file.bytes());
            wanted.check_digest(path, found, expected)?;
            verified::remember(&self.folder, wanted.entry.name, file.metadata(), found);
        }
        Ok(Some(file))
    }

    /// The content from elsewhere in the folder, packed or as it was published; `None` if it is not there.
    fn packed(&mut self, wanted: &Wanted<'_>) -> Result<Option<Arrived>, DatasetError> {
        for place in Place::in_data_folder(wanted, &self.folder) {
            if is_missing(&place.path) {
                continue;
            }
            match place.take() {
                Ok(arrived) => return Ok(Some(arrived)),
                Err(Failure::Here(error)) => return Err(error),
                Err(Failure::Place(error)) => self.pass_over(&place.path, error)?,
            }
        }
        Ok(None)
    }

    /// The content from the bundle in the cache, if it is there. Forced, it is not believed that it was checked before.
    fn stored(&mut self, wanted: &Wanted<'_>) -> Result<Option<Arrived>, DatasetError> {
        let Some(store) = &mut self.store else { return Ok(None) };
        let place = store.path().display().to_string();
        let outcome = match store.find(self.source.force) {
            Ok(None) => return Ok(None),
            Ok(Some(zip)) => Place::zip(wanted, zip).take(),
            Err(failure) => Err(failure),
        };
        self.or_attempt(place, outcome)
    }

    /// What arrived; or `None`, and why it did not is kept for the error if no place has it.
    fn or_attempt(
        &mut self,
        place: String,
        outcome: Result<Arrived, Failure>,
    ) -> Result<Option<Arrived>, DatasetError> {
        match outcome {
            Ok(arrived) => Ok(Some(arrived)),
            Err(Failure::Here(error)) => Err(error),
            Err(Failure::Place(error)) => {
                self.attempts.push(Attempt { place, reason: chain_text(&error) });
                Ok(None)
            }
        }
    }

    /// A wrong file in the data folder: an error if a person chose the folder, since a person put the file there
    /// and should know; otherwise it is ours to replace.
    fn pass_over(&mut self, path: &Path, error: DatasetError) -> Result<(), DatasetError> {
        if self.source.data_dir.is_some() {
            return Err(error);
        }
        self.attempts.push(Attempt { place: path.display().to_string(), reason: chain_text(&error) });
        Ok(())
    }

    /// The file from the first mirror that has a good one.
    fn try_mirrors(&mut self, wanted: &Wanted<'_>) -> Result<Option<Arrived>, DatasetError> {
        let source = self.source;
        if source.name == Name::Custom {
            return Ok(None);
        }
        for mirror in &source.mirrors {
            let arrived = match mirror {
                Mirror::Folder(folder) => self.try_folder(wanted, folder)?,
                Mirror::Url(url) => self.try_address(wanted, url)?,
            };
            if arrived.is_some() {
                return Ok(arrived);
            }
        }
        if source.public_mirrors {
            for folder in source.name.folders() {
                let arrived = self.try_folder(wanted, Path::new(folder))?;
                if arrived.is_some() {
                    return Ok(arrived);
                }
            }
            for url in source.name.mirrors() {
                let arrived = self.try_address(wanted, url)?;
                if arrived.is_some() {
                    return Ok(arrived);
                }
            }
        }
        Ok(None)
    }

    fn try_folder(&mut self, wanted: &Wanted<'_>, folder: &Path) -> Result<Option<Arrived>, DatasetError> {
        let place = folder.display().to_string();
        if !folder.is_dir() {
            self.attempts.push(Attempt { reason: format!("{place}: no such folder"), place });
            return Ok(None);
        }
        let mut is_tried = false;
        for found in Place::in_mirror(wanted, folder) {
            if is_missing(&found.path) {
                continue;
            }
            is_tried = true;
            let arrived = self.or_attempt(place.clone(), found.take())?;
            if arrived.is_some() {
                return Ok(arrived);
            }
        }
        if !is_tried {
            let [raw, archive] = file_names(wanted.entry);
            let bundle =
                wanted.set.bundle().map_or_else(String::new, |bundle| format!(" nor {}", bundle.name));
            let reason = format!("{place}: has neither {raw} nor {archive}{bundle}");
            self.attempts.push(Attempt { place, reason });
        }
        Ok(None)
    }

    #[cfg(feature = "download")]
    fn try_address(&mut self, wanted: &Wanted<'_>, url: &str) -> Result<Option<Arrived>, DatasetError> {
        if self.source.offline {
            self.not_tried(url, "offline");
            return Ok(None);
        }
        let outcome = match &mut self.store {
            None => self.downloader.fetch(wanted, &self.folder, url, &mut *self.watch),
            Some(store) => match store.fetch(&self.folder, url, &mut self.downloader, &mut *self.watch) {
                Ok(Some(zip)) => Place::zip(wanted, zip).take(),
                // It was asked for the same zip before.
                Ok(None) => return Ok(None),
                Err(failure) => Err(failure),
            },
        };
        self.or_attempt(url.to_owned(), outcome)
    }

    #[cfg(not(feature = "download"))]
    fn try_address(&mut self, _: &Wanted<'_>, url: &str) -> Result<Option<Arrived>, DatasetError> {
        self.not_tried(url, if self.source.offline { "offline" } else { "built without downloading" });
        Ok(None)
    }

    fn not_tried(&mut self, url: &str, why: &str) {
        self.attempts.push(Attempt { place: url.to_owned(), reason: format!("{url}: not tried, {why}") });
    }

    /// Gives what arrived its final name, and opens it.
    fn put(&self, wanted: &Wanted<'_>, arrived: Arrived, is_broken: bool) -> Result<IdxFile, DatasetError> {
        let path = wanted.target;
        let failed = |action| move |source| DatasetError::Io { action, path: path.to_owned(), source };
        if is_broken {
            move_aside(path).map_err(failed("move aside"))?;
        }
        arrived.file.commit().map_err(failed("write"))?;
        let file = IdxFile::open(path)?;
        if wanted.entry.sha256.is_some() || self.source.is_cache() {
            verified::remember(&self.folder, wanted.entry.name, file.metadata(), arrived.digest);
        }
        Ok(file)
    }
}

#[cfg(feature = "download")]
#[cfg(test)]
mod tests;
