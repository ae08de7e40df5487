//! Starting cargo, reading the output of processes, and printing progress.

use std::io::{self, Write};
use std::process::Command;

use anyhow::Context;

/// Prints a line of progress to standard error.
pub(super) fn print_progress(text: &str) -> anyhow::Result<()> {
    writeln!(io::stderr(), "{text}").context("cannot write to standard error")
}

/// The cargo that runs this program, without the variables about xtask's package: a change of them reruns some build scripts.
pub(super) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// The last line of an output that is not empty, formatted as the end of an error message.
pub(super) fn last_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .map_or_else(String::new, |line| format!(": {line}"))
}
