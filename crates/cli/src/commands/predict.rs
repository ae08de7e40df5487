//! `predict`: what a saved model says of picture files, and of rows of a data set.

use std::fmt::{self, Write};
use std::fs::{self, File};
use std::io::Read;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, ensure};
use clap::builder::{PathBufValueParser, TypedValueParser};
use ndarray::ArrayView2;
use ziffer_base::chain;
use ziffer_dataset::TrainTest;
use ziffer_dataset::idx::IdxFile;
use ziffer_nn::Model;
use ziffer_picture::prepare_file;
use ziffer_tensor::reduce::argmax;

use super::data::{self, DataArgs};
use super::evaluate::dataset;
use crate::run_folder;
use crate::usage::{AlreadyTold, complain, print};

/// Print the class and the probabilities that a model gives pictures
#[derive(Clone, Debug, clap::Args)]
pub struct Predict {
    /// A run's folder or a .safetensors file
    model: PathBuf,
    /// Picture files, PNG, JPEG or BMP, of one digit each, dark or light; IDX files, of which each row is a picture; or rows
    /// of the data set, as numbers from 0. Of several the good ones are answered, and each bad one is told in a line and
    /// makes the exit code 1
    #[arg(required = true, value_name = "PICTURE", value_parser = PathBufValueParser::new().map(Picture::named))]
    pictures: Vec<Picture>,
    /// The part of the data set that rows are of
    #[arg(long, default_value = "test")]
    part: PartName,
    #[command(flatten)]
    data: DataArgs,
    /// Print one JSON object a line: source, digit, probabilities, and a row's label
    #[arg(long)]
    json: bool,
    /// Show each picture as the network saw it
    #[arg(long, conflicts_with = "json")]
    show: bool,
}

/// A file, or a row of the data set by what was typed.
#[derive(Clone, Debug)]
enum Picture {
    File(PathBuf),
    Row(String),
}

impl Picture {
    /// What consists of digits is a row; a file of that name can be given as `./7`.
    fn named(name: PathBuf) -> Self {
        match name.to_str() {
            Some(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Self::Row(text.to_owned())
            }
            _ => Self::File(name),
        }
    }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum PartName {
    Train,
    Test,
}

/// Cells of a bar that stands for probability 1.
const BAR: usize = 40;

impl Predict {
    /// Predicts each picture and prints what came out.
    ///
    /// # Errors
    /// Whatever went wrong, in one line that says what and where. A data set or a model that cannot be used is refused before
    /// anything is printed; of pictures each bad one in its place among the others' answers.
    pub fn run(&self) -> anyhow::Result<()> {
        let path = run_folder::model_file(&self.model);
        let model = Model::load(&path)?;
        let rows = Rows::of(self, &model)?;
        let mut refused = 0;
        for picture in &self.pictures {
            let all: Box<dyn Iterator<Item = anyhow::Result<Seen>>> = match picture {
                Picture::Row(row) => Box::new(rows.iter().map(|rows| rows.seen(row))),
                Picture::File(file) => match start(file) {
                    Some([0, 0, 8..=14, _]) => match idx_rows(file, &model) {
                        Ok(rows) => Box::new(rows),
                        Err(error) => Box::new(iter::once(Err(error))),
                    },
                    Some([0x1F, 0x8B, ..]) => Box::new(iter::once(Err(anyhow!(
                        "{}: found a gzip file, expected a picture: PNG, JPEG or BMP, or an IDX file; unpack it with gzip -d first",
                        file.display()
                    )))),
                    _ => Box::new(iter::once(seen_file(file, &model, &path))),
                },
            };
            for seen in all {
                match seen {
                    Ok(seen) => print(&self.answer(&seen, &model)?)?,
                    Err(error) => {
                        complain(&format!("error: {}", chain(&*error)));
                        refused += 1;
                        break;
                    }
                }
            }
        }
        ensure!(refused == 0, AlreadyTold);
        Ok(())
    }

    /// An answer as text.
    fn answer(&self, seen: &Seen, model: &Model) -> anyhow::Result<String> {
        let Seen { source, pixels, label } = seen;
        let outputs = model.predict(ArrayView2::from_shape((1, pixels.len()), pixels)?);
        let mut probabilities = outputs.row(0).to_vec();
        if let [of_class_1] = probabilities[..] {
            probabilities.insert(0, 1.0 - of_class_1);
        }
        let digit = argmax(&probabilities);
        if self.json {
            let mut answer = serde_json::json!({
                "source": source, "digit": digit, "probabilities": probabilities,
            });
            if let Some(label) = label {
                answer["label"] = (*label).into();
            }
            return Ok(format!("{answer}\n"));
        }
        let mut out = String::new();
        // A file's name must not move the terminal's cursor.
        let source = source.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c });
        let label = label.map(|label| format!(" (label {label})")).unwrap_or_default();
        writeln!(out, "{}: {digit}{label}", source.collect::<String>())?;
        if self.show {
            show(&mut out, pixels, model.input_shape())?;
        }
        for (class, &p) in probabilities.iter().enumerate() {
            let bar = "█".repeat((p * BAR as f32).round() as usize);
            // No softmax is certain, whatever its share is rounded to.
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
struct Seen {
    source: String,
    pixels: Vec<u8>,
    label: Option<usize>,
}

/// A file's.
fn seen_file(file: &Path, model: &Model, model_file: &Path) -> anyhow::Result<Seen> {
    let &[rows, columns] = model.input_shape() else {
        return Err(anyhow!(
            "{}: the model takes {:?}, expected rows and columns to make of {}",
            model_file.display(),
            model.input_shape(),
            file.display()
        ));
    };
    let pixels = prepare_file(file, [rows, columns])?;
    Ok(Seen { source: file.display().to_string(), pixels, label: None })
}

/// How a file begins, by which IDX is told from pictures. What is no regular file is not asked, since what was read of a pipe is
/// gone.
fn start(file: &Path) -> Option<[u8; 4]> {
    let mut start = [0; 4];
    let is_read = fs::metadata(file).is_ok_and(|metadata| metadata.is_file())
        && File::open(file).and_then(|mut file| file.read_exact(&mut start)).is_ok();
    is_read.then_some(start)
}

/// Those of an IDX file, one after the other, as they stand there.
fn idx_rows(
    path: &Path,
    model: &Model,
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Seen>> + use<>> {
    let file = IdxFile::open(path)?;
    let rows = match *file.as_u8()?.shape() {
        [0, ..] => {
            return Err(anyhow!("{}: found no rows, expected at least one picture", path.display()));
        }
        [rows, ref shape @ ..] if shape == model.input_shape() => rows,
        ref shape => {
            let takes = model.input_shape();
            return Err(anyhow!(
                "{}: found bytes of shape {shape:?}, expected pictures of {takes:?}, which the model takes",
                path.display()
            ));
        }
    };
    Ok((0..rows).map(move |row| {
        let len = file.payload().len() / rows;
        let pixels = file.payload()[row * len..][..len].to_vec();
        file.check_unchanged()?;
        Ok(Seen { source: format!("{}/{row}", file.path().display()), pixels, label: None })
    }))
}

/// The part of a data set that rows are taken from.
struct Rows {
    data: TrainTest,
    part: PartName,
}

impl Rows {
    /// Opened if there is a row among the pictures.
    fn of(predict: &Predict, model: &Model) -> anyhow::Result<Option<Self>> {
        if !predict.pictures.iter().any(|picture| matches!(picture, Picture::Row(_))) {
            return Ok(None);
        }
        let (name, places) = dataset(&predict.data, &predict.model);
        let data = data::open(name, &places)?;
        let opened = Self { data, part: predict.part };
        let view = opened.view();
        ensure!(
            model.inputs() == view.features(),
            "{}: the data set has pictures of {:?}, the model takes {:?}",
            opened.data.folder().display(),
            view.image_shape(),
            model.input_shape()
        );
        Ok(Some(opened))
    }

    fn view(&self) -> ziffer_dataset::View<'_> {
        match self.part {
            PartName::Train => self.data.train.view(),
            PartName::Test => self.data.test.view(),
        }
    }

    fn part_name(&self) -> &'static str {
        match self.part {
            PartName::Train => "train",
            PartName::Test => "test",
        }
    }

    /// A row's picture.
    fn seen(&self, row: &str) -> anyhow::Result<Seen> {
        let (name, part, view) = (self.data.name, self.part_name(), self.view());
        let Some(row) = row.parse().ok().filter(|&row| row < view.len()) else {
            return Err(anyhow!(
                "no row {row} in {name}'s {part} part, which has {} rows from 0",
                view.len()
            ));
        };
        Ok(Seen {
            source: format!("{name}/{part}/{row}"),
            pixels: view.image(row).to_vec(),
            label: Some(view.label(row)),
        })
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
