//! Banned words and their exceptions.

use super::tree::Tree;

fn listed(list: &str) -> Tree {
    Tree::new().with("xtask/tidy/rules/words.txt", list)
}

#[test]
fn a_word_of_an_identifier() {
    let code =
        "//! A blob in a comment.\npub struct BlobSize;\npub fn two_blobs() {\n    vec![small_blob]\n}\n";
    listed("[identifiers]\nblob: buffer\n").with("model/src/lib.rs", code).fails(&[
        "model/src/lib.rs:2: `blob`: write buffer",
        "model/src/lib.rs:3: `blob`: write buffer",
        "model/src/lib.rs:4: `blob`: write buffer",
    ]);
}

#[test]
fn a_part_of_a_word_is_not_the_word() {
    let code = "//! The library.\npub fn blobfish() {}\npub const A: &str = \"blob\";\n";
    listed("[identifiers]\nblob: buffer\n").with("model/src/lib.rs", code).passes();
}

#[test]
fn words_in_texts() {
    listed("[text]\nat hand of: near\ntint*: color\n")
        .with("README.md", "It is at\nhand of. Tints, `bar_tint` and barTint.\n")
        .with("model/src/lib.rs", "//! It is not at\n//! hand of.\n")
        .fails(&[
            "README.md:1: `at hand of`: write near",
            "README.md:2: `tint*`: write color",
            "model/src/lib.rs:1: `at hand of`: write near",
        ]);
}

#[test]
fn words_do_not_go_on_in_the_next_sentence() {
    listed("[text]\nat hand of: near\n")
        .with("README.md", "This is at. Hand of.\n\nWhat it is at\n\nhand of\n")
        .passes();
}

#[test]
fn a_file_or_a_folder_may_be_excepted() {
    let list = "[text]\ntint: color\n[except]\nREADME.md: tint\nmodel/: *\n";
    listed(list).with("README.md", "A tint.\n").with("model/src/lib.rs", "//! A tint.\n").passes();
    listed(list).with("README.md", "A color.\n").with("app/README.md", "A tint.\n").fails(&[
        "app/README.md:1: `tint`: write color",
        "xtask/tidy/rules/words.txt:4: `README.md` does not need this exception",
    ]);
}

#[test]
fn a_line_that_is_no_entry_is_an_error() {
    for list in ["tint: color\n", "[text]\ntint\n"] {
        assert!(listed(list).error().contains("expected `entry: better` in a section"));
    }
}
