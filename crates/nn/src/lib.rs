//! Layers, initialisers, losses, optimizers and the sequential model, with checked gradients.
//!
//! ```
//! use ndarray::arr2;
//! use ziffer_nn::{Activation, Adam, MeanSquaredError, Sequential, Training, WithClasses, team::Team};
//!
//! // Exclusive or, which no single layer can learn.
//! let x = arr2(&[[0.0_f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
//! let samples = WithClasses::new(x.view(), &[0, 1, 1, 0]);
//! let mut model = Sequential::new([2]).dense(8, Activation::Tanh).dense(2, Activation::Sigmoid).build(1)?;
//!
//! let adam = Adam { learning_rate: 0.05, ..Adam::default() };
//! let mut training = Training::new(&model, adam, 4).expect("a few numbers");
//! let team = Team::new(1).expect("one thread");
//! for _ in 0..300 {
//!     training.run(&mut model, &MeanSquaredError, &samples, &[0, 1, 2, 3], (&team).into()).expect("a finite loss");
//! }
//! assert_eq!(model.evaluate_with(&MeanSquaredError, &samples).expect("two inputs").accuracy, 1.0);
//! # Ok::<(), ziffer_nn::BuildError>(())
//! ```
//!
//! The names are Keras's where Keras has one, and so are the formulas and defaults.
//!
//! # Modules
//! * [`Sequential`] is an architecture, [`Model`] a network with its weights: prediction, evaluation, `summary()`, files.
//! * [`layer`] says what a layer is. [`Dense`], [`Dropout`], [`GaussianNoise`], [`BatchNormalization`], [`LayerNormalization`],
//!   [`Rescaling`], [`Flatten`] and [`Reshape`] are here, and activations that are layers: [`ActivationLayer`] (Keras's
//!   `Activation`), [`Relu`], [`LeakyRelu`], [`PRelu`], [`Elu`] and [`Softmax`]. Others can be written outside and made known by
//!   [`register_layer`].
//! * [`loss`] and [`optimizer`] likewise; [`Initializer`] and [`Activation`] are closed lists.
//! * [`training`] is the step: a plan of stages compiled from the layers, the same bits for any number of threads.
//! * `gradcheck` (a feature) holds gradients to central differences.
//!
//! # Legend of shapes
//! B samples of a batch, I inputs, O outputs; a kernel is \[I, O\]. Gradients are called `d_` and what they are by.
#![deny(unsafe_code)]

mod activation_layers;
mod batch_normalization;
mod classification;
mod dense;
mod dropout;
mod flatten;
mod format;
mod gaussian_noise;
#[cfg(feature = "gradcheck")]
pub mod gradcheck;
mod inference;
mod initializer;
pub mod layer;
mod layer_normalization;
pub mod loss;
mod model;
pub mod optimizer;
mod p_relu;
mod registry;
mod rescaling;
mod reshape;
mod samples;
mod sequential;
mod summary;
#[allow(
    unsafe_code,
    reason = "members of a team write parts of the same memory by a plan that types do not know"
)]
pub mod training;

pub use activation_layers::{ActivationLayer, Elu, LeakyRelu, Relu, Softmax};
pub use batch_normalization::BatchNormalization;
pub use classification::{class_probabilities, predicted_class};
pub use dense::Dense;
pub use dropout::Dropout;
pub use flatten::Flatten;
pub use format::FormatError;
pub use gaussian_noise::GaussianNoise;
pub use inference::Evaluation;
pub use initializer::{Distribution, FanMode, Initializer};
pub use layer::{
    Context, Feature, GradientSink, Input, Layer, LayerError, Mode, Output, WeightSpec, Weights,
};
pub use layer_normalization::LayerNormalization;
pub use loss::{
    AnyLoss, BinaryCrossentropy, CategoricalCrossentropy, Loss, MeanAbsoluteError, MeanSquaredError,
    SparseCategoricalCrossentropy, Target,
};
pub use model::{LayerInfo, Model, Snapshot, WeightError};
pub use optimizer::{Adam, AdamW, AnyOptimizer, Lion, Nadam, Optimizer, RmsProp, Sgd};
pub use p_relu::PRelu;
pub use registry::{Config, RegisterError, is_built_in, known_classes, layer_from_config, register_layer};
pub use rescaling::Rescaling;
pub use reshape::Reshape;
pub use samples::{Draw, Label, Samples, SamplesError, Slice, WithClasses, WithValues};
pub use sequential::{BuildError, MAX_PARAMETERS, Sequential, snake_case};
pub use training::{FitError, StepBudget, StepError, Training};
pub use ziffer_base::OneLine;
pub use ziffer_tensor::{Activation, NoMemory, Scalar, random, team};
