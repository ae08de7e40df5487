//! `predict`: classifies picture files and images of a data set.

use std::fmt::{self, Write};
use std::fs::{self, File};
use std::io::Read;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use clap::builder::{PathBufValueParser, TypedValueParser};
use ndarray::ArrayView2;
use ziffer_base::{chain, thousands};
use ziffer_dataset::TrainTest;
use ziffer_dataset::idx::IdxFile;
use ziffer_nn::{Model, class_probabilities, predicted_class};
use ziffer_picture::prepare_file;

use super::dataset_args::{self, DatasetArgs};
use super::evaluate::dataset_of;
use crate::command_line::AlreadyReported;
use crate::output::{print, print_message};
use crate::run_folder;

/// The flags of `predict`.
#[derive(Clone, Debug, clap::Args)]
pub struct PredictArgs {
    /// Model: a run folder or a .safetensors file
    model: PathBuf,
    /// Pictures: PNG, JPEG or BMP files with one digit each, dark on light or light on dark; IDX files of images; or numbers
    /// of images in the data set, counted from 0. Unreadable pictures are reported, one line each; the rest are still
    /// classified, and the exit code is 1
    #[arg(required = true, value_name = "PICTURE", value_parser = PathBufValueParser::new().map(Picture::from_argument))]
    pictures: Vec<Picture>,
    /// Part of the data set that numbers refer to
    #[arg(long, default_value = "test")]
    part: Split,
    #[command(flatten)]
    data: DatasetArgs,
    /// Print one JSON object per picture and line: source, digit, probabilities, and the label of an image of the data set
    #[arg(long)]
    json: bool,
    /// Print each picture as the network sees it
    #[arg(long, conflicts_with = "json")]
    show: bool,
}

/// A file, or the number of an image in the data set.
#[derive(Clone, Debug)]
enum Picture {
    File(PathBuf),
    Number(String),
}

impl Picture {
    /// Takes digits for the number of an image. A file with such a name can be given as `./7`.
    fn from_argument(name: PathBuf) -> Self {
        match name.to_str() {
            Some(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Self::Number(text.to_owned())
            }
            _ => Self::File(name),
        }
    }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Split {
    Train,
    Test,
}

/// The length of a bar for probability 1, in characters.
const BAR: usize = 40;

impl PredictArgs {
    /// Classifies each picture and prints the prediction.
    ///
    /// # Errors
    /// One line that says what failed, and where. An unusable data set or model is reported before any prediction;
    /// unreadable pictures are reported in their place among the predictions.
    pub fn run(&self) -> anyhow::Result<()> {
        let path = run_folder::model_file(&self.model);
        let model = Model::load(&path)?;
        let images = Images::open(self, &model)?;
        let mut failed = 0;
        for picture in &self.pictures {
            let inputs: Box<dyn Iterator<Item = anyhow::Result<Input>>> = match picture {
                Picture::Number(number) => Box::new(images.iter().map(|images| images.input(number))),
                Picture::File(file) => match first_bytes(file) {
                    Some([0, 0, 8..=14, _]) => match idx_inputs(file, &model) {
                        Ok(inputs) => Box::new(inputs),
                        Err(error) => Box::new(iter::once(Err(error))),
                    },
                    Some([0x1F, 0x8B, ..]) => Box::new(iter::once(Err(anyhow!(
                        "{}: found a gzip file, expected a PNG, JPEG, BMP or IDX file; unpack it with gzip -d",
                        file.display()
                    )))),
                    _ => Box::new(iter::once(picture_input(file, &model, &path))),
                },
            };
            for input in inputs {
                match input {
                    Ok(input) => print(&self.prediction(&input, &model)?)?,
                    Err(error) => {
                        print_message(&format!("error: {}", chain(&*error)));
                        failed += 1;
                        break;
                    }
                }
            }
        }
        ensure!(failed == 0, AlreadyReported);
        Ok(())
    }

    /// A prediction as text.
    fn prediction(&self, input: &Input, model: &Model) -> anyhow::Result<String> {
        let Input { source, pixels, label } = input;
        let outputs = model.predict(ArrayView2::from_shape((1, pixels.len()), pixels)?);
        let outputs = outputs.as_slice().context("outputs in order")?;
        let (digit, probabilities) = (predicted_class(outputs), class_probabilities(outputs));
        if self.json {
            let mut object = serde_json::json!({
                "source": source, "digit": digit, "probabilities": probabilities,
            });
            if let Some(label) = label {
                object["label"] = (*label).into();
            }
            return Ok(format!("{object}\n"));
        }
        let mut out = String::new();
        // A file name must not move the terminal's cursor.
        let source = source.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c });
        let label = label.map(|label| format!(" (label {label})")).unwrap_or_default();
        writeln!(out, "{}: {digit}{label}", source.collect::<String>())?;
        if self.show {
            print_image(&mut out, pixels, model.input_shape())?;
        }
        for (class, &p) in probabilities.iter().enumerate() {
            let bar = "█".repeat((p * BAR as f32).round() as usize);
            // A softmax is never certain, even if its probability is rounded to 1.
            let percent = if (0.999_95..=1.0).contains(&p) {
                ">99.99".to_owned()
            } else {
                format!("{:6.2}", 100.0 * p)
            };
            writeln!(out, "{}", format!("  {class:2} {percent}% {bar}").trim_end())?;
        }
        Ok(out)
    }
}

/// A picture as the network sees it.
struct Input {
    source: String,
    pixels: Vec<u8>,
    label: Option<usize>,
}

/// Prepares a picture file.
fn picture_input(file: &Path, model: &Model, model_file: &Path) -> anyhow::Result<Input> {
    let &[rows, columns] = model.input_shape() else {
        return Err(anyhow!(
            "{}: the model takes {:?}, expected rows and columns to prepare {} for",
            model_file.display(),
            model.input_shape(),
            file.display()
        ));
    };
    let pixels = prepare_file(file, [rows, columns])?;
    Ok(Input { source: file.display().to_string(), pixels, label: None })
}

/// The first bytes of a file, which tell IDX files from pictures. Only regular files are read: bytes read from a pipe would be
/// lost.
fn first_bytes(file: &Path) -> Option<[u8; 4]> {
    let mut start = [0; 4];
    let is_read = fs::metadata(file).is_ok_and(|metadata| metadata.is_file())
        && File::open(file).and_then(|mut file| file.read_exact(&mut start)).is_ok();
    is_read.then_some(start)
}

/// The images of an IDX file, unchanged.
fn idx_inputs(
    path: &Path,
    model: &Model,
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Input>> + use<>> {
    let file = IdxFile::open(path)?;
    let rows = match *file.as_u8()?.shape() {
        [0, ..] => {
            return Err(anyhow!("{}: found no images, expected at least one", path.display()));
        }
        [rows, ref shape @ ..] if shape == model.input_shape() => rows,
        ref shape => {
            let takes = model.input_shape();
            return Err(anyhow!(
                "{}: found bytes of shape {shape:?}, expected images of shape {takes:?}, the model's input",
                path.display()
            ));
        }
    };
    Ok((0..rows).map(move |row| {
        let len = file.payload().len() / rows;
        let pixels = file.payload()[row * len..][..len].to_vec();
        file.check_unchanged()?;
        Ok(Input { source: format!("{}/{row}", file.path().display()), pixels, label: None })
    }))
}

/// The part of a data set that images are taken from.
struct Images {
    data: TrainTest,
    part: Split,
}

impl Images {
    /// Opens the data set if one of the pictures is a number.
    fn open(predict: &PredictArgs, model: &Model) -> anyhow::Result<Option<Self>> {
        if !predict.pictures.iter().any(|picture| matches!(picture, Picture::Number(_))) {
            return Ok(None);
        }
        let (name, source) = dataset_of(&predict.data, &predict.model);
        let data = dataset_args::open(name, &source)?;
        let opened = Self { data, part: predict.part };
        let view = opened.view();
        ensure!(
            model.inputs() == view.features(),
            "{}: the data set has images of shape {:?}, the model takes {:?}",
            opened.data.folder().display(),
            view.image_shape(),
            model.input_shape()
        );
        Ok(Some(opened))
    }

    fn view(&self) -> ziffer_dataset::View<'_> {
        match self.part {
            Split::Train => self.data.train.view(),
            Split::Test => self.data.test.view(),
        }
    }

    fn split_name(&self) -> &'static str {
        match self.part {
            Split::Train => "train",
            Split::Test => "test",
        }
    }

    /// The image of a number.
    fn input(&self, number: &str) -> anyhow::Result<Input> {
        let (name, part, view) = (self.data.name, self.split_name(), self.view());
        let Some(row) = number.parse().ok().filter(|&row| row < view.len()) else {
            return Err(anyhow!(
                "{name} has no {part} image {number}, expected a number below {}",
                thousands(view.len())
            ));
        };
        Ok(Input {
            source: format!("{name}/{part}/{row}"),
            pixels: view.image(row).to_vec(),
            label: Some(view.label(row)),
        })
    }
}

/// Prints an image with two characters per pixel.
fn print_image(out: &mut String, pixels: &[u8], shape: &[usize]) -> fmt::Result {
    const SHADES: [&str; 5] = ["  ", "░░", "▒▒", "▓▓", "██"];
    let width = shape.last().copied().unwrap_or(pixels.len()).max(1);
    for row in pixels.chunks(width) {
        let line: String = row.iter().map(|&pixel| SHADES[usize::from(pixel).div_ceil(64)]).collect();
        writeln!(out, "  {}", line.trim_end())?;
    }
    Ok(())
}
