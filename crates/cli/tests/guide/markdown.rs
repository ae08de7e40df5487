//! The project's documents, their fenced blocks, and the command lines that they show.
//!
//! The programs' own tests use this file too, since only they know their command lines.

use std::fs;
use std::path::{Path, PathBuf};

/// A Markdown file.
pub(crate) struct Document {
    /// From the repository's root, with `/`.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A fenced block.
pub(crate) struct Block<'a> {
    /// The document and the first line of the block's text, for messages.
    pub(crate) place: String,
    /// What stands behind the fence.
    pub(crate) language: &'a str,
    pub(crate) lines: Vec<&'a str>,
}

/// A command that a reader is told to type.
pub(crate) struct Command {
    pub(crate) place: String,
    pub(crate) words: Vec<String>,
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_root = |folder: &&Path| folder.join("docs/book.toml").is_file();
    here.ancestors().find(is_root).expect("the repository around the package").to_owned()
}

/// The documents at the root but for the changelog, and everything in `docs`.
pub(crate) fn documents() -> Vec<Document> {
    let root = root();
    let mut names =
        ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"].map(str::to_owned).to_vec();
    collect(&root, "docs", &mut names);
    names.sort();
    let read = |name: String| {
        let text = fs::read_to_string(root.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Document { name, text }
    };
    names.into_iter().map(read).collect()
}

fn collect(root: &Path, folder: &str, names: &mut Vec<String>) {
    for entry in fs::read_dir(root.join(folder)).expect("a folder of documents") {
        let entry = entry.expect("an entry");
        let name = format!("{folder}/{}", entry.file_name().display());
        if entry.path().is_dir() {
            collect(root, &name, names);
        } else if name.ends_with(".md") {
            names.push(name);
        }
    }
}

impl Document {
    /// The fenced blocks, in order.
    ///
    /// # Panics
    /// If the last one is not closed.
    pub(crate) fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        let mut open: Option<Block<'_>> = None;
        for (index, line) in self.text.lines().enumerate() {
            match (line.strip_prefix("```"), open.take()) {
                (Some(language), None) => {
                    let place = format!("{}:{}", self.name, index + 2);
                    open = Some(Block { place, language, lines: Vec::new() });
                }
                (Some(_), Some(block)) => blocks.push(block),
                (None, Some(mut block)) => {
                    block.lines.push(line);
                    open = Some(block);
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", self.name);
        blocks
    }

    /// The commands between backticks on a line of the text, of the README and the guide: elsewhere they have placeholders.
    fn inline_commands(&self) -> Vec<Command> {
        if self.name != "README.md" && !self.name.starts_with("docs/guide/") {
            return Vec::new();
        }
        let is_command = |span: &&str| {
            ["cargo xtask ", "cargo run ", "ziffer "].iter().any(|program| span.starts_with(program))
        };
        let mut commands = Vec::new();
        for line in self.text.lines().filter(|line| !line.starts_with("```")) {
            commands.extend(line.split('`').skip(1).step_by(2).filter(is_command).map(|span| Command {
                place: format!("{}: {span}", self.name),
                words: span.split_whitespace().map(str::to_owned).collect(),
            }));
        }
        commands
    }
}

impl Block<'_> {
    /// The lines that begin with a prompt; variables that are set for a command are left out.
    pub(crate) fn commands(&self) -> Vec<Command> {
        let is_variable = |word: &&str| {
            word.split_once('=')
                .is_some_and(|(name, _)| name.chars().all(|c| c == '_' || c.is_ascii_uppercase()))
        };
        let command = |line: &str| Command {
            place: format!("{}: {line}", self.place),
            words: line.split_whitespace().skip_while(is_variable).map(str::to_owned).collect(),
        };
        self.lines.iter().filter_map(|line| line.strip_prefix("$ ")).map(command).collect()
    }
}

/// All commands in all documents: those of console blocks, and in the README and the guide those in the text and in tables.
pub(crate) fn commands() -> Vec<Command> {
    let of_document = |document: &Document| -> Vec<Command> {
        let blocks = document.blocks();
        let consoles = blocks.iter().filter(|block| block.language == "console");
        consoles.flat_map(Block::commands).chain(document.inline_commands()).collect()
    };
    documents().iter().flat_map(of_document).collect()
}

/// The arguments of every command that begins with these words.
pub(crate) fn arguments_of(program: &[&str]) -> Vec<Command> {
    let mut commands = commands();
    commands.retain(|command| {
        command.words.iter().map(String::as_str).take(program.len()).eq(program.iter().copied())
    });
    commands.iter_mut().for_each(|command| drop(command.words.drain(..program.len())));
    commands
}
