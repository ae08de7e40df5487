//! `predict`: what a saved model says of rows of a data set.

use std::fmt::{self, Write};
use std::path::PathBuf;

use anyhow::{anyhow, ensure};
use ndarray::ArrayView2;
use ziffer_nn::Model;

use super::data::{self, DataArgs};
use super::evaluate::dataset;
use crate::run_folder;
use crate::usage::print;

/// Print the class and the probabilities that a model gives rows of a data set
#[derive(Clone, Debug, clap::Args)]
pub struct Predict {
    /// A run's folder or a .safetensors file
    model: PathBuf,
    /// Rows of the data set, from 0
    #[arg(required = true, value_name = "ROW")]
    rows: Vec<usize>,
    /// The part of the data set
    #[arg(long, default_value = "test")]
    part: PartName,
    #[command(flatten)]
    data: DataArgs,
    /// Print one JSON object a line: source, digit, probabilities, label
    #[arg(long)]
    json: bool,
    /// Show each picture
    #[arg(long, conflicts_with = "json")]
    show: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum PartName {
    Train,
    Test,
}

/// Cells of a bar that stands for probability 1.
const BAR: usize = 40;

impl Predict {
    /// Predicts each row and prints what came out.
    ///
    /// # Errors
    /// Whatever went wrong, in one line that says what and where.
    pub fn run(&self) -> anyhow::Result<()> {
        let model = Model::load(run_folder::model_file(&self.model))?;
        let name = dataset(&self.data, &self.model);
        let data = data::open(name, self.data.data_dir.as_deref())?;
        let (part, set) = match self.part {
            PartName::Train => ("train", &data.train),
            PartName::Test => ("test", &data.test),
        };
        let view = set.view();
        ensure!(
            model.inputs() == view.features(),
            "{}: the data set has pictures of {:?}, the model takes {:?}",
            data.folder().display(),
            view.image_shape(),
            model.input_shape()
        );
        if let Some(row) = self.rows.iter().find(|&&row| row >= view.len()) {
            return Err(anyhow!(
                "no row {row} in {name}'s {part} part, which has {} rows from 0",
                view.len()
            ));
        }
        let mut out = String::new();
        for &row in &self.rows {
            let pixels = view.image(row);
            let probabilities = model.predict(ArrayView2::from_shape((1, pixels.len()), pixels)?);
            let probabilities = probabilities.row(0).to_vec();
            let digit = ziffer_tensor::reduce::argmax(&probabilities);
            let source = format!("{name}/{part}/{row}");
            let label = view.label(row);
            if self.json {
                let line = serde_json::json!({
                    "source": source, "digit": digit, "probabilities": probabilities, "label": label,
                });
                writeln!(out, "{line}")?;
                continue;
            }
            writeln!(out, "{source}: {digit} (label {label})")?;
            if self.show {
                show(&mut out, pixels, view.image_shape())?;
            }
            for (class, &p) in probabilities.iter().enumerate() {
                let bar = "█".repeat((p * BAR as f32).round() as usize);
                writeln!(out, "{}", format!("  {class:2} {:6.2}% {bar}", 100.0 * p).trim_end())?;
            }
        }
        print(&out)
    }
}

/// Draws a picture with two characters a pixel.
fn show(out: &mut String, pixels: &[u8], shape: &[usize]) -> fmt::Result {
    const SHADES: [&str; 5] = ["  ", "░░", "▒▒", "▓▓", "██"];
    let width = shape.last().copied().unwrap_or(pixels.len()).max(1);
    for row in pixels.chunks(width) {
        let line: String = row.iter().map(|&pixel| SHADES[usize::from(pixel).div_ceil(64)]).collect();
        writeln!(out, "  {}", line.trim_end())?;
    }
    Ok(())
}
