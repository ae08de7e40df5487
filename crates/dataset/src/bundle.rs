//! The zip that several sets come in: kept once in a cache folder that they share, and its members read as they pass.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use ziffer_base::digest::Digest;
#[cfg(feature = "download")]
use ziffer_base::fs::AtomicFile;

use crate::catalogue::Bundle;
use crate::error::DatasetError;
use crate::intake::Failure;
use crate::place::{is_missing, open};
use crate::verified;
#[cfg(feature = "download")]
use crate::{
    download::Downloader,
    intake::create_folder,
    place::move_aside,
    watch::{Watch, lock},
};

/// Where a bundle is kept.
#[derive(Debug)]
pub(crate) struct Store {
    bundle: &'static Bundle,
    folder: PathBuf,
    state: State,
    /// Mirrors that did not yield it: they are not asked again for the other files of a set.
    #[cfg(feature = "download")]
    refused: Vec<String>,
}

/// What this process knows of the zip.
#[derive(Debug, PartialEq, Eq)]
enum State {
    NotSeen,
    Good,
    /// Which was said already.
    Bad,
}

impl Store {
    pub(crate) fn new(bundle: &'static Bundle, folder: PathBuf) -> Store {
        Store {
            bundle,
            folder,
            state: State::NotSeen,
            #[cfg(feature = "download")]
            refused: Vec::new(),
        }
    }

    /// Where the zip is or will be.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(self.bundle.name)
    }

    /// The zip, if it is there and right. With `anew` it is read whole even if that was done before.
    ///
    /// # Errors
    /// If it is wrong, or cannot be read. That is said once.
    pub(crate) fn find(&mut self, anew: bool) -> Result<Option<PathBuf>, Failure> {
        let path = self.path();
        match self.state {
            State::Good => return Ok(Some(path)),
            State::Bad => return Ok(None),
            State::NotSeen if is_missing(&path) => return Ok(None),
            State::NotSeen => self.state = State::Bad,
        }
        let is_known = !anew
            && std::fs::metadata(&path).is_ok_and(|metadata| {
                verified::is_known(&self.folder, self.bundle.name, &metadata, self.bundle.sha256)
            });
        if !is_known {
            let metadata = self.check()?;
            verified::remember(&self.folder, self.bundle.name, &metadata, self.bundle.sha256);
        }
        self.state = State::Good;
        Ok(Some(path))
    }

    /// Reads the zip, which is there, whole. Returns what the operating system said of it.
    pub(crate) fn check(&self) -> Result<Metadata, Failure> {
        let path = self.path();
        let failed = |source| Failure::Place(DatasetError::Io { action: "read", path: path.clone(), source });
        let file = open(&path)?;
        let metadata = file.metadata().map_err(failed)?;
        let found = Digest::of_reader(file).map_err(failed)?;
        let Bundle { title: set, sha256: expected, .. } = *self.bundle;
        if found != expected {
            return Err(Failure::Place(DatasetError::WrongDigest { path, set, found, expected }));
        }
        Ok(metadata)
    }

    /// The zip, from the address `mirror` unless another process has brought it meanwhile; `None` if the mirror was asked for it
    /// before. `data_folder` is locked already.
    #[cfg(feature = "download")]
    pub(crate) fn fetch(
        &mut self,
        data_folder: &Path,
        mirror: &str,
        downloader: &mut Downloader,
        watch: &mut Watch<'_>,
    ) -> Result<Option<PathBuf>, Failure> {
        if self.refused.iter().any(|refused| refused == mirror) {
            return Ok(None);
        }
        // Whoever names this very folder for the data must not wait for himself.
        let is_locked = data_folder
            .canonicalize()
            .is_ok_and(|data_folder| self.folder.canonicalize().is_ok_and(|folder| folder == data_folder));
        let _lock = if is_locked { None } else { lock(&self.folder, watch) };
        self.state = State::NotSeen;
        if let Ok(Some(path)) = self.find(false) {
            return Ok(Some(path));
        }
        self.download(mirror, downloader, watch)
            .map(Some)
            .inspect_err(|_| self.refused.push(mirror.to_owned()))
    }

    #[cfg(feature = "download")]
    fn download(
        &mut self,
        mirror: &str,
        downloader: &mut Downloader,
        watch: &mut Watch<'_>,
    ) -> Result<PathBuf, Failure> {
        create_folder(&self.folder).map_err(Failure::Here)?;
        let Bundle { name, sha256, .. } = *self.bundle;
        let temporary = downloader.fetch_bundle(self.bundle, &self.folder, mirror, watch)?;
        let path = self.path();
        let failed = |action| {
            let path = &path;
            move |source| Failure::Here(DatasetError::Io { action, path: path.clone(), source })
        };
        if !is_missing(&path) {
            move_aside(&path).map_err(failed("move aside"))?;
        }
        AtomicFile::from_temporary(temporary, &path).and_then(AtomicFile::commit).map_err(failed("write"))?;
        let metadata = std::fs::metadata(&path).map_err(failed("open"))?;
        verified::remember(&self.folder, name, &metadata, sha256);
        self.state = State::Good;
        Ok(path)
    }
}

/// Hands the first of `names` that the zip `file` has to `read`, with a path that tells where it is from.
#[cfg(feature = "zip")]
pub(crate) fn member<T>(
    file: File,
    path: &Path,
    names: &[String],
    read: impl FnOnce(&mut dyn Read, &Path) -> Result<T, Failure>,
) -> Result<T, Failure> {
    use zip::ZipArchive;

    // What it has of a directory is bounded by the file's own length.
    let mut archive = ZipArchive::new(std::io::BufReader::new(file)).map_err(|error| bad(path, &error))?;
    let name = names.iter().find(|name| archive.index_for_name(name).is_some());
    let Some(name) = name else {
        let reason = format!("has no {}", names.first().map_or("", String::as_str));
        return Err(Failure::Place(DatasetError::Zip { path: path.to_owned(), reason }));
    };
    let mut member = archive.by_name(name).map_err(|error| bad(path, &error))?;
    read(&mut member, &path.join(name))
}

#[cfg(feature = "zip")]
fn bad(path: &Path, error: &zip::result::ZipError) -> Failure {
    use zip::result::ZipError;

    let reason = match error {
        ZipError::Io(error) => format!("cannot be read: {}", crate::error::reason(error)),
        error => format!("bad zip archive ({error}), delete it or place a good one"),
    };
    Failure::Place(DatasetError::Zip { path: path.to_owned(), reason })
}

/// Built without the reading of zips.
#[cfg(not(feature = "zip"))]
pub(crate) fn member<T>(
    _: File,
    path: &Path,
    _: &[String],
    _: impl FnOnce(&mut dyn Read, &Path) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let reason = "cannot be read, built without the feature zip; unpack it there".to_owned();
    Err(Failure::Place(DatasetError::Zip { path: path.to_owned(), reason }))
}

#[cfg(feature = "download")]
#[cfg(test)]
mod tests;
