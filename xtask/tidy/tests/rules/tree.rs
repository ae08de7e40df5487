//! A workspace of two packages, `app` and `model`, in a temporary folder. It breaks no rule until a test changes a file.

use std::fs;

use tempfile::TempDir;
use ziffer_tidy::workspace::Workspace;

pub(crate) struct Tree(TempDir);

const FILES: [(&str, &str); 8] = [
    ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"model\"]\n"),
    (
        "app/Cargo.toml",
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         model = { path = \"../model\" }\n",
    ),
    ("app/src/main.rs", "//! The program.\nfn main() {}\n"),
    ("model/Cargo.toml", "[package]\nname = \"model\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
    ("model/src/lib.rs", "//! The library.\n"),
    ("ARCHITECTURE.md", "# Crates\n\n```text\napp ──► model\n```\n"),
    ("xtask/tidy/rules/unsafe.txt", "# Nothing.\n"),
    ("xtask/tidy/rules/words.txt", "# Nothing.\n"),
];

impl Tree {
    pub(crate) fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        FILES.iter().fold(tree, |tree, (path, text)| tree.with(path, text))
    }

    /// Writes a file.
    pub(crate) fn with(self, path: &str, text: &str) -> Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// The findings, one line each.
    pub(crate) fn findings(&self) -> Vec<String> {
        let findings = ziffer_tidy::check(self.0.path()).unwrap();
        findings.iter().map(ToString::to_string).collect()
    }

    /// The error of a tree that cannot be checked.
    pub(crate) fn error(&self) -> String {
        format!("{:#}", ziffer_tidy::check(self.0.path()).unwrap_err())
    }

    /// The drawing of the dependencies as they are.
    pub(crate) fn draw(&self) -> String {
        ziffer_tidy::edges::draw(&Workspace::read(self.0.path()).unwrap())
    }

    #[track_caller]
    pub(crate) fn passes(self) {
        assert_eq!(self.findings(), Vec::<String>::new());
    }

    #[track_caller]
    pub(crate) fn fails(self, findings: &[&str]) {
        assert_eq!(self.findings(), findings);
    }
}
