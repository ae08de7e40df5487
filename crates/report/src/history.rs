//! The metrics of each epoch.

use std::fmt::Write;

use crate::error::ReportError;

/// The metrics of a run, one number per epoch. `val_loss` and `val_accuracy` are empty without a validation set, `learning_rate` is
/// empty if it is not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunHistory<'a> {
    /// Mean training loss.
    pub loss: &'a [f64],
    /// Training accuracy, 0 to 1.
    pub accuracy: &'a [f64],
    /// Mean validation loss.
    pub val_loss: &'a [f64],
    /// Validation accuracy, 0 to 1.
    pub val_accuracy: &'a [f64],
    /// Seconds of the epoch, validation included.
    pub seconds: &'a [f64],
    /// The learning rate after the epoch.
    pub learning_rate: &'a [f64],
}

impl<'a> RunHistory<'a> {
    /// The number of epochs.
    pub fn epochs(&self) -> usize {
        self.loss.len()
    }

    /// The metrics that are not empty, with Keras's names.
    pub(crate) fn series(&self) -> Vec<(&'static str, &'a [f64])> {
        let all = [
            ("loss", self.loss),
            ("accuracy", self.accuracy),
            ("val_loss", self.val_loss),
            ("val_accuracy", self.val_accuracy),
            ("seconds", self.seconds),
            ("learning_rate", self.learning_rate),
        ];
        let is_optional = |name: &str| name.starts_with("val_") || name == "learning_rate";
        all.into_iter().filter(|(name, values)| !(is_optional(name) && values.is_empty())).collect()
    }

    /// Checks that each metric has one number per epoch.
    pub(crate) fn check(&self) -> Result<(), ReportError> {
        let expected = self.epochs();
        match self.series().into_iter().find(|(_, values)| values.len() != expected) {
            Some((series, values)) => Err(ReportError::History { series, found: values.len(), expected }),
            None => Ok(()),
        }
    }

    /// The history as CSV: a line of names, then a line per epoch, counted from 1. Each number is the shortest that parses to the same
    /// `f64`.
    pub fn csv(&self) -> String {
        let series = self.series();
        let mut out = "epoch".to_owned();
        for (name, _) in &series {
            out.push(',');
            out.push_str(name);
        }
        for epoch in 0..self.epochs() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\n{}", epoch + 1);
            for (_, values) in &series {
                match values.get(epoch) {
                    Some(value) => {
                        let _ = write!(out, ",{value}");
                    }
                    None => out.push(','),
                }
            }
        }
        out.push('\n');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_has_a_line_per_epoch() {
        let history = RunHistory {
            loss: &[0.1, f64::NAN],
            accuracy: &[0.5, 1.0],
            seconds: &[2.0, 1.5],
            ..RunHistory::default()
        };
        assert_eq!(history.csv(), "epoch,loss,accuracy,seconds\n1,0.1,0.5,2\n2,NaN,1,1.5\n");
        let history = RunHistory { val_loss: &[0.1 + 0.2, 1.0], val_accuracy: &[1.0, 0.25], ..history };
        assert_eq!(
            history.csv(),
            "epoch,loss,accuracy,val_loss,val_accuracy,seconds\n1,0.1,0.5,0.30000000000000004,1,2\n2,NaN,1,1,0.25,1.5\n"
        );
        history.check().unwrap();
        let message = RunHistory { val_loss: &[1.0], ..history }.check().unwrap_err().to_string();
        assert_eq!(message, "1 numbers of val_loss in the history, expected 2");
    }
}
