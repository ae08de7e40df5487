//! Files that appear under their name whole or not at all.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file that is written and on the disk, but not yet under its name. Dropped, it is gone.
///
/// Several that belong together are first all written, then all published, so that a disk that is full leaves what was there.
#[derive(Debug)]
pub struct Staged {
    file: NamedTempFile,
    path: PathBuf,
}

/// How the names of files that are not yet under theirs begin and end.
const PREFIX: &str = ".ziffer-";
const SUFFIX: &str = ".part";

impl Staged {
    /// Whether a file's name is one that a staged file has meanwhile: what a process that was killed left behind.
    pub fn is_leftover(name: &OsStr) -> bool {
        name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
    }

    /// Writes `bytes` beside `path` and brings them to the disk. Where `path` is a symbolic link, the file that it leads to is
    /// meant.
    ///
    /// # Errors
    /// If they cannot be written, or if `path` is a device or a pipe, which would not be one any more; nothing is left behind.
    pub fn write(path: impl Into<PathBuf>, bytes: &[u8]) -> io::Result<Self> {
        let mut path = path.into();
        if let Ok(metadata) = std::fs::metadata(&path) {
            if !(metadata.is_file() || metadata.is_dir()) {
                return Err(io::Error::other("it is no file"));
            }
            if path.is_symlink() {
                path = path.canonicalize()?;
            }
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX).suffix(SUFFIX);
        // Private by default; this becomes a file like any other of the user's.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder_of(&path))?;
        file.as_file_mut().write_all(bytes)?;
        file.as_file().sync_all()?;
        Ok(Self { file, path })
    }

    /// Gives the file its name, over one that has it.
    ///
    /// # Errors
    /// If there is a folder of that name, say. What was there before is then still there.
    pub fn publish(self) -> io::Result<()> {
        let folder = folder_of(&self.path).to_owned();
        self.file.persist(&self.path).map_err(|error| error.error)?;
        // Makes the rename durable; not every file system can, and what is whole is whole.
        #[cfg(unix)]
        let _ = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let entries = || std::fs::read_dir(folder.path()).unwrap().count();
        drop(Staged::write(&path, b"never").unwrap());
        assert_eq!(entries(), 0);
        let staged = Staged::write(&path, b"first").unwrap();
        assert!(!path.exists());
        let name = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().file_name();
        assert!(Staged::is_leftover(&name) && !Staged::is_leftover(OsStr::new("file.part")));
        staged.publish().unwrap();
        Staged::write(&path, b"second").unwrap().publish().unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), entries()), (b"second".to_vec(), 1));
        std::fs::create_dir(folder.path().join("taken")).unwrap();
        assert!(Staged::write(folder.path().join("taken"), b"no").unwrap().publish().is_err());
        assert_eq!(entries(), 2);
        assert!(Staged::write(folder.path().join("none/file"), b"no").is_err());
        assert_eq!(folder_of(Path::new("name")), Path::new("."));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_devices_stay() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        std::fs::write(&file, b"before").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        Staged::write(&link, b"after").unwrap().publish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"after");
        // Never published: where the tests are run by root, a failure would cost the device.
        assert!(Staged::write("/dev/null", b"").is_err());
    }
}
