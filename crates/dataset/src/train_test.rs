//! Named sets: both splits, opened from a [`Source`].

use std::path::{Path, PathBuf};

use crate::cache::{Cache, Urls};
use crate::catalog::Name;
use crate::dataset::Dataset;
use crate::error::DatasetError;
use crate::progress::{OnProgress, ProgressEvent};
use crate::source::Source;

/// The training set and the test set of a data set.
#[derive(Debug)]
pub struct TrainTest {
    /// The name of the data set.
    pub name: Name,
    /// The training set.
    pub train: Dataset,
    /// The test set.
    pub test: Dataset,
    folder: PathBuf,
}

impl TrainTest {
    /// Opens a set from local files: its data folder and the mirrors that are folders. Packed files are unpacked into the data
    /// folder.
    ///
    /// # Errors
    /// [`DatasetError::Missing`] if a file is in none of them. Other variants describe a file that exists and is wrong.
    pub fn open(source: &Source) -> Result<TrainTest, DatasetError> {
        open(source, Urls::Skip, &mut |_| {})
    }

    /// Opens a set, and downloads the files that are not there.
    ///
    /// # Errors
    /// [`DatasetError::Missing`] if no source has a file. Other variants describe a file that exists and is wrong.
    #[cfg(feature = "download")]
    pub fn open_or_download(source: &Source) -> Result<TrainTest, DatasetError> {
        open(source, Urls::Download, &mut |_| {})
    }

    /// Opens a set, and downloads the files that are not there if the feature `download` is on. `on_progress` receives events: that
    /// another process is waited for, and the bytes of each download.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn open_with_progress(
        source: &Source,
        on_progress: &mut dyn FnMut(ProgressEvent<'_>),
    ) -> Result<TrainTest, DatasetError> {
        open(source, Urls::Download, &mut |event: ProgressEvent<'_>| on_progress(event))
    }

    /// The folder of the four raw files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn open<'a>(
    source: &'a Source,
    urls: Urls,
    on_progress: &'a mut OnProgress<'a>,
) -> Result<TrainTest, DatasetError> {
    let mut cache = Cache::new(source, urls, on_progress)?;
    let [train_images, train_labels, test_images, test_labels] = cache.files()?;
    let name = source.name;
    let train = Dataset::from_files(train_images, train_labels, name.classes())?;
    // The test set may lack classes, but has none that the training set lacks.
    let test = Dataset::from_files(test_images, test_labels, Some(train.classes()))?;
    if train.image_shape() != test.image_shape() {
        return Err(DatasetError::ShapesDiffer {
            train_path: train.images_path().to_owned(),
            train: train.image_shape().to_vec(),
            test_path: test.images_path().to_owned(),
            test: test.image_shape().to_vec(),
        });
    }
    Ok(TrainTest { name, train, test, folder: cache.into_folder() })
}

macro_rules! named_sets {
    ($($(#[$doc:meta])* $type:ident)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $type;

        impl $type {
            /// Opens the set from local files. `source.name` is ignored.
            ///
            /// # Errors
            /// Those of [`TrainTest::open`].
            pub fn open(source: &Source) -> Result<TrainTest, DatasetError> {
                TrainTest::open(&Source { name: Name::$type, ..source.clone() })
            }

            /// Opens the set, and downloads the files that are not there. `source.name` is ignored.
            ///
            /// # Errors
            /// Those of [`TrainTest::open_or_download`].
            #[cfg(feature = "download")]
            pub fn open_or_download(source: &Source) -> Result<TrainTest, DatasetError> {
                TrainTest::open_or_download(&Source { name: Name::$type, ..source.clone() })
            }
        }
    )+};
}

named_sets! {
    /// Handwritten digits: 60,000 training and 10,000 test images of 28x28.
    ///
    /// ```no_run
    /// use ziffer_dataset::{Mnist, Source};
    ///
    /// let data = Mnist::open(&Source::default())?;
    /// assert_eq!((data.train.len(), data.test.len()), (60_000, 10_000));
    /// # Ok::<(), ziffer_dataset::DatasetError>(())
    /// ```
    Mnist
    /// Articles of clothing, in MNIST's shape.
    FashionMnist
    /// Cursive hiragana, in MNIST's shape.
    Kmnist
    /// MNIST's digits, prepared anew from the same source, with 60,000 test images.
    Qmnist
    /// Letters and digits in 47 classes: 112,800 and 18,800 images of 28x28, as all of EMNIST.
    EmnistBalanced
    /// Letters in 26 classes: 124,800 and 20,800 images.
    EmnistLetters
    /// Digits: 240,000 and 40,000 images.
    EmnistDigits
    /// Digits: 60,000 and 10,000 images.
    EmnistMnist
    /// Letters and digits in 47 classes: 697,932 and 116,323 images.
    EmnistByMerge
    /// Letters and digits in 62 classes: 697,932 and 116,323 images.
    EmnistByClass
}
