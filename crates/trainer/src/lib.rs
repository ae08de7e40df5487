//! Fit, evaluate and predict, with callbacks, history and progress.
//!
//! ```
//! use ziffer_dataset::Dataset;
//! use ziffer_nn::{Activation, Adam, Sequential, SparseCategoricalCrossentropy};
//! use ziffer_trainer::{Evaluate, Trainer};
//!
//! // 40 images of 2 x 2 pixels: the upper row of class 0 is bright, and the lower row of class 1.
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
//! The names, defaults and semantics are Keras's: of `validation_split`, shuffling, loss and accuracy. Unlike in Keras, the result is
//! the same, to the bit, for any number of threads.
//!
//! * [`Trainer`] is Keras's `fit`. [`Evaluate`] adds `evaluate` and `predict_dataset` to a model.
//! * [`callback`] has the callbacks: Keras's [`EarlyStopping`], [`ModelCheckpoint`], [`ReduceLROnPlateau`],
//!   [`LearningRateScheduler`], [`CSVLogger`] and [`TerminateOnNaN`], [`Progress`], or your own.
//! * [`Checkpoints`] save the state of a training. A training that was killed resumes and ends with the same weights.
//! * `fit` and `evaluate` take a data set, arrays as [`WithLabels`](ziffer_nn::WithLabels) or
//!   [`WithTargets`](ziffer_nn::WithTargets), or samples of your own: see [`IntoSamples`]. [`Augmented`] distorts images differently in
//!   each epoch, as [`Trainer::augment`] does with a data set.
#![forbid(unsafe_code)]

mod augmented;
pub mod callback;
mod callback_error;
mod checkpoints;
mod dataset_samples;
mod error;
mod evaluate;
mod fit;
mod history;
mod into_samples;
mod progress;
mod python;
mod sampler;
mod thread_tuner;
mod trainer;
mod validation;

pub use augmented::Augmented;
pub use callback::{
    CSVLogger, EarlyStopping, LearningRateScheduler, Mode, ModelCheckpoint, Monitor, ReduceLROnPlateau,
    SaveFreq, TerminateOnNaN,
};
pub use checkpoints::{CheckpointError, CheckpointInterval, Checkpoints, ParseIntervalError, Resumed};
pub use dataset_samples::DatasetSamples;
pub use error::TrainError;
pub use evaluate::Evaluate;
pub use history::{EpochLog, History};
pub use into_samples::IntoSamples;
pub use progress::Progress;
pub use sampler::{Shuffle, ShuffleMethod};
pub use trainer::{Trainer, available_threads};
