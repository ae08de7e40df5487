//! What the operating system has at a path.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::DatasetError;
use crate::idx::{IdxError, check_regular};

/// Whether nothing exists at `path`. What exists but cannot be examined is not missing.
pub(crate) fn is_missing(path: &Path) -> bool {
    fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Opens a regular file for reading.
pub(crate) fn open_file(path: &Path) -> Result<File, DatasetError> {
    let failed = |source| IdxError::Io { action: "open", path: path.to_owned(), source };
    check_regular(path, &fs::metadata(path).map_err(failed)?)?;
    Ok(File::open(path).map_err(failed)?)
}

/// Creates a folder and its parents if they are missing.
pub(crate) fn create_folder(folder: &Path) -> Result<(), DatasetError> {
    fs::create_dir_all(folder).map_err(|source| DatasetError::Io {
        action: "create the folder",
        path: folder.to_owned(),
        source,
    })
}

/// Renames a file to the first free name of `NAME.broken`, `NAME.broken-2`, ...
pub(crate) fn move_aside(path: &Path) -> io::Result<()> {
    let suffixes = std::iter::once(".broken".to_owned()).chain((2..).map(|n| format!(".broken-{n}")));
    let mut names = suffixes.map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    });
    fs::rename(path, names.find(|name| is_missing(name)).unwrap_or_default())
}
