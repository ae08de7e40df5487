//! `download`: gets data sets.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::ensure;
use ziffer_base::chain;
use ziffer_dataset::catalogue::Name;

use super::data;
use crate::usage::{AlreadyTold, UsageError, complain, print};

/// Get data sets into the cache folder, or one set into --data-dir itself
#[derive(Clone, Debug, clap::Args)]
pub struct Download {
    /// The data sets: mnist, fashion-mnist, kmnist, qmnist, emnist-balanced, emnist-letters, emnist-digits, emnist-mnist,
    /// emnist-bymerge, emnist-byclass
    #[arg(required = true, value_name = "NAME", value_parser = data::name)]
    names: Vec<Name>,
    /// Put the four files of the one set here
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Look here first: a place that has the four files under their usual names, or EMNIST's gzip.zip; may be given several
    /// times. The environment variable ZIFFER_MIRROR names one more
    #[arg(long, value_name = "URL or DIR")]
    mirror: Vec<OsString>,
    /// Do not use the network
    #[arg(long)]
    offline: bool,
    /// Get the files again even if they are there
    #[arg(long)]
    force: bool,
}

impl Download {
    /// Gets each set and prints where it lies. One that cannot be had keeps none of the others back.
    ///
    /// # Errors
    /// Whatever went wrong, in one line that says what and where.
    pub fn run(&self) -> anyhow::Result<()> {
        if self.data_dir.is_some() && self.names.len() != 1 {
            let found = self.names.len();
            let problem =
                format!("--data-dir takes one data set, found {found}; leave it out to use the cache folder");
            return Err(UsageError(problem).into());
        }
        let mirrors = data::mirrors(&self.mirror)?;
        let mut failed = 0;
        for &name in &self.names {
            let source = data::source(name, self.data_dir.as_deref(), &mirrors)?
                .offline(self.offline)
                .force(self.force);
            match data::get(&source) {
                Ok(set) => {
                    let (train, test) = (set.train.len(), set.test.len());
                    let folder = set.folder().display();
                    print(&format!("{name}: {train} training and {test} test pictures in {folder}\n"))?;
                }
                Err(error) => {
                    complain(&format!("error: {}", chain(&*error)));
                    failed += 1;
                }
            }
        }
        ensure!(failed == 0, AlreadyTold);
        Ok(())
    }
}
