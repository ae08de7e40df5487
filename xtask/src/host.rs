//! What a table says of the machine that made it.

use std::path::Path;
use std::process::Command;

/// The processor's model.
pub(crate) fn processor() -> String {
    field("/proc/cpuinfo", "model name").unwrap_or_else(|| "an unknown processor".to_owned())
}

/// The compiler's name and version.
pub(crate) fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output().ok();
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
    first_line(text).unwrap_or_else(|| "an unknown compiler".to_owned())
}

/// The system's kernel and its release.
pub(crate) fn kernel() -> String {
    let release = first_line(std::fs::read_to_string("/proc/sys/kernel/osrelease").ok());
    release.map_or_else(|| std::env::consts::OS.to_owned(), |release| format!("Linux {release}"))
}

/// The memory's size in GiB, where the system tells.
pub(crate) fn memory() -> Option<f64> {
    let kib: f64 = field("/proc/meminfo", "MemTotal")?.strip_suffix(" kB")?.parse().ok()?;
    Some(kib / f64::from(1 << 20))
}

/// What stands behind the first `name:` of a file.
fn field(file: impl AsRef<Path>, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    Some(text.lines().find(|line| line.starts_with(name))?.split_once(':')?.1.trim().to_owned())
}

fn first_line(text: Option<String>) -> Option<String> {
    Some(text?.lines().next()?.trim().to_owned())
}
