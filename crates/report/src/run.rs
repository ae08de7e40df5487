//! A run: the input of a report.

use ndarray::ArrayView2;

use crate::assessment::Assessment;
use crate::error::ReportError;
use crate::history::RunHistory;

/// A named value of a run, for people and for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The name for programs: `data-key` in the page. In a comparison, the best value of a key that ends in `accuracy` is the largest,
    /// of one that ends in `loss` the smallest.
    pub key: String,
    /// The name for people.
    pub name: String,
    /// The value for programs: `value` in the page.
    pub value: String,
    /// The value for people.
    pub shown: String,
}

/// A finished run.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// The heading.
    pub name: &'a str,
    /// The data set and the like, in one line.
    pub subject: &'a str,
    /// The results, the most important first.
    pub results: Vec<Fact>,
    /// The settings that determine the result.
    pub settings: Vec<Fact>,
    /// When, where and with which program the run was made.
    pub origin: Vec<Fact>,
    /// The metrics of each epoch.
    pub history: RunHistory<'a>,
    /// The names of the classes, from class 0.
    pub class_names: &'a [String],
    /// The predictions for the test set.
    pub assessment: &'a Assessment,
    /// The first layer's kernel \[I, O\], if its I inputs are the pixels.
    pub kernel: Option<ArrayView2<'a, f32>>,
}

impl Run<'_> {
    /// Checks that all parts fit together, as [`RunReport::new`](crate::RunReport::new) does.
    ///
    /// # Errors
    /// The first part that does not fit.
    pub fn check(&self) -> Result<(), ReportError> {
        let confusion = self.assessment.confusion();
        if confusion.samples() == 0 {
            return Err(ReportError::Empty);
        }
        let (found, expected) = (self.class_names.len(), confusion.classes());
        if found != expected {
            return Err(ReportError::ClassNames { found, expected });
        }
        if let Some(kernel) = &self.kernel {
            let (found, expected) = (kernel.nrows(), self.assessment.pixels());
            if found != expected {
                return Err(ReportError::Kernel { found, expected });
            }
        }
        self.history.check()
    }
}
