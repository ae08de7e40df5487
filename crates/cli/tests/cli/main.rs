//! The program as its users meet it: what it prints, what it writes, what it refuses, by the contract of the
//! command line. Nothing here looks inside; formats are read and written by hand, to share no mistake.
#![allow(clippy::unwrap_used, reason = "helpers of tests are outside of what clippy.toml allows")]

mod augment;
mod bad_data;
mod bad_usage;
mod download;
mod error_lines;
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
