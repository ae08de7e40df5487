//! What a data folder really has.

use crate::catalogue::{FileEntry, Name};
use crate::digest::Digest;
use crate::error::DatasetError;
use crate::idx::IdxFile;
use crate::intake::Wanted;
use crate::shelf::{archive_path, is_missing};
use crate::source::Source;

/// What is to be said of a file of a data folder.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileState {
    /// It is not there.
    Missing,
    /// Its archive is there. It is checked when it is unpacked, at the first use.
    Packed,
    /// It is there, and right as far as that is known: its type, shape and digest.
    Good {
        /// Whether its content has the digest that is published. If none is, its type and shape are right.
        is_verified: bool,
    },
    /// It is there, and wrong.
    Wrong(DatasetError),
}

impl Source {
    /// Looks at each of the four files of the data folder and reads it whole, whatever was found of it before, but for archives
    /// of which the file is not there. Nothing is changed.
    ///
    /// # Errors
    /// If there is no [folder](Source::folder) to look into, or a file in its place.
    pub fn examine(&self) -> Result<Vec<(FileEntry, FileState)>, DatasetError> {
        let folder = self.folder()?;
        if !is_missing(&folder) && !folder.is_dir() {
            return Err(DatasetError::NotAFolder { path: folder });
        }
        Ok(self
            .name
            .files()
            .iter()
            .map(|entry| {
                let path = folder.join(entry.name);
                (*entry, state(&Wanted { set: self.name, entry, target: &path }))
            })
            .collect())
    }
}

fn state(wanted: &Wanted<'_>) -> FileState {
    let path = wanted.target;
    if is_missing(path) {
        return if is_missing(&archive_path(path)) { FileState::Missing } else { FileState::Packed };
    }
    let check = || {
        let file = IdxFile::open(path)?;
        wanted.check_header(path, file.header())?;
        let is_verified = wanted.entry.sha256.is_some() && wanted.set != Name::Custom;
        if is_verified {
            wanted.check_digest(path, Digest::of(file.bytes()))?;
        }
        Ok(FileState::Good { is_verified })
    };
    check().unwrap_or_else(FileState::Wrong)
}
