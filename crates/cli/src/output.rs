//! Output of the commands: results to standard output, messages to standard error, one line each.

use std::error::Error;
use std::io::{self, Write};

use ziffer_nn::OneLine;

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

/// An error and its causes, joined by ": ". Causes may be errors of other crates: a message that repeats another is omitted,
/// and a message that quotes a file at length is cut.
pub(crate) fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut parts = vec![error.to_string()];
    for cause in anyhow::Chain::new(error).skip(1) {
        let part = OneLine(cause).to_string();
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts.join(": ")
}

/// Prints one line to standard error. A closed standard error is ignored: a message that nobody reads is no failure.
pub(crate) fn print_message(line: &str) {
    let line = line.split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
    // Text quoted from a file or a flag must not move the terminal's cursor.
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let _ = writeln!(io::stderr(), "{}", line.chars().map(escaped).collect::<String>());
}

#[cfg(test)]
mod tests {
    use super::error_chain;

    /// An error with its cause.
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Caused(String, #[source] Option<Box<Caused>>);

    #[test]
    fn causes_are_joined_without_repetition() {
        let caused = |line: &str| {
            let parts = line.rsplit(": ");
            parts.fold(None, |cause, part| Some(Box::new(Caused(part.to_owned(), cause)))).unwrap()
        };
        for (error, line) in [
            ("a", "a"),
            ("a: b: c", "a: b: c"),
            // As rayon has it.
            ("a: b: b", "a: b"),
            ("a: b: a", "a: b"),
            ("a: b\nc", "a: b\\nc"),
        ] {
            assert_eq!(error_chain(&*caused(error)), line, "{error:?}");
        }
        let long = format!("a: {}", "b".repeat(1000));
        assert_eq!(error_chain(&*caused(&long)).len(), "a: ".len() + 299 + "...".len());
    }
}
