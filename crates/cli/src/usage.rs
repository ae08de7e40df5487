//! From the command line to an exit code: 0 done, 1 failed, 2 wrong usage, and one line on standard error.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use ziffer_tensor::InstructionSet;

/// Parses the command line. Help and version are printed, wrong usage is told in one line.
///
/// # Errors
/// The code to exit with.
pub fn parse<P: Parser>() -> Result<P, ExitCode> {
    let parsed = P::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed pipe is no error of ours.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(2)
        }
        _ => {
            complain(&one_line(&error.render().to_string()));
            ExitCode::from(2)
        }
    })?;
    // Looked at before any kernel runs, which could only panic.
    match InstructionSet::from_environment() {
        Ok(_) => Ok(parsed),
        Err(problem) => {
            complain(&format!("error: {problem}"));
            Err(ExitCode::from(2))
        }
    }
}

/// What clap says in several lines, in one: what is wrong, and its tip if it has one.
fn one_line(message: &str) -> String {
    let paragraphs = message.split("\n\n").map(|paragraph| {
        paragraph.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    });
    let kept: Vec<String> = paragraphs
        .filter(|paragraph| {
            !paragraph.starts_with("Usage:") && !paragraph.starts_with("For more information")
        })
        .collect();
    kept.join("; ")
}

/// The code to exit with after a command; an error is told in one line.
pub fn exit_code(outcome: anyhow::Result<()>) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    let closed = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(closed) {
        // Whoever read our output has seen enough.
        return ExitCode::SUCCESS;
    }
    // Each error's message is complete in itself.
    complain(&format!("error: {error}"));
    ExitCode::FAILURE
}

fn complain(line: &str) {
    let line = line.split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn clap_in_one_line() {
        let missing = "error: the following required arguments were not provided:\n  <MODEL>\n\nUsage: ziffer evaluate <MODEL>\n\nFor more information, try '--help'.\n";
        assert_eq!(one_line(missing), "error: the following required arguments were not provided: <MODEL>");
        let tip = "error: unexpected argument '--epoch' found\n\n  tip: a similar argument exists: '--epochs'\n\nUsage: ziffer train\n\nFor more information, try '--help'.\n";
        assert_eq!(
            one_line(tip),
            "error: unexpected argument '--epoch' found; tip: a similar argument exists: '--epochs'"
        );
    }
}
