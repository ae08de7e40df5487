//! `report`: regenerates the reports of runs, and compares several runs.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use ziffer_base::fs::AtomicFile;
use ziffer_dataset::catalog::Name;
use ziffer_nn::Model;
use ziffer_report::{Run, comparison};
use ziffer_trainer::Evaluate as _;

use super::dataset_args::{self, SourceArgs};
use crate::command_line::UsageError;
use crate::output::print;
use crate::output_folder;
use crate::report_input::{REPORT_FILE, ReportInput};
use crate::run_folder::{MODEL_FILE, SUMMARY_FILE, cannot_write};
use crate::run_summary::RunSummary;

/// The flags of `report`.
#[derive(Clone, Debug, clap::Args)]
pub struct ReportArgs {
    /// Run folders
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    /// Page that compares several runs [default: comparison.html]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl ReportArgs {
    /// Writes the report of each run into its folder, and the comparison if there are several. Nothing is written before all
    /// runs are read.
    ///
    /// # Errors
    /// One line that says what failed, and where.
    pub fn run(&self) -> anyhow::Result<()> {
        let folders = self.folders();
        if self.out.is_some() && folders.len() == 1 {
            let problem = "--out is the page that compares several runs, found one run, whose report goes to its folder";
            return Err(UsageError(problem.to_owned()).into());
        }
        let inputs = folders.iter().map(|folder| self.input(folder)).collect::<anyhow::Result<Vec<_>>>()?;
        let page = match inputs.len() {
            1 => None,
            _ => Some(self.comparison(&folders, &inputs)?),
        };
        let mut written = String::new();
        for (folder, input) in folders.iter().zip(&inputs) {
            let _lock = output_folder::lock(folder, "wait for it to end")?;
            input.write_report(folder)?;
            written += &format!("Wrote {}\n", folder.join(REPORT_FILE).display());
        }
        if let Some(page) = page {
            page.commit().with_context(|| cannot_write(self.out()))?;
            written += &format!("Wrote {}\n", self.out().display());
        }
        print(&written)
    }

    /// The folders without duplicates, by their canonical paths.
    fn folders(&self) -> Vec<&Path> {
        let mut seen = HashSet::new();
        let is_new =
            |folder: &&Path| seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf()));
        self.runs.iter().map(PathBuf::as_path).filter(is_new).collect()
    }

    fn out(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new("comparison.html"))
    }

    /// Writes the comparison to the disk, but not yet under its name.
    fn comparison(&self, folders: &[&Path], inputs: &[ReportInput]) -> anyhow::Result<AtomicFile> {
        let names: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let runs = inputs.iter().zip(&names).map(|(input, name)| Ok(Run { name, ..input.run()? }));
        let page = comparison(&runs.collect::<anyhow::Result<Vec<_>>>()?)?;
        AtomicFile::stage(self.out(), page.as_bytes()).with_context(|| cannot_write(self.out()))
    }

    /// Collects the report of a run.
    fn input(&self, folder: &Path) -> anyhow::Result<ReportInput> {
        let summary = summary(folder)?;
        let path = folder.join(MODEL_FILE);
        let model = Model::load(&path)?;
        ensure!(
            model.weights_sha256() == summary.weights_sha256,
            "{}: these are not the weights described in {SUMMARY_FILE}; train the run again",
            path.display()
        );
        let name: Name =
            summary.dataset.parse().with_context(|| folder.join(SUMMARY_FILE).display().to_string())?;
        let data = dataset_args::open(name, &self.source.or_in(summary.data_dir.clone()))?;
        let test = model.evaluate(&data.test).with_context(|| data.folder().display().to_string())?;
        // Results have the same bits on every machine: a difference means another data set.
        let bits = |loss: f64, accuracy: f64| [loss.to_bits(), accuracy.to_bits()];
        ensure!(
            bits(test.loss, test.accuracy) == bits(summary.test_loss, summary.test_accuracy),
            "{}: not the test set of {}: loss {:.4} and accuracy {:.2}%, but {:.4} and {:.2}% in the run summary; name the folder of the run's data set with --data-dir",
            data.folder().display(),
            folder.display(),
            test.loss,
            100.0 * test.accuracy,
            summary.test_loss,
            100.0 * summary.test_accuracy
        );
        ReportInput::new(folder, &summary, &model, &data)
    }
}

/// Reads the summary of a run.
fn summary(folder: &Path) -> anyhow::Result<RunSummary> {
    let path = folder.join(SUMMARY_FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            anyhow!("{}: not a run folder: it has no {SUMMARY_FILE}", folder.display())
        }
        _ => anyhow::Error::new(error).context(format!("{}: cannot read", path.display())),
    })?;
    serde_json::from_str(&text)
        .with_context(|| format!("{}: not a run summary; train the run again", path.display()))
}
