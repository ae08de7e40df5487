//! Import of the files that Keras wrote.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

mod import;
mod own_layers;
mod refusals;
mod support;
