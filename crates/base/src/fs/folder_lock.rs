//! Folders that one process at a time fills.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::identity::is_same;
use super::temporary::remove_stale_files;

/// A folder that this process has locked for itself. The lock ends when it is dropped, or when the process ends.
///
/// The folder itself is locked, so that no lock file stays behind. A lock does not keep others from writing: it works among
/// processes that all take it. On file systems without locks, and on systems other than Unix, it is not exclusive.
///
/// Taking the lock creates a missing folder, and removes the temporary files that killed processes left in it. Those that living
/// processes write there without the lock are kept. Dropping it removes a folder that it created and that is still empty.
///
/// ```
/// use ziffer_base::fs::FolderLock;
///
/// let parent = tempfile::tempdir()?;
/// let folder = parent.path().join("run");
/// let lock = FolderLock::try_lock(&folder)?.expect("no other process has it");
/// # #[cfg(unix)]
/// assert!(FolderLock::try_lock(&folder)?.is_none());
/// drop(lock);
/// assert!(!folder.exists());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct FolderLock {
    /// The open folder, which holds the lock.
    _folder: Option<File>,
    /// The folder's path, if it was created here.
    created: Option<PathBuf>,
}

/// What to do while another process has the lock.
enum Busy<'a> {
    GiveUp,
    Wait(&'a mut dyn FnMut()),
}

impl FolderLock {
    /// Locks `folder`; `None` if another process has locked it.
    ///
    /// # Errors
    /// If the folder cannot be created or opened.
    pub fn try_lock(folder: &Path) -> io::Result<Option<FolderLock>> {
        FolderLock::take(folder, Busy::GiveUp)
    }

    /// Locks `folder`. While another process has locked it, waits, and calls `on_wait` before.
    ///
    /// # Errors
    /// If the folder cannot be created or opened.
    pub fn lock(folder: &Path, mut on_wait: impl FnMut()) -> io::Result<FolderLock> {
        let lock = FolderLock::take(folder, Busy::Wait(&mut on_wait))?;
        Ok(lock.expect("a lock that is waited for is taken"))
    }

    fn take(folder: &Path, mut busy: Busy<'_>) -> io::Result<Option<FolderLock>> {
        loop {
            let is_missing = fs::metadata(folder).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
            fs::create_dir_all(folder)?;
            let created = is_missing.then(|| folder.to_owned());
            let file = match File::open(folder) {
                _ if cfg!(not(unix)) => None,
                // Another process has just removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => Some(opened?),
            };
            if let Some(file) = &file {
                match (file.try_lock(), &mut busy) {
                    (Ok(()), _) => {}
                    (Err(TryLockError::WouldBlock), Busy::GiveUp) => return Ok(None),
                    (Err(TryLockError::WouldBlock), Busy::Wait(on_wait)) => {
                        on_wait();
                        // A file system without locks has failed above.
                        let _ = file.lock();
                    }
                    // A file system without locks.
                    (Err(TryLockError::Error(_)), _) => {}
                }
                // The other process has removed the folder, which was empty.
                if !is_same(fs::metadata(folder), file) {
                    continue;
                }
            }
            remove_stale_files(folder);
            return Ok(Some(FolderLock { _folder: file, created }));
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        if let Some(created) = &self.created {
            // Fails if the folder is not empty, as it should.
            let _ = fs::remove_dir(created);
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use std::sync::mpsc;

    use super::super::AtomicFile;
    use super::*;

    #[test]
    fn a_folder_that_stays_empty_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        drop(FolderLock::try_lock(&folder).unwrap().unwrap());
        assert!(!folder.exists() && parent.path().join("a").exists());
        let lock = FolderLock::try_lock(&folder).unwrap().unwrap();
        fs::write(folder.join("file"), b"").unwrap();
        drop(lock);
        assert!(folder.exists());
        // A folder that was there before stays.
        fs::remove_file(folder.join("file")).unwrap();
        drop(FolderLock::lock(&folder, || panic!("nobody has it")).unwrap());
        assert!(folder.exists());
    }

    #[test]
    fn what_others_write_without_the_lock_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = AtomicFile::stage(folder.path().join("file"), b"whole").unwrap();
        fs::write(folder.path().join(".ziffer-killed.part"), b"half").unwrap();
        let lock = FolderLock::try_lock(folder.path()).unwrap().unwrap();
        assert!(!folder.path().join(".ziffer-killed.part").exists());
        file.commit().unwrap();
        drop(lock);
        drop(FolderLock::try_lock(folder.path()).unwrap().unwrap());
        assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_second_one_waits() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("folder");
        let first = FolderLock::lock(&folder, || panic!("nobody has it")).unwrap();
        assert!(FolderLock::try_lock(&folder).unwrap().is_none());
        let (waits, is_waiting) = mpsc::channel();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| FolderLock::lock(&folder, || waits.send(()).unwrap()).unwrap());
            is_waiting.recv().unwrap();
            // Which removes the folder that the second one waits for.
            drop(first);
            let second = second.join().unwrap();
            assert!(folder.exists());
            assert!(FolderLock::try_lock(&folder).unwrap().is_none());
            drop(second);
        });
        assert!(!folder.exists());
    }

    #[test]
    fn a_file_is_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        FolderLock::try_lock(&file).unwrap_err();
        FolderLock::lock(&file, || ()).unwrap_err();
    }
}
