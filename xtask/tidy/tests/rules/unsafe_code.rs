//! `unsafe` and the list of files that may have it.

use super::tree::Tree;

const LIST: &str = "xtask/tidy/rules/unsafe.txt";
const CODE: &str = "//! The library.\npub fn f() {\n    unsafe {}\n}\n";

#[test]
fn unsafe_code_in_a_file_that_is_not_listed() {
    let what = "`unsafe` in a file that xtask/tidy/rules/unsafe.txt does not list";
    Tree::new().with("model/src/lib.rs", CODE).fails(&[&format!("model/src/lib.rs:3: {what}")]);
    let in_macro = "//! The library.\nmacro_rules! m {\n    () => {\n        unsafe {}\n    };\n}\n";
    Tree::new().with("model/src/lib.rs", in_macro).fails(&[&format!("model/src/lib.rs:4: {what}")]);
}

#[test]
fn unsafe_code_in_a_listed_file_or_folder() {
    for list in ["model/src/lib.rs: the kernel\n", "model/src/: the kernels\n"] {
        Tree::new().with("model/src/lib.rs", CODE).with(LIST, list).passes();
    }
}

#[test]
fn comments_strings_and_the_lint_are_no_unsafe_code() {
    let code =
        "//! Not unsafe.\n#![forbid(unsafe_code)]\n/// Not unsafe.\npub const S: &str = \"unsafe {}\";\n";
    Tree::new().with("model/src/lib.rs", code).passes();
}

#[test]
fn a_listed_file_without_unsafe_code() {
    Tree::new()
        .with(LIST, "# Files.\nmodel/src/lib.rs: the kernel\n")
        .fails(&["xtask/tidy/rules/unsafe.txt:2: `model/src/lib.rs` has no `unsafe`, or does not exist"]);
}

#[test]
fn an_entry_without_a_reason_is_an_error() {
    let error = Tree::new().with(LIST, "model/src/lib.rs\n").error();
    assert_eq!(error, "xtask/tidy/rules/unsafe.txt:1: expected `path: reason`");
}
