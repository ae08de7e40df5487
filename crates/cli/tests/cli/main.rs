//! The program as its users see it: output, files and errors, by the contract of the command line.
//! The tests do not use the library, and read and write formats by hand, so as not to share a bug with it.
#![allow(clippy::unwrap_used, reason = "helpers of tests are outside of what clippy.toml allows")]

mod augment;
mod bad_data;
mod bad_usage;
mod download;
mod error_lines;
mod finished_runs;
#[path = "../../../report/tests/support/html.rs"]
mod html;
mod idx;
mod import;
mod init;
mod model_commands;
mod output_folder;
mod pictures;
mod recipes;
mod repeatable;
mod reports;
mod resume;
mod sandbox;
mod serve;
mod tensors;
mod tutorial;
