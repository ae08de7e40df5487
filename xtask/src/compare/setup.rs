//! What the comparison needs before the first run. Nothing is made twice.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use super::measure::Workplace;
use super::peer::{self, Kind, Peer};
use super::process::{cargo, last_words, say};

/// Builds the program `ziffer`.
pub(crate) fn ziffer(root: &Path) -> anyhow::Result<()> {
    let mut command = cargo();
    command.current_dir(root).args(["build", "--release", "--locked", "--package", "ziffer"]);
    command.arg("--target-dir").arg(root.join("target"));
    let status = command.status().context("cargo build")?;
    ensure!(status.success(), "cargo build ended with {status}");
    Ok(())
}

/// Unpacks the repository's own copy of MNIST. Not in this process: its peak of memory would count as that of every process
/// that it starts.
pub(crate) fn mnist(root: &Path, workplace: &Workplace) -> anyhow::Result<()> {
    let mut command = workplace.ziffer();
    command.args(["download", "mnist", "--offline", "--data-dir"]).arg(&workplace.data);
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

/// An environment of its own with what the requirements file says, which is put into it at the end as a stamp.
fn python(root: &Path, peer: &Peer) -> anyhow::Result<()> {
    let requirements = peer::folder(root).join(format!("{}.txt", peer.name));
    let wanted =
        std::fs::read_to_string(&requirements).with_context(|| requirements.display().to_string())?;
    let environment = peer::target(root).join(peer.name);
    let stamp = environment.join("requirements.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    say(&format!("{}: installing", peer.system))?;
    quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    quietly(pip.arg(&requirements))?;
    std::fs::write(&stamp, wanted).with_context(|| format!("{}: cannot write", stamp.display()))
}

/// Built from within its folder, where cargo finds the peers' settings.
fn package(root: &Path, peer: &Peer) -> anyhow::Result<()> {
    say(&format!("{}: building", peer.system))?;
    let mut command = cargo();
    command.current_dir(peer::folder(root).join(peer.name)).args([
        "build",
        "--quiet",
        "--release",
        "--locked",
    ]);
    quietly(command.arg("--target-dir").arg(peer::target(root).join(peer.name)))
}

/// Runs a command without its output. If it fails, the error is the command and the last that it wrote.
fn quietly(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("{program}: cannot be run"))?;
    if !output.status.success() {
        bail!("{program} ended with {}{}", output.status, last_words(&output.stderr));
    }
    Ok(())
}
