//! Where a command's data come from.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use indicatif::{ProgressBar, ProgressStyle};
use ziffer_dataset::catalogue::Name;
use ziffer_dataset::{Event, Mirror, Part, Source, TrainTest, Transfer};

use crate::command_line::UsageError;

/// The flags that choose a data set.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct DatasetArgs {
    /// The data set: mnist, fashion-mnist, kmnist, qmnist, emnist-balanced, emnist-letters, emnist-digits, emnist-mnist,
    /// emnist-bymerge, emnist-byclass, or custom: any four IDX files under MNIST's names in --data-dir
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) dataset: Option<Name>,
    #[command(flatten)]
    pub(super) source: SourceArgs,
}

/// The flags that say where a data set's files come from.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct SourceArgs {
    /// Where the four IDX files lie or are put, raw or .gz [default: the platform's cache folder, in ziffer/NAME]
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Look here first for what is not there yet: a place that has the four files under their usual names, or EMNIST's
    /// gzip.zip; may be given several times. The environment variable ZIFFER_MIRROR names one more
    #[arg(long, value_name = "URL or DIR")]
    pub(super) mirror: Vec<OsString>,
    /// Do not use the network
    #[arg(long)]
    pub(super) offline: bool,
}

impl SourceArgs {
    /// These, with a folder where they name none.
    pub(super) fn or_in(&self, folder: Option<PathBuf>) -> Self {
        Self { data_dir: self.data_dir.clone().or(folder), ..self.clone() }
    }
}

/// A data set's name, or what is wrong with it.
pub(super) fn name(text: &str) -> Result<Name, String> {
    let known = || Name::ALL.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|_| format!("no such data set, expected one of {}", known()))
}

/// The environment's own mirror.
const MIRROR: &str = "ZIFFER_MIRROR";

/// A mirror as `whence`, a flag or a variable, has it: an address or a folder.
///
/// # Errors
/// If it can be neither: a mirror that is mistyped would be passed over in silence wherever another has the files.
pub(super) fn mirror(whence: &str, place: &OsStr) -> anyhow::Result<Mirror> {
    if let Some((scheme, _)) = place.to_str().and_then(|text| text.split_once("://")) {
        if ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Ok(Mirror::Url(place.to_string_lossy().into_owned()));
        }
        let place = place.display();
        let problem =
            format!("{whence} {place}: found the scheme {scheme}, expected http or https, or a folder");
        return Err(UsageError(problem).into());
    }
    let folder = Path::new(place);
    if !folder.is_dir() {
        let problem = if folder.exists() { "found a file, expected a folder" } else { "no such folder" };
        return Err(anyhow!("{whence} {}: {problem}", folder.display()));
    }
    Ok(Mirror::Folder(folder.to_owned()))
}

/// The source of a set: hand-placed and cached files, these mirrors, the environment's, the repository's copy, then the
/// public mirrors.
///
/// # Errors
/// If the environment's is none, or a custom set has no folder.
pub(super) fn source(name: Name, data_dir: Option<&Path>, mirrors: &[Mirror]) -> anyhow::Result<Source> {
    if name == Name::Custom && data_dir.is_none() {
        let problem = "a custom data set needs --data-dir DIR, the folder that has its four IDX files under MNIST's names";
        return Err(UsageError(problem.to_owned()).into());
    }
    let mut source = Source::new(name);
    if let Some(folder) = data_dir {
        source = source.data_dir(folder);
    }
    let of_environment = std::env::var_os(MIRROR).filter(|place| !place.is_empty());
    let of_environment = of_environment.map(|place| mirror(MIRROR, &place)).transpose()?;
    for mirror in mirrors.iter().cloned().chain(of_environment).chain(repository_copy(name)) {
        source = source.mirror(mirror);
    }
    Ok(source)
}

/// The copy of the set that comes with the repository, if this program was built in one that is still there.
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

/// Mirrors as `--mirror` has them.
///
/// # Errors
/// Those of [`mirror`].
pub(super) fn mirrors(places: &[OsString]) -> anyhow::Result<Vec<Mirror>> {
    places.iter().map(|place| mirror("--mirror", place)).collect()
}

/// Opens a set, as `source` finds it by the flags.
pub(super) fn open(name: Name, flags: &SourceArgs) -> anyhow::Result<TrainTest> {
    get(&source(name, flags.data_dir.as_deref(), &mirrors(&flags.mirror)?)?.offline(flags.offline))
}

/// What stands for the content of a set's training part: its name, where the catalogue has its digests, and else a digest.
pub(super) fn identity(set: &TrainTest) -> String {
    let files = set.name.files().iter().filter(|file| file.part == Part::Train);
    if files.into_iter().all(|file| file.sha256.is_some()) {
        format!("{}'s own", set.name)
    } else {
        set.train.view().fingerprint().to_string()
    }
}

/// Opens a set; what comes from an address is shown by a bar on a terminal, and that another process is waited for is said.
pub(super) fn get(source: &Source) -> anyhow::Result<TrainTest> {
    let mut shown = Transfers { url: String::new(), bar: ProgressBar::hidden() };
    let set = TrainTest::open_watched(source, &mut |event| match event {
        Event::Waiting { folder } => {
            shown.bar.finish_and_clear();
            let folder = folder.display();
            let line = format!("{folder}: another process is filling this folder, waiting for it\n");
            // A message, in one write, since others may be waiting too; that nobody reads it is no failure.
            let _ = io::stderr().write_all(line.as_bytes());
        }
        Event::Transfer(transfer) => shown.show(transfer),
        _ => {}
    });
    shown.bar.finish_and_clear();
    Ok(set?)
}

/// Transfers as they are shown, one after the other.
struct Transfers {
    url: String,
    bar: ProgressBar,
}

impl Transfers {
    fn show(&mut self, transfer: Transfer<'_>) {
        if self.url != transfer.url {
            self.bar.finish_and_clear();
            transfer.url.clone_into(&mut self.url);
            // Draws nothing where standard error is no terminal.
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
