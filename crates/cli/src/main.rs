//! The program `ziffer`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ziffer::commands::{
    Data, Download, Evaluate, Export, Import, Predict, Recipe, Report, Serve, Summary, Train,
};

/// Trains small dense networks on MNIST-style data, fast and repeatably.
#[derive(Debug, Parser)]
#[command(name = "ziffer", version, after_help = AFTER_HELP)]
struct Ziffer {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Results go to standard output, messages to standard error.
The environment variable ZIFFER_ISA (avx512, avx2, portable) forces an instruction set; results do not depend on it.
ZIFFER_MIRROR (an address or a folder) is a place where every command looks for data sets that are not there.";

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
}

fn main() -> ExitCode {
    // A data file that another program truncates is an error, not the end of this process.
    ziffer::dataset::idx::install_sigbus_handler();
    let command = match ziffer::parse::<Ziffer>() {
        Ok(ziffer) => ziffer.command,
        Err(code) => return code,
    };
    ziffer::exit_code(match command {
        Command::Train(train) => train.run().map(drop),
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
    })
}

#[cfg(test)]
#[path = "../tests/guide/markdown.rs"]
mod markdown;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_command_lines_are_right() {
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
