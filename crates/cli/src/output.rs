//! Output of the commands: results to standard output, messages to standard error, one line each.

use std::io::{self, Write};

/// A failure to write to standard output.
#[derive(Debug, thiserror::Error)]
#[error("standard output: cannot write")]
pub(crate) struct OutputError(#[source] pub(crate) io::Error);

/// Prints a result to standard output.
///
/// # Errors
/// An [`OutputError`] if it cannot be written.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    Ok(out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(OutputError)?)
}

/// Prints one line to standard error. A closed standard error is ignored: a message that nobody reads is no failure.
pub(crate) fn print_message(line: &str) {
    let line = line.split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
    // Text quoted from a file or a flag must not move the terminal's cursor.
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let _ = writeln!(io::stderr(), "{}", line.chars().map(escaped).collect::<String>());
}
