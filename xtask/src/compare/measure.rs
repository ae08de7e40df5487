//! One run: a process from its start to its end.

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
use super::process::last_words;

/// What the environment may say to libraries that some peers use and others do not. All start without it.
const CHOICES: [&str; 12] = [
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

/// What was measured. Times in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Run {
    /// All epochs with their validation.
    pub(crate) fit: f64,
    /// What was compiled before, where that is done apart.
    pub(crate) compile: Option<f64>,
    /// From the process's start to its end.
    pub(crate) whole: f64,
    /// On the test part, 0 to 1.
    pub(crate) accuracy: f64,
    /// The most that was resident, in bytes.
    pub(crate) memory: u64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (accuracy, memory) = (100.0 * self.accuracy, self.memory / 1_000_000);
        write!(f, "fit {:.2} s, whole {:.2} s, {accuracy:.2} %, {memory} MB", self.fit, self.whole)
    }
}

/// A peer's last line.
#[derive(Debug, Deserialize)]
struct Told {
    fit_seconds: f64,
    compile_seconds: Option<f64>,
    test_accuracy: f64,
    versions: BTreeMap<String, String>,
}

/// Where runs are made.
#[derive(Debug)]
pub(crate) struct Workplace {
    root: PathBuf,
    /// MNIST's four files.
    pub(crate) data: PathBuf,
    /// What the last run left.
    leavings: PathBuf,
}

impl Workplace {
    pub(crate) fn new(root: &Path) -> Self {
        let target = peer::target(root);
        Self { root: root.to_owned(), data: target.join("mnist"), leavings: target.join("run") }
    }

    /// The program.
    pub(crate) fn ziffer(&self) -> Command {
        Command::new(self.root.join("target/release/ziffer"))
    }

    pub(crate) fn run_ziffer(&self, threads: usize, seed: u64) -> anyhow::Result<Run> {
        let mut command = self.ziffer();
        command.arg("train").arg("--data-dir").arg(&self.data).arg("--out").arg(&self.leavings);
        let (whole, memory) = self.run(command, threads, seed).context("ziffer train")?;
        let summary = self.leavings.join(SUMMARY_FILE);
        let text = std::fs::read_to_string(&summary).with_context(|| summary.display().to_string())?;
        let summary: RunSummary = serde_json::from_str(&text).context("ziffer's summary")?;
        Ok(Run { fit: summary.fit_seconds, compile: None, whole, accuracy: summary.test_accuracy, memory })
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
        let (whole, memory) = self.run(command, threads, seed)?;
        let output = std::fs::read_to_string(self.stdout()).context("its output")?;
        let last = output.lines().next_back().ok_or_else(|| anyhow!("it wrote no result"))?;
        let told: Told = serde_json::from_str(last).with_context(|| format!("its last line {last:?}"))?;
        versions.extend(told.versions);
        Ok(Run {
            fit: told.fit_seconds,
            compile: told.compile_seconds,
            whole,
            accuracy: told.test_accuracy,
            memory,
        })
    }

    fn stdout(&self) -> PathBuf {
        self.leavings.join("stdout")
    }

    /// Runs a process to its end: its seconds, and the most memory that was resident.
    fn run(&self, mut command: Command, threads: usize, seed: u64) -> anyhow::Result<(f64, u64)> {
        if self.leavings.exists() {
            std::fs::remove_dir_all(&self.leavings)
                .with_context(|| format!("{}: cannot be emptied", self.leavings.display()))?;
        }
        std::fs::create_dir_all(&self.leavings)
            .with_context(|| format!("{}: cannot be made", self.leavings.display()))?;
        let stderr = self.leavings.join("stderr");
        let create =
            |path: &Path| File::create(path).with_context(|| format!("{}: cannot be made", path.display()));
        command.arg("--threads").arg(threads.to_string()).arg("--seed").arg(seed.to_string());
        command.stdin(Stdio::null()).stdout(create(&self.stdout())?).stderr(create(&stderr)?);
        for choice in CHOICES {
            command.env_remove(choice);
        }
        let start = Instant::now();
        let process = command.spawn().context("it cannot be started")?;
        let end = process.wait4().context("its end is not known")?;
        let whole = start.elapsed().as_secs_f64();
        let words = || last_words(&std::fs::read(&stderr).unwrap_or_default());
        ensure!(end.status.success(), "it ended with {}{}", end.status, words());
        Ok((whole, end.rusage.maxrss))
    }
}
