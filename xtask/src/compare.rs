//! ziffer beside other systems that train the same network on the same machine, as tables.

mod measure;
mod peer;
mod process;
mod report;
mod setup;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use ziffer::Host;

use crate::host;
use measure::{Run, Workplace};
use peer::{PEERS, Peer};
use process::say;
use table::{Contestant, Outcome};

/// Train the tutorial with ziffer and with its peers in turn, and write a table of times, accuracy and memory
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Compare {
    /// How often each is run
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Only these peers beside ziffer
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = PEERS.map(|peer| peer.name))]
    only: Vec<String>,
    /// The file with the tables, which stand between two marks
    #[arg(long, value_name = "FILE", default_value = "docs/performance.md")]
    report: PathBuf,
}

/// A contestant, and the peer that it is; ziffer itself is none.
struct Entry {
    contestant: Contestant,
    peer: Option<&'static Peer>,
}

impl Compare {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace's folder")?;
        self.compare(root).map_err(|error| anyhow!(one_line(root, &error)))
    }

    fn compare(&self, root: &Path) -> anyhow::Result<()> {
        // So that a report without marks is not noticed only after all the runs.
        report::with_section(report::read(&self.report)?.as_deref(), "")
            .with_context(|| self.report.display().to_string())?;
        let workplace = Workplace::new(root);
        setup::ziffer(root)?;
        setup::mnist(root, &workplace)?;

        let cpus = ziffer::trainer::available_threads();
        let mut entries = line_up(None, "ziffer", true, cpus);
        for peer in
            PEERS.iter().filter(|peer| self.only.is_empty() || self.only.iter().any(|n| n == peer.name))
        {
            let installed = setup::peer(root, peer);
            for mut entry in line_up(Some(peer), peer.system, peer.single, cpus) {
                if let Err(error) = &installed {
                    entry.contestant.outcome = Outcome::Missing(one_line(root, error));
                }
                entries.push(entry);
            }
            if let Err(error) = installed {
                say(&format!("{}: missing: {}", peer.system, one_line(root, &error)))?;
            }
        }

        let mut versions = BTreeMap::from([("ziffer".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
        for round in 0..self.rounds {
            for Entry { contestant, peer } in &mut entries {
                let Outcome::Runs(runs) = &mut contestant.outcome else { continue };
                let run = match peer {
                    None => workplace.run_ziffer(contestant.threads, round),
                    Some(peer) => workplace.run_peer(peer, contestant.threads, round, &mut versions),
                };
                let told = match run {
                    Ok(run) => {
                        runs.push(run);
                        run.to_string()
                    }
                    Err(error) if peer.is_none() => return Err(error),
                    Err(error) => {
                        let reason = one_line(root, &error);
                        contestant.outcome = Outcome::Missing(reason.clone());
                        format!("missing: {reason}")
                    }
                };
                let who = format!("{}, threads: {}", contestant.system, contestant.threads);
                say(&format!("round {}/{}: {who}: {told}", round + 1, self.rounds))?;
            }
        }

        let contestants: Vec<Contestant> = entries.into_iter().map(|entry| entry.contestant).collect();
        let section = format!("{}\n{}", self.preface(cpus, &versions), table::table(&contestants));
        let text = report::with_section(report::read(&self.report)?.as_deref(), &section)?;
        std::fs::write(&self.report, text).with_context(|| format!("{}: cannot write", self.report.display()))
    }

    /// Where and with what the figures were made.
    fn preface(&self, cpus: usize, versions: &BTreeMap<String, String>) -> String {
        let machine = Host::current();
        let memory = host::memory().map(|gib| format!(", {gib:.1} GiB of memory"));
        let versions: Vec<String> =
            versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        format!(
            "Made by `cargo xtask compare --rounds {}` on {}, CPUs: {cpus}{}, {}, {} kernels.\n\n\
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

/// One system with one thread, if asked for, and with all CPUs.
fn line_up(peer: Option<&'static Peer>, system: &str, single: bool, cpus: usize) -> Vec<Entry> {
    let counts = if single && cpus > 1 { vec![1, cpus] } else { vec![cpus] };
    let entry = |threads| {
        let outcome = Outcome::Runs(Vec::<Run>::new());
        Entry {
            contestant: Contestant { system: system.to_owned(), ours: peer.is_none(), threads, outcome },
            peer,
        }
    };
    counts.into_iter().map(entry).collect()
}

/// An error and its causes without line breaks, and with paths from the workspace's folder, since it goes to the report.
fn one_line(root: &Path, error: &anyhow::Error) -> String {
    let text = format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace(&format!("{}/", root.display()), "")
}
