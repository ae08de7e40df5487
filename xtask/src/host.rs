//! The compiler and the memory of this machine, for the tables. `ziffer::Host` has the rest.

use std::process::Command;

/// The compiler's name and version.
pub(crate) fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output().ok();
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
    first_line(text).unwrap_or_else(|| "an unknown compiler".to_owned())
}

/// The size of the memory in GiB, or `None` if the system has no `/proc/meminfo`.
pub(crate) fn memory() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: f64 = total.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / f64::from(1 << 20))
}

fn first_line(text: Option<String>) -> Option<String> {
    Some(text?.lines().next()?.trim().to_owned())
}
