//! The files of a run's report.

use crate::error::ReportError;
use crate::run::Run;
use crate::{figures, page, svg};

/// The files of a run's report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunReport {
    /// `report.html`: everything on one page.
    pub html: String,
    /// `curves.svg`: loss and accuracy by epoch.
    pub curves_svg: String,
    /// `confusion.svg`: the confusion matrix.
    pub confusion_svg: String,
    /// `history.csv`: a line per epoch.
    pub history_csv: String,
}

impl RunReport {
    /// Makes the report of a run.
    ///
    /// # Errors
    /// If no sample was assessed, or if the history, the class names or the kernel do not fit the rest: see [`Run::check`].
    pub fn new(run: &Run<'_>) -> Result<Self, ReportError> {
        run.check()?;
        let [loss, accuracy] = figures::run_curves(&run.history);
        let curves = loss.clone().beside(accuracy.clone());
        let matrix = figures::matrix(run.assessment.confusion(), run.class_names);
        let title = figures::matrix_title(run.assessment);
        Ok(Self {
            html: page::run_page(run, [&loss, &accuracy], &matrix),
            curves_svg: svg::file(&curves, "Loss and accuracy by epoch"),
            confusion_svg: svg::file(&matrix, &title),
            history_csv: run.history.csv(),
        })
    }

    /// The name and the content of each file. The page is the last.
    pub fn files(&self) -> [(&'static str, &[u8]); 4] {
        [
            ("history.csv", self.history_csv.as_bytes()),
            ("curves.svg", self.curves_svg.as_bytes()),
            ("confusion.svg", self.confusion_svg.as_bytes()),
            ("report.html", self.html.as_bytes()),
        ]
    }
}
