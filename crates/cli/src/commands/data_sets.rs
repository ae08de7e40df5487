//! `data`: what data sets there are, and what the cache has of them.

use std::fmt::Write as _;

use anyhow::anyhow;
use clap::Subcommand;
use ziffer_base::chain;
use ziffer_dataset::catalogue::{Content, Part};
use ziffer_dataset::{FileState, Finding, Known, Name, Source};

use super::augment::Augment;
use crate::usage::print;

/// Show the data sets there are, check those in the cache folder, or make larger ones
#[derive(Clone, Debug, clap::Args)]
pub struct Data {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum DataCommand {
    /// List the data sets: their sizes, and where they lie
    List,
    /// Read every file in the cache folder, packed ones too, and say what is wrong; exits with 1 if anything is
    Doctor,
    Augment(Augment),
}

impl Data {
    /// Prints the list, or what was found.
    ///
    /// # Errors
    /// If a file of the cache is broken, or its place is unknown.
    pub fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            DataCommand::List => list(),
            DataCommand::Doctor => doctor(),
            DataCommand::Augment(augment) => augment.run(),
        }
    }
}

/// The sets that have a name, and so a place in the cache.
fn named() -> impl Iterator<Item = Name> {
    Name::ALL.into_iter().filter(|&name| name != Name::Custom)
}

fn list() -> anyhow::Result<()> {
    let mut text = String::new();
    for name in named() {
        let source = Source::new(name);
        let count = |part| {
            let images =
                name.files().iter().find(|file| file.part == part && file.content == Content::Images);
            images.and_then(|file| file.shape).map_or("?".to_owned(), |shape| shape[0].to_string())
        };
        let places: Vec<_> = source.locate()?.into_iter().flatten().collect();
        let there = match (places.len(), places.iter().find_map(|place| place.parent())) {
            (4, Some(folder)) => format!("in {}", folder.display()),
            (some, Some(folder)) => format!("{some} of 4 files in {}", folder.display()),
            (_, None) => "not in the cache".to_owned(),
        };
        let classes = name.classes().map_or("?".to_owned(), |classes| classes.to_string());
        let (train, test) = (count(Part::Train), count(Part::Test));
        let pictures = format!("{train} + {test} pictures, {classes} classes");
        let _ = writeln!(text, "{name:<15}  {:<15}  {pictures:<38}  {there}", name.title());
    }
    let _ = writeln!(text, "{:<15}  your own four IDX files under MNIST's names, in --data-dir", "custom");
    print(&text)
}

fn doctor() -> anyhow::Result<()> {
    let mut text = String::new();
    let mut wrong = Vec::new();
    for name in named() {
        let source = Source::new(name);
        let folder = source.folder()?;
        let findings = match source.examine() {
            Ok(findings) => findings,
            Err(error) => {
                let _ = writeln!(text, "{name}: {}", chain(&error));
                wrong.push(format!("{name}'s folder"));
                continue;
            }
        };
        if findings.iter().all(|finding| matches!(finding.state, FileState::Missing)) {
            let _ = writeln!(text, "{name}: not in the cache; `ziffer download {name}` gets it");
            continue;
        }
        let _ = writeln!(text, "{name}: in {}", folder.display());
        for Finding { file, path, state, .. } in findings {
            let is_raw = path == folder.join(file.name);
            let place = path.strip_prefix(&folder).unwrap_or(&path).display();
            let what = if is_raw { file.name.to_owned() } else { format!("{} in {place}", file.name) };
            let found = match state {
                FileState::Missing => format!("missing; `ziffer download {name}` gets it"),
                FileState::InBundle => "packed".to_owned(),
                FileState::Good(Known::Published) => "good".to_owned(),
                FileState::Good(Known::AsItCame) => {
                    "good, as it came; no digest of it was published".to_owned()
                }
                FileState::Good(Known::Nothing) => {
                    "good by its type and shape; no digest of it was published".to_owned()
                }
                FileState::Wrong(error) => {
                    wrong.push(format!("{name}'s {place}"));
                    let advice = if is_raw {
                        format!("; `ziffer download {name}` replaces it")
                    } else {
                        String::new()
                    };
                    format!("wrong: {}{advice}", chain(&error))
                }
                _ => "unknown".to_owned(),
            };
            let _ = writeln!(text, "  {what}: {found}");
        }
    }
    // One for all of EMNIST's sets.
    if let Some((path, found)) = Source::new(Name::EmnistBalanced).examine_bundle() {
        let found = found.map_or_else(|error| format!("wrong: {}", chain(&error)), |()| "good".to_owned());
        if found != "good" {
            wrong.push(path.display().to_string());
        }
        let _ = writeln!(text, "{}: {found}", path.display());
    }
    wrong.dedup();
    print(&text)?;
    match wrong.as_slice() {
        [] => Ok(()),
        files => Err(anyhow!("wrong in the cache: {}", files.join(", "))),
    }
}
