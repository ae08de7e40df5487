//! Preparation of the comparison: builds, environments and data. It reuses those of earlier comparisons.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use super::measure::Runner;
use super::peer::{self, Kind, Peer};
use super::process::{cargo, last_line, print_progress};

/// Builds the program `ziffer`.
pub(crate) fn ziffer(root: &Path) -> anyhow::Result<()> {
    let mut command = cargo();
    command.current_dir(root).args(["build", "--release", "--locked", "--package", "ziffer"]);
    command.arg("--target-dir").arg(root.join("target"));
    let status = command.status().context("cargo build")?;
    ensure!(status.success(), "cargo build ended with {status}");
    Ok(())
}

/// Unpacks the repository's copy of MNIST, in another process. A process that this one starts inherits its peak memory, which
/// unpacking would raise.
pub(crate) fn mnist(root: &Path, runner: &Runner) -> anyhow::Result<()> {
    let mut command = runner.ziffer();
    command.args(["download", "mnist", "--offline", "--data-dir"]).arg(&runner.data);
    command.arg("--mirror").arg(root.join("data/mnist"));
    quietly(&mut command).context("MNIST")
}

/// Installs or builds a peer.
pub(crate) fn peer(root: &Path, peer: &Peer) -> anyhow::Result<()> {
    match peer.kind {
        Kind::Python { .. } => python(root, peer),
        Kind::Cargo => package(root, peer),
    }
}

/// Creates a virtual environment with the packages of the requirements file. A copy of that file in the environment marks it
/// as complete.
fn python(root: &Path, peer: &Peer) -> anyhow::Result<()> {
    let requirements = peer::folder(root).join(format!("{}.txt", peer.name));
    let wanted =
        std::fs::read_to_string(&requirements).with_context(|| requirements.display().to_string())?;
    let environment = peer::target(root).join(peer.name);
    let stamp = environment.join("requirements.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    print_progress(&format!("{}: installing", peer.system))?;
    quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    quietly(pip.arg(&requirements))?;
    std::fs::write(&stamp, wanted).with_context(|| format!("{}: cannot write", stamp.display()))
}

/// Builds a Cargo package. cargo runs in the package's folder, where it finds the peers' `.cargo/config.toml`.
fn package(root: &Path, peer: &Peer) -> anyhow::Result<()> {
    print_progress(&format!("{}: building", peer.system))?;
    let mut command = cargo();
    command.current_dir(peer::folder(root).join(peer.name)).args([
        "build",
        "--quiet",
        "--release",
        "--locked",
    ]);
    quietly(command.arg("--target-dir").arg(peer::target(root).join(peer.name)))
}

/// Runs a command without printing its output. The error of a command that fails has the last line that it wrote.
fn quietly(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{program}: cannot start"))?;
    if !output.status.success() {
        bail!("{program} ended with {}{}", output.status, last_line(&output.stderr));
    }
    Ok(())
}
