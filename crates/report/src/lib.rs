//! The report of a run: how a classifier learned, how good it is, where it errs, and what it came from.
//!
//! All here is a function from facts and numbers to the content of files: nothing is read, written or asked for.
//!
//! ```
//! use ziffer_report::{Assessment, History, Report, Run};
//!
//! // Three pictures of 2 x 2 pixels in two classes, of which the last is mistaken.
//! let mut assessment = Assessment::new(2, &[2, 2]);
//! assessment.add(0, &[0.9, 0.1], &[255, 0, 0, 0])?;
//! assessment.add(1, &[0.2, 0.8], &[0, 0, 0, 255])?;
//! assessment.add(1, &[0.6, 0.4], &[99, 0, 0, 99])?;
//! let run = Run {
//!     name: "first",
//!     subject: "corners",
//!     results: vec![],
//!     settings: vec![],
//!     origin: vec![],
//!     history: History { loss: &[0.7, 0.5], accuracy: &[0.5, 0.75], seconds: &[0.1, 0.1], ..History::default() },
//!     class_names: &["above".to_owned(), "below".to_owned()],
//!     assessment: &assessment,
//!     kernel: None,
//! };
//! let report = Report::of(&run)?;
//! assert!(report.html.contains("below taken for above"));
//! assert!(report.confusion_svg.starts_with("<?xml"));
//! # Ok::<(), ziffer_report::ReportError>(())
//! ```
//!
//! * [`Assessment`] gathers what a model makes of a test part: [`Confusion`], [`Calibration`], the worst mistakes.
//! * [`Report`] is a run's files: a page that stands alone, its figures as SVG and PNG, the history as CSV.
//! * [`comparison`] is a page of several runs beside each other, [`confusion_table`] the matrix on a terminal.
//!
//! The pages have no scripts and refer to nothing outside; they are light or dark as the reader wants it. Text from outside is
//! escaped wherever it goes. Drawings (`drawing`) become SVG (`svg`) or pixels (`raster`).
#![forbid(unsafe_code)]

mod assessment;
mod axis;
mod calibration;
mod comparison;
mod confusion;
mod drawing;
mod error;
mod escape;
mod figures;
mod history;
mod ink;
mod mistakes;
mod page;
mod panel;
mod picture;
mod raster;
mod run;
mod svg;
mod terminal;
mod weights;

pub use assessment::Assessment;
pub use calibration::{BINS, Bin, Calibration};
pub use comparison::comparison;
pub use confusion::{ClassMetrics, Confusion};
pub use error::ReportError;
pub use history::History;
pub use mistakes::Mistake;
pub use run::{Fact, Report, Run};
pub use terminal::confusion_table;
