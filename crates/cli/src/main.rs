//! The program `ziffer`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use ziffer::commands::Command;

/// Trains small dense networks on MNIST-style data, fast and repeatably.
#[derive(Debug, Parser)]
#[command(name = "ziffer", version, after_help = AFTER_HELP)]
struct Ziffer {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 success, 1 failure, 2 wrong usage, 130 interrupted. Results go to standard output, messages to standard error.
The environment variable ZIFFER_ISA (avx512, avx2, portable) selects an instruction set; results do not depend on it.
ZIFFER_MIRROR (a URL or a folder) names a mirror that every command searches for missing data sets.";

fn main() -> ExitCode {
    // A data file that another program truncates is reported as an error and does not kill this process.
    ziffer::dataset::idx::install_sigbus_handler();
    match ziffer::parse::<Ziffer>() {
        Ok(Ziffer { command }) => ziffer::exit_code(command.run().map(drop)),
        Err(code) => code,
    }
}

#[cfg(test)]
#[path = "../tests/guide/markdown.rs"]
mod markdown;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_command_lines_parse() {
        let commands = markdown::arguments_of(&["ziffer"]);
        assert!(!commands.is_empty());
        for command in commands {
            let words = std::iter::once("ziffer").chain(command.words.iter().map(String::as_str));
            if let Err(error) = Ziffer::try_parse_from(words) {
                panic!("{}: {error}", command.place);
            }
        }
    }
}
