//! `import`: converts a network that Keras saved to a model.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use ziffer_keras::{Imported, Options, import};

use super::flag_values::whole_numbers;
use crate::output::{print, print_message};
use crate::run_folder;

/// The flags of `import`.
#[derive(Clone, Debug, clap::Args)]
pub struct ImportArgs {
    /// File that Keras saved
    file: PathBuf,
    /// Model file to write, .safetensors
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Shape of an input image, if the file does not have it [default: a square]
    #[arg(long, value_name = "H,W", value_parser = shape)]
    input_shape: Option<Shape>,
}

/// The shape of an image.
#[derive(Clone, Debug)]
struct Shape(Vec<usize>);

fn shape(text: &str) -> Result<Shape, String> {
    whole_numbers(text, "size", "28,28").map(Shape)
}

/// The largest file that is imported: enough for 89 million weights with the state of Adam.
const MAX_BYTES: u64 = 1 << 30;

impl ImportArgs {
    /// Writes the model atomically, and prints the assumptions that the file made necessary to standard error.
    ///
    /// # Errors
    /// One line that says what failed, and where.
    pub fn run(&self) -> anyhow::Result<()> {
        let file = self.file.display();
        let cannot_read = || format!("{file}: cannot read");
        // Reading a device might never end.
        let metadata = fs::metadata(&self.file).with_context(cannot_read)?;
        ensure!(metadata.is_file(), "{file}: cannot read: not a regular file");
        ensure!(
            metadata.len() <= MAX_BYTES,
            "{file}: found {} bytes, expected at most 1 GiB",
            metadata.len()
        );
        ensure!(
            !run_folder::is_same(&self.file, &self.out),
            "{file}: this is the imported file; choose another file with --out"
        );
        let bytes = fs::read(&self.file).with_context(cannot_read)?;
        let options = Options { input_shape: self.input_shape.clone().map(|Shape(sizes)| sizes) };
        let Imported { model, assumptions } = import(&bytes, &options).with_context(|| file.to_string())?;
        model.save(&self.out)?;
        if !assumptions.is_empty() {
            let assumptions: Vec<String> = assumptions.iter().map(ToString::to_string).collect();
            print_message(&format!("{file}: {}", assumptions.join("; ")));
        }
        print(&format!("Imported {file} to {}\n", self.out.display()))
    }
}
