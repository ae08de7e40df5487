//! Temporary files, and the removal of those that killed processes left.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use super::identity::is_same;

/// The names of temporary files are `.ziffer-RANDOM.part`.
const PREFIX: &str = ".ziffer-";
const SUFFIX: &str = ".part";

/// The age at which a temporary file is stale on a file system without locks, counted from the last write: far longer than
/// any pause in writing, or than the clocks of two machines differ.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A temporary file in `folder`, removed when dropped. It has the permissions of any new file of the user.
///
/// The file is locked while it is open, also after a rename, and [`remove_stale_files`] keeps it.
///
/// # Errors
/// If `folder` does not exist, with its path in the message, or the file cannot be created.
pub fn temporary_file_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    // Not created by `tempfile_in`: its files are private, and its errors name the temporary file.
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    loop {
        let created = builder.make_in(folder, |path| options.open(path));
        if let Some(temporary) = locked(created.map_err(|error| name_folder(error, folder))?) {
            return Ok(temporary);
        }
    }
}

/// Names the folder in the error if the folder is the reason.
fn name_folder(error: io::Error, folder: &Path) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound => {
            io::Error::new(error.kind(), format!("the folder {} does not exist", folder.display()))
        }
        io::ErrorKind::NotADirectory => {
            io::Error::new(error.kind(), format!("{} is not a folder", folder.display()))
        }
        _ => error,
    }
}

/// Locks a file that was just created. `None` if another process found it stale before it was locked: that process holds the
/// lock until the file is removed, so a file that exists once it is locked here stays.
fn locked(temporary: NamedTempFile) -> Option<NamedTempFile> {
    match temporary.as_file().try_lock() {
        Ok(()) => is_same(fs::symlink_metadata(temporary.path()), temporary.as_file()).then_some(temporary),
        Err(TryLockError::WouldBlock) => None,
        // A file system without locks.
        Err(TryLockError::Error(_)) => Some(temporary),
    }
}

/// Removes the temporary files in `folder` whose processes have ended, and keeps those that are being written.
///
/// A process holds a lock on its temporary file, and the system releases the lock when the process ends, for whatever reason.
/// On a file system without locks, a file is stale a day after the last write. A file that cannot be removed takes up space
/// and does no other harm, so errors are ignored.
pub fn remove_stale_files(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_temporary =
            name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        // A pipe or a link of that name is not even opened.
        if is_temporary && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let _ = remove_if_stale(&entry.path());
        }
    }
}

fn remove_if_stale(path: &Path) -> io::Result<()> {
    // On a network file system, only a file that is open for writing can be locked.
    let file = File::options().read(true).write(true).open(path).or_else(|_| File::open(path))?;
    // The lock is held until the file is removed, see `locked`.
    if is_stale(path, &file)? { fs::remove_file(path) } else { Ok(()) }
}

/// Whether no process writes `file`, which was opened at `path`, any more.
fn is_stale(path: &Path, file: &File) -> io::Result<bool> {
    match file.try_lock() {
        // Its process may have renamed it to its final name since it was opened here.
        Ok(()) => Ok(is_same(fs::symlink_metadata(path), file)),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(_)) => Ok(is_old(file.metadata()?.modified()?, SystemTime::now())),
    }
}

fn is_old(modified: SystemTime, now: SystemTime) -> bool {
    now.duration_since(modified).is_ok_and(|age| age > STALE_AFTER)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    const FOLDER: &str = "ZIFFER_TEST_STALE_FOLDER";

    /// Writes in a process of its own, which is killed.
    #[test]
    fn a_file_is_stale_when_its_process_has_ended() {
        if let Some(folder) = std::env::var_os(FOLDER) {
            let mut temporary = temporary_file_in(Path::new(&folder)).unwrap();
            temporary.write_all(b"half").unwrap();
            println!("written");
            // Until it is killed.
            let _ = io::stdin().read_line(&mut String::new());
            panic!("the other process has ended");
        }
        let folder = tempfile::tempdir().unwrap();
        let name = "fs::temporary::tests::a_file_is_stale_when_its_process_has_ended";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().ends_with("written")));
        let written = names(folder.path());
        assert_eq!(written.len(), 1);
        remove_stale_files(folder.path());
        assert_eq!(names(folder.path()), written);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(names(folder.path()), written);
        remove_stale_files(folder.path());
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn only_stale_temporary_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let mut living = temporary_file_in(folder.path()).unwrap();
        living.write_all(b"first").unwrap();
        for other in [".ziffer-dead.part", "ziffer-other.part", ".ziffer-other", "gzip.zip.part"] {
            fs::write(folder.path().join(other), b"").unwrap();
        }
        fs::create_dir(folder.path().join(".ziffer-folder.part")).unwrap();
        remove_stale_files(folder.path());
        living.write_all(b" and second").unwrap();
        living.persist(folder.path().join("target")).unwrap();
        assert_eq!(fs::read(folder.path().join("target")).unwrap(), b"first and second");
        let left = [".ziffer-folder.part", ".ziffer-other", "gzip.zip.part", "target", "ziffer-other.part"];
        assert_eq!(names(folder.path()), left);
        remove_stale_files(&folder.path().join("absent"));
    }

    #[test]
    fn a_file_that_was_removed_before_it_was_locked_is_created_anew() {
        let folder = tempfile::tempdir().unwrap();
        let fresh =
            || tempfile::Builder::new().prefix(PREFIX).suffix(SUFFIX).tempfile_in(folder.path()).unwrap();
        let removed = fresh();
        remove_stale_files(folder.path());
        assert!(locked(removed).is_none());
        // Another process has just locked it to remove it.
        let about_to_be_removed = fresh();
        let opened = File::open(about_to_be_removed.path()).unwrap();
        assert!(is_stale(about_to_be_removed.path(), &opened).unwrap());
        assert!(locked(about_to_be_removed).is_none());
        let held = locked(fresh()).unwrap();
        remove_stale_files(folder.path());
        assert!(held.path().exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_renamed_is_not_stale() {
        let folder = tempfile::tempdir().unwrap();
        let temporary = temporary_file_in(folder.path()).unwrap();
        let path = temporary.path().to_owned();
        let opened = File::open(&path).unwrap();
        assert!(!is_stale(&path, &opened).unwrap());
        drop(temporary.persist(folder.path().join("target")).unwrap());
        // Another file has the temporary name by now.
        fs::write(&path, b"other").unwrap();
        assert!(!is_stale(&path, &opened).unwrap());
        assert!(is_stale(&path, &File::open(&path).unwrap()).unwrap());
    }

    #[test]
    fn files_survive_removals_that_run_all_the_time() {
        const FILES: usize = 300;
        let folder = tempfile::tempdir().unwrap();
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_done.load(Ordering::Relaxed) {
                        remove_stale_files(folder.path());
                    }
                });
            }
            let write = |number: usize| -> io::Result<()> {
                let temporary = temporary_file_in(folder.path())?;
                temporary.persist(folder.path().join(number.to_string()))?;
                Ok(())
            };
            let outcomes: Vec<_> = (0..FILES).map(write).collect();
            is_done.store(true, Ordering::Relaxed);
            outcomes.into_iter().for_each(|outcome| outcome.unwrap());
        });
        assert_eq!(names(folder.path()).len(), FILES);
    }

    #[test]
    fn without_locks_a_file_is_stale_after_a_day() {
        let now = SystemTime::now();
        assert!(!is_old(now, now) && !is_old(now - STALE_AFTER, now));
        assert!(is_old(now - STALE_AFTER - Duration::from_secs(1), now));
        assert!(!is_old(now + STALE_AFTER, now), "from a machine whose clock is ahead");
    }

    #[test]
    fn an_error_names_the_folder_and_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        let text = temporary_file_in(&absent).unwrap_err().to_string();
        assert_eq!(text, format!("the folder {} does not exist", absent.display()));
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        let text = temporary_file_in(&file).unwrap_err().to_string();
        assert!(!text.contains(PREFIX), "{text}");
        #[cfg(unix)]
        assert_eq!(text, format!("{} is not a folder", file.display()));
    }
}
