//! Files that appear under their name whole or not at all.

#[cfg(unix)]
use std::fs::Metadata;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

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
    fs::rename(path, names.find(|name| is_missing(name)).unwrap_or_default())
}

/// How the names of temporary files begin and end.
const PREFIX: &str = ".ziffer-";
const SUFFIX: &str = ".part";

/// Where nothing tells whether a temporary file is still written, it is taken for stale when nobody has written to it for
/// so long: far longer than any pause in writing, or than two machines' clocks differ.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A temporary file in `folder`, removed when dropped, with the permissions that a new file of the user has.
///
/// It is locked while it is open, also under the name that it is given at last, and [`remove_stale`] leaves it alone.
pub(crate) fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    // Created here and not by the builder, whose files are private, and whose errors name a path that is nobody's business.
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    loop {
        if let Some(temporary) = locked(builder.make_in(folder, |path| options.open(path))?) {
            return Ok(temporary);
        }
    }
}

/// Locks a file that was created just now. `None` if somebody took it for stale before it was locked: who removes a file
/// holds its lock meanwhile, so a file that is there once it is locked stays.
fn locked(temporary: NamedTempFile) -> Option<NamedTempFile> {
    match temporary.as_file().try_lock() {
        Ok(()) => is_at(temporary.path(), temporary.as_file()).then_some(temporary),
        Err(TryLockError::WouldBlock) => None,
        // A file system without locks.
        Err(TryLockError::Error(_)) => Some(temporary),
    }
}

/// Removes the temporary files of processes that were killed from `folder`, and leaves those that are being written. One
/// that cannot be removed takes room and does no other harm, so failures are let pass.
///
/// A process holds a lock on its temporary file, and the system takes it back when the process ends however it ends. On a
/// file system without locks, files are stale [after a day](STALE_AFTER).
pub(crate) fn remove_stale(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_temporary =
            name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        // Not even opened, if it is a pipe or a link that somebody put there.
        if is_temporary && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let _ = remove_if_stale(&entry.path());
        }
    }
}

fn remove_if_stale(path: &Path) -> io::Result<()> {
    // Over a network, only a file that is open for writing can be locked.
    let file = File::options().read(true).write(true).open(path).or_else(|_| File::open(path))?;
    // Its lock is held until it is removed, see `locked`.
    if is_stale(path, &file)? { fs::remove_file(path) } else { Ok(()) }
}

/// Whether nobody writes the file any more that was opened by this name.
fn is_stale(path: &Path, file: &File) -> io::Result<bool> {
    match file.try_lock() {
        // Its owner may have given it its final name since it was opened here.
        Ok(()) => Ok(is_at(path, file)),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(_)) => Ok(is_old(file.metadata()?.modified()?, SystemTime::now())),
    }
}

fn is_old(modified: SystemTime, now: SystemTime) -> bool {
    now.duration_since(modified).is_ok_and(|age| age > STALE_AFTER)
}

/// Whether an open file is the one under a name.
#[cfg(unix)]
fn is_at(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: Metadata| (metadata.dev(), metadata.ino());
    match (fs::symlink_metadata(path), file.metadata()) {
        (Ok(there), Ok(open)) => id(there) == id(open),
        _ => false,
    }
}

/// Whether there is a file under the name that this one had: names are drawn by chance, and not used twice.
#[cfg(not(unix))]
fn is_at(path: &Path, _: &File) -> bool {
    path.exists()
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
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        let mut dropped = Replacement::beside(&target).unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

        let mut committed = Replacement::beside(&target).unwrap();
        committed.write_all(b"whole").unwrap();
        assert!(!target.exists());
        committed.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_name_alone_lies_in_the_current_folder() {
        assert_eq!(folder_of(Path::new("name")), Path::new("."));
        assert_eq!(folder_of(Path::new("a/name")), Path::new("a"));
    }

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
            let mut replacement = Replacement::beside(&Path::new(&folder).join("target")).unwrap();
            replacement.write_all(b"half").unwrap();
            println!("written");
            // Until it is killed.
            let _ = io::stdin().read_line(&mut String::new());
            panic!("the other process has ended");
        }
        let folder = tempfile::tempdir().unwrap();
        let name = "replacement::tests::a_file_is_stale_when_its_process_has_ended";
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
        remove_stale(folder.path());
        assert_eq!(names(folder.path()), written);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(names(folder.path()), written);
        remove_stale(folder.path());
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn what_is_written_outlives_a_sweep() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        let mut replacement = Replacement::beside(&target).unwrap();
        replacement.write_all(b"first").unwrap();
        for other in [".ziffer-dead.part", "ziffer-other.part", ".ziffer-other", "gzip.zip.part"] {
            fs::write(folder.path().join(other), b"").unwrap();
        }
        fs::create_dir(folder.path().join(".ziffer-folder.part")).unwrap();
        remove_stale(folder.path());
        replacement.write_all(b" and second").unwrap();
        replacement.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"first and second");
        let left = [".ziffer-folder.part", ".ziffer-other", "gzip.zip.part", "target", "ziffer-other.part"];
        assert_eq!(names(folder.path()), left);
        remove_stale(&folder.path().join("absent"));
    }

    #[test]
    fn a_file_may_be_swept_before_it_is_locked() {
        let folder = tempfile::tempdir().unwrap();
        let fresh =
            || tempfile::Builder::new().prefix(PREFIX).suffix(SUFFIX).tempfile_in(folder.path()).unwrap();
        let swept = fresh();
        remove_stale(folder.path());
        assert!(locked(swept).is_none());
        // Who sweeps has just locked it.
        let about_to_be_swept = fresh();
        let opened = File::open(about_to_be_swept.path()).unwrap();
        assert!(is_stale(about_to_be_swept.path(), &opened).unwrap());
        assert!(locked(about_to_be_swept).is_none());
        let held = locked(fresh()).unwrap();
        remove_stale(folder.path());
        assert!(held.path().exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_may_get_its_name_before_it_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let temporary = temporary_in(folder.path()).unwrap();
        let path = temporary.path().to_owned();
        let opened = File::open(&path).unwrap();
        assert!(!is_stale(&path, &opened).unwrap());
        drop(temporary.persist(folder.path().join("target")).unwrap());
        // And another one has its name by now.
        fs::write(&path, b"other").unwrap();
        assert!(!is_stale(&path, &opened).unwrap());
        assert!(is_stale(&path, &File::open(&path).unwrap()).unwrap());
    }

    #[test]
    fn sweeps_all_the_time() {
        const FILES: usize = 300;
        let folder = tempfile::tempdir().unwrap();
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_done.load(Ordering::Relaxed) {
                        remove_stale(folder.path());
                    }
                });
            }
            let write = |number: usize| -> io::Result<()> {
                let temporary = temporary_in(folder.path())?;
                temporary.persist(folder.path().join(number.to_string()))?;
                Ok(())
            };
            let outcomes: Vec<_> = (0..FILES).map(write).collect();
            is_done.store(true, Ordering::Relaxed);
            outcomes.into_iter().for_each(|outcome| outcome.unwrap());
        });
        assert_eq!(names(folder.path()).len(), FILES);
    }

    #[cfg(unix)]
    #[test]
    fn another_file_of_that_name_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let [path, elsewhere] = ["file", "elsewhere"].map(|name| folder.path().join(name));
        let file = File::create(&path).unwrap();
        assert!(is_at(&path, &file));
        fs::rename(&path, &elsewhere).unwrap();
        assert!(!is_at(&path, &file) && is_at(&elsewhere, &file));
        fs::write(&path, b"").unwrap();
        assert!(!is_at(&path, &file));
    }

    #[test]
    fn without_locks_age_decides() {
        let now = SystemTime::now();
        assert!(!is_old(now, now) && !is_old(now - STALE_AFTER, now));
        assert!(is_old(now - STALE_AFTER - Duration::from_secs(1), now));
        assert!(!is_old(now + STALE_AFTER, now), "from a machine whose clock is ahead");
    }
}
