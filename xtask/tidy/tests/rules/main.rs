//! Each rule on small trees that are made for the test: one tree that breaks it, one that does not.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

mod cycles;
mod edges;
mod files;
mod tree;
mod unsafe_code;
mod words;

#[test]
fn a_tree_without_fault_has_no_findings() {
    tree::Tree::new().passes();
}
