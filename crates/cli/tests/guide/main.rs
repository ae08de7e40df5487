//! The guide and the README: their code is code, their links lead somewhere, and both languages say the same.
//!
//! Rust is compiled as the crate's doctests; command lines are parsed by the programs that they are for, in those programs'
//! own tests. The commands of the README and the guide run here, and print what the documents show.
#![allow(clippy::unwrap_used, reason = "helpers of tests are outside of what clippy.toml allows")]

mod blocks;
#[cfg(unix)]
mod console;
mod languages;
mod links;
mod markdown;
mod program;
