//! `cargo xtask tidy`: runs `ziffer-tidy`. That is a package of its own, so that `cargo xtask train` does not build its parser
//! of Rust.

use std::process::Command;

use anyhow::{Context, bail};

/// Check the repository's rules: module cycles, crate edges, file sizes, unsafe code, words
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Tidy {
    /// Print the drawing of the crates' dependencies for ARCHITECTURE.md
    #[arg(long)]
    draw: bool,
}

impl Tidy {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["run", "--quiet", "--locked", "--package", "ziffer-tidy", "--"]);
        if self.draw {
            command.arg("--draw");
        }
        let status = command.status().context("cannot start cargo")?;
        if !status.success() {
            bail!("the repository breaks its rules");
        }
        Ok(())
    }
}
