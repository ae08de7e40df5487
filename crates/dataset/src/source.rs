//! Where the files of a set are looked for.
//!
//! Each of the four files of a set comes from the first of these sources that has it:
//!
//! 1. the raw file in the data folder, placed by hand or left by an earlier run;
//! 2. the `.gz` file in the data folder, which is unpacked beside it once;
//! 3. the [mirrors](Mirror) of the [`Source`], in order, raw or `.gz`;
//! 4. the folders and public mirrors of the [catalog](crate::catalog).
//!
//! Files from 2 to 4 are written to the data folder as raw files, each under a temporary name until it is complete. Only the
//! content counts: any packaging of the right bytes is accepted. Where the catalog has no digest of the content (KMNIST, QMNIST,
//! EMNIST), a file placed by hand or in a mirror's folder is accepted if its type and shape are right, and a download only as the
//! very file that was published. In the cache folder the digest of a file is recorded on arrival, and verified from then on.
//!
//! A wrong file in a folder that the caller named is an error: somebody placed it there. In the cache folder it is renamed to
//! `NAME.broken` once a good one has arrived.
//!
//! # EMNIST
//!
//! EMNIST's six sets were published in one zip archive, with images transposed and labels of letters that start from 1. In a data
//! folder, files under MNIST's names have images upright and labels from 0. They are made from the published files, which keep
//! their own names (`emnist-letters-train-images-idx3-ubyte`, ...). These may be, raw or as `.gz`, in the data folder, in a
//! mirror's folder, in a subfolder `gzip` of either, or in the archive there. Only the archive is downloaded. It is kept in the
//! cache folder `ziffer/emnist` for the other sets, and reading it needs the feature `zip`.
//!
//! The [custom](Name::Custom) set is the four files of its data folder, raw or `.gz`. It has no mirrors.

use std::path::PathBuf;

use etcetera::BaseStrategy;

use crate::catalog::{Archive, Name};
use crate::error::DatasetError;

/// A source of the four files of a set under their published names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// A folder with the files, raw or as `.gz`. It is only read.
    Folder(PathBuf),
    /// A URL, `http` or `https`, to which a file name is appended. It needs the feature `download`.
    Url(String),
}

/// A set, and where to look for its files.
///
/// | field | default |
/// |---|---|
/// | `name` | MNIST |
/// | `data_dir` | `None`: the platform's cache folder, in `ziffer/NAME` (`XDG_CACHE_HOME` is respected) |
/// | `mirrors` | none |
/// | `public_mirrors` | true |
/// | `offline` | false |
/// | `force` | false |
///
/// ```
/// use ziffer_dataset::{Mirror, Name, Source};
///
/// let source = Source::new(Name::FashionMnist)
///     .data_dir("data/fashion")
///     .mirror(Mirror::Folder("/usr/share/datasets/fashion-mnist".into()))
///     .offline(true);
/// assert_eq!(source.folder()?, std::path::Path::new("data/fashion"));
/// # Ok::<(), ziffer_dataset::DatasetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The set.
    pub name: Name,
    /// The folder of the four files. It is created if it is missing and a mirror has the files.
    pub data_dir: Option<PathBuf>,
    /// Mirrors, in this order, after the data folder and before the public mirrors.
    pub mirrors: Vec<Mirror>,
    /// Whether to use the folders and public mirrors of the catalog, after all others.
    pub public_mirrors: bool,
    /// Whether to download nothing. Folders are still used.
    pub offline: bool,
    /// Whether to replace the files of the data folder from a mirror. It has no effect on a custom set.
    pub force: bool,
}

impl Default for Source {
    fn default() -> Source {
        Source {
            name: Name::default(),
            data_dir: None,
            mirrors: Vec::new(),
            public_mirrors: true,
            offline: false,
            force: false,
        }
    }
}

impl Source {
    /// The set `name`, from the default sources.
    pub fn new(name: Name) -> Source {
        Source { name, ..Source::default() }
    }

    /// Sets the data folder.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Source {
        self.data_dir = Some(folder.into());
        self
    }

    /// Appends a mirror.
    pub fn mirror(mut self, mirror: Mirror) -> Source {
        self.mirrors.push(mirror);
        self
    }

    /// Sets whether the public mirrors are used.
    pub fn public_mirrors(mut self, public_mirrors: bool) -> Source {
        self.public_mirrors = public_mirrors;
        self
    }

    /// Sets whether nothing is downloaded.
    pub fn offline(mut self, offline: bool) -> Source {
        self.offline = offline;
        self
    }

    /// Sets whether the files are fetched again.
    pub fn force(mut self, force: bool) -> Source {
        self.force = force;
        self
    }

    /// The folder of the four files, which need not exist.
    ///
    /// # Errors
    /// [`DatasetError::NoCacheFolder`] if no folder was named and the platform has no cache folder,
    /// [`DatasetError::NoFolder`] if no folder was named for the custom set.
    pub fn folder(&self) -> Result<PathBuf, DatasetError> {
        match (&self.data_dir, self.name) {
            (Some(folder), _) => Ok(folder.clone()),
            (None, Name::Custom) => Err(DatasetError::NoFolder),
            (None, name) => cache_folder(name.as_str()),
        }
    }

    /// Whether the data folder is in the platform's cache.
    pub(crate) fn is_cache(&self) -> bool {
        self.data_dir.is_none()
    }

    /// The archive that the set was published in, and the folder that it is kept in: in the platform's cache, or with the data
    /// where there is no cache.
    pub(crate) fn archive_folder(&self) -> Option<(&'static Archive, PathBuf)> {
        let archive = self.name.archive()?;
        let folder = cache_folder(archive.folder).or_else(|_| self.folder()).ok()?;
        Some((archive, folder))
    }
}

/// A folder in the platform's cache.
fn cache_folder(name: &str) -> Result<PathBuf, DatasetError> {
    let strategy =
        etcetera::base_strategy::choose_native_strategy().map_err(|_| DatasetError::NoCacheFolder)?;
    Ok(strategy.cache_dir().join("ziffer").join(name))
}
