//! `cargo xtask`: the commands of `ziffer`, and those that maintain the project.
#![forbid(unsafe_code)]

mod bench;
mod compare;
mod floor;
mod host;
mod seeds;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The commands of ziffer, and those that maintain the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Xtask {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Ziffer(ziffer::commands::Command),
    Seeds(seeds::Seeds),
    Bench(bench::Bench),
    Compare(compare::Compare),
    Tidy(tidy::Tidy),
}

impl Command {
    fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Ziffer(command) => command.run()?.as_ref().map_or(Ok(()), floor::check),
            Self::Seeds(seeds) => seeds.run(),
            Self::Bench(bench) => bench.run(),
            Self::Compare(compare) => compare.run(),
            Self::Tidy(tidy) => tidy.run(),
        }
    }
}

fn main() -> ExitCode {
    // A data file that another program truncates is reported as an error and does not kill this process.
    ziffer::dataset::idx::install_sigbus_handler();
    match ziffer::parse::<Xtask>() {
        Ok(Xtask { command }) => ziffer::exit_code(command.run()),
        Err(code) => code,
    }
}

#[cfg(test)]
#[path = "../../crates/cli/tests/guide/markdown.rs"]
mod markdown;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_command_lines_parse() {
        let commands = markdown::arguments_of(&["cargo", "xtask"]);
        assert!(commands.len() > 10, "{} commands", commands.len());
        for command in commands {
            let words = std::iter::once("xtask").chain(command.words.iter().map(String::as_str));
            // Help is reported as an error too.
            match Xtask::try_parse_from(words) {
                Err(error) if error.use_stderr() => panic!("{}: {error}", command.place),
                _ => {}
            }
        }
    }
}
