//! `cargo xtask compare`: ziffer and other systems train the same network on the same machine.

mod measure;
mod peer;
mod process;
mod section;
mod setup;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use ziffer::Host;

use crate::host;
use measure::{Run, Runner};
use peer::{PEERS, Peer};
use process::print_progress;
use table::{Outcome, System};

/// Train the tutorial with ziffer and other systems in turn, and write a table of times, accuracy and memory
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Compare {
    /// Runs of each system
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Compare ziffer with these systems only
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = PEERS.map(|peer| peer.name))]
    only: Vec<String>,
    /// File with the marks between which the tables are written
    #[arg(long, value_name = "FILE", default_value = "docs/performance.md")]
    report: PathBuf,
}

/// A system of the table, and the peer that runs it; `None` for ziffer.
struct Entry {
    system: System,
    peer: Option<&'static Peer>,
}

impl Compare {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace's folder")?;
        self.compare(root).map_err(|error| anyhow!(one_line(root, &error)))
    }

    fn compare(&self, root: &Path) -> anyhow::Result<()> {
        // A file without marks is an error before the runs, not after them.
        section::insert(section::read(&self.report)?.as_deref(), "")
            .with_context(|| self.report.display().to_string())?;
        let runner = Runner::new(root);
        setup::ziffer(root)?;
        setup::mnist(root, &runner)?;

        let cpus = ziffer::trainer::available_threads();
        let mut entries = entries_of(None, "ziffer", true, cpus);
        for peer in
            PEERS.iter().filter(|peer| self.only.is_empty() || self.only.iter().any(|n| n == peer.name))
        {
            let installed = setup::peer(root, peer);
            for mut entry in entries_of(Some(peer), peer.system, peer.single, cpus) {
                if let Err(error) = &installed {
                    entry.system.outcome = Outcome::Missing(one_line(root, error));
                }
                entries.push(entry);
            }
            if let Err(error) = installed {
                print_progress(&format!("{}: missing: {}", peer.system, one_line(root, &error)))?;
            }
        }

        let mut versions = BTreeMap::from([("ziffer".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
        for round in 0..self.rounds {
            for Entry { system, peer } in &mut entries {
                let Outcome::Runs(runs) = &mut system.outcome else { continue };
                let run = match peer {
                    None => runner.run_ziffer(system.threads, round),
                    Some(peer) => runner.run_peer(peer, system.threads, round, &mut versions),
                };
                let result = match run {
                    Ok(run) => {
                        runs.push(run);
                        run.to_string()
                    }
                    Err(error) if peer.is_none() => return Err(error),
                    Err(error) => {
                        let reason = one_line(root, &error);
                        system.outcome = Outcome::Missing(reason.clone());
                        format!("missing: {reason}")
                    }
                };
                let name = format!("{}, threads: {}", system.name, system.threads);
                print_progress(&format!("round {}/{}: {name}: {result}", round + 1, self.rounds))?;
            }
        }

        let systems: Vec<System> = entries.into_iter().map(|entry| entry.system).collect();
        let section = format!("{}\n{}", self.preface(cpus, &versions), table::table(&systems));
        let text = section::insert(section::read(&self.report)?.as_deref(), &section)?;
        std::fs::write(&self.report, text).with_context(|| format!("{}: cannot write", self.report.display()))
    }

    /// The machine, the versions and the compiler.
    fn preface(&self, cpus: usize, versions: &BTreeMap<String, String>) -> String {
        let machine = Host::current();
        let memory = host::memory().map(|gib| format!(", {gib:.1} GiB of memory"));
        let versions: Vec<String> =
            versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        format!(
            "Written by `cargo xtask compare --rounds {}` on {}, CPUs: {cpus}{}, {}, {} kernels.\n\n\
             Versions: {}; {}.\n",
            self.rounds,
            machine.processor,
            memory.unwrap_or_default(),
            machine.os,
            ziffer::tensor::InstructionSet::current().name(),
            versions.join(", "),
            host::compiler()
        )
    }
}

/// The entries of one system: with one thread, if `single`, and with all CPUs.
fn entries_of(peer: Option<&'static Peer>, name: &str, single: bool, cpus: usize) -> Vec<Entry> {
    let counts = if single && cpus > 1 { vec![1, cpus] } else { vec![cpus] };
    let entry = |threads| {
        let outcome = Outcome::Runs(Vec::<Run>::new());
        Entry { system: System { name: name.to_owned(), ours: peer.is_none(), threads, outcome }, peer }
    };
    counts.into_iter().map(entry).collect()
}

/// An error and its causes on one line, with paths relative to the workspace, for the table.
fn one_line(root: &Path, error: &anyhow::Error) -> String {
    let text = format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace(&format!("{}/", root.display()), "")
}
