//! One run of a system, as a process: its times and its memory.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, anyhow, ensure};
use serde::Deserialize;
use wait4::Wait4;
use ziffer::{RunSummary, SUMMARY_FILE};

use super::peer::{self, Kind, Peer};
use super::process::last_line;

/// Environment variables that configure libraries of some systems. No run inherits them.
const REMOVED_VARIABLES: [&str; 12] = [
    "CANDLE_NUM_THREADS",
    "KERAS_BACKEND",
    "KMP_AFFINITY",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "OPENBLAS_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
];

/// The measurements of a run. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Run {
    /// The time of all epochs with their validation.
    pub(crate) fit: f64,
    /// The time of the compilation before training, if the system has one.
    pub(crate) compile: Option<f64>,
    /// The time from the process's start to its end.
    pub(crate) process: f64,
    /// The accuracy on the test set, 0 to 1.
    pub(crate) accuracy: f64,
    /// The largest resident memory, in bytes.
    pub(crate) memory: u64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (accuracy, memory) = (100.0 * self.accuracy, self.memory / 1_000_000);
        write!(f, "fit {:.2} s, process {:.2} s, {accuracy:.2}%, {memory} MB", self.fit, self.process)
    }
}

/// The result that a peer prints as its last line.
#[derive(Debug, Deserialize)]
struct PeerResult {
    fit_seconds: f64,
    compile_seconds: Option<f64>,
    test_accuracy: f64,
    versions: BTreeMap<String, String>,
}

/// Runs systems in folders below `target/peers`.
#[derive(Debug)]
pub(crate) struct Runner {
    root: PathBuf,
    /// The folder of MNIST's four files.
    pub(crate) data: PathBuf,
    /// The output of the last run.
    output: PathBuf,
}

impl Runner {
    pub(crate) fn new(root: &Path) -> Self {
        let target = peer::target(root);
        Self { root: root.to_owned(), data: target.join("mnist"), output: target.join("run") }
    }

    /// The program `ziffer`.
    pub(crate) fn ziffer(&self) -> Command {
        Command::new(self.root.join("target/release/ziffer"))
    }

    pub(crate) fn run_ziffer(&self, threads: usize, seed: u64) -> anyhow::Result<Run> {
        let mut command = self.ziffer();
        command.arg("train").arg("--data-dir").arg(&self.data).arg("--out").arg(&self.output);
        let (process, memory) = self.run(command, threads, seed).context("ziffer train")?;
        let summary = self.output.join(SUMMARY_FILE);
        let text = std::fs::read_to_string(&summary).with_context(|| summary.display().to_string())?;
        let summary: RunSummary = serde_json::from_str(&text).context("ziffer's summary")?;
        Ok(Run { fit: summary.fit_seconds, compile: None, process, accuracy: summary.test_accuracy, memory })
    }

    pub(crate) fn run_peer(
        &self,
        peer: &Peer,
        threads: usize,
        seed: u64,
        versions: &mut BTreeMap<String, String>,
    ) -> anyhow::Result<Run> {
        let home = peer::target(&self.root).join(peer.name);
        let mut command = match peer.kind {
            Kind::Python { script } => {
                let mut command = Command::new(home.join("bin/python"));
                command.arg("-B").arg(peer::folder(&self.root).join(script));
                command
            }
            Kind::Cargo => Command::new(home.join("release").join(format!("peer-{}", peer.name))),
        };
        command.arg("--data").arg(&self.data);
        let (process, memory) = self.run(command, threads, seed)?;
        let stdout = std::fs::read_to_string(self.stdout()).context("cannot read its output")?;
        let last = stdout.lines().next_back().ok_or_else(|| anyhow!("it printed no result"))?;
        let result: PeerResult =
            serde_json::from_str(last).with_context(|| format!("invalid result {last:?}"))?;
        versions.extend(result.versions);
        Ok(Run {
            fit: result.fit_seconds,
            compile: result.compile_seconds,
            process,
            accuracy: result.test_accuracy,
            memory,
        })
    }

    fn stdout(&self) -> PathBuf {
        self.output.join("stdout")
    }

    /// Runs a process to its end. Returns its time in seconds and its largest resident memory in bytes.
    fn run(&self, mut command: Command, threads: usize, seed: u64) -> anyhow::Result<(f64, u64)> {
        if self.output.exists() {
            std::fs::remove_dir_all(&self.output)
                .with_context(|| format!("{}: cannot remove", self.output.display()))?;
        }
        std::fs::create_dir_all(&self.output)
            .with_context(|| format!("{}: cannot create", self.output.display()))?;
        let stderr = self.output.join("stderr");
        let create =
            |path: &Path| File::create(path).with_context(|| format!("{}: cannot create", path.display()));
        command.arg("--threads").arg(threads.to_string()).arg("--seed").arg(seed.to_string());
        command.stdin(Stdio::null()).stdout(create(&self.stdout())?).stderr(create(&stderr)?);
        for variable in REMOVED_VARIABLES {
            command.env_remove(variable);
        }
        let start = Instant::now();
        let child = command.spawn().context("cannot start it")?;
        let end = child.wait4().context("cannot wait for its end")?;
        let process = start.elapsed().as_secs_f64();
        let message = || last_line(&std::fs::read(&stderr).unwrap_or_default());
        ensure!(end.status.success(), "it ended with {}{}", end.status, message());
        Ok((process, end.rusage.maxrss))
    }
}
