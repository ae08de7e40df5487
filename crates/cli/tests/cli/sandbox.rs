//! A folder for each test, running the program in it, and the checks that every refusal must pass.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::idx::IdxSet;

/// Trains on the tiny data set in `set`. The run folder is `run`.
pub(crate) const TRAIN_TINY: &str =
    "train --dataset custom --data-dir set --out run --epochs 2 --batch-size 7 --hidden 6";

/// The cache of checked digests, which may appear beside the files.
const DIGEST_CACHE: &str = ".ziffer-verified.json";

/// A folder that is the program's working directory, home and cache.
pub(crate) struct Sandbox {
    folder: TempDir,
    program: PathBuf,
    /// The user that the program runs as, if it is another one than that of the test.
    #[cfg(unix)]
    user: Option<u32>,
    /// A copy of the program that this user can reach.
    #[cfg(unix)]
    _copy: Option<TempDir>,
}

/// The result of a finished process.
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
        Self {
            folder: TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for the test"),
            program: PathBuf::from(env!("CARGO_BIN_EXE_ziffer")),
            #[cfg(unix)]
            user: None,
            #[cfg(unix)]
            _copy: None,
        }
    }

    /// An empty folder in which the program runs as an ordinary user: file permissions do not bind root, so that as root the
    /// program runs as `nobody`, who owns the folder.
    ///
    /// # Errors
    /// If this process is root's but cannot start another user's processes.
    #[cfg(unix)]
    pub(crate) fn of_ordinary_user() -> Result<Self, String> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};

        const NOBODY: u32 = 65_534;
        let folder = TempDir::new().expect("a folder for the test");
        let mut sandbox = Self { folder, ..Self::new() };
        if sandbox.folder.path().metadata().expect("the folder's owner").uid() != 0 {
            return Ok(sandbox);
        }
        let copy = TempDir::new().expect("a folder for the program");
        sandbox.program = copy.path().join("ziffer");
        fs::copy(env!("CARGO_BIN_EXE_ziffer"), &sandbox.program).expect("a copy of the program");
        fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o755)).expect("a readable folder");
        sandbox.user = Some(NOBODY);
        sandbox._copy = Some(copy);
        sandbox.give("");
        let version = sandbox.command().arg("--version").output();
        version
            .map(|_| sandbox)
            .map_err(|error| format!("root cannot start a process of another user: {error}"))
    }

    /// Makes the user of the program the owner of what is at a path.
    #[cfg(unix)]
    pub(crate) fn give(&self, inside: &str) {
        if let Some(user) = self.user {
            std::os::unix::fs::chown(self.path(inside), Some(user), Some(user)).expect("root may do this");
        }
    }

    /// Sets the permissions of what is at a path, which then belongs to the user of the program.
    #[cfg(unix)]
    pub(crate) fn set_mode(&self, inside: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        self.give(inside);
        fs::set_permissions(self.path(inside), fs::Permissions::from_mode(mode)).expect("an existing path");
    }

    /// A folder with the tiny data set in `set`.
    pub(crate) fn with_tiny_set() -> Self {
        let sandbox = Self::new();
        IdxSet::tiny().write(&sandbox.path("set"));
        sandbox
    }

    /// A path inside.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// The program, in this folder, without the variables of the environment that it reads.
    pub(crate) fn command(&self) -> Command {
        self.prepare(Command::new(&self.program))
    }

    /// Any program, with the same environment as [`Self::command`].
    pub(crate) fn prepare(&self, mut command: Command) -> Command {
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env_remove("ZIFFER_ISA")
            .env_remove("ZIFFER_MIRROR")
            .env_remove("RAYON_NUM_THREADS")
            .stdin(Stdio::null());
        #[cfg(unix)]
        if let Some(user) = self.user {
            use std::os::unix::process::CommandExt;
            command.gid(user).uid(user);
        }
        command
    }

    /// Runs the program with arguments without spaces.
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

    /// Runs a command, which must exit with 1 or 2, print nothing but one line to standard error that contains all of
    /// `words`, and leave every file of this folder unchanged.
    pub(crate) fn refuse_command(&self, command: &mut Command, words: &[&str]) -> Outcome {
        let before = self.files();
        let outcome = finish(command);
        outcome.refused(words);
        assert_eq!(difference(&before, &self.files()), Vec::<String>::new(), "files after {outcome:?}");
        outcome
    }

    /// All files inside with their bytes; only the lengths of large ones.
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

    /// Fails if this is not a refusal in one clear line that contains all of `words`.
    pub(crate) fn refused(&self, words: &[&str]) {
        assert!(matches!(self.code, Some(1 | 2)), "exit code 1 or 2, not {self:?}");
        assert_eq!(self.stdout, "", "nothing on standard output: {self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        assert!(self.stderr.ends_with('\n'), "a whole line: {self:?}");
        // A run that fails later has printed its finished epochs.
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

/// The parts of a line that are joined by ": ", sorted, in lower case, without the numbers of system errors.
fn parts(line: &str) -> Vec<String> {
    let without_number = |part: &str| part.split(" (os error").next().unwrap_or(part).to_lowercase();
    let mut parts: Vec<String> = line.split(": ").map(without_number).collect();
    parts.sort_unstable();
    parts
}

/// Runs a command to its end and takes its output.
pub(crate) fn finish(command: &mut Command) -> Outcome {
    let Output { status, stdout, stderr } = command.output().expect("the program can be started");
    Outcome {
        command: format!("{command:?}"),
        code: status.code(),
        stdout: String::from_utf8(stdout).expect("UTF-8 on standard output"),
        stderr: String::from_utf8(stderr).expect("UTF-8 on standard error"),
    }
}

/// Sends a signal to a process that the test started.
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// Waits for a process to end and takes its output.
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

/// Prints that a test did not run, and why. Written past the harness, which shows what `eprintln!` prints only if a test fails.
pub(crate) fn skip(test: &str, reason: &str) {
    let _ = writeln!(io::stderr(), "skipped: {test}: {reason}");
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

/// The files that are new, gone or changed, except the digest cache and files unpacked beside their .gz.
fn difference(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<String> {
    let may_be_new = |path: &Path| {
        let mut packed = path.as_os_str().to_owned();
        packed.push(".gz");
        path.ends_with(DIGEST_CACHE) || before.contains_key(Path::new(&packed))
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
