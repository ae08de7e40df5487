//! Imports a Keras file and prints the model's summary and the assumptions of the import.
//!
//! ```console
//! $ cargo run --release -p ziffer-formats --example import_keras [FILE]
//! ```
#![allow(clippy::print_stdout, reason = "an example")]

use std::path::{Path, PathBuf};

use ziffer_formats::keras::{Options, import};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keras/fixtures/digits.keras");
    let file = std::env::args_os().nth(1).map_or(fixture, PathBuf::from);
    let imported = import(&std::fs::read(&file)?, &Options::default())?;
    print!("{}", imported.model.summary());
    for assumption in &imported.assumptions {
        println!("{} {assumption}", file.display());
    }
    Ok(())
}
