//! Files that appear under their name whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::identity::folder_of;
use super::temporary::temporary_file_in;

/// The number of symbolic links that are followed, as on Linux.
const MAX_LINKS: usize = 40;

/// A file that is written beside its target and renamed to it by [`commit`](Self::commit). Dropped before, it is removed, and
/// what was at the target stays.
///
/// Where the target is a symbolic link, the file that the link leads to is replaced. While it is written, the file is locked,
/// and [`remove_stale_files`](super::remove_stale_files) of another process keeps it.
///
/// Several files that belong together are [staged](Self::stage) first and then committed, so that a full disk leaves the old
/// ones.
///
/// ```
/// use std::io::Write as _;
/// use ziffer_base::fs::AtomicFile;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("history.csv");
/// AtomicFile::write(&path, b"epoch,loss\n")?;
///
/// let mut file = AtomicFile::create(&path)?;
/// file.write_all(b"epoch,loss\n0,0.25\n")?;
/// assert_eq!(std::fs::read(&path)?, b"epoch,loss\n");
/// file.commit()?;
/// assert_eq!(std::fs::read(&path)?, b"epoch,loss\n0,0.25\n");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Errors have no more than the reason: the caller knows the path and what it is for.
#[derive(Debug)]
pub struct AtomicFile {
    temporary: NamedTempFile,
    target: PathBuf,
}

impl AtomicFile {
    /// Replaces the content of the file at `path`.
    ///
    /// # Errors
    /// Those of [`create`](Self::create) and [`commit`](Self::commit).
    pub fn write(path: impl AsRef<Path>, content: &[u8]) -> io::Result<()> {
        AtomicFile::stage(path, content)?.commit()
    }

    /// Writes `content` beside `path` and syncs it to the disk.
    ///
    /// # Errors
    /// Those of [`create`](Self::create), or if the content cannot be written. No file is left behind.
    pub fn stage(path: impl AsRef<Path>, content: &[u8]) -> io::Result<AtomicFile> {
        let mut file = AtomicFile::create(path)?;
        file.write_all(content)?;
        file.sync()?;
        Ok(file)
    }

    /// Creates an empty file beside `path`.
    ///
    /// # Errors
    /// If the folder of `path` does not exist, if no file can be created there, or if `path` is a device, a pipe or a socket,
    /// which a rename would replace by a file.
    pub fn create(path: impl AsRef<Path>) -> io::Result<AtomicFile> {
        let target = target_of(path.as_ref())?;
        let temporary = temporary_file_in(folder_of(&target))?;
        Ok(AtomicFile { temporary, target })
    }

    /// A [temporary file](super::temporary_file_in) that is written already, on the file system of `path`.
    ///
    /// # Errors
    /// If `path` is a device, a pipe or a socket.
    pub fn from_temporary(temporary: NamedTempFile, path: impl AsRef<Path>) -> io::Result<AtomicFile> {
        Ok(AtomicFile { temporary, target: target_of(path.as_ref())? })
    }

    /// Syncs the content to the disk, so that [`commit`](Self::commit) has little left to fail at.
    ///
    /// # Errors
    /// If the system cannot write it.
    pub fn sync(&self) -> io::Result<()> {
        self.temporary.as_file().sync_all()
    }

    /// Syncs the content to the disk, renames the file to its target, and syncs the folder.
    ///
    /// # Errors
    /// If the content cannot be written, or if a folder has the target's name. What was there before then stays. If the folder
    /// cannot be synced, the new file is there, but may be lost in a crash of the system.
    pub fn commit(self) -> io::Result<()> {
        self.sync()?;
        self.temporary.persist(&self.target).map_err(|failure| failure.error)?;
        sync_folder(folder_of(&self.target))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.as_file_mut().flush()
    }
}

/// The path that a file is renamed to: `path`, or where its symbolic links lead.
fn target_of(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::symlink_metadata(&target) {
            Ok(metadata) if metadata.is_symlink() => {
                target = folder_of(&target).join(fs::read_link(&target)?);
            }
            Ok(metadata) if metadata.is_file() || metadata.is_dir() => return Ok(target),
            Ok(_) => return Err(io::Error::other("it is a device, a pipe or a socket, expected a file")),
            // Nothing is there yet. Other errors come back from the first attempt to write.
            Err(_) => return Ok(target),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

/// Makes a rename durable. Some file systems cannot sync a folder, and Windows never can, which is no error.
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
    use super::super::remove_stale_files;
    use super::*;

    fn count(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        let mut dropped = AtomicFile::create(&target).unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        drop(AtomicFile::stage(&target, b"whole, but not committed").unwrap());
        assert_eq!(count(folder.path()), 0);

        let mut committed = AtomicFile::create(&target).unwrap();
        committed.write_all(b"whole").unwrap();
        assert!(!target.exists());
        committed.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        AtomicFile::write(&target, b"second").unwrap();
        assert_eq!((fs::read(&target).unwrap(), count(folder.path())), (b"second".to_vec(), 1));
    }

    #[test]
    fn an_uncommitted_file_is_not_stale() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["a", "b"].map(|name| AtomicFile::stage(folder.path().join(name), b"whole").unwrap());
        remove_stale_files(folder.path());
        files.into_iter().for_each(|file| file.commit().unwrap());
        for name in ["a", "b"] {
            assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"whole");
        }
        assert_eq!(count(folder.path()), 2);
    }

    #[test]
    fn a_temporary_file_gets_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut temporary = temporary_file_in(folder.path()).unwrap();
        temporary.write_all(b"downloaded").unwrap();
        let target = folder.path().join("target");
        AtomicFile::from_temporary(temporary, &target).unwrap().commit().unwrap();
        assert_eq!((fs::read(&target).unwrap(), count(folder.path())), (b"downloaded".to_vec(), 1));
    }

    #[test]
    fn a_folder_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        AtomicFile::write(&taken, b"no").unwrap_err();
        assert!(taken.is_dir());
        assert_eq!(count(folder.path()), 1);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        let error = AtomicFile::write(absent.join("file"), b"no").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(error.to_string(), format!("the folder {} does not exist", absent.display()));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("below");
        fs::create_dir(&below).unwrap();
        let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
        symlink("second", &first).unwrap();
        symlink("below/file", &second).unwrap();
        // The last link leads to a file that does not exist, then to one that does.
        for content in [b"one", b"two"] {
            AtomicFile::write(&first, content).unwrap();
            assert!(first.is_symlink() && second.is_symlink());
            assert_eq!(fs::read(below.join("file")).unwrap(), content);
        }
        assert_eq!((count(folder.path()), count(&below)), (3, 1));
        symlink("loop", folder.path().join("loop")).unwrap();
        let error = AtomicFile::write(folder.path().join("loop"), b"").unwrap_err();
        assert_eq!(error.to_string(), "too many levels of symbolic links");
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_pipes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        // Not `write`: where root runs the tests, a failure would cost the device.
        for path in [Path::new("/dev/null"), &socket, &link] {
            let error = AtomicFile::create(path).unwrap_err();
            assert_eq!(error.to_string(), "it is a device, a pipe or a socket, expected a file");
        }
        assert_eq!(count(folder.path()), 2);
    }
}
