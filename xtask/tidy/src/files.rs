//! The rules for a Rust file as a whole: it opens with `//!`, and it is short enough to be read at once.

use crate::Finding;
use crate::workspace::Workspace;

/// The most lines that a Rust file may have.
pub const MAX_LINES: usize = 500;

/// Finds Rust files that are too long or do not say what they are for.
pub fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in workspace.rust_files() {
        let lines = text.lines().count();
        if lines > MAX_LINES {
            let what = format!("{lines} lines, at most {MAX_LINES} are allowed");
            findings.push(Finding::new(path, MAX_LINES + 1, what));
        }
        if !text.starts_with("//!") {
            let what = "the file does not open with `//!` and what it is for".to_owned();
            findings.push(Finding::new(path, 1, what));
        }
    }
    findings
}
