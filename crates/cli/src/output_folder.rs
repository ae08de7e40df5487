//! The folder that a run is written to: its name, its lock, and what it may replace.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, ensure};
use ziffer_base::fs::{AtomicFile, FolderLock};

use crate::report_input::REPORT_FILE;
use crate::run_folder::{MODEL_FILE, RECIPE_FILE, SUMMARY_FILE};

/// The files of a report, of older versions too.
const REPORT_FILES: [&str; 5] = [REPORT_FILE, "history.csv", "confusion.svg", "curves.svg", "curves.png"];

/// The folder of all runs for which `--out` names none.
pub(crate) const RUNS: &str = "runs";

/// The flags of `train` that choose the folder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FolderFlags<'a> {
    /// `--out`.
    pub(crate) out: Option<&'a Path>,
    /// The name of the folder in [`RUNS`] if there is no `--out`.
    pub(crate) name: &'a str,
    /// `--force`.
    pub(crate) force: bool,
    /// `--resume`.
    pub(crate) resume: bool,
}

/// A run folder that is locked for this process until the value is dropped.
#[derive(Debug)]
pub(crate) struct OutputFolder {
    path: PathBuf,
    /// Files of a finished run that are to be removed once the new run is finished.
    replaced: Vec<PathBuf>,
    _lock: FolderLock,
}

impl FolderFlags<'_> {
    /// Refuses the folder of a finished run, unless a flag says what to do with it. Nothing is locked or created, so that the
    /// error comes before any work.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        match self.out {
            Some(out) if !self.force && !self.resume => refuse_finished(out),
            _ => Ok(()),
        }
    }

    /// Creates and locks the folder.
    ///
    /// With `--out` it is that folder. Without, it is `runs/NAME`, or the first of `runs/NAME-2`, `runs/NAME-3`, ... that
    /// neither has a finished run nor is in use by another process. `--resume` takes the one of them that has the newest
    /// checkpoint, and `--force` takes `runs/NAME`.
    ///
    /// # Errors
    /// If the folder has a finished run that no flag allows to replace, is in use, or cannot be created.
    pub(crate) fn lock(&self) -> anyhow::Result<OutputFolder> {
        if let Some(out) = self.out {
            let lock = lock(out, CHOOSE_ANOTHER)?;
            // Another process may have finished a run since `check`.
            self.check()?;
            return Ok(OutputFolder::new(out.to_owned(), lock, self.force && !self.resume));
        }
        if self.resume
            && let Some(newest) = self.newest()
        {
            let lock = lock(&newest, CHOOSE_ANOTHER)?;
            return Ok(OutputFolder::new(newest, lock, false));
        }
        if self.force && !self.resume {
            let path = self.default_folder(1);
            let lock = lock(&path, CHOOSE_ANOTHER)?;
            return Ok(OutputFolder::new(path, lock, true));
        }
        let mut number = 1;
        loop {
            let path = self.default_folder(number);
            // Asked again under the lock: two processes that start at the same time never take the same folder.
            if !has_finished_run(&path)
                && let Some(lock) = try_lock(&path)?
                && !has_finished_run(&path)
            {
                return Ok(OutputFolder::new(path, lock, false));
            }
            number += 1;
        }
    }

    /// `runs/NAME` for 1, `runs/NAME-2` for 2, and so on.
    pub(crate) fn default_folder(&self, number: u64) -> PathBuf {
        let name = if number == 1 { self.name.to_owned() } else { format!("{}-{number}", self.name) };
        Path::new(RUNS).join(name)
    }

    /// The folder with the newest checkpoint of those that runs of this name are written to.
    fn newest(&self) -> Option<PathBuf> {
        let folders = fs::read_dir(RUNS).ok()?.flatten().map(|entry| entry.path());
        let of_name = folders.filter(|path| self.is_default_folder(path));
        of_name.filter_map(|path| Some((newest_checkpoint(&path)?, path))).max().map(|(_, path)| path)
    }

    /// Whether a path is one of [`Self::default_folder`].
    fn is_default_folder(&self, path: &Path) -> bool {
        let rest = path.file_name().and_then(|name| name.to_str()?.strip_prefix(self.name));
        let number = match rest {
            Some("") => Some(1),
            Some(rest) => rest.strip_prefix('-').and_then(|number| number.parse().ok()),
            None => None,
        };
        // `+2` and `02` are numbers too.
        number.is_some_and(|number| self.default_folder(number).file_name() == path.file_name())
    }
}

impl OutputFolder {
    fn new(path: PathBuf, lock: FolderLock, replaces: bool) -> Self {
        let mut replaced = Vec::new();
        if replaces && has_finished_run(&path) {
            let report = REPORT_FILES.iter().map(|name| path.join(name));
            replaced = checkpoints(&path).chain(report.filter(|path| path.is_file())).collect();
        }
        Self { path, replaced, _lock: lock }
    }

    /// The path of the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that this many bytes and the files of a run can be written, before time is spent on training.
    ///
    /// # Errors
    /// If they cannot.
    pub(crate) fn check_space(&self, bytes: usize) -> anyhow::Result<()> {
        for name in [MODEL_FILE, SUMMARY_FILE, RECIPE_FILE] {
            let path = self.path.join(name);
            ensure!(!path.is_dir(), "{}: cannot write: it is a folder", path.display());
        }
        // The file is written and synced, and then removed by the drop.
        AtomicFile::stage(self.path.join(MODEL_FILE), &vec![0; bytes])
            .map(drop)
            .with_context(|| format!("{}: cannot write to the folder", self.path.display()))
    }

    /// Removes what a finished run left here that the new run has not replaced: its checkpoints, and files of its report.
    /// A file that cannot be removed takes space and does no other harm.
    pub(crate) fn remove_replaced(&mut self) {
        for path in self.replaced.drain(..) {
            let _ = fs::remove_file(path);
        }
    }
}

const CHOOSE_ANOTHER: &str = "wait for it to end, or choose another folder with --out";

/// Creates and locks a folder, and removes temporary files of killed processes. If another process has the lock, the error ends
/// with `advice`.
pub(crate) fn lock(folder: &Path, advice: &str) -> anyhow::Result<FolderLock> {
    try_lock(folder)?
        .with_context(|| format!("{}: another process is writing to this folder; {advice}", folder.display()))
}

/// Like [`lock`], but returns `None` if another process has the lock.
fn try_lock(folder: &Path) -> anyhow::Result<Option<FolderLock>> {
    FolderLock::try_lock(folder).with_context(|| {
        let action = if folder.is_dir() { "write to" } else { "create" };
        format!("{}: cannot {action} the folder", folder.display())
    })
}

/// Whether a run was trained to its end here: the summary is the last file that a run writes.
fn has_finished_run(folder: &Path) -> bool {
    folder.join(SUMMARY_FILE).is_file()
}

fn refuse_finished(folder: &Path) -> anyhow::Result<()> {
    ensure!(
        !has_finished_run(folder),
        "{}: already has a finished run; --force replaces it, --resume continues it, --out chooses another folder",
        folder.display()
    );
    Ok(())
}

/// The checkpoints of a folder.
fn checkpoints(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_checkpoint = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_prefix("checkpoint-")?.strip_suffix(".safetensors"));
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) && path.is_file()
    };
    entries.map(|entry| entry.path()).filter(is_checkpoint)
}

fn newest_checkpoint(folder: &Path) -> Option<SystemTime> {
    checkpoints(folder).filter_map(|path| path.metadata().ok()?.modified().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_folders_are_numbered_from_2() {
        let folder_flags = FolderFlags { out: None, name: "mnist-0", force: false, resume: false };
        assert_eq!(folder_flags.default_folder(1), Path::new("runs/mnist-0"));
        assert_eq!(folder_flags.default_folder(12), Path::new("runs/mnist-0-12"));
        for name in ["mnist-0", "mnist-0-2", "mnist-0-10"] {
            assert!(folder_flags.is_default_folder(&Path::new(RUNS).join(name)), "{name}");
        }
        for name in
            ["mnist-01", "mnist-0-1", "mnist-0-02", "mnist-0-+2", "mnist-0-best", "mnist-1", "kmnist-0"]
        {
            assert!(!folder_flags.is_default_folder(&Path::new(RUNS).join(name)), "{name}");
        }
    }
}
