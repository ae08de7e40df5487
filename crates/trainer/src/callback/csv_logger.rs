//! Writes the metrics of each epoch to a CSV file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ziffer_nn::Model;

use super::{Callback, CallbackError, EpochBeginContext, EpochEndContext, Flow, TrainingParams, state_bytes};
use crate::{EpochLog, History, Resumed, python};

/// Writes a line of comma-separated values per epoch, as Keras's `CSVLogger`.
///
/// | setting | meaning | default (Keras's) |
/// |---|---|---|
/// | filename | the file | |
/// | separator | the character between values | `,` |
/// | append | whether to append to an existing file | false |
///
/// The columns are `epoch`, counted from 0, and the metrics in alphabetical order: `accuracy`,
/// `learning_rate`, `loss`, `val_accuracy` and `val_loss`. Without a validation set, the columns that begin with `val_` have `NA`.
/// The learning rate, before callbacks set it at the epoch's end, has a column if a schedule or a callback such as
/// [`ReduceLROnPlateau`](super::ReduceLROnPlateau) [sets it](Callback::sets_learning_rate). Numbers are written so that they parse to
/// the same value. Each line is written when its epoch ends. As in Keras, lines end with a carriage return and a line feed.
///
/// A training that resumes from a [checkpoint](crate::Checkpoints) continues the file: the lines of epochs after the checkpoint are
/// removed, and those of the epochs before it are rewritten. A training that was killed before its first checkpoint starts from the
/// beginning. If `append` is set, its lines stay in the file.
#[derive(Debug)]
pub struct CSVLogger {
    filename: PathBuf,
    separator: char,
    append: bool,
    /// The offset of this training's lines in the file.
    start: u64,
    file: Option<File>,
    /// Whether there is a column for the learning rate.
    has_rate: bool,
    /// Whether the header line is not written yet.
    needs_header: bool,
}

impl CSVLogger {
    /// Writes to this file, and replaces an existing one.
    pub fn new(filename: impl Into<PathBuf>) -> Self {
        let filename = filename.into();
        Self {
            filename,
            separator: ',',
            append: false,
            start: 0,
            file: None,
            has_rate: false,
            needs_header: false,
        }
    }

    /// Sets the character between values.
    pub fn separator(mut self, separator: char) -> Self {
        self.separator = separator;
        self
    }

    /// Sets whether to append to an existing file.
    pub fn append(mut self, append: bool) -> Self {
        self.append = append;
        self
    }

    /// The file.
    pub fn filename(&self) -> &Path {
        &self.filename
    }

    /// Opens the file and removes this training's lines.
    fn open(&mut self) -> Result<(), CallbackError> {
        self.file = Some(self.opened().map_err(|error| self.failed(&error))?);
        self.needs_header = self.start == 0;
        Ok(())
    }

    fn opened(&mut self) -> io::Result<File> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.filename)?;
        let metadata = file.metadata()?;
        // A pipe or a terminal has no length.
        if metadata.is_file() {
            self.start = self.start.min(metadata.len());
            file.set_len(self.start)?;
            file.seek(SeekFrom::End(0))?;
        }
        Ok(file)
    }

    fn failed(&self, error: &io::Error) -> CallbackError {
        format!("{}: cannot write: {error}", self.filename.display()).into()
    }

    /// Writes an epoch's line, and the header before the first line.
    fn write(&mut self, epoch: usize, values: Values) -> Result<(), CallbackError> {
        if self.file.is_none() {
            self.open()?;
        }
        let mut text = String::new();
        if std::mem::take(&mut self.needs_header) {
            text += &self.line("epoch".to_owned(), NAMES.map(str::to_owned));
        }
        let values = values.map(|value| value.map_or("NA".to_owned(), python::repr));
        text += &self.line(epoch.to_string(), values);
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(text.as_bytes()).map_err(|error| self.failed(&error))
    }

    fn line(&self, first: String, others: [String; NAMES.len()]) -> String {
        let mut line = self.quoted(first);
        let columns = NAMES.iter().zip(others).filter(|(name, _)| self.has_rate || **name != RATE);
        for (_, value) in columns {
            line.push(self.separator);
            line += &self.quoted(value);
        }
        line + "\r\n"
    }

    /// A value in quotes, if it contains the separator: a letter or the decimal point may be the separator.
    fn quoted(&self, value: String) -> String {
        if value.contains(self.separator) { format!("\"{value}\"") } else { value }
    }
}

/// The optional column.
const RATE: &str = "learning_rate";

/// The columns after the epoch, in alphabetical order.
const NAMES: [&str; 5] = ["accuracy", RATE, "loss", "val_accuracy", "val_loss"];

/// The values of the columns.
type Values = [Option<f64>; NAMES.len()];

fn of_log(log: &EpochLog) -> Values {
    [log.accuracy, Some(log.learning_rate), Some(log.loss), log.val_accuracy, log.val_loss]
}

fn of_history(history: &History, epoch: usize) -> Values {
    let History { loss, accuracy, val_loss, val_accuracy, learning_rate, .. } = history;
    [accuracy, learning_rate, loss, val_accuracy, val_loss].map(|list| list.get(epoch).copied())
}

impl Callback for CSVLogger {
    fn name(&self) -> &'static str {
        "csv logger"
    }

    fn on_train_begin(&mut self, params: &TrainingParams, _: &mut Model) -> Result<(), CallbackError> {
        if matches!(self.separator, '"' | '\r' | '\n') {
            let separator = self.separator;
            return Err(format!(
                "separator is {separator:?}, expected a character other than a quote or a line break"
            )
            .into());
        }
        self.file = None;
        self.has_rate = params.sets_learning_rate;
        // The file is opened when the first epoch begins: on_resume, which is called before, sets another start.
        self.start = if self.append { fs::metadata(&self.filename).map_or(0, |file| file.len()) } else { 0 };
        Ok(())
    }

    fn on_epoch_begin(&mut self, _: usize, _: &mut EpochBeginContext) -> Result<(), CallbackError> {
        if self.file.is_none() { self.open() } else { Ok(()) }
    }

    fn on_epoch_end(&mut self, log: &EpochLog, _: &mut EpochEndContext<'_>) -> Result<Flow, CallbackError> {
        self.write(log.epoch, of_log(log))?;
        Ok(Flow::Continue)
    }

    fn on_train_end(&mut self, _: &mut Model) -> Result<(), CallbackError> {
        self.file = None;
        Ok(())
    }

    /// The offset of this training's lines. The lines follow from the history.
    fn state(&self) -> Option<Vec<u8>> {
        Some(state_bytes::to_bytes(&[self.start]))
    }

    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        if let Some(state) = &resumed.state {
            let [start] = state_bytes::from_bytes(state)?;
            self.start = if self.append { start } else { 0 };
        }
        self.open()?;
        (0..resumed.epoch).try_for_each(|epoch| self.write(epoch, of_history(&resumed.history, epoch)))
    }
}
