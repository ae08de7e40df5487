//! `export`: writes a model as an ONNX file.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use ziffer_base::fs::AtomicFile;
use ziffer_nn::{Model, PixelType};

use crate::output::print;
use crate::run_folder;

/// The flags of `export`.
#[derive(Clone, Debug, clap::Args)]
pub struct ExportArgs {
    /// Model: a run folder or a .safetensors file
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// ONNX file to write; its network takes images with pixels 0 to 255 and returns probabilities
    #[arg(long, value_name = "FILE")]
    onnx: PathBuf,
    /// Type of the input pixels
    #[arg(long, value_name = "TYPE", default_value = "u8")]
    pixels: Pixels,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Pixels {
    /// Bytes
    U8,
    /// Single-precision numbers 0 to 255
    F32,
}

impl ExportArgs {
    /// Writes the file atomically.
    ///
    /// # Errors
    /// One line that says what failed, and where.
    pub fn run(&self) -> anyhow::Result<()> {
        let file = run_folder::model_file(&self.model);
        ensure!(
            !run_folder::is_same(&file, &self.onnx),
            "{}: this is the model itself; choose another file with --onnx",
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
