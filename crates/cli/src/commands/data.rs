//! `data`: the known data sets, and the files in the cache folder.

use std::fmt::Write as _;

use anyhow::anyhow;
use clap::Subcommand;
use ziffer_base::{chain, thousands};
use ziffer_dataset::catalog::{Content, Split};
use ziffer_dataset::{FileState, Finding, Name, Source, Verified};

use super::augment::AugmentArgs;
use crate::output::print;

/// The subcommands of `data`.
#[derive(Clone, Debug, clap::Args)]
pub struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum DataCommand {
    /// List the data sets with their sizes and folders
    List,
    /// Check every file in the cache folder, compressed ones too; exits with 1 if one is damaged
    Doctor,
    /// Write an augmented data set: many randomly distorted copies of each training image, as four IDX files
    ///
    /// Each copy but the first is rotated, scaled, sheared, shifted and elastically distorted. Train on the data set with
    /// --dataset custom --data-dir DIR.
    Augment(AugmentArgs),
}

impl DataArgs {
    /// Prints the list or the findings, or writes the data set.
    ///
    /// # Errors
    /// If a file in the cache folder is damaged, if the platform has no cache folder, or as `data augment`.
    pub fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            DataCommand::List => list(),
            DataCommand::Doctor => doctor(),
            DataCommand::Augment(augment) => augment.run(),
        }
    }
}

/// The data sets that the cache folder can have: all but custom ones.
fn cached() -> impl Iterator<Item = Name> {
    Name::ALL.into_iter().filter(|&name| name != Name::Custom)
}

fn list() -> anyhow::Result<()> {
    let mut text = String::new();
    for name in cached() {
        let source = Source::new(name);
        let count = |part| {
            let images =
                name.files().iter().find(|file| file.split == part && file.content == Content::Images);
            images.and_then(|file| file.shape).map_or("?".to_owned(), |shape| thousands(shape[0]))
        };
        let paths: Vec<_> = source.locate()?.into_iter().flatten().collect();
        let found = match (paths.len(), paths.iter().find_map(|path| path.parent())) {
            (4, Some(folder)) => format!("in {}", folder.display()),
            (some, Some(folder)) => format!("{some} of 4 files in {}", folder.display()),
            (_, None) => "not in the cache".to_owned(),
        };
        let classes = name.classes().map_or("?".to_owned(), |classes| classes.to_string());
        let (train, test) = (count(Split::Train), count(Split::Test));
        let images = format!("{train} + {test} images, {classes} classes");
        let _ = writeln!(text, "{name:<15}  {:<15}  {images:<38}  {found}", name.title());
    }
    let _ =
        writeln!(text, "{:<15}  four IDX files of your own with MNIST's file names in --data-dir", "custom");
    print(&text)
}

fn doctor() -> anyhow::Result<()> {
    let mut text = String::new();
    let mut damaged = Vec::new();
    for name in cached() {
        let source = Source::new(name);
        let folder = source.folder()?;
        let findings = match source.examine() {
            Ok(findings) => findings,
            Err(error) => {
                let _ = writeln!(text, "{name}: {}", chain(&error));
                damaged.push(format!("the folder of {name}"));
                continue;
            }
        };
        if findings.iter().all(|finding| matches!(finding.state, FileState::Missing)) {
            let _ = writeln!(text, "{name}: not in the cache; get it with `ziffer download {name}`");
            continue;
        }
        let _ = writeln!(text, "{name}: in {}", folder.display());
        for Finding { file, path, state, .. } in findings {
            let is_raw = path == folder.join(file.name);
            let place = path.strip_prefix(&folder).unwrap_or(&path).display();
            let what = if is_raw { file.name.to_owned() } else { format!("{} in {place}", file.name) };
            let found = match state {
                FileState::Missing => format!("missing; get it with `ziffer download {name}`"),
                FileState::InArchive => "compressed".to_owned(),
                FileState::Good(Verified::PublishedDigest) => "good".to_owned(),
                FileState::Good(Verified::RecordedDigest) => {
                    "good: unchanged since its download; no digest is published".to_owned()
                }
                FileState::Good(Verified::ShapeOnly) => {
                    "good by type and shape; no digest is published".to_owned()
                }
                FileState::Wrong(error) => {
                    damaged.push(format!("{place} of {name}"));
                    let advice = if is_raw {
                        format!("; replace it with `ziffer download {name}`")
                    } else {
                        String::new()
                    };
                    format!("damaged: {}{advice}", chain(&error))
                }
                _ => "unknown".to_owned(),
            };
            let _ = writeln!(text, "  {what}: {found}");
        }
    }
    // One archive for all data sets of EMNIST.
    if let Some((path, found)) = Source::new(Name::EmnistBalanced).examine_archive() {
        let found = found.map_or_else(|error| format!("damaged: {}", chain(&error)), |()| "good".to_owned());
        if found != "good" {
            damaged.push(path.display().to_string());
        }
        let _ = writeln!(text, "{}: {found}", path.display());
    }
    damaged.dedup();
    print(&text)?;
    match damaged.as_slice() {
        [] => Ok(()),
        files => Err(anyhow!("damaged in the cache: {}", files.join(", "))),
    }
}
