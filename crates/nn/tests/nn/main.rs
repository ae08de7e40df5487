//! The tests of the public interface, in one program. Tests that need a process of their own are beside this folder.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

mod activation_layers;
mod common;
mod digests;
mod gradients;
mod keras_layers;
mod own_layers;
mod runs;
mod soundness;
mod weights_by_name;
