//! Data sets of images: memory-mapped IDX files, the MNIST family and its downloads, splits and batches.
//!
//! ```
//! use ndarray::{Array1, Array3};
//! use ziffer_dataset::Dataset;
//! use ziffer_dataset::idx::write_idx;
//!
//! // Four images of 2 rows and 3 columns, and their labels.
//! let folder = tempfile::tempdir()?;
//! let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
//! write_idx(&images, &Array3::from_shape_fn((4, 2, 3), |(n, row, column)| (100 * n + 10 * row + column) as u8))?;
//! write_idx(&labels, &Array1::from_vec(vec![2u8, 0, 1, 2]))?;
//!
//! let dataset = Dataset::open(&images, &labels, None)?;
//! assert_eq!((dataset.len(), dataset.image_shape(), dataset.classes()), (4, &[2, 3][..], 3));
//! assert_eq!(dataset.image(1), [100, 101, 102, 110, 111, 112]);
//!
//! // The last quarter is the validation set, as in Keras. Neither set is a copy.
//! let (training, validation) = dataset.split(0.25)?;
//! assert_eq!((training.len(), validation.len()), (3, 1));
//! assert_eq!(validation.image(0), dataset.image(3));
//!
//! // Batches in the order of the file, the last one partial.
//! let sizes: Vec<usize> = training.batches(2).map(|batch| batch.labels.len()).collect();
//! assert_eq!(sizes, [2, 1]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A named set is opened from its cache folder, from a folder of yours or from a mirror, and verified: see [`Mnist`] and
//! [`Source`].
//!
//! # Modules
//!
//! - [`idx`]: the file format, every type and rank, read in place and written.
//! - [`catalog`]: the known data sets: file names, shapes, digests, mirrors, class names.
//! - [`source`]: where the files of a set come from.
//! - `augment` (feature `augment`): random distortions of images, and files with any number of distorted copies.
//! - At the root: [`Dataset`], one split of a set; [`View`], a range of its samples; [`TrainTest`], both splits.
//!
//! # Guarantees
//!
//! A header is not trusted: everything it declares is checked before memory is allocated. A data set is never expanded to
//! floats as a whole; batches are filled from the mapped bytes. A file gets its final name only once it is complete. No input makes
//! the crate panic. A caller's mistake (an index out of range, a buffer of the wrong length) does, as documented. One hazard remains:
//! [files that change while they are mapped](idx#files-that-change-while-they-are-mapped), which a program can survive and detect.
//!
//! # Features
//!
//! All are off by default.
//!
//! - `augment`: the module `augment`. It adds rayon and ziffer-tensor.
//! - `zip`: reads the zip archive of EMNIST. Without it, EMNIST's files can be placed unpacked.
//! - `download`: downloads from URL mirrors, for `open_or_download`. It adds an HTTP client with TLS, and `zip`.
#![deny(unsafe_code)]

#[cfg(feature = "augment")]
pub mod augment;
mod cache;
pub mod catalog;
mod dataset;
mod digest_cache;
mod error;
mod examine;
mod fetch;
pub mod idx;
mod labels;
mod paths;
mod progress;
pub mod source;
mod train_test;
mod view;

pub use catalog::{Name, Split};
pub use dataset::{Dataset, normalize};
pub use error::{Attempt, DatasetError};
pub use examine::{FileState, Finding, Verified};
pub use progress::{DownloadProgress, ProgressEvent};
pub use source::{Mirror, Source};
pub use train_test::{
    EmnistBalanced, EmnistByClass, EmnistByMerge, EmnistDigits, EmnistLetters, EmnistMnist, FashionMnist,
    Kmnist, Mnist, Qmnist, TrainTest,
};
pub use view::{Batch, Batches, View};
pub use ziffer_base::digest::Digest;
