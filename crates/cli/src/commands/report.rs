//! `report`: the reports of runs made again, and several runs side by side.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use ziffer_base::fs::AtomicFile;
use ziffer_dataset::catalogue::Name;
use ziffer_nn::Model;
use ziffer_report::{Run, comparison};
use ziffer_trainer::Evaluate as _;

use super::data::{self, PlaceArgs};
use crate::account::{Account, REPORT_FILE};
use crate::run_folder::{self, MODEL_FILE, RunSummary, SUMMARY_FILE, cannot_write};
use crate::usage::{UsageError, print};

/// Make the reports of runs again, and a page of several side by side
#[derive(Clone, Debug, clap::Args)]
pub struct Report {
    /// Folders of runs
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    #[command(flatten)]
    places: PlaceArgs,
    /// The page of several runs [default: comparison.html]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Report {
    /// Writes each run's report into its folder and, of several, the page that compares them. Nothing is written before all
    /// runs have been read.
    ///
    /// # Errors
    /// Whatever went wrong, in one line that says what and where.
    pub fn run(&self) -> anyhow::Result<()> {
        let folders = self.folders();
        if self.out.is_some() && folders.len() == 1 {
            let problem = "--out is the page of several runs, found one run; its report goes into its folder";
            return Err(UsageError(problem.to_owned()).into());
        }
        let accounts =
            folders.iter().map(|folder| self.account(folder)).collect::<anyhow::Result<Vec<_>>>()?;
        let page = match accounts.len() {
            1 => None,
            _ => Some(self.page(&folders, &accounts)?),
        };
        let mut written = String::new();
        for (folder, account) in folders.iter().zip(&accounts) {
            let _lock = run_folder::claim(folder, "wait for it to end")?;
            account.write(folder)?;
            written += &format!("Wrote {}\n", folder.join(REPORT_FILE).display());
        }
        if let Some(page) = page {
            page.commit().with_context(|| cannot_write(self.out()))?;
            written += &format!("Wrote {}\n", self.out().display());
        }
        print(&written)
    }

    /// The folders, each once, however often and by whatever ways it is named.
    fn folders(&self) -> Vec<&Path> {
        let mut met = HashSet::new();
        let is_new =
            |folder: &&Path| met.insert(folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf()));
        self.runs.iter().map(PathBuf::as_path).filter(is_new).collect()
    }

    fn out(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new("comparison.html"))
    }

    /// The page of several runs, on the disk but not yet under its name.
    fn page(&self, folders: &[&Path], accounts: &[Account]) -> anyhow::Result<AtomicFile> {
        let names: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let runs = accounts.iter().zip(&names).map(|(account, name)| Ok(Run { name, ..account.run()? }));
        let page = comparison(&runs.collect::<anyhow::Result<Vec<_>>>()?)?;
        AtomicFile::stage(self.out(), page.as_bytes()).with_context(|| cannot_write(self.out()))
    }

    fn account(&self, folder: &Path) -> anyhow::Result<Account> {
        let summary = summary(folder)?;
        let path = folder.join(MODEL_FILE);
        let model = Model::load(&path)?;
        ensure!(
            model.weights_sha256() == summary.weights_sha256,
            "{}: not the weights that {SUMMARY_FILE} beside it tells of; train the run again",
            path.display()
        );
        let name: Name =
            summary.dataset.parse().with_context(|| folder.join(SUMMARY_FILE).display().to_string())?;
        let data = data::open(name, &self.places.or_in(summary.data_dir.clone()))?;
        let test = model.evaluate(&data.test).with_context(|| data.folder().display().to_string())?;
        // The same bits on every machine: what differs is another set.
        let bits = |loss: f64, accuracy: f64| [loss.to_bits(), accuracy.to_bits()];
        ensure!(
            bits(test.loss, test.accuracy) == bits(summary.test_loss, summary.test_accuracy),
            "{}: not the test part of {}, which gives loss {:.4} and accuracy {:.2}% where the summary says {:.4} and {:.2}%; name the folder of the run's own data set with --data-dir",
            data.folder().display(),
            folder.display(),
            test.loss,
            100.0 * test.accuracy,
            summary.test_loss,
            100.0 * summary.test_accuracy
        );
        Account::of(folder, &summary, &model, &data)
    }
}

/// A run's summary.
fn summary(folder: &Path) -> anyhow::Result<RunSummary> {
    let path = folder.join(SUMMARY_FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            anyhow!("{}: no run's folder: there is no {SUMMARY_FILE} in it", folder.display())
        }
        _ => anyhow::Error::new(error).context(format!("{}: cannot read", path.display())),
    })?;
    serde_json::from_str(&text)
        .with_context(|| format!("{}: not the summary of a run; train the run again", path.display()))
}
