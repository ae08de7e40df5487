//! Hostile inputs for everything that reads files. Each [`checks`] function is a fuzz target's whole work, and
//! [a test of the suite](../../crates/cli/tests/corpus.rs) runs the same functions over the corpus.

use std::path::Path;
use std::sync::LazyLock;

use tempfile::TempDir;

pub mod checks;

/// Runs a check in a folder of this process.
pub fn run(check: fn(&Path, &[u8]) -> bool, bytes: &[u8]) {
    static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));
    check(FOLDER.path(), bytes);
}
