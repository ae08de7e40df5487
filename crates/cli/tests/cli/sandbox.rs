//! A folder of its own for each test, the program run in it, and what every refusal has in common.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::idx::IdxSet;

/// Training on the tiny set in `set`; the run goes to `run`.
pub(crate) const TRAIN_TINY: &str =
    "train --dataset custom --data-dir set --out run --epochs 2 --batch-size 7 --hidden 6";

/// What says that files of a known digest were checked; it may stay beside them.
const CHECKED_MARK: &str = ".ziffer-verified.json";

/// A folder that is the program's working folder, home and cache.
pub(crate) struct Sandbox {
    folder: TempDir,
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    #[expect(dead_code, reason = "shown by Debug when a test fails")]
    pub(crate) command: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for the test") }
    }

    /// A folder with the tiny set in `set`.
    pub(crate) fn with_tiny_set() -> Self {
        let sandbox = Self::new();
        IdxSet::tiny().write(&sandbox.path("set"));
        sandbox
    }

    /// A path inside.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// The program, in this folder, without anything of the caller's surroundings that it listens to.
    pub(crate) fn command(&self) -> Command {
        self.prepare(Command::new(env!("CARGO_BIN_EXE_ziffer")))
    }

    /// Any program, with the same surroundings as [`Self::command`].
    pub(crate) fn prepare(&self, mut command: Command) -> Command {
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env_remove("ZIFFER_ISA")
            .env_remove("ZIFFER_MIRROR")
            .env_remove("RAYON_NUM_THREADS")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program with arguments that have no spaces.
    pub(crate) fn run(&self, arguments: &str) -> Outcome {
        finish(self.command().args(arguments.split_whitespace()))
    }

    /// Runs the program, which must succeed.
    pub(crate) fn succeed(&self, arguments: &str) -> Outcome {
        self.run(arguments).succeeded()
    }

    /// Runs the program, which must refuse; see [`Self::refuse_command`].
    pub(crate) fn refuse(&self, arguments: &str, words: &[&str]) -> Outcome {
        self.refuse_command(self.command().args(arguments.split_whitespace()), words)
    }

    /// Runs a command, which must end with 1 or 2, say nothing but one line on standard error, with all of
    /// `words` in it, and leave every file of this folder as it was.
    pub(crate) fn refuse_command(&self, command: &mut Command, words: &[&str]) -> Outcome {
        let before = self.files();
        let outcome = finish(command);
        outcome.refused(words);
        assert_eq!(difference(&before, &self.files()), Vec::<String>::new(), "files after {outcome:?}");
        outcome
    }

    /// All files inside with their bytes, but for large ones, of which only the length.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(self.folder.path(), &mut files);
        files
    }
}

impl Outcome {
    /// Fails if the program did.
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        self
    }

    /// Fails if this is not a refusal in one clear line that has all of `words`.
    pub(crate) fn refused(&self, words: &[&str]) {
        assert!(matches!(self.code, Some(1 | 2)), "exit code 1 or 2, not {self:?}");
        assert_eq!(self.stdout, "", "nothing on standard output: {self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        assert!(self.stderr.ends_with('\n'), "a whole line: {self:?}");
        // A run that fails later has said its finished epochs before.
        let lines: Vec<_> = self.stderr.lines().filter(|line| !line.starts_with("Epoch ")).collect();
        assert_eq!(lines.len(), 1, "exactly one line: {self:?}");
        assert!(lines[0].chars().all(|c| !c.is_control()), "a plain line: {self:?}");
        let parts = parts(lines[0]);
        assert!(parts.is_sorted_by(|a, b| a < b), "nothing twice of {parts:?}: {self:?}");
        for word in words {
            assert!(lines[0].contains(word), "{word:?} is missing in {self:?}");
        }
    }
}

/// The parts of a line that are joined by ": ", sorted, each in lower case and without the number of an operating system's error.
fn parts(line: &str) -> Vec<String> {
    let without_number = |part: &str| part.split(" (os error").next().unwrap_or(part).to_lowercase();
    let mut parts: Vec<String> = line.split(": ").map(without_number).collect();
    parts.sort_unstable();
    parts
}

/// Waits for a command, and takes what it printed.
pub(crate) fn finish(command: &mut Command) -> Outcome {
    let Output { status, stdout, stderr } = command.output().expect("the program can be started");
    Outcome {
        command: format!("{command:?}"),
        code: status.code(),
        stdout: String::from_utf8(stdout).expect("UTF-8 on standard output"),
        stderr: String::from_utf8(stderr).expect("UTF-8 on standard error"),
    }
}

/// Sends a signal to a process of this test's own.
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// Waits for a run to end, and takes what it printed.
pub(crate) fn end(child: Child) -> Outcome {
    let output = child.wait_with_output().unwrap();
    Outcome {
        command: "a run".to_owned(),
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The run's summary.
pub(crate) fn summary(run: &Path) -> Value {
    let text = fs::read_to_string(run.join("summary.json")).expect("the run's summary");
    serde_json::from_str(&text).expect("JSON in the summary")
}

/// The run's `weights_sha256`.
pub(crate) fn weights_sha256(run: &Path) -> String {
    summary(run)["weights_sha256"].as_str().expect("a digest").to_owned()
}

/// Says that a test did not run, and why.
#[expect(clippy::print_stderr, reason = "the test's own output")]
pub(crate) fn skip(test: &str, reason: &str) {
    eprintln!("skipped: {test}: {reason}");
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    const LARGE: u64 = 1 << 20;
    for entry in fs::read_dir(folder).expect("a folder that can be listed") {
        let path = entry.expect("an entry").path();
        let kind = fs::symlink_metadata(&path).expect("an entry that can be looked at");
        if kind.is_dir() {
            collect(&path, files);
        } else if kind.len() > LARGE {
            files.insert(path, kind.len().to_le_bytes().to_vec());
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap_or_default());
        }
    }
}

/// What is new, gone or changed. The mark of checked files, and what was unpacked beside its .gz, may be new.
fn difference(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<String> {
    let may_be_new = |path: &Path| {
        let mut packed = path.as_os_str().to_owned();
        packed.push(".gz");
        path.ends_with(CHECKED_MARK) || before.contains_key(Path::new(&packed))
    };
    let mut all: Vec<_> = before.keys().chain(after.keys()).collect();
    all.sort();
    all.dedup();
    all.into_iter()
        .filter(|path| match (before.get(*path), after.get(*path)) {
            (None, Some(_)) => !may_be_new(path),
            (old, new) => old != new,
        })
        .map(|path| path.display().to_string())
        .collect()
}
