//! Prints the places that break the repository's rules, one line each, and fails if there are any.
//!
//! `ziffer-tidy --draw` prints the lines that `ARCHITECTURE.md` needs for the dependencies as they are. `ziffer-tidy FOLDER`
//! checks the workspace in another folder.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use ziffer_tidy::workspace::Workspace;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    // This package lies two folders below the workspace's root.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("the package lies in no workspace")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = io::stdout().lock();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--draw"] => {
            write!(out, "{}", ziffer_tidy::edges::draw(&Workspace::read(root)?))?;
            Ok(ExitCode::SUCCESS)
        }
        [] | [_] => {
            let root = arguments.first().map_or(root, Path::new);
            let findings = ziffer_tidy::check(root)?;
            for finding in &findings {
                writeln!(out, "{finding}")?;
            }
            if findings.is_empty() {
                writeln!(out, "tidy: nothing found")?;
                return Ok(ExitCode::SUCCESS);
            }
            writeln!(out, "tidy: {} findings", findings.len())?;
            Ok(ExitCode::FAILURE)
        }
        _ => bail!("expected at most one argument: a folder, or --draw"),
    }
}
