//! File paths with the metrics of an epoch.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{CallbackError, Monitor, TrainingParams};
use crate::python;

/// The largest width and number of decimals of a field.
const MAX_DIGITS: usize = 99;

/// A path with fields in Python's format syntax: `{epoch:02d}`, `{val_loss:.4f}`. `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filepath(Vec<Segment>);

#[derive(Clone, Debug, PartialEq)]
enum Segment {
    Text(OsString),
    Field(Field, Format),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Epoch,
    Batch,
    Metric(Monitor),
}

/// The format of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Format {
    has_zeros: bool,
    width: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// Python's `str`.
    #[default]
    Str,
    Integer,
    Fixed(usize),
    Exponent(usize),
}

/// The values of the fields.
pub(super) struct Values<'a> {
    /// The epoch, from 1.
    pub(super) epoch: usize,
    /// The batch in the epoch, from 1. `None` after an epoch.
    pub(super) batch: Option<usize>,
    /// The value of a metric.
    pub(super) metric: &'a dyn Fn(Monitor) -> Option<f64>,
}

impl Filepath {
    /// Parses the fields. A path that is not Unicode has no fields.
    pub(super) fn parse(path: &Path) -> Result<Self, String> {
        let Some(text) = path.to_str() else {
            return Ok(Self(vec![Segment::Text(path.into())]));
        };
        let segments = segments(text).map_err(|problem| format!("invalid filepath {text:?}: {problem}"))?;
        Ok(Self(segments))
    }

    /// Fails if a field has no value in a training with these parameters.
    pub(super) fn check(&self, params: &TrainingParams, is_by_batch: bool) -> Result<(), CallbackError> {
        for segment in &self.0 {
            let problem = match segment {
                Segment::Field(Field::Batch, _) if !is_by_batch => {
                    "the filepath has {batch}, which is known only where save_freq is a number of batches"
                        .to_owned()
                }
                Segment::Field(Field::Metric(monitor), _)
                    if monitor.is_validation_metric() && is_by_batch =>
                {
                    format!("the filepath has {{{monitor}}}, which is not known between batches")
                }
                Segment::Field(Field::Metric(monitor), _)
                    if monitor.is_validation_metric() && !params.has_validation =>
                {
                    format!(
                        "the filepath has {{{monitor}}} but there is no validation set; set a validation split above 0"
                    )
                }
                Segment::Field(Field::Metric(Monitor::Accuracy | Monitor::ValAccuracy), _)
                    if !params.has_accuracy =>
                {
                    "the filepath has an accuracy but the targets are not classes".to_owned()
                }
                _ => continue,
            };
            return Err(problem.into());
        }
        Ok(())
    }

    /// The path with the values of the fields.
    pub(super) fn fill(&self, values: &Values<'_>) -> PathBuf {
        let mut path = OsString::new();
        for segment in &self.0 {
            match segment {
                Segment::Text(text) => path.push(text),
                Segment::Field(field, format) => path.push(match field {
                    Field::Epoch => format.integer(values.epoch),
                    Field::Batch => format.integer(values.batch.unwrap_or(0)),
                    Field::Metric(monitor) => format.number((values.metric)(*monitor).unwrap_or(f64::NAN)),
                }),
            }
        }
        path.into()
    }
}

impl Format {
    fn integer(self, value: usize) -> String {
        match self.kind {
            Kind::Str | Kind::Integer => self.padded(value.to_string()),
            Kind::Fixed(_) | Kind::Exponent(_) => self.number(value as f64),
        }
    }

    fn number(self, value: f64) -> String {
        match self.kind {
            Kind::Str | Kind::Integer => python::repr(value),
            Kind::Fixed(decimals) => self.padded(format!("{value:.decimals$}")),
            Kind::Exponent(decimals) => self.padded(python::exponent(value, decimals)),
        }
    }

    fn padded(self, text: String) -> String {
        let width = self.width;
        if !self.has_zeros {
            return format!("{text:>width$}");
        }
        match text.strip_prefix('-') {
            Some(digits) => format!("-{digits:0>0$}", width.saturating_sub(1)),
            None => format!("{text:0>width$}"),
        }
    }
}

/// Splits a text into segments.
fn segments(text: &str) -> Result<Vec<Segment>, String> {
    let mut segments = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal += &rest[..at];
        let brace = &rest[at..at + 1];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            literal += brace;
            rest = after;
            continue;
        }
        let Some((field, after)) = rest.split_once('}').filter(|_| brace == "{") else {
            return Err(format!("a single {brace:?}; a brace that is part of the name is written twice"));
        };
        if !literal.is_empty() {
            segments.push(Segment::Text(std::mem::take(&mut literal).into()));
        }
        segments.push(parse_field(field)?);
        rest = after;
    }
    literal += rest;
    if !literal.is_empty() {
        segments.push(Segment::Text(literal.into()));
    }
    Ok(segments)
}

/// Parses the text between the braces.
fn parse_field(text: &str) -> Result<Segment, String> {
    let (name, format) = text.split_once(':').unwrap_or((text, ""));
    let field = match name {
        "epoch" => Field::Epoch,
        "batch" => Field::Batch,
        _ => Field::Metric(name.parse().map_err(|_| {
            let shown = format!("{{{text}}}");
            format!(
                "unknown field {shown:?}, expected epoch, batch, loss, accuracy, val_loss or val_accuracy"
            )
        })?),
    };
    let is_integer = !matches!(field, Field::Metric(_));
    let format = parse_format(format, is_integer).ok_or_else(|| {
        let shown = format!("{{{text}}}");
        format!("{shown:?} has an unknown format, expected one like {{epoch:02d}} or {{val_loss:.4f}}")
    })?;
    Ok(Segment::Field(field, format))
}

/// `[0][width][.decimals][d|f|e]`.
fn parse_format(text: &str, is_integer: bool) -> Option<Format> {
    let (has_zeros, text) = text.strip_prefix('0').map_or((false, text), |rest| (true, rest));
    let (width, text) = leading_number(text)?;
    let (decimals, text) = match text.strip_prefix('.') {
        Some(rest) => {
            let (decimals, rest) = leading_number(rest)?;
            (Some(decimals?), rest)
        }
        None => (None, text),
    };
    let kind = match text {
        "" if is_integer && decimals.is_none() => Kind::Str,
        "" if !has_zeros && width.is_none() && decimals.is_none() => Kind::Str,
        "d" if is_integer && decimals.is_none() => Kind::Integer,
        "f" => Kind::Fixed(decimals.unwrap_or(6)),
        "e" => Kind::Exponent(decimals.unwrap_or(6)),
        _ => return None,
    };
    Some(Format { has_zeros, width: width.unwrap_or(0), kind })
}

/// The number at the beginning, if there is one. `None` if it is too large.
fn leading_number(text: &str) -> Option<(Option<usize>, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return Some((None, rest));
    }
    let number = digits.parse().ok().filter(|&number| number <= MAX_DIGITS)?;
    Some((Some(number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> String {
        let metric = |monitor| {
            Some(match monitor {
                Monitor::Loss => 0.25,
                Monitor::Accuracy => 1.0,
                Monitor::ValLoss => 0.000_123_456,
                Monitor::ValAccuracy => 0.9876,
            })
        };
        let values = Values { epoch: 7, batch: Some(30), metric: &metric };
        Filepath::parse(Path::new(text)).unwrap().fill(&values).to_str().unwrap().to_owned()
    }

    #[test]
    fn fields_are_formatted_as_in_python() {
        // Python: text.format(epoch=7, batch=30, loss=0.25, accuracy=1.0, val_loss=0.000123456, val_accuracy=0.9876).
        for (text, expected) in [
            ("model.safetensors", "model.safetensors"),
            ("{epoch}", "7"),
            ("a/{epoch:02d}-{val_loss:.2f}.b", "a/07-0.00.b"),
            ("{epoch:d}{epoch:3}{epoch:03}{epoch:.1f}{epoch:08.3f}", "7  70077.00007.000"),
            ("{batch:04d}", "0030"),
            ("{loss}{accuracy}{val_loss}", "0.251.00.000123456"),
            ("{loss:f}{loss:e}", "0.2500002.500000e-01"),
            ("{val_loss:.3e} {val_accuracy:6.2f} {val_accuracy:06.2f}", "1.235e-04   0.99 000.99"),
            ("{{epoch}}{{{epoch}}}", "{epoch}{7}"),
            ("é{epoch}é", "é7é"),
        ] {
            assert_eq!(fill(text), expected, "{text}");
        }
    }

    #[test]
    fn invalid_fields_have_messages_of_one_line() {
        let unknown = |field: &str| {
            format!(
                "unknown field {field:?}, expected epoch, batch, loss, accuracy, val_loss or val_accuracy"
            )
        };
        let form = |field: &str| {
            format!("{field:?} has an unknown format, expected one like {{epoch:02d}} or {{val_loss:.4f}}")
        };
        let single =
            |brace: &str| format!("a single {brace:?}; a brace that is part of the name is written twice");
        for (text, problem) in [
            ("{}", unknown("{}")),
            ("{step}", unknown("{step}")),
            ("{ epoch}", unknown("{ epoch}")),
            ("{epoch!r}", unknown("{epoch!r}")),
            ("{lo\nss:d}", unknown("{lo\nss:d}")),
            ("{loss:d}", form("{loss:d}")),
            ("{loss:.f}", form("{loss:.f}")),
            ("{loss:8}", form("{loss:8}")),
            ("{epoch:.2d}", form("{epoch:.2d}")),
            ("{epoch:x}", form("{epoch:x}")),
            ("{epoch:-3d}", form("{epoch:-3d}")),
            ("{epoch:100d}", form("{epoch:100d}")),
            ("{loss:.99999999999999999999f}", form("{loss:.99999999999999999999f}")),
            ("{epoch:é}", form("{epoch:é}")),
            ("a{epoch", single("{")),
            ("a}", single("}")),
            ("{epoch}}", single("}")),
        ] {
            let error = Filepath::parse(Path::new(text)).unwrap_err();
            assert_eq!(error, format!("invalid filepath {text:?}: {problem}"));
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn fields_without_a_value_are_rejected() {
        let params = TrainingParams {
            epochs: 1,
            steps: 1,
            has_validation: false,
            samples: 1,
            bytes: 1,
            shuffle: crate::ShuffleMethod::None,
            has_accuracy: true,
            sets_learning_rate: false,
        };
        let check = |text: &str, has_validation, is_by_batch| {
            let path = Filepath::parse(Path::new(text)).unwrap();
            path.check(&TrainingParams { has_validation, ..params }, is_by_batch)
                .map_err(|error| error.to_string())
        };
        assert_eq!(check("{epoch}{loss}{accuracy}", false, false), Ok(()));
        assert_eq!(check("{epoch}{val_loss}{val_accuracy}", true, false), Ok(()));
        assert_eq!(check("{epoch}{batch}{loss}", true, true), Ok(()));
        assert!(check("{val_loss}", false, false).unwrap_err().contains("{val_loss} but there is no valid"));
        assert!(check("{val_loss}", true, true).unwrap_err().contains("not known between batches"));
        assert!(check("{batch}", true, false).unwrap_err().contains("save_freq"));
    }
}
