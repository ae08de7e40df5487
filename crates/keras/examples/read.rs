//! What is in a file of Keras's: the table of its layers, and what it leaves open.
//!
//! ```console
//! $ cargo run --release -p ziffer-keras --example read [FILE]
//! ```
#![allow(clippy::print_stdout, reason = "an example")]

use std::path::{Path, PathBuf};

use ziffer_keras::{Options, import};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/digits.keras");
    let file = std::env::args_os().nth(1).map_or(fixture, PathBuf::from);
    let imported = import(&std::fs::read(&file)?, &Options::default())?;
    print!("{}", imported.model.summary());
    for assumption in &imported.assumptions {
        println!("{} {assumption}", file.display());
    }
    Ok(())
}
