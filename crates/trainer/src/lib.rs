//! Fit, evaluate and predict, with callbacks, history and progress.
//!
//! ```
//! use ziffer_dataset::Dataset;
//! use ziffer_nn::{Activation, Adam, Sequential, SparseCategoricalCrossentropy};
//! use ziffer_trainer::{Evaluate, Trainer};
//!
//! // 40 pictures of 2 x 2 pixels: class 0 is bright above, class 1 below.
//! let folder = tempfile::tempdir()?;
//! let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
//! let pixel = |(n, row, column)| if row == n % 2 { 200 + (n + column) as u8 } else { n as u8 };
//! ziffer_dataset::idx::write_idx(&images, &ndarray::Array3::from_shape_fn((40, 2, 2), pixel))?;
//! ziffer_dataset::idx::write_idx(&labels, &ndarray::Array1::from_shape_fn(40, |n| (n % 2) as u8))?;
//! let data = Dataset::open(&images, &labels, None)?;
//!
//! let mut model = Sequential::new([2, 2])
//!     .flatten()
//!     .dense(8, Activation::Relu)
//!     .dense(2, Activation::Softmax)
//!     .build(0)?;
//! let adam = Adam { learning_rate: 0.02, ..Adam::default() };
//! let history = Trainer::new(adam, SparseCategoricalCrossentropy::default())
//!     .epochs(20)
//!     .batch_size(8)
//!     .validation_split(0.2)
//!     .fit(&mut model, &data)?;
//! assert_eq!(history.epochs(), 20);
//! assert_eq!(model.evaluate(&data)?.accuracy, 1.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The names, defaults and semantics are Keras's: what `validation_split` cuts off, how epochs are shuffled, what loss and
//! accuracy mean. One thing is not: the result is the same, to the bit, for any number of threads.
//!
//! * [`Trainer`] is `fit`; [`Evaluate`] adds `evaluate` and `predict_set` to a model.
//! * [`callback`] is what is called meanwhile: Keras's [`EarlyStopping`], [`ModelCheckpoint`], [`ReduceLROnPlateau`],
//!   [`LearningRateScheduler`], [`CSVLogger`] and [`TerminateOnNaN`], [`Progress`], or your own.
//! * [`Checkpoints`] save a training on its way; one that was killed goes on from there to the very same weights.
//! * `fit` and `evaluate` take a data set, or rows of an array as [`WithClasses`](ziffer_nn::WithClasses) or
//!   [`WithValues`](ziffer_nn::WithValues), or samples of your own: [`IntoSamples`].
//!   [`Augmented`] distorts pictures anew in each epoch, as [`Trainer::augment`] does with a data set.
#![forbid(unsafe_code)]

mod augmented;
pub mod callback;
mod checkpoints;
mod crew;
mod data;
mod error;
mod fit;
mod history;
mod order;
mod pixels;
mod progress;
mod python;
mod trainer;

pub use augmented::Augmented;
pub use callback::{
    CSVLogger, EarlyStopping, LearningRateScheduler, Mode, ModelCheckpoint, Monitor, ReduceLROnPlateau,
    SaveFreq, TerminateOnNaN,
};
pub use checkpoints::{CheckpointError, Checkpoints, Every, ParseEveryError, Resumed};
pub use data::{Evaluate, IntoSamples};
pub use error::TrainError;
pub use history::{EpochLog, History};
pub use order::{Shuffle, Shuffling};
pub use pixels::Pixels;
pub use progress::Progress;
pub use trainer::{Trainer, available_threads};
