//! Where a data set is looked for, and the set once it is there.
//!
//! Each of the four files of a set is taken from the first of these that has it:
//!
//! 1. the data folder, raw: placed by hand or left by an earlier run;
//! 2. the data folder, as `.gz`: unpacked beside it, once;
//! 3. the [mirrors](Mirror) of the [`Source`], in order, raw or `.gz`;
//! 4. the folders and public mirrors of the [catalogue](crate::catalogue).
//!
//! What comes from 2 to 4 lands in the data folder as the raw file, written beside and renamed. It is the content
//! that counts: any packaging of the right bytes is good. Where the catalogue has no digest of the content (KMNIST, QMNIST,
//! EMNIST), a file placed by hand or in a mirror's folder is taken if its type and shape are right, and one from an address
//! only as the very archive that was published. In the cache folder it is then held against the digest that it came with.
//!
//! A wrong file in a folder that the caller named is an error, since somebody put it there. In the cache folder it
//! is moved aside (`NAME.broken`) once a good one has arrived.
//!
//! # EMNIST
//!
//! EMNIST's six sets were published in one zip, with pictures transposed and letters counted from 1. In a data folder the
//! files under MNIST's names have pictures upright and labels from 0; they are made from the published ones, which keep their
//! own names (`emnist-letters-train-images-idx3-ubyte`, ...) and may lie, raw or as `.gz`, in the data folder or a mirror's, in
//! `gzip` below it, or in the zip there. From an address only the zip is fetched, and kept in the cache folder
//! `ziffer/emnist` for the other sets; reading it needs the feature `zip`.
//!
//! The [custom](Name::Custom) set is the four files of its data folder, raw or `.gz`; it has no mirrors.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::bundle::Store;
use crate::catalogue::Name;
use crate::dataset::Dataset;
use crate::error::DatasetError;
use crate::shelf::Shelf;
use crate::watch::Event;

/// A place that has the four files of a set under the names that they were published under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// A folder, with the files raw or as `.gz`. It is only read.
    Folder(PathBuf),
    /// An address that a file name is appended to, `http` or `https`. Needs the feature `download`.
    Url(String),
}

/// Which set, and where to look for it.
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
    /// The folder of the four files; made if it is missing and a mirror has them.
    pub data_dir: Option<PathBuf>,
    /// Where to look after the data folder, in this order, before the public mirrors.
    pub mirrors: Vec<Mirror>,
    /// Whether to look at the folders and public mirrors of the catalogue at last.
    pub public_mirrors: bool,
    /// Whether to leave all addresses alone. Folders are still used.
    pub offline: bool,
    /// Whether to pass over what the data folder has and replace it from a mirror. Of no effect on a custom set.
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
    /// The set `name`, from the default places.
    pub fn new(name: Name) -> Source {
        Source { name, ..Source::default() }
    }

    /// Sets the data folder.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Source {
        self.data_dir = Some(folder.into());
        self
    }

    /// Adds a mirror behind those there are.
    pub fn mirror(mut self, mirror: Mirror) -> Source {
        self.mirrors.push(mirror);
        self
    }

    /// Sets whether the public mirrors are used.
    pub fn public_mirrors(mut self, public_mirrors: bool) -> Source {
        self.public_mirrors = public_mirrors;
        self
    }

    /// Sets whether addresses are left alone.
    pub fn offline(mut self, offline: bool) -> Source {
        self.offline = offline;
        self
    }

    /// Sets whether the files are fetched again.
    pub fn force(mut self, force: bool) -> Source {
        self.force = force;
        self
    }

    /// The folder where the files are or will be.
    ///
    /// # Errors
    /// [`DatasetError::NoCacheFolder`] if none was named and the platform's is unknown,
    /// [`DatasetError::NoFolder`] if none was named for the custom set.
    pub fn folder(&self) -> Result<PathBuf, DatasetError> {
        match (&self.data_dir, self.name) {
            (Some(folder), _) => Ok(folder.clone()),
            (None, Name::Custom) => Err(DatasetError::NoFolder),
            (None, name) => cache_folder(name.as_str()),
        }
    }

    /// Whether the data folder is ours, in the platform's cache.
    pub(crate) fn is_cache(&self) -> bool {
        self.data_dir.is_none()
    }

    /// Where the set's bundle is kept, if it comes in one: in the cache, or beside the data where there is no cache.
    pub(crate) fn store(&self) -> Option<Store> {
        let bundle = self.name.bundle()?;
        let folder = cache_folder(bundle.folder).or_else(|_| self.folder()).ok()?;
        Some(Store::new(bundle, folder))
    }
}

/// A folder below the platform's cache.
fn cache_folder(name: &str) -> Result<PathBuf, DatasetError> {
    let strategy =
        etcetera::base_strategy::choose_native_strategy().map_err(|_| DatasetError::NoCacheFolder)?;
    Ok(strategy.cache_dir().join("ziffer").join(name))
}

/// Both parts of a data set, open.
#[derive(Debug)]
pub struct TrainTest {
    /// Which set it is.
    pub name: Name,
    /// The part for training and validation.
    pub train: Dataset,
    /// The part for the final evaluation.
    pub test: Dataset,
    folder: PathBuf,
}

impl TrainTest {
    /// Gets the four files as [the module](self) says, checks them and opens them.
    ///
    /// # Errors
    /// [`DatasetError::Missing`] if files are missing and no place has them: it lists all of them, and each place
    /// with its reason. For a file that is there and wrong, the variant says what is wrong with it.
    pub fn open(source: &Source) -> Result<TrainTest, DatasetError> {
        TrainTest::open_watched(source, &mut |_| {})
    }

    /// As [`open`](Self::open); `watch` is told when another process is waited for, and of every file that comes from an
    /// address, a few times a megabyte.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn open_watched(
        source: &Source,
        watch: &mut dyn FnMut(Event<'_>),
    ) -> Result<TrainTest, DatasetError> {
        let mut watch = |event: Event<'_>| watch(event);
        let mut shelf = Shelf::new(source, &mut watch)?;
        let name = shelf.name();
        let [train_images, train_labels, test_images, test_labels] = shelf.files()?;
        let train = Dataset::from_files(train_images, train_labels, name.classes())?;
        // What the training part lacks cannot be learnt; the test part may lack some.
        let test = Dataset::from_files(test_images, test_labels, Some(train.classes()))?;
        if train.image_shape() != test.image_shape() {
            return Err(DatasetError::PartsDiffer {
                train_path: train.images_path().to_owned(),
                train: train.image_shape().to_vec(),
                test_path: test.images_path().to_owned(),
                test: test.image_shape().to_vec(),
            });
        }
        Ok(TrainTest { name, train, test, folder: shelf.into_folder() })
    }

    /// The folder of the four raw files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

macro_rules! named_sets {
    ($($(#[$doc:meta])* $type:ident)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $type;

        impl $type {
            /// Opens the set, getting it first if it is not there. Of `source`, the name is not looked at.
            ///
            /// # Errors
            /// Those of [`TrainTest::open`].
            pub fn open_or_download(source: &Source) -> Result<TrainTest, DatasetError> {
                TrainTest::open(&Source { name: Name::$type, ..source.clone() })
            }
        }
    )+};
}

named_sets! {
    /// Handwritten digits: 60,000 and 10,000 pictures of 28x28.
    ///
    /// ```no_run
    /// use ziffer_dataset::{Mnist, Source};
    ///
    /// let data = Mnist::open_or_download(&Source::default())?;
    /// assert_eq!((data.train.len(), data.test.len()), (60_000, 10_000));
    /// # Ok::<(), ziffer_dataset::DatasetError>(())
    /// ```
    Mnist
    /// Articles of clothing, in MNIST's shape.
    FashionMnist
    /// Cursive hiragana, in MNIST's shape.
    Kmnist
    /// MNIST's digits remade from the same source, 60,000 for the test too.
    Qmnist
    /// Letters and digits in 47 classes: 112,800 and 18,800 pictures of 28x28, as are all of EMNIST.
    EmnistBalanced
    /// Letters in 26 classes: 124,800 and 20,800 pictures.
    EmnistLetters
    /// Digits: 240,000 and 40,000 pictures.
    EmnistDigits
    /// Digits: 60,000 and 10,000 pictures.
    EmnistMnist
    /// Letters and digits in 47 classes: 697,932 and 116,323 pictures.
    EmnistByMerge
    /// Letters and digits in 62 classes: 697,932 and 116,323 pictures.
    EmnistByClass
}
