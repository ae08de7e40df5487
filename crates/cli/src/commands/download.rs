//! `download`: downloads data sets.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::ensure;
use ziffer_base::{chain, thousands};
use ziffer_dataset::catalog::Name;

use super::dataset_args;
use super::flag_values::dataset_name;
use crate::command_line::{AlreadyReported, UsageError};
use crate::output::{print, print_message};

/// The flags of `download`.
#[derive(Clone, Debug, clap::Args)]
pub struct DownloadArgs {
    /// Data sets: mnist, fashion-mnist, kmnist, qmnist, emnist-balanced, emnist-letters, emnist-digits, emnist-mnist,
    /// emnist-bymerge, emnist-byclass
    #[arg(required = true, value_name = "NAME", value_parser = dataset_name)]
    names: Vec<Name>,
    /// Folder for the four files of a single data set [default: ziffer/NAME in the platform's cache folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Mirror to try first: a URL or a folder with the four files under their usual names, or with EMNIST's gzip.zip; can be
    /// repeated. The environment variable ZIFFER_MIRROR names one more
    #[arg(long, value_name = "URL or DIR")]
    mirror: Vec<OsString>,
    /// Do not use the internet
    #[arg(long)]
    offline: bool,
    /// Download files again even if they exist
    #[arg(long)]
    force: bool,
}

impl DownloadArgs {
    /// Downloads each data set and prints its folder. A failure does not keep the other data sets from being downloaded.
    ///
    /// # Errors
    /// One line that says what failed, and where.
    pub fn run(&self) -> anyhow::Result<()> {
        if self.data_dir.is_some() && self.names.len() != 1 {
            let found = self.names.len();
            let problem = format!(
                "--data-dir is the folder of one data set, found {found} data sets; without it they go to the cache folder"
            );
            return Err(UsageError(problem).into());
        }
        let mirrors = dataset_args::mirrors(&self.mirror)?;
        let mut failed = 0;
        for &name in &self.names {
            let source = dataset_args::source(name, self.data_dir.as_deref(), &mirrors)?
                .offline(self.offline)
                .force(self.force);
            match dataset_args::get(&source) {
                Ok(set) => {
                    let (train, test) = (thousands(set.train.len()), thousands(set.test.len()));
                    let folder = set.folder().display();
                    print(&format!("{name}: {train} training and {test} test images in {folder}\n"))?;
                }
                Err(error) => {
                    print_message(&format!("error: {}", chain(&*error)));
                    failed += 1;
                }
            }
        }
        ensure!(failed == 0, AlreadyReported);
        Ok(())
    }
}
