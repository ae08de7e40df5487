//! Files that appear under their name whole or not at all.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::place::is_missing;

/// A file being written beside its target. [`commit`](Self::commit) puts it there; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Replacement {
    temporary: NamedTempFile,
    target: PathBuf,
}

impl Replacement {
    /// Creates an empty file in the folder of `target`, which must exist.
    pub(crate) fn beside(target: &Path) -> io::Result<Replacement> {
        let temporary = temporary_in(&folder_of(target))?;
        Ok(Replacement { temporary, target: target.to_owned() })
    }

    /// A temporary file that has been written already, in the folder of `target`.
    #[cfg(feature = "download")]
    pub(crate) fn written(temporary: NamedTempFile, target: &Path) -> Replacement {
        Replacement { temporary, target: target.to_owned() }
    }

    /// Syncs the content to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.temporary.as_file().sync_all()
    }

    /// Syncs the content to the disk, renames the file to its target, and syncs the folder.
    pub(crate) fn commit(self) -> io::Result<()> {
        self.sync()?;
        self.temporary.persist(&self.target).map_err(|failure| failure.error)?;
        sync_folder(&folder_of(&self.target))
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.as_file_mut().flush()
    }
}

/// Moves a file aside, to the first free name of `NAME.broken`, `NAME.broken-2`, ...
pub(crate) fn move_aside(path: &Path) -> io::Result<()> {
    let ends = std::iter::once(".broken".to_owned()).chain((2..).map(|n| format!(".broken-{n}")));
    let mut names = ends.map(|end| {
        let mut aside = path.as_os_str().to_owned();
        aside.push(end);
        PathBuf::from(aside)
    });
    std::fs::rename(path, names.find(|name| is_missing(name)).unwrap_or_default())
}

/// How the names of temporary files begin and end.
const PREFIX: &str = ".ziffer-";
const SUFFIX: &str = ".part";

/// Whether a name is a temporary file's.
pub(crate) fn is_leftover(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
}

/// A temporary file in `folder`, removed when dropped, with the permissions that a new file of the user has.
pub(crate) fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    // Temporary files are private by default; this one becomes a file that others may share. The umask applies.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn folder_of(target: &Path) -> PathBuf {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes a rename durable. Not every file system can sync a folder, and Windows never does; those are let pass.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        let mut dropped = Replacement::beside(&target).unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

        let mut committed = Replacement::beside(&target).unwrap();
        committed.write_all(b"whole").unwrap();
        assert!(!target.exists());
        committed.commit().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_name_alone_lies_in_the_current_folder() {
        assert_eq!(folder_of(Path::new("name")), Path::new("."));
        assert_eq!(folder_of(Path::new("a/name")), Path::new("a"));
    }
}
