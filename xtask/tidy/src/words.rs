//! The rule for words: none that the list bans.
//!
//! `xtask/tidy/rules/words.txt` has three sections, with one entry a line. Lines that start with `#` are comments.
//!
//! * `[identifiers]`: `word: better word`. A word of a Rust identifier, in any case and with or without a plural `s`:
//!   `blob` is in `BlobSize` and in `two_blobs`.
//! * `[text]`: `words: better words`. Words that follow each other in any text, comment, message or identifier, across
//!   line breaks. A word that ends in `*` stands for every word that begins so.
//! * `[except]`: `path: words`. A file, or a folder if the path ends in `/`, where an entry may be used; `*` stands for
//!   all entries.
//!
//! An exception that nothing needs is a finding too.

use std::str::FromStr;

use anyhow::{Context, Result, bail};
use proc_macro2::{TokenStream, TokenTree};

use crate::Finding;
use crate::workspace::Workspace;

/// The list's path.
pub const LIST: &str = "xtask/tidy/rules/words.txt";

#[derive(Default)]
struct Rules {
    identifiers: Vec<Entry>,
    text: Vec<Entry>,
    exceptions: Vec<Exception>,
}

struct Entry {
    name: String,
    words: Vec<String>,
    better: String,
}

struct Exception {
    path: String,
    name: String,
    line: usize,
    used: bool,
}

/// A word of a text in lower case. An empty word is the end of a sentence.
struct Word {
    word: String,
    line: usize,
}

/// Finds banned words, and exceptions that are not needed.
///
/// # Errors
///
/// Returns an error if the list is missing or one of its lines is no entry.
pub fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut rules = Rules::parse(workspace.file(LIST)?)?;
    let mut findings = Vec::new();
    for (path, text) in &workspace.files {
        if path == LIST || rules.excepts(path, "*") {
            continue;
        }
        let mut found = Vec::new();
        find(&rules.text, &words(text), &mut found);
        if path.ends_with(".rs") {
            let tokens = TokenStream::from_str(text)
                .map_err(|error| anyhow::anyhow!("{error}"))
                .with_context(|| path.clone())?;
            let mut identifiers = Vec::new();
            collect(tokens, &mut identifiers);
            find(&rules.identifiers, &identifiers, &mut found);
        }
        for (name, better, line) in found {
            if !rules.excepts(path, &name) {
                let what = format!("`{name}`: write {better}");
                findings.push(Finding::new(path, line, what));
            }
        }
    }
    for exception in rules.exceptions.iter().filter(|exception| !exception.used) {
        let what = format!("`{}` does not need this exception", exception.path);
        findings.push(Finding::new(LIST, exception.line, what));
    }
    Ok(findings)
}

impl Rules {
    fn parse(text: &str) -> Result<Self> {
        let mut rules = Self::default();
        let mut section = "";
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let "[identifiers]" | "[text]" | "[except]" = line {
                section = line;
                continue;
            }
            let (left, right) = match line.split_once(": ") {
                Some(pair) if !section.is_empty() => pair,
                _ => bail!("{LIST}:{}: expected `entry: better` in a section", index + 1),
            };
            if section == "[except]" {
                rules.exceptions.push(Exception {
                    path: left.to_owned(),
                    name: right.to_owned(),
                    line: index + 1,
                    used: false,
                });
                continue;
            }
            let entry = Entry {
                name: left.to_owned(),
                words: left.split_whitespace().map(str::to_lowercase).collect(),
                better: right.to_owned(),
            };
            match section {
                "[identifiers]" => rules.identifiers.push(entry),
                _ => rules.text.push(entry),
            }
        }
        Ok(rules)
    }

    /// Whether an exception allows an entry in a file.
    fn excepts(&mut self, path: &str, name: &str) -> bool {
        let mut excepted = false;
        for exception in &mut self.exceptions {
            let here = exception.path == path
                || (exception.path.ends_with('/') && path.starts_with(&exception.path));
            if here && exception.name == name {
                exception.used = true;
                excepted = true;
            }
        }
        excepted
    }
}

/// Adds each place of an entry: the entry, what to write instead, and the line.
fn find(entries: &[Entry], words: &[Word], found: &mut Vec<(String, String, usize)>) {
    for entry in entries {
        for (index, first) in words.iter().enumerate() {
            let here = words.get(index..index + entry.words.len());
            let is_here = here.is_some_and(|here| {
                entry.words.iter().zip(here).all(|(banned, word)| matches(banned, &word.word))
            });
            if is_here {
                found.push((entry.name.clone(), entry.better.clone(), first.line));
            }
        }
    }
}

fn matches(banned: &str, word: &str) -> bool {
    match banned.strip_suffix('*') {
        Some(start) => word.starts_with(start),
        None => word == banned,
    }
}

/// The words of a text.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut rest = line;
        while let Some(start) = rest.find(char::is_alphanumeric) {
            if rest[..start].contains(". ") || rest[..start].contains(['?', ';', '|']) {
                words.push(Word { word: String::new(), line: index + 1 });
            }
            rest = &rest[start..];
            let end = rest
                .find(|char: char| !char.is_alphanumeric() && char != '\'' && char != '\u{2019}')
                .unwrap_or(rest.len());
            split(&rest[..end], index + 1, &mut words);
            rest = &rest[end..];
        }
        // The end of a sentence, or an empty line.
        if rest.starts_with(['.', '?', ';', '!']) || line.trim().is_empty() {
            words.push(Word { word: String::new(), line: index + 1 });
        }
    }
    words
}

/// Splits `camelCase` into words.
fn split(name: &str, line: usize, words: &mut Vec<Word>) {
    let mut word = String::new();
    let mut before_is_lower = false;
    for char in name.chars() {
        if char.is_uppercase() && before_is_lower {
            words.push(Word { word: std::mem::take(&mut word), line });
        }
        before_is_lower = char.is_lowercase();
        word.extend(char.to_lowercase());
    }
    words.push(Word { word, line });
}

/// The words of the identifiers, without the `s` of a plural.
fn collect(tokens: TokenStream, found: &mut Vec<Word>) {
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                let line = name.span().start().line;
                for part in name.to_string().split('_') {
                    let before = found.len();
                    split(part, line, found);
                    for word in &mut found[before..] {
                        if let Some(singular) = word.word.strip_suffix('s') {
                            word.word = singular.to_owned();
                        }
                    }
                }
            }
            TokenTree::Group(group) => collect(group.stream(), found),
            _ => {}
        }
    }
}
