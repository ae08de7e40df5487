//! Paths with an epoch's numbers in them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{CallbackError, Monitor, Plan};
use crate::python;

/// More digits than any number has.
const MOST_DIGITS: usize = 99;

/// A path that may have fields of Python's form: `{epoch:02d}`, `{val_loss:.4f}`; `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filepath(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(OsString),
    Field(Field, Form),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Epoch,
    Batch,
    Number(Monitor),
}

/// How a field is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Form {
    has_zeros: bool,
    width: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// As Python's `str` writes it.
    #[default]
    Str,
    Integer,
    Fixed(usize),
    Exponent(usize),
}

/// What the fields stand for.
pub(super) struct Values<'a> {
    /// From 1.
    pub(super) epoch: usize,
    /// Of the epoch, from 1; `None` after an epoch.
    pub(super) batch: Option<usize>,
    pub(super) number: &'a dyn Fn(Monitor) -> Option<f64>,
}

impl Filepath {
    /// Parses the fields; a path that is no Unicode has none.
    pub(super) fn parse(path: &Path) -> Result<Self, String> {
        let Some(text) = path.to_str() else {
            return Ok(Self(vec![Piece::Text(path.into())]));
        };
        let pieces = pieces(text).map_err(|problem| format!("invalid filepath {text:?}: {problem}"))?;
        Ok(Self(pieces))
    }

    /// Fails if a field has no value in this plan.
    pub(super) fn check(&self, plan: &Plan, is_by_batch: bool) -> Result<(), CallbackError> {
        for piece in &self.0 {
            let problem = match piece {
                Piece::Field(Field::Batch, _) if !is_by_batch => {
                    "the filepath has {batch}, which is known only where save_freq is a number of batches"
                        .to_owned()
                }
                Piece::Field(Field::Number(number), _) if number.is_of_validation() && is_by_batch => {
                    format!("the filepath has {{{number}}}, which is not known between batches")
                }
                Piece::Field(Field::Number(number), _) if number.is_of_validation() && !plan.validates => {
                    format!(
                        "the filepath has {{{number}}} but there is no validation part; set a validation split above 0"
                    )
                }
                Piece::Field(Field::Number(Monitor::Accuracy | Monitor::ValAccuracy), _)
                    if !plan.has_accuracy =>
                {
                    "the filepath has an accuracy but the targets name no classes".to_owned()
                }
                _ => continue,
            };
            return Err(problem.into());
        }
        Ok(())
    }

    pub(super) fn fill(&self, values: &Values<'_>) -> PathBuf {
        let mut path = OsString::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => path.push(text),
                Piece::Field(field, form) => path.push(match field {
                    Field::Epoch => form.of_integer(values.epoch),
                    Field::Batch => form.of_integer(values.batch.unwrap_or(0)),
                    Field::Number(number) => form.of_number((values.number)(*number).unwrap_or(f64::NAN)),
                }),
            }
        }
        path.into()
    }
}

impl Form {
    fn of_integer(self, value: usize) -> String {
        match self.kind {
            Kind::Str | Kind::Integer => self.padded(value.to_string()),
            Kind::Fixed(_) | Kind::Exponent(_) => self.of_number(value as f64),
        }
    }

    fn of_number(self, value: f64) -> String {
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

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
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
            pieces.push(Piece::Text(std::mem::take(&mut literal).into()));
        }
        pieces.push(piece(field)?);
        rest = after;
    }
    literal += rest;
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal.into()));
    }
    Ok(pieces)
}

/// What stands between the braces.
fn piece(text: &str) -> Result<Piece, String> {
    let (name, form) = text.split_once(':').unwrap_or((text, ""));
    let field = match name {
        "epoch" => Field::Epoch,
        "batch" => Field::Batch,
        _ => Field::Number(name.parse().map_err(|_| {
            let shown = format!("{{{text}}}");
            format!(
                "unknown field {shown:?}, expected epoch, batch, loss, accuracy, val_loss or val_accuracy"
            )
        })?),
    };
    let is_integer = !matches!(field, Field::Number(_));
    let form = parse_form(form, is_integer).ok_or_else(|| {
        let shown = format!("{{{text}}}");
        format!("{shown:?} has an unknown form, expected one like {{epoch:02d}} or {{val_loss:.4f}}")
    })?;
    Ok(Piece::Field(field, form))
}

/// `[0][width][.decimals][d|f|e]`.
fn parse_form(text: &str, is_integer: bool) -> Option<Form> {
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
    Some(Form { has_zeros, width: width.unwrap_or(0), kind })
}

/// The digits at the beginning, if there are any; `None` if they are too many.
fn leading_number(text: &str) -> Option<(Option<usize>, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return Some((None, rest));
    }
    let number = digits.parse().ok().filter(|&number| number <= MOST_DIGITS)?;
    Some((Some(number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> String {
        let number = |monitor| {
            Some(match monitor {
                Monitor::Loss => 0.25,
                Monitor::Accuracy => 1.0,
                Monitor::ValLoss => 0.000_123_456,
                Monitor::ValAccuracy => 0.9876,
            })
        };
        let values = Values { epoch: 7, batch: Some(30), number: &number };
        Filepath::parse(Path::new(text)).unwrap().fill(&values).to_str().unwrap().to_owned()
    }

    #[test]
    fn fields_are_filled_as_python_does() {
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
    fn what_is_no_field_is_told_in_a_line() {
        let unknown = |field: &str| {
            format!(
                "unknown field {field:?}, expected epoch, batch, loss, accuracy, val_loss or val_accuracy"
            )
        };
        let form = |field: &str| {
            format!("{field:?} has an unknown form, expected one like {{epoch:02d}} or {{val_loss:.4f}}")
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
    fn fields_without_a_value_are_refused() {
        let plan = Plan {
            epochs: 1,
            steps: 1,
            validates: false,
            samples: 1,
            bytes: 1,
            shuffling: crate::Shuffling::None,
            has_accuracy: true,
            sets_learning_rate: false,
        };
        let check = |text: &str, validates, is_by_batch| {
            let path = Filepath::parse(Path::new(text)).unwrap();
            path.check(&Plan { validates, ..plan }, is_by_batch).map_err(|error| error.to_string())
        };
        assert_eq!(check("{epoch}{loss}{accuracy}", false, false), Ok(()));
        assert_eq!(check("{epoch}{val_loss}{val_accuracy}", true, false), Ok(()));
        assert_eq!(check("{epoch}{batch}{loss}", true, true), Ok(()));
        assert!(check("{val_loss}", false, false).unwrap_err().contains("{val_loss} but there is no valid"));
        assert!(check("{val_loss}", true, true).unwrap_err().contains("not known between batches"));
        assert!(check("{batch}", true, false).unwrap_err().contains("save_freq"));
    }
}
