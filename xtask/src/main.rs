//! `cargo xtask`: the project's own commands. Each parses, calls, and reports; the work is done elsewhere.
#![forbid(unsafe_code)]

mod bench;
mod compare;
mod floor;
mod host;
mod seeds;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ziffer::commands::{
    Data, Download, Evaluate, Export, Import, Predict, Recipe, Report, Serve, Summary, Train,
};

/// The project's own commands: the whole evaluation in one, and what maintains the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Xtask {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(Box<Train>),
    Evaluate(Evaluate),
    Predict(Predict),
    Report(Report),
    Serve(Serve),
    Export(Export),
    Import(Import),
    Summary(Summary),
    Recipe(Recipe),
    Download(Download),
    Data(Data),
    Seeds(seeds::Seeds),
    Bench(bench::Bench),
    Compare(compare::Compare),
    Tidy(tidy::Tidy),
}

fn main() -> ExitCode {
    // A data file that another program truncates is an error, not the end of this process.
    ziffer::dataset::idx::install_sigbus_handler();
    let command = match ziffer::parse::<Xtask>() {
        Ok(xtask) => xtask.command,
        Err(code) => return code,
    };
    ziffer::exit_code(match command {
        Command::Train(train) => train.run().and_then(|trained| floor::check(&trained)),
        Command::Evaluate(evaluate) => evaluate.run(),
        Command::Predict(predict) => predict.run(),
        Command::Report(report) => report.run(),
        Command::Serve(serve) => serve.run(),
        Command::Export(export) => export.run(),
        Command::Import(import) => import.run(),
        Command::Summary(summary) => summary.run(),
        Command::Recipe(recipe) => recipe.run(),
        Command::Download(download) => download.run(),
        Command::Data(data) => data.run(),
        Command::Seeds(seeds) => seeds.run(),
        Command::Bench(bench) => bench.run(),
        Command::Compare(compare) => compare.run(),
        Command::Tidy(tidy) => tidy.run(),
    })
}

#[cfg(test)]
#[path = "../../crates/cli/tests/guide/markdown.rs"]
mod markdown;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_command_lines_are_right() {
        let commands = markdown::arguments_of(&["cargo", "xtask"]);
        assert!(commands.len() > 10, "{} commands", commands.len());
        for command in commands {
            let words = std::iter::once("xtask").chain(command.words.iter().map(String::as_str));
            // Help is an answer too.
            match Xtask::try_parse_from(words) {
                Err(error) if error.use_stderr() => panic!("{}: {error}", command.place),
                _ => {}
            }
        }
    }
}
