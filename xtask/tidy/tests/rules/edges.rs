//! Dependencies between crates, and their drawing.

use super::tree::Tree;

fn drawn(lines: &str) -> Tree {
    Tree::new().with("ARCHITECTURE.md", &format!("# Crates\n\n```text\n{lines}\n```\n"))
}

/// A package `name` that depends on `dependencies`, lines of its manifest.
fn package(tree: Tree, name: &str, dependencies: &str) -> Tree {
    let manifest =
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n{dependencies}");
    tree.with(&format!("{name}/Cargo.toml"), &manifest)
        .with(&format!("{name}/src/lib.rs"), "//! A library.\n")
}

/// `app` on `model` and `page`, `model` on `tensor`, `page` on `model` in its tests.
fn four(drawing: &str) -> Tree {
    let mut tree = drawn(drawing).with(
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"model\", \"page\", \"tensor\"]\n",
    );
    let model = "model = { path = \"../model\" }\n";
    let page = "page = { path = \"../page\" }\n";
    tree = package(tree, "app", &format!("[dependencies]\n{model}{page}"));
    tree = package(tree, "model", "[dependencies]\ntensor = { path = \"../tensor\" }\n");
    tree = package(tree, "page", &format!("[dev-dependencies]\n{model}"));
    package(tree, "tensor", "")
}

#[test]
fn a_dependency_that_is_not_drawn() {
    four("app ──► page\nmodel ──► tensor\npage ╌╌► model")
        .fails(&["app/Cargo.toml:7: ARCHITECTURE.md does not draw the dependency app ──► model"]);
}

#[test]
fn a_way_over_another_crate_does_not_draw_a_dependency() {
    four("app ──► page ──► model ──► tensor").fails(&[
        "ARCHITECTURE.md:4: page ──► model is drawn, but page has no such dependency",
        "app/Cargo.toml:7: ARCHITECTURE.md does not draw the dependency app ──► model",
        "page/Cargo.toml:7: ARCHITECTURE.md does not draw the dev-dependency page ╌╌► model",
    ]);
}

#[test]
fn a_drawing_may_be_a_list() {
    four("app (the program) ──► model, page\nmodel ──► tensor\npage ╌╌► model").passes();
}

#[test]
fn a_drawing_may_be_a_tree() {
    four("app ──┬──► model ──► tensor\n      │\n      └──► page\npage ╌╌► model").passes();
    four("app ──┬──► page\n      ├──► model ──┬──► tensor\n                   └──► page\npage ╌╌► model")
        .fails(&["ARCHITECTURE.md:6: model ──► page is drawn, but model has no such dependency"]);
}

#[test]
fn a_drawing_that_is_none_is_an_error() {
    let cases = [
        ("app", "ARCHITECTURE.md: no code block of the language `text` draws dependencies with `──►`"),
        ("app ──►", "ARCHITECTURE.md:4: expected a name after the arrow"),
        ("──► app", "ARCHITECTURE.md:4: expected an arrow from a name"),
        ("└──► app", "ARCHITECTURE.md:4: expected a line above the branch"),
    ];
    for (drawing, error) in cases {
        assert_eq!(drawn(drawing).error(), error);
    }
}

#[test]
fn what_draw_prints_passes() {
    let drawing = four("app ──► model").draw();
    assert_eq!(drawing, "app    ──► model, page\nmodel  ──► tensor\npage   ╌╌► model\n");
    four(drawing.trim_end()).passes();
}
