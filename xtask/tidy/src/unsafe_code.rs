//! The rule for `unsafe`: it is in the listed files only.
//!
//! `xtask/tidy/rules/unsafe.txt` has a line for each file, `path: reason`. A path that ends in `/` stands for the Rust
//! files of a folder. Lines that start with `#` are comments. An entry that no file with `unsafe` matches is a finding too.

use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use proc_macro2::{TokenStream, TokenTree};

use crate::Finding;
use crate::workspace::Workspace;

/// The list's path.
pub const LIST: &str = "xtask/tidy/rules/unsafe.txt";

struct Entry<'a> {
    path: &'a str,
    line: usize,
    used: bool,
}

/// Finds `unsafe` outside of the listed files, and listed files without it.
///
/// # Errors
///
/// Returns an error if the list is missing or has an entry without a reason, or if a Rust file has no valid tokens.
pub fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut entries = Vec::new();
    for (index, line) in workspace.file(LIST)?.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (path, reason) = line.split_once(": ").unwrap_or((line, ""));
        ensure!(!reason.trim().is_empty(), "{LIST}:{}: expected `path: reason`", index + 1);
        entries.push(Entry { path, line: index + 1, used: false });
    }
    let mut findings = Vec::new();
    for (path, text) in workspace.rust_files() {
        let tokens = TokenStream::from_str(text)
            .map_err(|error| anyhow::anyhow!("{error}"))
            .with_context(|| path.to_owned())?;
        let Some(line) = first_unsafe(tokens) else {
            continue;
        };
        let entry = entries
            .iter_mut()
            .find(|entry| entry.path == path || (entry.path.ends_with('/') && path.starts_with(entry.path)));
        match entry {
            Some(entry) => entry.used = true,
            None => findings.push(Finding::new(
                path,
                line,
                format!("`unsafe` in a file that {LIST} does not list"),
            )),
        }
    }
    for entry in entries.iter().filter(|entry| !entry.used) {
        let what = format!("`{}` has no `unsafe`, or does not exist", entry.path);
        findings.push(Finding::new(LIST, entry.line, what));
    }
    Ok(findings)
}

/// The line of the first keyword `unsafe`. Comments, strings and names such as `unsafe_code` do not count.
fn first_unsafe(tokens: TokenStream) -> Option<usize> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(name) if name == "unsafe" => Some(name.span().start().line),
        TokenTree::Group(group) => first_unsafe(group.stream()),
        _ => None,
    })
}
