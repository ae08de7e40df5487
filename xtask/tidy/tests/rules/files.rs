//! The length of a file, and its first line.

use super::tree::Tree;

fn lines(count: usize) -> String {
    format!("//! Long.\n{}", "// A line.\n".repeat(count - 1))
}

#[test]
fn a_file_may_have_500_lines() {
    Tree::new().with("model/src/lib.rs", &lines(500)).passes();
}

#[test]
fn a_file_of_501_lines_is_too_long() {
    Tree::new()
        .with("model/src/lib.rs", &lines(501))
        .fails(&["model/src/lib.rs:501: 501 lines, at most 500 are allowed"]);
}

#[test]
fn a_file_says_what_it_is_for() {
    let what = "the file does not open with `//!` and what it is for";
    Tree::new()
        .with("app/tests/whole.rs", "#[test]\nfn works() {}\n")
        .with("app/build.rs", "// A build script.\nfn main() {}\n")
        .fails(&[&format!("app/build.rs:1: {what}"), &format!("app/tests/whole.rs:1: {what}")]);
}

#[test]
fn folders_of_build_results_and_hidden_folders_are_left_out() {
    Tree::new()
        .with("target/debug/generated.rs", "fn generated() {}\n")
        .with(".cache/generated.rs", "fn generated() {}\n")
        .passes();
}

#[test]
fn a_file_that_does_not_parse_is_an_error_with_its_place() {
    let error = Tree::new().with("model/src/lib.rs", "//! The library.\nfn f( {}\n").error();
    assert!(error.starts_with("model/src/lib.rs: "), "{error}");
}
