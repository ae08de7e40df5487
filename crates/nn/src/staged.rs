//! Files that appear under their name whole or not at all.

#[cfg(unix)]
use std::fs::Metadata;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

/// A file that is written and on the disk, but not yet under its name. Dropped, it is gone.
///
/// It is locked while it waits, so that [`remove_stale`](Self::remove_stale), called by another process, leaves it alone.
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

/// Where nothing tells whether a file is still to be published, it is taken for stale when nobody has written to it for so
/// long: far longer than any pause in writing, or than two machines' clocks differ.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

impl Staged {
    /// Removes the staged files of processes that were killed from `folder`, and leaves those that are to be published. One
    /// that cannot be removed takes room and does no other harm, so failures are let pass.
    ///
    /// A process holds a lock on its staged file, and the system takes it back when the process ends however it ends. On a
    /// file system without locks, files are stale if nobody has written to them for a day.
    pub fn remove_stale(folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_staged =
                name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
            // Not even opened, if it is a pipe or a link that somebody put there.
            if is_staged && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                let _ = remove_if_stale(&entry.path());
            }
        }
    }

    /// Writes `bytes` beside `path` and brings them to the disk. Where `path` is a symbolic link, the file that it leads to is
    /// meant.
    ///
    /// # Errors
    /// If they cannot be written, or if `path` is a device or a pipe, which would not be one any more; nothing is left behind.
    pub fn write(path: impl Into<PathBuf>, bytes: &[u8]) -> io::Result<Self> {
        let mut path = path.into();
        if let Ok(metadata) = fs::metadata(&path) {
            if !(metadata.is_file() || metadata.is_dir()) {
                return Err(io::Error::other("it is no file"));
            }
            if path.is_symlink() {
                path = path.canonicalize()?;
            }
        }
        let mut file = temporary_in(folder_of(&path))?;
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
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

/// A locked file of a name drawn by chance, removed when dropped.
fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    // Private by default; this becomes a file like any other of the user's.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    loop {
        if let Some(temporary) = locked(builder.tempfile_in(folder)?) {
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

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let entries = || fs::read_dir(folder.path()).unwrap().count();
        drop(Staged::write(&path, b"never").unwrap());
        assert_eq!(entries(), 0);
        let staged = Staged::write(&path, b"first").unwrap();
        assert!(!path.exists());
        Staged::remove_stale(folder.path());
        assert_eq!(entries(), 1);
        staged.publish().unwrap();
        Staged::write(&path, b"second").unwrap().publish().unwrap();
        assert_eq!((fs::read(&path).unwrap(), entries()), (b"second".to_vec(), 1));
        fs::create_dir(folder.path().join("taken")).unwrap();
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
        fs::write(&file, b"before").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        Staged::write(&link, b"after").unwrap().publish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"after");
        // Never published: where the tests are run by root, a failure would cost the device.
        assert!(Staged::write("/dev/null", b"").is_err());
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    const FOLDER: &str = "ZIFFER_TEST_STAGED_FOLDER";

    /// Writes in a process of its own, which is killed.
    #[test]
    fn a_file_is_stale_when_its_process_has_ended() {
        if let Some(folder) = std::env::var_os(FOLDER) {
            let _staged = Staged::write(Path::new(&folder).join("target"), b"whole").unwrap();
            println!("written");
            // Until it is killed.
            let _ = io::stdin().read_line(&mut String::new());
            panic!("the other process has ended");
        }
        let folder = tempfile::tempdir().unwrap();
        let name = "staged::tests::a_file_is_stale_when_its_process_has_ended";
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
        Staged::remove_stale(folder.path());
        assert_eq!(names(folder.path()), written);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(names(folder.path()), written);
        Staged::remove_stale(folder.path());
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn what_is_staged_outlives_a_sweep() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        let staged = Staged::write(&target, b"whole").unwrap();
        for other in [".ziffer-dead.part", "ziffer-other.part", ".ziffer-other", "gzip.zip.part"] {
            fs::write(folder.path().join(other), b"").unwrap();
        }
        fs::create_dir(folder.path().join(".ziffer-folder.part")).unwrap();
        Staged::remove_stale(folder.path());
        staged.publish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        let left = [".ziffer-folder.part", ".ziffer-other", "gzip.zip.part", "target", "ziffer-other.part"];
        assert_eq!(names(folder.path()), left);
        Staged::remove_stale(&folder.path().join("absent"));
    }

    #[test]
    fn a_file_may_be_swept_before_it_is_locked() {
        let folder = tempfile::tempdir().unwrap();
        let fresh =
            || tempfile::Builder::new().prefix(PREFIX).suffix(SUFFIX).tempfile_in(folder.path()).unwrap();
        let swept = fresh();
        Staged::remove_stale(folder.path());
        assert!(locked(swept).is_none());
        // Who sweeps has just locked it.
        let about_to_be_swept = fresh();
        let opened = File::open(about_to_be_swept.path()).unwrap();
        assert!(is_stale(about_to_be_swept.path(), &opened).unwrap());
        assert!(locked(about_to_be_swept).is_none());
        let held = locked(fresh()).unwrap();
        Staged::remove_stale(folder.path());
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
                        Staged::remove_stale(folder.path());
                    }
                });
            }
            let write = |number: usize| Staged::write(folder.path().join(number.to_string()), b"")?.publish();
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
