//! The architecture of a network without weights: [`Sequential`].

use std::sync::Arc;

use ziffer_tensor::random::{Purpose, Stream};
use ziffer_tensor::{Activation, NoMemory, Scalar, ScalarFunction};

use crate::built_in::BuiltIn;
use crate::layer::{InputType, Layer, LayerError, Mode, Parallelism, WeightSpec};
use crate::model::{LayerSlot, Model};
use crate::{
    ActivationLayer, BatchNormalization, Dense, Dropout, Elu, Flatten, GaussianNoise, LayerNormalization,
    LeakyRelu, PRelu, Relu, Rescaling, Reshape, Softmax,
};

/// A stack of layers from the input to the output, as Keras's `Sequential`.
///
/// ```
/// use ziffer_nn::{Activation, Sequential};
/// let model = Sequential::new([28, 28])
///     .flatten()
///     .dense(128, Activation::Relu)
///     .dense(64, Activation::Relu)
///     .dense(10, Activation::Softmax)
///     .build(0)?;
/// assert_eq!(model.parameters(), 109_386);
///
/// let error = Sequential::new([28, 28]).dense(10, Activation::Softmax).build(0).unwrap_err();
/// assert_eq!(error.to_string(), "layer dense: expects a flat input, found [28, 28]; put flatten() before it");
/// # Ok::<(), ziffer_nn::BuildError>(())
/// ```
#[derive(Debug)]
pub struct Sequential<T: Scalar = f32> {
    input_shape: Vec<usize>,
    layers: Vec<Box<dyn Layer<T>>>,
}

/// An architecture is invalid.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A layer does not accept its input's shape, or has a setting out of range.
    #[error("layer {layer}: {problem}")]
    Layer {
        /// The layer's name.
        layer: String,
        /// What is wrong.
        problem: LayerError,
    },
    /// The input is empty, or no layer computes anything.
    #[error(
        "the model is empty: input {input_shape:?}, {layers} layers that compute, expected at least one of each"
    )]
    Empty {
        /// The shape of an input sample.
        input_shape: Vec<usize>,
        /// The number of layers that compute something.
        layers: usize,
    },
    /// The input is too large.
    #[error("an input of shape {input_shape:?} is too large")]
    Input {
        /// The shape of an input sample.
        input_shape: Vec<usize>,
    },
    /// The model has more than [`MAX_PARAMETERS`] parameters.
    #[error("the model has more than {MAX_PARAMETERS} parameters; use smaller layers")]
    TooLarge,
    /// The weights do not fit into memory.
    #[error(transparent)]
    Memory(#[from] NoMemory),
}

ziffer_base::debug_as_message!(BuildError);

/// The largest number of parameters of a model. With Adam's state they take 12 GiB.
pub const MAX_PARAMETERS: usize = 1 << 30;

impl Sequential<f32> {
    /// An empty stack in `f32`. `input_shape` is the shape of a sample.
    pub fn new(input_shape: impl Into<Vec<usize>>) -> Self {
        Self::with_input_shape(input_shape)
    }
}

impl<T: Scalar> Sequential<T> {
    /// Like [`Sequential::new`], for any number type: `Sequential::<f64>::with_input_shape([4])`.
    pub fn with_input_shape(input_shape: impl Into<Vec<usize>>) -> Self {
        Self { input_shape: input_shape.into(), layers: Vec::new() }
    }

    /// Adds a layer.
    #[expect(clippy::should_implement_trait, reason = "the name is Keras's")]
    pub fn add(self, layer: impl Layer<T> + 'static) -> Self {
        self.add_boxed(Box::new(layer))
    }

    /// Adds a layer whose type is known only at run time.
    pub fn add_boxed(mut self, layer: Box<dyn Layer<T>>) -> Self {
        self.layers.push(layer);
        self
    }

    /// Adds a [`Rescaling`]: y = scale x + offset.
    pub fn rescaling(self, scale: f64, offset: f64) -> Self {
        self.add_boxed(Rescaling::new(scale, offset).boxed())
    }

    /// Adds a [`BatchNormalization`] with Keras's defaults.
    pub fn batch_normalization(self) -> Self {
        self.add_boxed(BatchNormalization::default().boxed())
    }

    /// Adds a [`Dropout`] with this rate.
    pub fn dropout(self, rate: f64) -> Self {
        self.add_boxed(Dropout::new(rate).boxed())
    }

    /// Adds a [`GaussianNoise`] with this standard deviation.
    pub fn gaussian_noise(self, stddev: f64) -> Self {
        self.add_boxed(GaussianNoise::new(stddev).boxed())
    }

    /// Adds a [`LayerNormalization`] with Keras's defaults.
    pub fn layer_normalization(self) -> Self {
        self.add_boxed(LayerNormalization::default().boxed())
    }

    /// Adds an [`ActivationLayer`]: an activation as a separate layer, after a BatchNormalization for example.
    pub fn activation(self, activation: Activation) -> Self {
        self.add_boxed(ActivationLayer::new(activation).boxed())
    }

    /// Adds a [`Relu`]: y = max(x, 0).
    pub fn relu(self) -> Self {
        self.add_boxed(Relu::default().boxed())
    }

    /// Adds a [`LeakyRelu`] with this slope below 0. Keras's default is 0.3.
    pub fn leaky_relu(self, negative_slope: f64) -> Self {
        self.add_boxed(LeakyRelu::new(negative_slope).boxed())
    }

    /// Adds a [`PRelu`], whose slopes below 0 are learned.
    pub fn p_relu(self) -> Self {
        self.add_boxed(PRelu::new().boxed())
    }

    /// Adds an [`Elu`] with this alpha. Keras's default is 1.
    pub fn elu(self, alpha: f64) -> Self {
        self.add_boxed(Elu::new(alpha).boxed())
    }

    /// Adds a [`Softmax`] over the last axis.
    pub fn softmax(self) -> Self {
        self.add_boxed(Softmax::default().boxed())
    }

    /// Adds a [`Reshape`]. One size may be -1.
    pub fn reshape(self, target_shape: impl Into<Vec<i64>>) -> Self {
        self.add_boxed(Reshape::new(target_shape).boxed())
    }

    /// Adds a [`Flatten`].
    pub fn flatten(self) -> Self {
        self.add_boxed(Flatten.boxed())
    }

    /// Adds a [`Dense`] layer with `units` outputs.
    pub fn dense(self, units: usize, activation: Activation) -> Self {
        self.add_boxed(Dense::new(units, activation).boxed())
    }

    /// Checks the architecture and initializes the weights. The same seed gives the same weights.
    ///
    /// # Errors
    /// If the architecture is invalid. The message has the name of the first wrong layer.
    pub fn build(self, seed: u64) -> Result<Model<T>, BuildError> {
        T::dispatch::<Build>((self, Some(seed)))
    }

    /// Like [`build`](Self::build), with all weights zero, for weights that are set afterwards.
    ///
    /// # Errors
    /// As for `build`.
    pub fn build_zeroed(self) -> Result<Model<T>, BuildError> {
        T::dispatch::<Build>((self, None))
    }

    /// Builds the layers, and initializes the weights if there is a seed.
    fn build_with(self, seed: Option<u64>) -> Result<Model<T>, BuildError> {
        let (input_shape, layers) = self.build_layers()?;
        let takes_pixels = begins_with_rescaling(&layers);
        let mut model = Model::new(input_shape, layers, takes_pixels)?;
        let Some(seed) = seed else { return Ok(model) };
        let mut position = 0;
        let mut drawn = Ok(());
        model.for_each_weight_mut(|spec, weight| {
            let mut stream = Stream::new(seed, Purpose::Weights, position);
            position += 1;
            match spec.initializer.draw(&spec.shape, &mut stream) {
                Ok(mut draw) => weight.iter_mut().for_each(|weight| *weight = T::from_f64(draw())),
                Err(no_memory) => drawn = Err(no_memory),
            }
        });
        drawn?;
        Ok(model)
    }

    /// Checks the architecture and builds the layers, without memory for the weights.
    pub(crate) fn build_layers(self) -> Result<(Vec<usize>, Vec<LayerSlot<T>>), BuildError> {
        if self.input_shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size)).is_none() {
            return Err(BuildError::Input { input_shape: self.input_shape });
        }
        let mut shape = self.input_shape.clone();
        let mut names: Vec<String> = Vec::new();
        let mut slots = Vec::new();
        let mut parameters = 0_usize;
        for mut layer in self.layers {
            let name = unique_name(layer.class_name(), &names);
            let layer_error = |problem| BuildError::Layer { layer: name.clone(), problem };
            let output_shape = layer.build(&shape).map_err(layer_error)?;
            let specs = layer.weights();
            let (parallelism, saved, scratch) = (layer.parallelism(), layer.saved(), layer.scratch());
            check_output(&shape, &output_shape).map_err(layer_error)?;
            check_parallelism(parallelism, &shape, &output_shape, &specs).map_err(layer_error)?;
            shape = output_shape;
            let sizes = specs.iter().map(|spec: &WeightSpec| {
                spec.shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))
            });
            for size in sizes {
                parameters = size
                    .and_then(|size| parameters.checked_add(size))
                    .filter(|&sum| sum <= MAX_PARAMETERS)
                    .ok_or(BuildError::TooLarge)?;
            }
            specs.iter().try_for_each(check_initializer).map_err(layer_error)?;
            names.push(name.clone());
            let index = slots.len() as u32;
            let (layer, output_shape) = (Arc::from(layer), shape.clone());
            slots.push(LayerSlot {
                name,
                layer,
                parallelism,
                saved,
                scratch,
                index,
                trainable: true,
                output_shape,
                specs,
                ranges: Vec::new(),
            });
        }
        let computes = |slot: &&LayerSlot<T>| !slot.layer.is_identity(Mode::Inference, InputType::Real);
        let layers = slots.iter().filter(computes).count();
        if layers == 0 || self.input_shape.contains(&0) {
            return Err(BuildError::Empty { input_shape: self.input_shape, layers });
        }
        Ok((self.input_shape, slots))
    }
}

/// [`Sequential::build`] with a seed, or [`Sequential::build_zeroed`], compiled for `f32`.
struct Build;

impl ScalarFunction for Build {
    type Input<T: Scalar> = (Sequential<T>, Option<u64>);
    type Output<T: Scalar> = Result<Model<T>, BuildError>;

    fn call<T: Scalar>((layers, seed): Self::Input<T>) -> Self::Output<T> {
        layers.build_with(seed)
    }

    fn call_f32(input: Self::Input<f32>) -> Self::Output<f32> {
        Self::call(input)
    }
}

/// Whether the first layer that does more than change the shape is a Rescaling.
pub(crate) fn begins_with_rescaling<T: Scalar>(layers: &[LayerSlot<T>]) -> bool {
    let first = layers.iter().find(|slot| {
        slot.layer.class_name() == crate::rescaling::CLASS
            || !slot.layer.is_identity(Mode::Training, InputType::Real)
    });
    first.is_some_and(|slot| slot.layer.class_name() == crate::rescaling::CLASS)
}

/// Checks that a weight's initializer fits its shape.
fn check_initializer(spec: &WeightSpec) -> Result<(), LayerError> {
    let wrong = |problem| format!("{}_initializer: {problem}", spec.name).into();
    spec.initializer.check(&spec.shape).map_err(wrong)
}

/// Checks that a layer's output is neither empty nor too large.
fn check_output(input_shape: &[usize], shape: &[usize]) -> Result<(), LayerError> {
    match shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size)) {
        // An empty input has an error of its own.
        Some(0) if !input_shape.contains(&0) => Err(format!("its output of shape {shape:?} is empty").into()),
        Some(_) => Ok(()),
        None => Err(format!("its output of shape {shape:?} is too large").into()),
    }
}

/// Checks that a layer's shapes fit its parallelism.
fn check_parallelism(
    parallelism: Parallelism,
    input_shape: &[usize],
    output_shape: &[usize],
    specs: &[WeightSpec],
) -> Result<(), LayerError> {
    let outputs: usize = output_shape.iter().product();
    match parallelism {
        Parallelism::Rows => Ok(()),
        Parallelism::RowsOrOutputs => match specs.iter().find(|spec| spec.shape.last() != Some(&outputs)) {
            None => Ok(()),
            Some(spec) => Err(format!(
                "is parallel over {outputs} outputs, but {} has shape {:?}, expected {outputs} last",
                spec.name, spec.shape
            )
            .into()),
        },
        Parallelism::Channels => {
            if input_shape != output_shape || output_shape.is_empty() || outputs == 0 {
                return Err(format!(
                    "is parallel over channels, but its input has shape {input_shape:?} and its output {output_shape:?}, expected the same"
                )
                .into());
            }
            let channels = output_shape[output_shape.len() - 1];
            match specs.iter().find(|spec| spec.shape != [channels]) {
                None => Ok(()),
                Some(spec) => Err(format!(
                    "is parallel over {channels} channels, but {} has shape {:?}, expected [{channels}]",
                    spec.name, spec.shape
                )
                .into()),
            }
        }
    }
}

/// A class name in snake case, from which Keras derives the names of layers: `"Conv2D"` becomes `conv2d`, `"LeakyReLU"` becomes
/// `leaky_re_lu`.
///
/// The rule is that of `keras.src.utils.naming.to_snake_case`: an underscore goes before an upper-case letter that a lower-case
/// one follows, unless it is the first letter, and between a lower-case and an upper-case letter.
pub fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let is = |index: Option<usize>, test: fn(char) -> bool| {
        index.and_then(|index| letters.get(index)).is_some_and(|&letter| test(letter))
    };
    let mut name = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let begins_word = letter.is_uppercase()
            && (is(index.checked_sub(1), char::is_lowercase) || is(Some(index + 1), char::is_lowercase));
        if begins_word && index > 0 && letters[index - 1] != '_' {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// Keras's name of the next layer of a class: `dense`, then `dense_1`, `dense_2`, ...
fn unique_name(class: &str, names: &[String]) -> String {
    let base = snake_case(class);
    let others = names
        .iter()
        .filter(|name| {
            name.strip_prefix(&base).is_some_and(|rest| {
                rest.is_empty()
                    || rest.strip_prefix('_').is_some_and(|n| n.bytes().all(|digit| digit.is_ascii_digit()))
            })
        })
        .count();
    if others == 0 { base } else { format!("{base}_{others}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tutorial() -> Sequential {
        Sequential::new([28, 28])
            .flatten()
            .dense(128, Activation::Relu)
            .dense(64, Activation::Relu)
            .dense(10, Activation::Softmax)
    }

    #[test]
    fn names_and_shapes_match_keras() {
        let model = tutorial().build(0).unwrap();
        let names: Vec<_> = model.weight_names().collect();
        assert_eq!(
            names,
            [
                "dense.kernel",
                "dense.bias",
                "dense_1.kernel",
                "dense_1.bias",
                "dense_2.kernel",
                "dense_2.bias"
            ]
        );
        assert_eq!(model.weight("dense.kernel").unwrap().shape(), [784, 128]);
        assert_eq!(model.weight("dense_2.bias").unwrap().shape(), [10]);
        assert_eq!((model.input_shape(), model.output_shape()), (&[28, 28][..], &[10][..]));
        assert_eq!(unique_name("LayerNormalization", &[]), "layer_normalization");
        for (class, name) in [
            ("Dense", "dense"),
            ("ReLU", "re_lu"),
            ("LeakyReLU", "leaky_re_lu"),
            ("PReLU", "p_re_lu"),
            ("ELU", "elu"),
            ("Conv2D", "conv2d"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("_Mine", "_mine"),
        ] {
            assert_eq!(snake_case(class), name);
        }
    }

    #[test]
    fn weights_depend_on_the_seed_only() {
        let digest = |seed| tutorial().build(seed).unwrap().weights_sha256();
        assert_eq!(digest(7), digest(7));
        assert_ne!(digest(7), digest(8));
        let model = tutorial().build(1).unwrap();
        let kernel = model.weight("dense_1.kernel").unwrap();
        let limit = (6.0_f32 / 192.0).sqrt();
        assert!(kernel.iter().all(|w| w.abs() <= limit) && kernel.iter().any(|w| w.abs() > 0.99 * limit));
        assert!(model.weight("dense_1.bias").unwrap().iter().all(|&b| b == 0.0));
    }

    #[test]
    fn errors_name_the_layer() {
        let error = |sequential: Sequential| sequential.build(0).unwrap_err().to_string();
        assert_eq!(
            error(Sequential::new([4]).dense(3, Activation::Relu).dense(0, Activation::Relu)),
            "layer dense_1: units is 0, expected at least 1"
        );
        assert!(
            error(Sequential::new([28, 0]).flatten().dense(3, Activation::Relu))
                .contains("its input is empty")
        );
        assert!(error(Sequential::new([28, 28]).flatten()).starts_with("the model is empty"));
        assert!(error(Sequential::new([1 << 20]).dense(1 << 20, Activation::Relu)).contains("parameters"));
        assert!(error(Sequential::new([1 << 40]).dense(1 << 40, Activation::Relu)).contains("memory"));
        assert!(error(Sequential::new([1 << 40, 1 << 40]).flatten()).contains("is too large"));
    }
}
