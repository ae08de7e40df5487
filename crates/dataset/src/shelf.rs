//! The data folder of a set, and how its four files get there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::catalogue::{FileEntry, Name};
use crate::digest::Digest;
#[cfg(feature = "download")]
use crate::download::{Downloader, Watch};
use crate::error::{Attempt, DatasetError};
use crate::idx::{IdxError, IdxFile, check_regular};
use crate::intake::{Arrived, Failure, Wanted};
use crate::replacement::is_leftover;
use crate::source::{Mirror, Source};
use crate::verified;

/// A data folder being filled.
pub(crate) struct Shelf<'a> {
    source: &'a Source,
    folder: PathBuf,
    /// Held from the first file that is not there to the end, so that processes that want the same set fetch it once.
    lock: Option<Lock>,
    /// Places that did not have a file, for the error if no place has it.
    attempts: Vec<Attempt>,
    #[cfg(feature = "download")]
    downloader: Downloader,
    #[cfg(feature = "download")]
    watch: &'a mut Watch<'a>,
}

impl<'a> Shelf<'a> {
    /// The data folder of `source`, which need not exist.
    pub(crate) fn new(
        source: &'a Source,
        #[cfg(feature = "download")] watch: &'a mut Watch<'a>,
    ) -> Result<Shelf<'a>, DatasetError> {
        let folder = source.folder()?;
        if fs::metadata(&folder).is_ok_and(|metadata| !metadata.is_dir()) {
            return Err(DatasetError::NotAFolder { path: folder });
        }
        Ok(Shelf {
            source,
            folder,
            lock: None,
            attempts: Vec::new(),
            #[cfg(feature = "download")]
            downloader: Downloader::default(),
            #[cfg(feature = "download")]
            watch,
        })
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
                None => missing.push(entry.name),
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
                attempts,
            }
        })
    }

    /// One file, from the first place that has it; `None` if no place does.
    fn file(&mut self, entry: &'static FileEntry) -> Result<Option<IdxFile>, DatasetError> {
        let target = self.folder.join(entry.name);
        let wanted = Wanted { set: self.source.name, entry, target: &target };
        // A custom set has no other place, so there is nothing to be forced.
        let force = self.source.force && self.source.name != Name::Custom;
        let mut is_broken = false;
        if !force {
            // A second look once no other process can be at it: it may have brought what was not there.
            let mut found = self.present(&wanted);
            if !matches!(found, Ok(Some(_))) && self.lock.is_none() {
                self.lock = Lock::of(&self.folder);
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
            self.lock = Lock::of(&self.folder);
        }
        let arrived = match if force { None } else { self.packed(&wanted)? } {
            Some(arrived) => Some(arrived),
            None => self.try_mirrors(&wanted)?,
        };
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
        if let Some(expected) = wanted.entry.sha256
            && !verified::is_known(&self.folder, wanted.entry.name, file.metadata(), expected)
        {
            let found = Digest::of(file.bytes());
            wanted.check_digest(path, found)?;
            verified::remember(&self.folder, wanted.entry.name, file.metadata(), found);
        }
        Ok(Some(file))
    }

    /// The archive of the folder, unpacked; `None` if there is none.
    fn packed(&mut self, wanted: &Wanted<'_>) -> Result<Option<Arrived>, DatasetError> {
        let path = archive_path(wanted.target);
        if is_missing(&path) {
            return Ok(None);
        }
        match open(&path).and_then(|file| wanted.unpack(file, &path)) {
            Ok(arrived) => Ok(Some(arrived)),
            Err(Failure::Here(error)) => Err(error),
            Err(Failure::Place(error)) => self.pass_over(&path, error).map(|()| None),
        }
    }

    /// A wrong file in the data folder: an error if a person chose the folder, since a person put the file there
    /// and should know; otherwise it is ours to replace.
    fn pass_over(&mut self, path: &Path, error: DatasetError) -> Result<(), DatasetError> {
        if self.source.data_dir.is_some() {
            return Err(error);
        }
        self.attempts.push(Attempt { place: path.display().to_string(), reason: error.to_string() });
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
        let raw = folder.join(wanted.entry.name);
        let archive = archive_path(&raw);
        let mut is_tried = false;
        for path in [&raw, &archive] {
            if is_missing(path) {
                continue;
            }
            is_tried = true;
            let outcome = open(path).and_then(|file| {
                if path == &raw { wanted.copy(file, path) } else { wanted.unpack(file, path) }
            });
            match outcome {
                Ok(arrived) => return Ok(Some(arrived)),
                Err(Failure::Here(error)) => return Err(error),
                Err(Failure::Place(error)) => {
                    self.attempts.push(Attempt { place: place.clone(), reason: error.to_string() });
                }
            }
        }
        if !is_tried {
            let reason = format!("{place}: has neither {0} nor {0}.gz", wanted.entry.name);
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
        match self.downloader.fetch(wanted, &self.folder, url, &mut *self.watch) {
            Ok(arrived) => Ok(Some(arrived)),
            Err(Failure::Here(error)) => Err(error),
            Err(Failure::Place(error)) => {
                self.attempts.push(Attempt { place: url.to_owned(), reason: error.to_string() });
                Ok(None)
            }
        }
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
            let names = std::iter::once(".broken".to_owned()).chain((2..).map(|n| format!(".broken-{n}")));
            let aside = names.map(|end| {
                let mut aside = path.as_os_str().to_owned();
                aside.push(end);
                PathBuf::from(aside)
            });
            let free = aside.into_iter().find(|aside| is_missing(aside)).unwrap_or_default();
            fs::rename(path, free).map_err(failed("move aside"))?;
        }
        arrived.replacement.commit().map_err(failed("write"))?;
        let file = IdxFile::open(path)?;
        if wanted.entry.sha256.is_some() {
            verified::remember(&self.folder, wanted.entry.name, file.metadata(), arrived.digest);
        }
        Ok(file)
    }
}

/// A folder that this process alone fills.
#[derive(Debug)]
struct Lock {
    /// The folder itself: a file of its own for the lock would stay.
    _folder: File,
    /// Where it lies, if it was made for this.
    made: Option<PathBuf>,
}

impl Lock {
    /// Makes the folder if it is missing, and waits for whoever fills it. `None` where that cannot be done, on a file system
    /// without locks say; then two processes may do the same work, and both do it right.
    fn of(folder: &Path) -> Option<Lock> {
        let is_new = is_missing(folder);
        if is_new {
            fs::create_dir_all(folder).ok()?;
        }
        let made = is_new.then(|| folder.to_owned());
        let file = File::open(folder).and_then(|file| file.lock().map(|()| file));
        let file = file.ok()?;
        // What a process that was killed had begun to write.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if is_leftover(&entry.file_name()) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Some(Lock { _folder: file, made })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(made) = &self.made {
            // Which only an empty folder lets be done with it.
            let _ = fs::remove_dir(made);
        }
    }
}

/// Whether nothing stands under a name. What stands there and cannot be looked at is not missing.
pub(crate) fn is_missing(path: &Path) -> bool {
    fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

pub(crate) fn archive_path(raw: &Path) -> PathBuf {
    let mut path = raw.as_os_str().to_owned();
    path.push(".gz");
    path.into()
}

fn open(path: &Path) -> Result<File, Failure> {
    let open = || {
        let failed = |source| IdxError::Io { action: "open", path: path.to_owned(), source };
        check_regular(path, &fs::metadata(path).map_err(failed)?)?;
        File::open(path).map_err(failed)
    };
    open().map_err(|error| Failure::Place(error.into()))
}
