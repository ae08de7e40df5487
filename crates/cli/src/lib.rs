//! Trains small dense networks on MNIST-style data, fast and repeatably: the facade of the ziffer crates.
//!
//! ```no_run
//! use ziffer::prelude::*;
//!
//! let data = Mnist::open_or_download(&Source::default())?;
//! let mut model = Sequential::new([28, 28])
//!     .flatten()
//!     .dense(128, Activation::Relu)
//!     .dense(64, Activation::Relu)
//!     .dense(10, Activation::Softmax)
//!     .build(0)?;
//! let history = Trainer::new(Adam::default(), SparseCategoricalCrossentropy::default())
//!     .epochs(5)
//!     .batch_size(32)
//!     .validation_split(0.1)
//!     .callback(Progress::default())
//!     .fit(&mut model, &data.train)?;
//! let test = model.evaluate(&data.test)?;
//! println!("Test Accuracy: {:.2}%", test.accuracy * 100.0);
//! # let _ = history;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! * [`dataset`]: IDX files and the data sets, [`augment`]: changed copies of pictures, [`picture`]: picture files as a
//!   network sees them, [`tensor`]: the kernels, [`nn`]: layers and models, [`keras`]: Keras's files, [`trainer`]: training,
//!   [`report`]: pages about runs, [`serve`]: the page to draw on.
//! * [`prelude`] has what most programs need.
//! * [`commands`] is what the program `ziffer` and `cargo xtask` have in common.
#![forbid(unsafe_code)]

mod account;
pub mod commands;
mod host;
mod interrupt;
mod recipe;
mod run_folder;
mod usage;

pub use ziffer_augment as augment;
pub use ziffer_dataset as dataset;
pub use ziffer_keras as keras;
pub use ziffer_nn as nn;
pub use ziffer_picture as picture;
pub use ziffer_report as report;
pub use ziffer_serve as serve;
pub use ziffer_tensor as tensor;
pub use ziffer_trainer as trainer;

pub use account::REPORT_FILE;
pub use host::Host;
pub use recipe::{
    AugmentSettings, CallbackSettings, LayerSettings, OptimizerName, OptimizerSettings, Recipe, RecipeError,
    ScheduleSettings,
};
pub use run_folder::{MODEL_FILE, RECIPE_FILE, RunSummary, SUMMARY_FILE};
pub use usage::{exit_code, parse};

/// What most programs need: `use ziffer::prelude::*`.
pub mod prelude {
    pub use ziffer_dataset::{
        Dataset, EmnistBalanced, EmnistByClass, EmnistByMerge, EmnistDigits, EmnistLetters, EmnistMnist,
        FashionMnist, Kmnist, Mirror, Mnist, Qmnist, Source, TrainTest, View,
    };
    pub use ziffer_nn::{
        Activation, ActivationLayer, Adam, AdamW, BatchNormalization, BinaryCrossentropy,
        CategoricalCrossentropy, Dense, Dropout, Flatten, GaussianNoise, Initializer, LayerNormalization,
        Lion, Loss, MeanAbsoluteError, MeanSquaredError, Model, Nadam, Optimizer, RmsProp, Samples,
        Sequential, Sgd, Slice, SparseCategoricalCrossentropy, WithLabels, WithTargets,
    };
    pub use ziffer_trainer::callback::{
        CSVLogger, Callback, EarlyStopping, LearningRateScheduler, ModelCheckpoint, Monitor,
        ReduceLROnPlateau, TerminateOnNaN,
    };
    pub use ziffer_trainer::{Checkpoints, Evaluate, History, Progress, Trainer};
}

/// The README's and the guide's code, compiled.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[doc = include_str!("../../../docs/guide/keras.md")]
    struct Keras;
    #[doc = include_str!("../../../docs/guide/idx.md")]
    struct Idx;
    #[doc = include_str!("../../../docs/guide/step.md")]
    struct Step;
    #[doc = include_str!("../../../docs/guide/crates.md")]
    struct Crates;
    #[doc = include_str!("../../../docs/guide/layer.md")]
    struct Layer;
    #[doc = include_str!("../../../docs/guide/training.md")]
    struct Training;
    #[doc = include_str!("../../../docs/guide/report.md")]
    struct Report;
    #[doc = include_str!("../../../docs/guide/programs.md")]
    struct Programs;
}
