//! IDX files by memory mapping, the MNIST family of data sets, getting them, splits and batches.
//!
//! ```
//! use ndarray::{Array1, Array3};
//! use ziffer_dataset::Dataset;
//! use ziffer_dataset::idx::write_idx;
//!
//! // Four pictures of 2 rows and 3 columns, and what they show.
//! let folder = tempfile::tempdir()?;
//! let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
//! write_idx(&images, &Array3::from_shape_fn((4, 2, 3), |(n, row, column)| (100 * n + 10 * row + column) as u8))?;
//! write_idx(&labels, &Array1::from_vec(vec![2u8, 0, 1, 2]))?;
//!
//! let dataset = Dataset::open(&images, &labels, None)?;
//! assert_eq!((dataset.len(), dataset.image_shape(), dataset.classes()), (4, &[2, 3][..], 3));
//! assert_eq!(dataset.image(1), [100, 101, 102, 110, 111, 112]);
//!
//! // The last quarter is for validation, as Keras cuts it; neither part is a copy.
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
//! A named set arrives by itself, from the cache folder or from a mirror, and is checked: see [`Mnist`] and
//! [`Source`].
//!
//! # Modules
//!
//! - [`idx`]: the file format, every type and rank, read in place and written.
//! - [`catalogue`]: what is known of the data sets: file names, shapes, digests, mirrors, class names.
//! - [`source`]: where a set is looked for, and how it gets into its folder.
//! - At the root: [`Dataset`], one part of a set; [`View`], a range of it; [`TrainTest`], both parts.
//!
//! # What is promised
//!
//! A header is never trusted: everything it claims is checked before anything is allocated. A data set is never
//! expanded to floats as a whole; batches are filled from the mapped bytes. Nothing half-written ever stands under
//! a final name. No input makes the crate panic; a caller's mistake (an index out of range, a buffer of the wrong
//! length) does, and is documented. One hazard remains with whoever changes files in place. A program can survive it and ask after it:
//! [files that change while they are mapped](idx#files-that-change-while-they-are-mapped).
//!
//! # Features
//!
//! `zip` (off by default) reads the zip that EMNIST comes in; without it EMNIST's files can be placed unpacked.
//! `download` (off by default) fetches from URL mirrors, and brings `zip`; without it they are reported as not tried.
#![deny(unsafe_code)]

mod bundle;
pub mod catalogue;
mod change;
mod dataset;
mod doctor;
#[cfg(feature = "download")]
mod download;
mod error;
pub mod idx;
mod intake;
mod labels;
mod place;
#[cfg(feature = "download")]
#[cfg(test)]
#[path = "../tests/support/server.rs"]
mod server;
mod shelf;
pub mod source;
mod verified;
mod view;
mod watch;

pub use catalogue::{Name, Part};
pub use dataset::{Dataset, normalize};
pub use doctor::{FileState, Finding, Known};
pub use error::{Attempt, DatasetError};
pub use source::{
    EmnistBalanced, EmnistByClass, EmnistByMerge, EmnistDigits, EmnistLetters, EmnistMnist, FashionMnist,
    Kmnist, Mirror, Mnist, Qmnist, Source, TrainTest,
};
pub use view::{Batch, Batches, View};
pub use watch::{Event, Transfer};
pub use ziffer_base::digest::Digest;
