//! Cycles between the modules of a crate.

use super::tree::Tree;

/// A library with a module file for each pair of a name and its code.
fn library(root: &str, modules: &[(&str, &str)]) -> Tree {
    let tree = Tree::new().with("model/src/lib.rs", &format!("//! The library.\n{root}"));
    modules.iter().fold(tree, |tree, (name, code)| {
        tree.with(&format!("model/src/{name}.rs"), &format!("//! A module.\n{code}"))
    })
}

const CYCLE: &str = "model/src/a.rs:2: cycle of modules: it uses `crate::b::B` of model/src/b.rs, \
                      which uses `crate::a::A` of model/src/a.rs in line 2";

#[test]
fn two_modules_that_use_each_other() {
    let root = "mod a;\nmod b;\n";
    library(
        root,
        &[("a", "use crate::b::B;\npub struct A(B);\n"), ("b", "use crate::a::A;\npub struct B(A);\n")],
    )
    .fails(&[CYCLE]);
    library(root, &[("a", "use crate::b::B;\npub struct A(B);\n"), ("b", "pub struct B;\n")]).passes();
}

#[test]
fn three_modules_in_a_cycle_are_one_finding() {
    library(
        "mod a;\nmod b;\nmod c;\n",
        &[
            ("a", "pub fn a() { crate::b::b(); }\n"),
            ("b", "pub fn b() { super::c::c(); }\n"),
            ("c", "use super::a;\npub fn c() { a::a(); }\n"),
        ],
    )
    .fails(&["model/src/a.rs:2: cycle of modules: it uses `crate::b::b` of model/src/b.rs, which uses \
              `super::c::c` of model/src/c.rs in line 2, which uses `a::a` of model/src/a.rs in line 3"]);
}

#[test]
fn a_re_export_counts_for_the_file_that_defines_the_item() {
    let root = "mod a;\nmod b;\npub use a::A;\npub use b::*;\n";
    library(root, &[("a", "use crate::B;\npub struct A(B);\n"), ("b", "pub struct B;\n")]).passes();
    let findings =
        library(root, &[("a", "use crate::B;\npub struct A(B);\n"), ("b", "pub struct B(super::A);\n")])
            .findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].starts_with("model/src/a.rs:2: cycle of modules:"), "{findings:?}");
}

#[test]
fn a_parent_and_a_child_that_use_each_other() {
    let child = "use super::Shape;\npub fn area(_: Shape) {}\n";
    library("mod a;\npub struct Shape;\npub fn f() { a::area(Shape); }\n", &[("a", child)])
        .fails(&["model/src/a.rs:2: cycle of modules: it uses `super::Shape` of model/src/lib.rs, \
         which uses `a::area` of model/src/a.rs in line 4"]);
    // The parent only passes the child's item on.
    library("mod a;\npub use a::area;\npub struct Shape;\n", &[("a", child)]).passes();
}

#[test]
fn names_of_a_glob_count_where_they_are_named() {
    let root = "mod a;\nmod b;\npub mod prelude {\n    pub use crate::a::A;\n    pub use crate::b::B;\n}\n";
    library(root, &[("a", "use crate::prelude::*;\npub struct A(B);\n"), ("b", "pub struct B;\n")]).passes();
    let findings = library(
        root,
        &[
            ("a", "use crate::prelude::*;\npub struct A(B);\n"),
            ("b", "use crate::prelude::*;\npub struct B(Box<A>);\n"),
        ],
    )
    .findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
}

#[test]
fn paths_in_macros_types_patterns_and_bodies_count() {
    let uses = [
        "pub fn f() { assert!(crate::a::A == 1); }\n",
        "pub fn f() -> Vec<crate::a::T> { Vec::new() }\n",
        "pub fn f(x: i32) { match x { crate::a::A => {} _ => {} } }\n",
        "pub fn f() { use crate::a::A; let _ = A; }\n",
        "macro_rules! m { () => { $crate::a::A } }\npub(crate) use m;\n",
        "pub fn f() { text!(); }\n",
    ];
    let a = "pub const A: i32 = 1;\npub struct T;\npub fn g() { let _: super::b::B; }\n";
    for code in uses {
        let root = "macro_rules! text { () => {} }\nmod a;\nmod b;\nfn h() { a::g(); }\n";
        let findings = library(root, &[("a", a), ("b", &format!("pub struct B;\n{code}"))]).findings();
        assert_eq!(findings.len(), 1, "{code}: {findings:?}");
    }
}

#[test]
fn what_is_no_use() {
    let code =
        "//! See [`crate::a::A`].\npub(in crate::b) struct B;\npub fn f() { let a = \"crate::a::A\"; }\n";
    library("mod a;\nmod b;\n", &[("a", "pub struct A(super::b::B);\n"), ("b", code)]).passes();
}

#[test]
fn test_modules_are_apart_from_their_file() {
    let a = "pub struct A;\n#[cfg(test)]\nmod tests {\n    use super::*;\n    use crate::b::B;\n}\n";
    library("mod a;\nmod b;\n", &[("a", a), ("b", "pub struct B(crate::a::A);\n")]).passes();
    let not_a_test = a.replace("#[cfg(test)]", "#[cfg(unix)]");
    let findings =
        library("mod a;\nmod b;\n", &[("a", &not_a_test), ("b", "pub struct B(crate::a::A);\n")]).findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
}

#[test]
fn modules_in_folders_with_paths_and_in_tests_are_found() {
    let findings = Tree::new()
        .with("app/tests/all/main.rs", "//! Tests.\nmod one;\n#[path = \"../other/two.rs\"]\nmod two;\n")
        .with("app/tests/all/one.rs", "//! One.\npub fn f() { crate::two::f(); }\n")
        .with("app/tests/other/two.rs", "//! Two.\npub fn f() { super::one::f(); }\n")
        .findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    let findings = library(
        "mod a;\n",
        &[("a/mod", "mod b;\npub fn f() { b::f(); }\n"), ("a/b", "pub fn f() { super::f(); }\n")],
    )
    .findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
}
