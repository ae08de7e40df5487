//! Layers, initializers, losses, optimizers and the sequential model, with checked gradients.
//!
//! ```
//! use ndarray::arr2;
//! use ziffer_nn::{Activation, Adam, MeanSquaredError, Sequential, Training, WithLabels, thread_team::ThreadTeam};
//!
//! // Exclusive or, which a single layer cannot learn.
//! let x = arr2(&[[0.0_f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
//! let samples = WithLabels::new(x.view(), &[0, 1, 1, 0]);
//! let mut model = Sequential::new([2]).dense(8, Activation::Tanh).dense(2, Activation::Sigmoid).build(1)?;
//!
//! let adam = Adam { learning_rate: 0.05, ..Adam::default() };
//! let mut training = Training::new(&model, adam, 4).expect("a few numbers");
//! let team = ThreadTeam::new(1).expect("one thread");
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
//! * [`Sequential`] is an architecture. [`Model`] is a network with its weights: prediction, evaluation, `summary()`, files.
//! * [`layer`] has the trait [`Layer`]. The layers are [`Dense`], [`Dropout`], [`GaussianNoise`], [`BatchNormalization`],
//!   [`LayerNormalization`], [`Rescaling`], [`Flatten`] and [`Reshape`], and the activations [`ActivationLayer`] (Keras's
//!   `Activation`), [`Relu`], [`LeakyRelu`], [`PRelu`], [`Elu`] and [`Softmax`]. Other crates can implement [`Layer`];
//!   [`register_layer`] makes models with such layers loadable.
//! * [`loss`] and [`optimizer`] have traits that other crates can implement too. [`Initializer`] and [`Activation`] are enums.
//! * [`training`] has the training step: a plan of stages compiled from the layers, with the same bits for any number of threads.
//! * `gradcheck` (behind the feature of that name) compares gradients with central differences.
//!
//! # Legend of shapes
//! B is the number of samples in a batch, I of inputs, O of outputs. A kernel is \[I, O\]. `d_x` is the gradient with respect to x.
#![deny(unsafe_code)]

mod activation_layers;
mod batch_normalization;
mod built_in;
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
    reason = "the threads of a team write disjoint parts of shared memory, which types cannot express"
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
    Context, GradientSink, Input, Layer, LayerError, Mode, OutputKind, SampleValue, WeightSpec, Weights,
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
pub use samples::{EpochSeed, Label, Samples, SamplesError, Slice, WithLabels, WithTargets};
pub use sequential::{BuildError, MAX_PARAMETERS, Sequential, snake_case};
pub use training::{FitError, StepBudget, StepError, Training};
pub use ziffer_base::OneLine;
pub use ziffer_tensor::{Activation, NoMemory, Scalar, random, thread_team};
