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
    listed("[text]\nto be had: available\ncolour*: color\n")
        .with("README.md", "It is to\nbe had. Colours, `bar_colour` and barColour.\n")
        .with("model/src/lib.rs", "//! It is not to\n//! be had.\n")
        .fails(&[
            "README.md:1: `to be had`: write available",
            "README.md:2: `colour*`: write color",
            "model/src/lib.rs:1: `to be had`: write available",
        ]);
}

#[test]
fn words_do_not_go_on_in_the_next_sentence() {
    listed("[text]\nto be had: available\n")
        .with("README.md", "This is to. Be had.\n\nWhat it is to\n\nbe had\n")
        .passes();
}

#[test]
fn a_file_or_a_folder_may_be_excepted() {
    let list = "[text]\ncolour: color\n[except]\nREADME.md: colour\nmodel/: *\n";
    listed(list).with("README.md", "A colour.\n").with("model/src/lib.rs", "//! A colour.\n").passes();
    listed(list).with("README.md", "A color.\n").with("app/README.md", "A colour.\n").fails(&[
        "app/README.md:1: `colour`: write color",
        "xtask/tidy/rules/words.txt:4: `README.md` does not need this exception",
    ]);
}

#[test]
fn a_line_that_is_no_entry_is_an_error() {
    for list in ["colour: color\n", "[text]\ncolour\n"] {
        assert!(listed(list).error().contains("expected `entry: better` in a section"));
    }
}
