//! `export`: a model as a standard file.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use ziffer_base::fs::AtomicFile;
use ziffer_nn::{Model, PixelType};

use crate::run_folder;
use crate::usage::print;

/// Write a model as a standard file that other programs run
#[derive(Clone, Debug, clap::Args)]
pub struct Export {
    /// A run's folder, or a .safetensors file
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The ONNX file: pictures of pixels 0 to 255 in, probabilities out
    #[arg(long, value_name = "FILE")]
    onnx: PathBuf,
    /// The type of the pixels that it takes
    #[arg(long, value_name = "TYPE", default_value = "u8")]
    pixels: Pixels,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Pixels {
    /// Bytes
    U8,
    /// The numbers 0 to 255 in single precision
    F32,
}

impl Export {
    /// Writes the file, which appears whole or not at all.
    ///
    /// # Errors
    /// Whatever went wrong, in one line that says what and where.
    pub fn run(&self) -> anyhow::Result<()> {
        let file = run_folder::model_file(&self.model);
        ensure!(
            !run_folder::is_same(&file, &self.onnx),
            "{}: the model itself lies there; choose another file with --onnx",
            self.onnx.display()
        );
        let model = Model::load(&file)?;
        let pixels = match self.pixels {
            Pixels::U8 => PixelType::U8,
            Pixels::F32 => PixelType::F32,
        };
        let bytes = model.to_onnx(pixels).with_context(|| file.display().to_string())?;
        AtomicFile::write(&self.onnx, &bytes).with_context(|| run_folder::cannot_write(&self.onnx))?;
        print(&format!("Exported {} to {}\n", file.display(), self.onnx.display()))
    }
}
