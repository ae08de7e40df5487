//! Candidates: the local files that may have the content of a file of a set.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

use ziffer_base::digest::Digest;

use super::ingest::{FileSpec, IngestError, Ingested};
use super::zip_member::read_member;
use crate::catalog::FileEntry;
use crate::paths::open_file;

/// The folder of the published files in EMNIST's archive, and in the folder that it was unpacked in.
const SUBFOLDER: &str = "gzip";

/// A path at which the content of a file may be: raw, as gzip file, or in a zip archive.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) path: PathBuf,
    /// The file, with the transform of the content at this path.
    spec: FileSpec<'a>,
}

impl<'a> Candidate<'a> {
    /// The candidates in a data folder besides the raw file, in order of preference.
    pub(crate) fn in_data_folder(spec: &FileSpec<'a>, folder: &Path) -> Vec<Candidate<'a>> {
        let mut candidates = vec![Candidate { path: gzip_path(spec.target), spec: *spec }];
        if spec.entry.published.is_some() {
            candidates.extend(Candidate::in_mirror(spec, folder));
        }
        candidates
    }

    /// The candidates in the folder of a mirror, which has files as they were published.
    pub(crate) fn in_mirror(spec: &FileSpec<'a>, folder: &Path) -> Vec<Candidate<'a>> {
        let mut names: Vec<PathBuf> = file_names(spec.entry).map(PathBuf::from).into();
        if let Some(archive) = spec.set.archive() {
            names.extend(file_names(spec.entry).map(|name| Path::new(SUBFOLDER).join(name)));
            names.push(archive.name.into());
        }
        let candidate = |name| Candidate { path: folder.join(name), spec: spec.as_published() };
        names.into_iter().map(candidate).collect()
    }

    /// The zip archive at `path`.
    pub(crate) fn zip(spec: &FileSpec<'a>, path: PathBuf) -> Candidate<'a> {
        Candidate { path, spec: spec.as_published() }
    }

    /// Ingests the content.
    pub(crate) fn ingest(&self) -> Result<Ingested, IngestError> {
        let (file, digest) = self.read(|| self.spec.create())?;
        Ok(Ingested { file, digest })
    }

    /// Reads the content to its end, with every check, into the writer that `open` creates after the header was checked.
    pub(crate) fn read<W: Write>(
        &self,
        open: impl FnOnce() -> Result<W, IngestError>,
    ) -> Result<(W, Digest), IngestError> {
        let file = open_file(&self.path).map_err(IngestError::Source)?;
        if self.path.extension() == Some(OsStr::new("zip")) {
            let [raw, gzip] = file_names(self.spec.entry);
            let below = |name: &str| format!("{SUBFOLDER}/{name}");
            let names = [below(&gzip), gzip.clone(), below(&raw), raw.clone()];
            return read_member(file, &self.path, &names, |content, from| {
                self.spec.read(content, from, open)
            });
        }
        self.spec.read(file, &self.path, open)
    }
}

/// The names that a file was published under: raw, and as gzip file.
pub(crate) fn file_names(entry: &FileEntry) -> [String; 2] {
    let name = published_name(entry);
    [name.to_owned(), format!("{name}.gz")]
}

/// The name that a file was published under.
pub(crate) fn published_name(entry: &FileEntry) -> &'static str {
    entry.published.map_or(entry.name, |published| published.name)
}

fn gzip_path(raw: &Path) -> PathBuf {
    let mut path = raw.as_os_str().to_owned();
    path.push(".gz");
    path.into()
}
