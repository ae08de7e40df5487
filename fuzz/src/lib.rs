//! Checks of everything that reads files, on arbitrary bytes. A fuzz target calls one function of [`checks`].
//! [A test of the command-line program](../../crates/cli/tests/corpus.rs) calls the same functions on the corpus.

use std::path::Path;
use std::sync::LazyLock;

use tempfile::TempDir;

pub mod checks;

/// Runs a check in a temporary folder of this process.
pub fn run(check: fn(&Path, &[u8]) -> bool, bytes: &[u8]) {
    static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));
    check(FOLDER.path(), bytes);
}
