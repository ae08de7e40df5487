//! From the command line to an exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted, and one line on standard error.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use ziffer_augment::AugmentError;
use ziffer_base::chain;
use ziffer_tensor::InstructionSet;
use ziffer_trainer::TrainError;

use crate::interrupt;

/// Parses the command line. Help and version are printed, wrong usage is told in one line.
///
/// # Errors
/// The code to exit with.
pub fn parse<P: Parser>() -> Result<P, ExitCode> {
    let parsed =
        P::try_parse_from(with_values_joined(std::env::args_os())).map_err(|error| match error.kind() {
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

/// The arguments, with `--flag -value` written as `--flag=-value`. Else clap takes a value that begins with a dash, a
/// negative number say, for an argument of its own, and does not name the flag when it refuses it. What follows `--` is left as it
/// is.
fn with_values_joined(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let ends_flags = argument == "--";
        match joined.last_mut() {
            Some(flag) if is_value(&argument) && is_flag(flag) => {
                flag.push("=");
                flag.push(argument);
            }
            _ => joined.push(argument),
        }
        if ends_flags {
            joined.extend(arguments.by_ref());
        }
    }
    joined
}

/// Whether an argument behind a flag is its value though it begins with a dash: neither a long flag nor `-h` and `-V`, the only
/// short ones, alone or together.
fn is_value(argument: &OsStr) -> bool {
    match argument.as_encoded_bytes() {
        [b'-', b'-', ..] => false,
        [b'-', letters @ ..] => letters.iter().any(|letter| !b"hV".contains(letter)),
        _ => false,
    }
}

/// Whether it is a long flag without a value.
fn is_flag(argument: &OsStr) -> bool {
    let bytes = argument.as_encoded_bytes();
    bytes.starts_with(b"--") && bytes.len() > 2 && !bytes.contains(&b'=')
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

/// Flags that do not go together, which is wrong usage.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Failures that were told as they came.
#[derive(Debug, thiserror::Error)]
#[error("some of it failed")]
pub(crate) struct AlreadyTold;

/// Standard output that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("standard output: cannot write")]
struct OutputError(#[source] io::Error);

/// Prints a result to standard output.
///
/// # Errors
/// If it cannot be written; a closed pipe is told apart by [`exit_code`].
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    Ok(out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(OutputError)?)
}

/// Whole numbers of at least 1 with commas between them. A message calls them `what`, and shows `example`.
pub(crate) fn whole_numbers(text: &str, what: &str, example: &str) -> Result<Vec<usize>, String> {
    let number = |item: &str| match item.trim().parse() {
        Ok(0) | Err(_) => {
            Err(format!("{item:?} is no {what}, expected whole numbers of at least 1 like {example}"))
        }
        Ok(number) => Ok(number),
    };
    text.split(',').map(number).collect()
}

/// The code to exit with after a command; an error is told in one line.
pub fn exit_code(outcome: anyhow::Result<()>) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    if error.downcast_ref().is_some_and(|OutputError(cause)| cause.kind() == io::ErrorKind::BrokenPipe) {
        // Whoever read our output has seen enough.
        return ExitCode::SUCCESS;
    }
    if let Some(TrainError::Interrupted { checkpoint, .. }) = error.downcast_ref() {
        let saved = checkpoint.as_ref().map(|path| format!(", saved in {}", path.display()));
        let line = chain(&*error);
        complain(&format!("{line}{}; the same command with --resume goes on", saved.unwrap_or_default()));
        return ExitCode::from(interrupt::EXIT_CODE);
    }
    if let Some(AugmentError::Interrupted { .. }) = error.downcast_ref() {
        complain(&chain(&*error));
        return ExitCode::from(interrupt::EXIT_CODE);
    }
    if error.is::<AlreadyTold>() {
        return ExitCode::FAILURE;
    }
    complain(&format!("error: {}", chain(&*error)));
    if error.is::<UsageError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// One line on standard error.
pub(crate) fn complain(line: &str) {
    let line = line.split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
    // What was quoted from a file or a flag must not move the terminal's cursor.
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let _ = writeln!(io::stderr(), "{}", line.chars().map(escaped).collect::<String>());
}

#[cfg(test)]
mod tests {
    use super::{one_line, with_values_joined};

    fn joined(line: &str) -> Vec<std::ffi::OsString> {
        with_values_joined(line.split(' ').map(Into::into))
    }

    #[test]
    fn values_with_a_dash_stay_with_their_flag() {
        assert_eq!(joined("z --rate -1e-3 -h"), ["z", "--rate=-1e-3", "-h"]);
        assert_eq!(joined("z --rate --other -5"), ["z", "--rate", "--other=-5"]);
        assert_eq!(joined("z --rate=1 -5 --help -V"), ["z", "--rate=1", "-5", "--help", "-V"]);
        assert_eq!(joined("z --out -half --out -hV1"), ["z", "--out=-half", "--out=-hV1"]);
        assert_eq!(joined("z --out - --rate -- -5"), ["z", "--out", "-", "--rate", "--", "-5"]);
    }

    #[test]
    fn a_flag_without_its_value_takes_no_flag_for_it() {
        for line in ["z --rate -h", "z --rate -V", "z --rate -hV", "z --rate --other", "z --rate"] {
            assert_eq!(joined(line), line.split(' ').collect::<Vec<_>>(), "{line}");
        }
    }

    #[test]
    fn what_follows_two_dashes_stays_as_it_is() {
        for line in ["z -- --rate -5", "z --json -- --rate -5 -- --rate -5", "z -- -- -5", "z --"] {
            assert_eq!(joined(line), line.split(' ').collect::<Vec<_>>(), "{line}");
        }
        assert_eq!(joined("z --rate -5 -- --rate -5"), ["z", "--rate=-5", "--", "--rate", "-5"]);
    }

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
