//! From the command line to an exit code: 0 success, 1 failure, 2 wrong usage, 130 interrupted.

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ErrorKind};
use ziffer_base::chain;
use ziffer_dataset::augment::AugmentError;
use ziffer_tensor::InstructionSet;
use ziffer_trainer::TrainError;

use crate::interrupt;
use crate::output::{OutputError, print_message};

/// Parses the command line. Prints help and the version; reports wrong usage in one line.
///
/// # Errors
/// The exit code of a program that has nothing more to do.
pub fn parse<P: Parser>() -> Result<P, ExitCode> {
    let arguments = with_values_joined(std::env::args_os());
    let parsed = P::try_parse_from(&arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed pipe is not an error of this program.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(2)
        }
        kind => {
            let tip = match kind {
                ErrorKind::UnknownArgument => error.get(ContextKind::InvalidArg),
                _ => None,
            };
            let tip = tip.and_then(|stray| comma_tip(&arguments, &stray.to_string()));
            print_message(&[one_line(&error.render().to_string()), tip.unwrap_or_default()].concat());
            ExitCode::from(2)
        }
    })?;
    // Checked before any kernel runs: a kernel could only panic.
    match InstructionSet::from_environment() {
        Ok(_) => Ok(parsed),
        Err(problem) => {
            print_message(&format!("error: {problem}"));
            Err(ExitCode::from(2))
        }
    }
}

/// The arguments, with `--flag -value` written as `--flag=-value`. Otherwise clap takes a value that begins with a dash, such as
/// a negative number, for a separate argument and does not name the flag in its error. Arguments after `--` are unchanged.
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

/// Whether an argument that follows a flag is its value although it begins with a dash: it is neither a long flag nor `-h` and
/// `-V`, the only short flags, alone or combined.
fn is_value(argument: &OsStr) -> bool {
    match argument.as_encoded_bytes() {
        [b'-', b'-', ..] => false,
        [b'-', letters @ ..] => letters.iter().any(|letter| !b"hV".contains(letter)),
        _ => false,
    }
}

/// Whether an argument is a long flag without a value.
fn is_flag(argument: &OsStr) -> bool {
    let bytes = argument.as_encoded_bytes();
    bytes.starts_with(b"--") && bytes.len() > 2 && !bytes.contains(&b'=')
}

/// Flags whose value is a list of numbers with commas.
const LISTS: [&str; 2] = ["--hidden", "--input-shape"];

/// A tip for `--hidden 128 64`: clap refuses `64` without a word about the flag before it.
fn comma_tip(arguments: &[OsString], stray: &str) -> Option<String> {
    let words: Vec<&str> = arguments.iter().map(|argument| argument.to_str().unwrap_or_default()).collect();
    let is_numbers = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    words.iter().enumerate().find_map(|(index, word)| {
        let (flag, joined) = word.split_once('=').map_or((*word, None), |(flag, value)| (flag, Some(value)));
        let rest = words[index + 1..].iter().copied().take_while(is_numbers);
        let numbers: Vec<&str> = joined.into_iter().chain(rest).collect();
        let tip = || {
            let list: Vec<&str> = numbers.iter().map(|number| number.trim_matches(',')).collect();
            format!("; tip: separate the numbers with commas: {flag} {}", list.join(","))
        };
        (LISTS.contains(&flag) && numbers.len() > 1 && numbers[1..].contains(&stray)).then(tip)
    })
}

/// An error of clap in one line: the problem, and the tip if there is one.
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

/// Flags that contradict each other: wrong usage.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Failures that were reported when they happened.
#[derive(Debug, thiserror::Error)]
#[error("some items failed")]
pub(crate) struct AlreadyReported;

/// The exit code for the result of a command. Prints an error in one line to standard error.
pub fn exit_code(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    if error.downcast_ref().is_some_and(|OutputError(cause)| cause.kind() == io::ErrorKind::BrokenPipe) {
        // The reader of the output has closed it, as `head` does.
        return ExitCode::SUCCESS;
    }
    if let Some(TrainError::Interrupted { checkpoint, .. }) = error.downcast_ref() {
        let saved = checkpoint.as_ref().map(|path| format!(", saved in {}", path.display()));
        let line = chain(&*error);
        let saved = saved.unwrap_or_default();
        print_message(&format!("{line}{saved}; to continue, run the same command with --resume"));
        return ExitCode::from(interrupt::EXIT_CODE);
    }
    if let Some(AugmentError::Interrupted { .. }) = error.downcast_ref() {
        print_message(&chain(&*error));
        return ExitCode::from(interrupt::EXIT_CODE);
    }
    if error.is::<AlreadyReported>() {
        return ExitCode::FAILURE;
    }
    print_message(&format!("error: {}", chain(&*error)));
    if error.is::<UsageError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::{comma_tip, one_line, with_values_joined};

    fn joined(line: &str) -> Vec<std::ffi::OsString> {
        with_values_joined(line.split(' ').map(Into::into))
    }

    #[test]
    fn values_with_a_dash_are_joined_to_their_flag() {
        assert_eq!(joined("z --rate -1e-3 -h"), ["z", "--rate=-1e-3", "-h"]);
        assert_eq!(joined("z --rate --other -5"), ["z", "--rate", "--other=-5"]);
        assert_eq!(joined("z --rate=1 -5 --help -V"), ["z", "--rate=1", "-5", "--help", "-V"]);
        assert_eq!(joined("z --out -half --out -hV1"), ["z", "--out=-half", "--out=-hV1"]);
        assert_eq!(joined("z --out - --rate -- -5"), ["z", "--out", "-", "--rate", "--", "-5"]);
    }

    #[test]
    fn a_flag_is_not_joined_to_a_flag_without_value() {
        for line in ["z --rate -h", "z --rate -V", "z --rate -hV", "z --rate --other", "z --rate"] {
            assert_eq!(joined(line), line.split(' ').collect::<Vec<_>>(), "{line}");
        }
    }

    #[test]
    fn arguments_after_two_dashes_are_unchanged() {
        for line in ["z -- --rate -5", "z --json -- --rate -5 -- --rate -5", "z -- -- -5", "z --"] {
            assert_eq!(joined(line), line.split(' ').collect::<Vec<_>>(), "{line}");
        }
        assert_eq!(joined("z --rate -5 -- --rate -5"), ["z", "--rate=-5", "--", "--rate", "-5"]);
    }

    #[test]
    fn clap_errors_are_put_in_one_line() {
        let missing = "error: the following required arguments were not provided:\n  <MODEL>\n\nUsage: ziffer evaluate <MODEL>\n\nFor more information, try '--help'.\n";
        assert_eq!(one_line(missing), "error: the following required arguments were not provided: <MODEL>");
        let tip = "error: unexpected argument '--epoch' found\n\n  tip: a similar argument exists: '--epochs'\n\nUsage: ziffer train\n\nFor more information, try '--help'.\n";
        assert_eq!(
            one_line(tip),
            "error: unexpected argument '--epoch' found; tip: a similar argument exists: '--epochs'"
        );
    }

    #[test]
    fn numbers_without_commas_get_a_tip() {
        let tip = |line: &str, stray: &str| comma_tip(&joined(line), stray);
        let expected = |list: &str| Some(format!("; tip: separate the numbers with commas: {list}"));
        assert_eq!(tip("z train --hidden 128 64", "64"), expected("--hidden 128,64"));
        assert_eq!(tip("z train --hidden=128, 64, 32 --epochs 5", "64,"), expected("--hidden 128,64,32"));
        assert_eq!(tip("z import a --input-shape 28 28", "28"), expected("--input-shape 28,28"));
        assert_eq!(tip("z train --epochs 128 64", "64"), None);
        assert_eq!(tip("z train --hidden 128 stray", "stray"), None);
        assert_eq!(tip("z train --hidden 128 --epochs 5 64", "64"), None);
    }
}
