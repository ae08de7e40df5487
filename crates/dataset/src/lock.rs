//! Folders that one process at a time fills.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::place::is_missing;
use crate::replacement::remove_stale;
use crate::watch::{Event, Watch};

/// A folder that this process alone fills.
#[derive(Debug)]
pub(crate) struct Lock {
    /// The folder itself: a file of its own for the lock would stay.
    _folder: File,
    /// Where it lies, if it was made for this.
    made: Option<PathBuf>,
}

impl Lock {
    /// Makes the folder if it is missing, and waits for whoever fills it, which `watch` is told. `None` where that cannot be done, on a file system
    /// without locks say; then two processes may do the same work, and both do it right.
    pub(crate) fn of(folder: &Path, watch: &mut Watch<'_>) -> Option<Lock> {
        let is_new = is_missing(folder);
        if is_new {
            fs::create_dir_all(folder).ok()?;
        }
        let made = is_new.then(|| folder.to_owned());
        let file = File::open(folder).ok()?;
        let locked = match file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => {
                watch(Event::Waiting { folder });
                file.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
        };
        // What a process that was killed had begun to write. Others may be writing into the folder without its lock.
        remove_stale(folder);
        locked.ok()?;
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
