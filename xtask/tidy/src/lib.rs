//! The repository's rules that no compiler checks.
//!
//! [`check`] reads a workspace and returns one [`Finding`] for each place that breaks a rule:
//!
//! | module | rule |
//! |---|---|
//! | [`cycles`] | the files of a crate do not use each other in a cycle |
//! | [`edges`] | crates depend on each other as `ARCHITECTURE.md` draws it |
//! | [`files`] | a Rust file opens with `//!` and has at most 500 lines |
//! | [`unsafe_code`] | `unsafe` is in the listed files only |
//! | [`words`] | no banned word is used |
//!
//! `cargo xtask tidy` prints the findings. The test `tests/repository.rs` requires that this repository has none.
#![forbid(unsafe_code)]

pub mod cycles;
pub mod edges;
pub mod files;
mod finding;
mod modules;
mod resolve;
pub mod unsafe_code;
mod uses;
pub mod words;
pub mod workspace;

use std::path::Path;

use anyhow::Result;

pub use finding::Finding;
use workspace::Workspace;

/// Checks all rules on the workspace in the folder `root`, and returns the findings in the order of their places.
///
/// # Errors
///
/// Returns an error if the workspace cannot be read: no manifest, a Rust file that does not parse, a missing rule file.
pub fn check(root: &Path) -> Result<Vec<Finding>> {
    let workspace = Workspace::read(root)?;
    let mut findings = cycles::check(&workspace)?;
    findings.extend(edges::check(&workspace)?);
    findings.extend(files::check(&workspace));
    findings.extend(unsafe_code::check(&workspace)?);
    findings.extend(words::check(&workspace)?);
    findings.sort();
    findings.dedup();
    Ok(findings)
}
