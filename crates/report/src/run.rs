//! What a report is made of, and what it consists of.

use ndarray::ArrayView2;

use crate::assessment::Assessment;
use crate::error::ReportError;
use crate::history::History;
use crate::{figures, page, svg};

/// Something that is known of a run, for people and for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What programs call it: the page has it as `data-key`.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// The value as programs read it: the page has it as `value`.
    pub value: String,
    /// The value as people read it.
    pub shown: String,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// The heading.
    pub name: &'a str,
    /// What was learned, in a line.
    pub subject: &'a str,
    /// What came out, the most important first.
    pub results: Vec<Fact>,
    /// What decides the result.
    pub settings: Vec<Fact>,
    /// Where, when and with what it was made.
    pub origin: Vec<Fact>,
    /// The epochs.
    pub history: History<'a>,
    /// What the classes are called, from class 0.
    pub class_names: &'a [String],
    /// The test part.
    pub assessment: &'a Assessment,
    /// The first layer's kernel \[I, O\], if it looks at the pictures' I pixels.
    pub kernel: Option<ArrayView2<'a, f32>>,
}

/// The files of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `report.html`: everything on one page.
    pub html: String,
    /// `curves.svg`: loss and accuracy by epoch.
    pub curves_svg: String,
    /// `confusion.svg`: the confusion matrix.
    pub confusion_svg: String,
    /// `history.csv`: a line per epoch.
    pub history_csv: String,
}

impl Report {
    /// Makes the report of a run.
    ///
    /// # Errors
    /// If nothing was assessed, or the history, the class names or the kernel do not fit the rest.
    pub fn of(run: &Run<'_>) -> Result<Self, ReportError> {
        run.check()?;
        let [loss, accuracy] = figures::run_curves(&run.history);
        let curves = loss.clone().beside(accuracy.clone());
        let matrix = figures::matrix(run.assessment.confusion(), run.class_names);
        let title = figures::matrix_title(run.assessment);
        Ok(Self {
            html: page::of_run(run, [&loss, &accuracy], &matrix),
            curves_svg: svg::file(&curves, "Loss and accuracy by epoch"),
            confusion_svg: svg::file(&matrix, &title),
            history_csv: run.history.csv(),
        })
    }

    /// The name and the content of each file, the page last.
    pub fn files(&self) -> [(&'static str, &[u8]); 4] {
        [
            ("history.csv", self.history_csv.as_bytes()),
            ("curves.svg", self.curves_svg.as_bytes()),
            ("confusion.svg", self.confusion_svg.as_bytes()),
            ("report.html", self.html.as_bytes()),
        ]
    }
}

impl Run<'_> {
    /// Checks that all parts fit together, as [`Report::of`] needs it.
    ///
    /// # Errors
    /// What does not.
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
