//! Runs the check of each fuzz target over its corpus, without nightly and cargo-fuzz.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test's failure, which names the file")]

use std::fs;
use std::path::Path;

#[allow(unreachable_pub, reason = "the targets are other crates")]
#[path = "../../../fuzz/src/checks/mod.rs"]
mod checks;

/// Runs a check over its corpus, which must have both accepted and refused files.
#[track_caller]
fn over_corpus(name: &str, check: fn(&Path, &[u8]) -> bool) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let folder = tempfile::tempdir().unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for entry in fs::read_dir(&corpus).unwrap() {
        let path = entry.unwrap().path();
        // Shown if the check fails.
        println!("{}", path.display());
        let outcome = check(folder.path(), &fs::read(&path).unwrap());
        *(if outcome { &mut accepted } else { &mut refused }) += 1;
    }
    assert!(accepted > 0 && refused > 0, "{name}: {accepted} accepted, {refused} refused");
}

#[test]
fn idx() {
    over_corpus("idx", checks::idx);
}

#[test]
fn gz() {
    over_corpus("gz", checks::gz);
}

#[test]
fn model() {
    over_corpus("model", checks::model);
}

#[test]
fn checkpoint() {
    over_corpus("checkpoint", checks::checkpoint);
}

#[test]
fn picture() {
    over_corpus("picture", checks::picture);
}

#[test]
fn recipe() {
    over_corpus("recipe", checks::recipe);
}

#[test]
fn keras() {
    over_corpus("keras", checks::keras);
}
