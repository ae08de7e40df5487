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
//! * [`prelude`] exports what most programs need.
//! * Each crate is a module: [`dataset`] (IDX files, downloads), [`augment`] (distorted copies of images), [`picture`]
//!   (preparation of picture files), [`tensor`] (kernels), [`nn`] (layers, models, losses, optimizers), [`formats`] (files
//!   of Keras and ONNX), [`trainer`] (training, callbacks, checkpoints), [`report`] (reports of runs), [`serve`] (the web page).
//! * [`Recipe`] is a training as a TOML file, [`RunSummary`] the summary of a finished run.
//! * [`commands`] has the commands of the program `ziffer`, which `cargo xtask` shares.
#![forbid(unsafe_code)]

mod command_line;
pub mod commands;
mod host;
#[cfg_attr(windows, path = "interrupt_windows.rs")]
mod interrupt;
mod output;
mod output_folder;
mod recipe;
mod report_input;
mod run_folder;
mod run_summary;

pub use ziffer_dataset as dataset;
pub use ziffer_dataset::augment;
pub use ziffer_formats as formats;
pub use ziffer_nn as nn;
pub use ziffer_picture as picture;
pub use ziffer_report as report;
pub use ziffer_serve as serve;
pub use ziffer_tensor as tensor;
pub use ziffer_trainer as trainer;

pub use command_line::{exit_code, parse};
pub use host::Host;
pub use recipe::{
    AugmentSettings, CallbackSettings, LayerSettings, OptimizerName, OptimizerSettings, Recipe, RecipeError,
    ScheduleSettings,
};
pub use report_input::REPORT_FILE;
pub use run_folder::{MODEL_FILE, RECIPE_FILE, SUMMARY_FILE};
pub use run_summary::RunSummary;

/// The items that most programs need: `use ziffer::prelude::*`.
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
    #[doc = include_str!("../../../docs/guide/start.md")]
    struct Start;
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
