//! The report of a training run: curves, confusion matrix, worst mistakes, calibration and the first layer's weights, on a page that
//! needs no other file.
//!
//! Every function maps values to the content of files. This crate does no I/O.
//!
//! ```
//! use ziffer_report::{Assessment, Run, RunHistory, RunReport};
//!
//! // Three images of 2 x 2 pixels in two classes. The last prediction is wrong.
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
//!     history: RunHistory { loss: &[0.7, 0.5], accuracy: &[0.5, 0.75], seconds: &[0.1, 0.1], ..RunHistory::default() },
//!     class_names: &["above".to_owned(), "below".to_owned()],
//!     assessment: &assessment,
//!     kernel: None,
//! };
//! let report = RunReport::new(&run)?;
//! assert!(report.html.contains("below taken for above"));
//! assert!(report.confusion_svg.starts_with("<?xml"));
//! # Ok::<(), ziffer_report::ReportError>(())
//! ```
//!
//! * [`Assessment`] adds up the predictions for a test set: [`ConfusionMatrix`], [`Calibration`], the worst mistakes.
//! * [`RunReport`] is the files of a run: the page, figures as SVG, the history as CSV.
//! * [`comparison`] is a page that compares several runs. [`confusion_table`] is the confusion matrix for a terminal.
//!
//! Pages have no scripts and refer to nothing outside. They are light or dark as the reader's system is. One function escapes all text
//! from outside (`escape`). Figures are scenes of shapes (`scene`), which become SVG (`svg`).
#![forbid(unsafe_code)]

mod assessment;
mod axes;
mod axis;
mod calibration;
mod comparison;
mod confusion;
mod error;
mod escape;
mod figures;
mod history;
mod html;
mod mistakes;
mod page;
mod palette;
mod report;
mod run;
mod scene;
mod svg;
mod terminal;
mod thumbnail;
mod weights;

pub use assessment::Assessment;
pub use calibration::{BINS, Bin, Calibration};
pub use comparison::comparison;
pub use confusion::{ClassMetrics, ConfusionMatrix};
pub use error::ReportError;
pub use history::RunHistory;
pub use mistakes::Mistake;
pub use report::RunReport;
pub use run::{Fact, Run};
pub use terminal::confusion_table;
