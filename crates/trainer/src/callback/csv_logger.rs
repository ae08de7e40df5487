//! Epochs as a table in a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ziffer_nn::Model;

use super::{Callback, CallbackError, EpochContext, Flow, Plan, TrainingContext, states};
use crate::{EpochLog, History, Resumed, python};

/// Writes a line of comma-separated values for each epoch, as Keras's `CSVLogger`.
///
/// | setting | meaning | default (Keras's) |
/// |---|---|---|
/// | filename | the file | |
/// | separator | what stands between values | `,` |
/// | append | whether lines are added to a file that is there | false |
///
/// The columns are `epoch`, counted from 0, and the names of the epoch's numbers in alphabetical order: `accuracy`,
/// `learning_rate`, `loss`, `val_accuracy` and `val_loss`. Without a validation part those that begin with `val_` have `NA`.
/// The learning rate, as it is before callbacks set it at the epoch's end, has a column where a schedule or a callback such
/// as [`ReduceLROnPlateau`](super::ReduceLROnPlateau) [sets it](Callback::sets_learning_rate). Numbers are written so that they are read as the same ones. Each
/// line is in the file when its epoch ends; lines end as Keras's do, with a carriage return and a line feed.
///
/// A training that goes on from a [checkpoint](crate::Checkpoints) goes on with the file as well: lines of epochs after the
/// checkpoint are dropped, those of the epochs before it written anew. One that was killed before its first checkpoint
/// starts anew; where `append` is set, its lines stay.
#[derive(Debug)]
pub struct CSVLogger {
    filename: PathBuf,
    separator: char,
    append: bool,
    /// Where this training's lines begin in the file.
    start: u64,
    file: Option<File>,
    /// Whether there is a column of the learning rate.
    has_rate: bool,
    /// Whether the names are still to be written.
    needs_header: bool,
}

impl CSVLogger {
    /// Writes to this file, over one that is there.
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

    /// Sets what stands between values.
    pub fn separator(mut self, separator: char) -> Self {
        self.separator = separator;
        self
    }

    /// Sets whether lines are added to a file that is there.
    pub fn append(mut self, append: bool) -> Self {
        self.append = append;
        self
    }

    /// The file.
    pub fn filename(&self) -> &Path {
        &self.filename
    }

    /// Opens the file with nothing of this training in it.
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

    /// Adds an epoch's line, the first time after the names.
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

    /// A name's letter or a number's point may be the separator.
    fn quoted(&self, value: String) -> String {
        if value.contains(self.separator) { format!("\"{value}\"") } else { value }
    }
}

/// The column that may not be there.
const RATE: &str = "learning_rate";

/// The columns after the epoch's, in alphabetical order.
const NAMES: [&str; 5] = ["accuracy", RATE, "loss", "val_accuracy", "val_loss"];

/// What stands in them.
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

    fn on_train_begin(&mut self, plan: &Plan, _: &mut Model) -> Result<(), CallbackError> {
        if matches!(self.separator, '"' | '\r' | '\n') {
            let separator = self.separator;
            return Err(format!(
                "separator is {separator:?}, expected another character than a quote or a line's end"
            )
            .into());
        }
        self.file = None;
        self.has_rate = plan.sets_learning_rate;
        // What is in the file is looked at when the first epoch begins: a training that goes on needs less of it gone.
        self.start = if self.append { fs::metadata(&self.filename).map_or(0, |file| file.len()) } else { 0 };
        Ok(())
    }

    fn on_epoch_begin(&mut self, _: usize, _: &mut EpochContext) -> Result<(), CallbackError> {
        if self.file.is_none() { self.open() } else { Ok(()) }
    }

    fn on_epoch_end(&mut self, log: &EpochLog, _: &mut TrainingContext<'_>) -> Result<Flow, CallbackError> {
        self.write(log.epoch, of_log(log))?;
        Ok(Flow::Continue)
    }

    fn on_train_end(&mut self, _: &mut Model) -> Result<(), CallbackError> {
        self.file = None;
        Ok(())
    }

    /// Where this training's lines begin. The lines follow from the history.
    fn state(&self) -> Option<Vec<u8>> {
        Some(states::to_bytes(&[self.start]))
    }

    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        if let Some(state) = &resumed.state {
            let [start] = states::from_bytes(state)?;
            self.start = if self.append { start } else { 0 };
        }
        self.open()?;
        (0..resumed.epoch).try_for_each(|epoch| self.write(epoch, of_history(&resumed.history, epoch)))
    }
}
