//! What a data folder really has.

use std::path::PathBuf;

use crate::catalogue::FileEntry;
use crate::digest::Digest;
use crate::error::DatasetError;
use crate::idx::IdxFile;
use crate::intake::Wanted;
use crate::place::{Place, is_missing};
use crate::source::Source;

/// What is to be said of a file of a data folder.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileState {
    /// It is not there.
    Missing,
    /// It is there in this file, packed or as it was published. It is checked when it is unpacked, at the first use.
    Packed(PathBuf),
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
    /// Looks at each of the four files of the data folder and reads it whole, whatever was found of it before, but for archives
    /// of which the file is not there. Nothing is changed.
    ///
    /// # Errors
    /// If there is no [folder](Source::folder) to look into, or a file in its place.
    pub fn examine(&self) -> Result<[(FileEntry, FileState); 4], DatasetError> {
        let folder = self.folder()?;
        if !is_missing(&folder) && !folder.is_dir() {
            return Err(DatasetError::NotAFolder { path: folder });
        }
        self.each_file(|wanted| (*wanted.entry, self.state(wanted)))
    }

    /// Where the content of each of the four files lies, in the data folder or in a zip in the cache. Nothing is read.
    ///
    /// # Errors
    /// If there is no [folder](Source::folder) to look into.
    pub fn locate(&self) -> Result<[Option<PathBuf>; 4], DatasetError> {
        self.each_file(|wanted| {
            let raw = Some(wanted.target.to_owned()).filter(|path| !is_missing(path));
            raw.or_else(|| Some(self.packed(wanted)?.path))
        })
    }

    fn each_file<T>(&self, mut look: impl FnMut(&Wanted<'_>) -> T) -> Result<[T; 4], DatasetError> {
        let folder = self.folder()?;
        Ok(self
            .name
            .files()
            .each_ref()
            .map(|entry| look(&Wanted::new(self.name, entry, &folder.join(entry.name)))))
    }

    /// The first place with the content of a file of which the raw one is not there.
    fn packed<'a>(&self, wanted: &Wanted<'a>) -> Option<Place<'a>> {
        let stored = self.store().map(|store| Place::zip(wanted, store.path()));
        let places = Place::in_data_folder(wanted, wanted.target.parent()?).into_iter().chain(stored);
        places.into_iter().find(|place| !is_missing(&place.path))
    }

    fn state(&self, wanted: &Wanted<'_>) -> FileState {
        let path = wanted.target;
        if is_missing(path) {
            return self.packed(wanted).map_or(FileState::Missing, |place| FileState::Packed(place.path));
        }
        let check = || {
            let file = IdxFile::open(path)?;
            wanted.check_header(path, file.header())?;
            let Some(expected) = wanted.expected(self) else { return Ok(Known::Nothing) };
            wanted.check_digest(path, Digest::of(file.bytes()), expected)?;
            Ok(if wanted.entry.sha256.is_some() { Known::Published } else { Known::AsItCame })
        };
        check().map_or_else(FileState::Wrong, FileState::Good)
    }
}
