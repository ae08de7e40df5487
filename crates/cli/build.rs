//! Passes the version of the compiler to the program, for run summaries.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    let success = output.ok().filter(|output| output.status.success());
    let line = success.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    // "rustc 1.95.0 (f2d3ce0bd 2026-04-14)": only the version is kept.
    let version: Vec<&str> = line.split_whitespace().take(2).collect();
    let version = if version.len() == 2 { version.join(" ") } else { "unknown".to_owned() };
    println!("cargo::rustc-env=ZIFFER_COMPILER={version}");
}
