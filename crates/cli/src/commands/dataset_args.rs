//! The flags that choose a data set and its source, and opening it.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use indicatif::{ProgressBar, ProgressStyle};
use ziffer_dataset::catalog::Name;
use ziffer_dataset::{DownloadProgress, Mirror, ProgressEvent, Source, Split, TrainTest};

use super::flag_values::dataset_name;
use crate::command_line::UsageError;

/// The flags that choose a data set.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct DatasetArgs {
    /// Data set: mnist, fashion-mnist, kmnist, qmnist, emnist-balanced, emnist-letters, emnist-digits, emnist-mnist,
    /// emnist-bymerge, emnist-byclass, or custom: four IDX files of your own with MNIST's file names in --data-dir
    #[arg(long, value_name = "NAME", value_parser = dataset_name)]
    pub(super) dataset: Option<Name>,
    #[command(flatten)]
    pub(super) source: SourceArgs,
}

/// The flags that say where the files of a data set are.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct SourceArgs {
    /// Folder with the four IDX files, raw or .gz; missing files are downloaded into it [default: ziffer/NAME in the platform's
    /// cache folder]
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Mirror to try first for missing files: a URL or a folder with the four files under their usual names, or with EMNIST's
    /// gzip.zip; can be repeated. The environment variable ZIFFER_MIRROR names one more
    #[arg(long, value_name = "URL or DIR")]
    pub(super) mirror: Vec<OsString>,
    /// Do not use the internet
    #[arg(long)]
    pub(super) offline: bool,
}

impl SourceArgs {
    /// The same source, in this folder unless `--data-dir` names one.
    pub(super) fn or_in(&self, folder: Option<PathBuf>) -> Self {
        Self { data_dir: self.data_dir.clone().or(folder), ..self.clone() }
    }
}

/// The environment variable that names a mirror.
const MIRROR_VARIABLE: &str = "ZIFFER_MIRROR";

/// Parses the value of `origin`, a flag or a variable, as a mirror: a URL or a folder.
///
/// # Errors
/// If it is neither. Otherwise a mistyped mirror would be skipped silently when another mirror has the files.
fn mirror(origin: &str, value: &OsStr) -> anyhow::Result<Mirror> {
    if let Some((scheme, _)) = value.to_str().and_then(|text| text.split_once("://")) {
        if ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Ok(Mirror::Url(value.to_string_lossy().into_owned()));
        }
        let value = value.display();
        let problem = format!("{origin} {value}: unknown scheme {scheme}, expected http, https or a folder");
        return Err(UsageError(problem).into());
    }
    let folder = Path::new(value);
    if !folder.is_dir() {
        let problem = if folder.exists() { "found a file, expected a folder" } else { "no such folder" };
        return Err(anyhow!("{origin} {}: {problem}", folder.display()));
    }
    Ok(Mirror::Folder(folder.to_owned()))
}

/// The source of a data set. Files are looked for in this order: the folder, these mirrors, the mirror of the environment,
/// the repository's copy, the public mirrors.
///
/// # Errors
/// If the environment variable is not a mirror, or a custom data set has no folder.
pub(super) fn source(name: Name, data_dir: Option<&Path>, mirrors: &[Mirror]) -> anyhow::Result<Source> {
    if name == Name::Custom && data_dir.is_none() {
        let problem = "a custom data set needs --data-dir DIR, the folder of its four IDX files with MNIST's file names";
        return Err(UsageError(problem.to_owned()).into());
    }
    let mut source = Source::new(name);
    if let Some(folder) = data_dir {
        source = source.data_dir(folder);
    }
    let variable = std::env::var_os(MIRROR_VARIABLE).filter(|value| !value.is_empty());
    let of_variable = variable.map(|value| mirror(MIRROR_VARIABLE, &value)).transpose()?;
    for mirror in mirrors.iter().cloned().chain(of_variable).chain(repository_copy(name)) {
        source = source.mirror(mirror);
    }
    Ok(source)
}

/// The copy of the data set in the repository, if this program was built in a repository that still exists.
fn repository_copy(name: Name) -> Option<Mirror> {
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let program = std::env::current_exe().ok();
    let around_program =
        program.iter().flat_map(|program| program.ancestors().skip(1).take(4).map(Path::to_owned));
    std::iter::once(built_in)
        .chain(around_program)
        .map(|root| root.join("data").join(name.as_str()))
        .find(|folder| folder.is_dir())
        .map(Mirror::Folder)
}

/// Parses the values of `--mirror`.
///
/// # Errors
/// If one is neither a URL nor a folder.
pub(super) fn mirrors(values: &[OsString]) -> anyhow::Result<Vec<Mirror>> {
    values.iter().map(|value| mirror("--mirror", value)).collect()
}

/// Opens a data set from the source that the flags name.
pub(super) fn open(name: Name, flags: &SourceArgs) -> anyhow::Result<TrainTest> {
    get(&source(name, flags.data_dir.as_deref(), &mirrors(&flags.mirror)?)?.offline(flags.offline))
}

/// Identifies the content of a training set: by the data set's name if its digests are known, otherwise by a digest.
pub(super) fn identity(set: &TrainTest) -> String {
    let files = set.name.files().iter().filter(|file| file.split == Split::Train);
    if files.into_iter().all(|file| file.sha256.is_some()) {
        format!("{}'s own", set.name)
    } else {
        set.train.view().fingerprint().to_string()
    }
}

/// Opens a data set. Downloads are shown as progress bars on a terminal. A message is printed when it waits for another process.
pub(super) fn get(source: &Source) -> anyhow::Result<TrainTest> {
    let mut shown = TransferBar { url: String::new(), bar: ProgressBar::hidden() };
    let set = TrainTest::open_with_progress(source, &mut |event| match event {
        ProgressEvent::WaitingForLock { folder } => {
            shown.bar.finish_and_clear();
            let folder = folder.display();
            let line = format!("{folder}: waiting for another process that is writing to this folder\n");
            // In one write, because other processes may be waiting too. A closed standard error is ignored.
            let _ = io::stderr().write_all(line.as_bytes());
        }
        ProgressEvent::Download(transfer) => shown.show(transfer),
        _ => {}
    });
    shown.bar.finish_and_clear();
    Ok(set?)
}

/// The progress bar of the current download.
struct TransferBar {
    url: String,
    bar: ProgressBar,
}

impl TransferBar {
    fn show(&mut self, transfer: DownloadProgress<'_>) {
        if self.url != transfer.url {
            self.bar.finish_and_clear();
            transfer.url.clone_into(&mut self.url);
            // Draws nothing if standard error is not a terminal.
            self.bar = ProgressBar::no_length().with_style(style());
            self.bar.set_message(transfer.url.to_owned());
        }
        if let Some(len) = transfer.len {
            self.bar.set_length(len);
        }
        self.bar.set_position(transfer.bytes);
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg} {bar:20.green/white} {bytes}/{total_bytes} {bytes_per_sec}")
        .expect("a template without errors")
        .progress_chars("━━━")
}
