//! Where the content of a file may lie in a folder: as itself, as it was published, or in a zip.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ziffer_base::digest::Digest;

use crate::bundle;
use crate::catalogue::FileEntry;
use crate::error::DatasetError;
use crate::idx::{IdxError, check_regular};
use crate::intake::{Arrived, Failure, Wanted};

/// Where published files lie in EMNIST's zip, and below the folder that it was unpacked in.
const SUBFOLDER: &str = "gzip";

/// A file that the content of another may be in.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) path: PathBuf,
    /// What is wanted, in the form that it has here.
    wanted: Wanted<'a>,
}

impl<'a> Place<'a> {
    /// Places of a data folder besides the raw file, in the order in which they count.
    pub(crate) fn in_data_folder(wanted: &Wanted<'a>, folder: &Path) -> Vec<Place<'a>> {
        let mut places = vec![Place { path: archive_path(wanted.target), wanted: *wanted }];
        if wanted.entry.original.is_some() {
            places.extend(Place::in_mirror(wanted, folder));
        }
        places
    }

    /// Places of a mirror's folder, which has the files as they were published.
    pub(crate) fn in_mirror(wanted: &Wanted<'a>, folder: &Path) -> Vec<Place<'a>> {
        let mut names: Vec<PathBuf> = file_names(wanted.entry).map(PathBuf::from).into();
        if let Some(bundle) = wanted.set.bundle() {
            names.extend(file_names(wanted.entry).map(|name| Path::new(SUBFOLDER).join(name)));
            names.push(bundle.name.into());
        }
        let place = |name| Place { path: folder.join(name), wanted: wanted.as_published() };
        names.into_iter().map(place).collect()
    }

    /// The zip at `path`.
    pub(crate) fn zip(wanted: &Wanted<'a>, path: PathBuf) -> Place<'a> {
        Place { path, wanted: wanted.as_published() }
    }

    /// Takes the content in.
    pub(crate) fn take(&self) -> Result<Arrived, Failure> {
        let (file, digest) = self.read(|| self.wanted.create())?;
        Ok(Arrived { file, digest })
    }

    /// Reads the content to its end, with every check, into what `make` makes once the header is good.
    pub(crate) fn read<W: Write>(
        &self,
        make: impl FnOnce() -> Result<W, Failure>,
    ) -> Result<(W, Digest), Failure> {
        let file = open(&self.path)?;
        if self.path.extension() == Some(OsStr::new("zip")) {
            let [raw, archive] = file_names(self.wanted.entry);
            let below = |name: &str| format!("{SUBFOLDER}/{name}");
            let names = [below(&archive), archive.clone(), below(&raw), raw.clone()];
            return bundle::member(file, &self.path, &names, |content, from| {
                self.wanted.read(content, from, make)
            });
        }
        self.wanted.read(file, &self.path, make)
    }
}

/// The names that a file was published under: raw, and packed.
pub(crate) fn file_names(entry: &FileEntry) -> [String; 2] {
    let name = published_name(entry);
    [name.to_owned(), format!("{name}.gz")]
}

/// The name that a file was published under.
pub(crate) fn published_name(entry: &FileEntry) -> &'static str {
    entry.original.map_or(entry.name, |original| original.name)
}

/// Whether nothing stands under a name. What stands there and cannot be looked at is not missing.
pub(crate) fn is_missing(path: &Path) -> bool {
    fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Moves a file aside, to the first free name of `NAME.broken`, `NAME.broken-2`, ...
pub(crate) fn move_aside(path: &Path) -> io::Result<()> {
    let ends = std::iter::once(".broken".to_owned()).chain((2..).map(|n| format!(".broken-{n}")));
    let mut names = ends.map(|end| {
        let mut aside = path.as_os_str().to_owned();
        aside.push(end);
        PathBuf::from(aside)
    });
    fs::rename(path, names.find(|name| is_missing(name)).unwrap_or_default())
}

fn archive_path(raw: &Path) -> PathBuf {
    let mut path = raw.as_os_str().to_owned();
    path.push(".gz");
    path.into()
}

pub(crate) fn open(path: &Path) -> Result<File, Failure> {
    let open = || {
        let failed = |source| IdxError::Io { action: "open", path: path.to_owned(), source };
        check_regular(path, &fs::metadata(path).map_err(failed)?)?;
        File::open(path).map_err(failed)
    };
    open().map_err(|error| Failure::Place(DatasetError::from(error)))
}
