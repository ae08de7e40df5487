//! `import`: a network that Keras saved, as a model.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, ensure};
use ziffer_formats::keras::{self, Imported, Options};

use crate::run_folder;
use crate::usage::{print, whole_numbers};

/// Read a network that Keras saved
///
/// The file is a .keras, .weights.h5 or .h5 with a stack of Dense, BatchNormalization, Dropout, Rescaling, Flatten and
/// activations. Without a Rescaling, pixels are divided by 255. If the file has only weights, relu is assumed for hidden layers
/// and softmax for the last.
#[derive(Clone, Debug, clap::Args)]
pub struct Import {
    /// What Keras saved
    file: PathBuf,
    /// The model's file, .safetensors
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The shape of a picture, if the file does not say it [default: a square]
    #[arg(long, value_name = "H,W", value_parser = shape)]
    input_shape: Option<Shape>,
}

/// The sizes of a picture.
#[derive(Clone, Debug)]
struct Shape(Vec<usize>);

fn shape(text: &str) -> Result<Shape, String> {
    whole_numbers(text, "size", "28,28").map(Shape)
}

/// Of a file that is imported; 89 million weights of Keras with its optimizer's have as much.
const MAX_BYTES: u64 = 1 << 30;

impl Import {
    /// Writes the model, which appears whole or not at all, and says on standard error what the file left open.
    ///
    /// # Errors
    /// Whatever went wrong, in one line that says what and where.
    pub fn run(&self) -> anyhow::Result<()> {
        let file = self.file.display();
        let cannot_read = || format!("{file}: cannot read");
        // A device could go on for ever.
        let metadata = fs::metadata(&self.file).with_context(cannot_read)?;
        ensure!(metadata.is_file(), "{file}: cannot read: it is no file");
        ensure!(
            metadata.len() <= MAX_BYTES,
            "{file}: found {} bytes, expected at most 1 GiB",
            metadata.len()
        );
        ensure!(
            !run_folder::is_same(&self.file, &self.out),
            "{file}: is what is imported; choose another file with --out"
        );
        let bytes = fs::read(&self.file).with_context(cannot_read)?;
        let options = Options { input_shape: self.input_shape.clone().map(|Shape(sizes)| sizes) };
        let Imported { model, assumptions } =
            keras::import(&bytes, &options).with_context(|| file.to_string())?;
        model.save(&self.out)?;
        if !assumptions.is_empty() {
            let assumptions: Vec<String> = assumptions.iter().map(ToString::to_string).collect();
            // Whether it is read or not, the model is there.
            let _ = writeln!(io::stderr(), "{file}: {}", assumptions.join("; "));
        }
        print(&format!("Imported {file} to {}\n", self.out.display()))
    }
}
