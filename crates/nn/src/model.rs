//! A network with its weights: [`Model`].

use std::ops::Range;
use std::sync::Arc;

use ndarray::{ArrayView, ArrayViewD, IxDyn};
use ziffer_base::digest::Sha256;
use ziffer_tensor::{Buffer, NoMemory, Scalar};

use crate::layer::{InputType, Layer, Mode, Parallelism, WeightSpec, Weights};

/// A network with its weights, which are in one block of memory.
///
/// [`Sequential::build`](crate::Sequential::build) makes a model, and [`Model::load`] reads one from a file.
#[derive(Clone, Debug)]
pub struct Model<T: Scalar = f32> {
    input_shape: Vec<usize>,
    layers: Vec<LayerSlot<T>>,
    weights: Buffer<T>,
    layout: Arc<Layout>,
    /// Whether samples are pixel bytes. Each stands for byte / 255, unless the network begins with a Rescaling.
    takes_pixels: bool,
}

/// A layer of a model, with the ranges of its weights.
#[derive(Clone, Debug)]
pub(crate) struct LayerSlot<T: Scalar> {
    pub(crate) name: String,
    pub(crate) layer: Arc<dyn Layer<T>>,
    /// The results of the layer's methods of these names. Each is called once, because the step assigns memory to threads by the
    /// results.
    pub(crate) parallelism: Parallelism,
    pub(crate) saved: usize,
    pub(crate) scratch: usize,
    /// The index among all layers of the model.
    pub(crate) index: u32,
    /// Whether the optimizer updates its trainable weights.
    pub(crate) trainable: bool,
    /// The shape of an output sample.
    pub(crate) output_shape: Vec<usize>,
    pub(crate) specs: Vec<WeightSpec>,
    /// The range of each weight in the model's block.
    pub(crate) ranges: Vec<Range<usize>>,
}

/// The name, the shape and the range in the model's block of each weight.
pub(crate) type Layout = Vec<(String, Vec<usize>, Range<usize>)>;

impl<T: Scalar> LayerSlot<T> {
    /// O, the size of an output sample.
    pub(crate) fn outputs(&self) -> usize {
        self.output_shape.iter().product()
    }

    pub(crate) fn weights<'a>(&'a self, all: &'a [T]) -> Weights<'a, T> {
        Weights::new(all, &self.ranges)
    }

    /// The number of elements of all weights, or of the weights that the optimizer does not update.
    fn parameters(&self, non_trainable_only: bool) -> usize {
        let counts = |spec: &&WeightSpec| !(non_trainable_only && spec.trainable && self.trainable);
        self.specs.iter().filter(counts).map(WeightSpec::len).sum()
    }

    /// The name in the model and the shape of each weight.
    pub(crate) fn weight_shapes(&self) -> impl Iterator<Item = (String, &[usize])> {
        self.specs.iter().map(|spec| (format!("{}.{}", self.name, spec.name), spec.shape.as_slice()))
    }

    /// The layer's mode in a step of mode `step`: a frozen layer runs as at inference.
    pub(crate) fn mode(&self, step: Mode) -> Mode {
        if self.trainable { step } else { Mode::Inference }
    }

    /// Whether a training step updates any weights of the layer.
    pub(crate) fn is_updated(&self) -> bool {
        self.trainable && !self.specs.is_empty()
    }
}

/// Every weight starts at a multiple of this many numbers: a cache line of `f32`.
pub(crate) const ALIGNMENT: usize = 16;

/// A model has no weight or layer of this name, or the weight has another shape.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightError {
    /// There is no such weight.
    #[error("no weight {name:?} in the model, expected one of {}", known.join(", "))]
    UnknownWeight {
        /// The name.
        name: String,
        /// The names of the model's weights.
        known: Vec<String>,
    },
    /// There is no such layer.
    #[error("no layer {name:?} in the model, expected one of {}", known.join(", "))]
    UnknownLayer {
        /// The name.
        name: String,
        /// The names of the model's layers.
        known: Vec<String>,
    },
    /// The weight has another shape.
    #[error("{name} has shape {expected:?}, found {found:?}")]
    Shape {
        /// The weight's name.
        name: String,
        /// The weight's shape.
        expected: Vec<usize>,
        /// The given shape.
        found: Vec<usize>,
    },
}

ziffer_base::debug_as_message!(WeightError);

impl<T: Scalar> Model<T> {
    pub(crate) fn new(
        input_shape: Vec<usize>,
        mut layers: Vec<LayerSlot<T>>,
        takes_pixels: bool,
    ) -> Result<Self, NoMemory> {
        let mut end = 0;
        let mut layout = Layout::new();
        for slot in &mut layers {
            let mut ranges = Vec::new();
            for ((name, shape), spec) in slot.weight_shapes().zip(&slot.specs) {
                let start = usize::next_multiple_of(end, ALIGNMENT);
                end = start + spec.len();
                ranges.push(start..end);
                layout.push((name, shape.to_vec(), start..end));
            }
            slot.ranges = ranges;
        }
        let weights = Buffer::try_zeros(end)?;
        Ok(Self { input_shape, layers, weights, layout: Arc::new(layout), takes_pixels })
    }

    /// The shape of an input sample: `[28, 28]`.
    pub fn input_shape(&self) -> &[usize] {
        &self.input_shape
    }

    /// The size of an input sample.
    pub fn inputs(&self) -> usize {
        self.input_shape.iter().product()
    }

    /// The shape of an output sample: `[10]`.
    pub fn output_shape(&self) -> &[usize] {
        self.layers.last().map_or(&self.input_shape, |slot| &slot.output_shape)
    }

    /// The size of an output sample.
    pub fn outputs(&self) -> usize {
        self.output_shape().iter().product()
    }

    /// The number of parameters: the elements of all weights.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|slot| slot.parameters(false)).sum()
    }

    /// The number of parameters that gradients do not update: moving averages, and the weights of frozen layers.
    pub fn non_trainable_parameters(&self) -> usize {
        self.layers.iter().map(|slot| slot.parameters(true)).sum()
    }

    /// Whether the model's samples are pixel bytes: the model was trained on pixels, or begins with a
    /// [`Rescaling`](crate::Rescaling).
    ///
    /// Without a Rescaling, a byte stands for byte / 255.
    pub fn takes_pixels(&self) -> bool {
        self.takes_pixels
    }

    /// Sets whether the model's samples are pixel bytes. Training on pixels sets it.
    pub fn set_takes_pixels(&mut self, takes_pixels: bool) {
        self.takes_pixels = takes_pixels;
    }

    /// The layers with the columns of Keras's summary: name, class, output shape and number of parameters.
    pub fn layers(&self) -> impl Iterator<Item = LayerInfo<'_>> {
        self.layers.iter().map(|slot| LayerInfo {
            name: &slot.name,
            class_name: slot.layer.class_name(),
            output_shape: &slot.output_shape,
            parameters: slot.parameters(false),
            trainable: slot.trainable,
        })
    }

    /// The layer of this name, as Keras's `get_layer`.
    pub fn layer(&self, name: &str) -> Option<&dyn Layer<T>> {
        self.layers.iter().find(|slot| slot.name == name).map(|slot| &*slot.layer)
    }

    /// Sets whether training updates the weights of the layer of this name. A frozen layer runs as at inference: dropout is
    /// inactive, and batch normalization uses its moving averages and does not change them.
    ///
    /// # Errors
    /// [`WeightError::UnknownLayer`].
    pub fn set_trainable(&mut self, layer: &str, trainable: bool) -> Result<(), WeightError> {
        match self.layers.iter_mut().find(|slot| slot.name == layer) {
            Some(slot) => slot.trainable = trainable,
            None => {
                let known = self.layers.iter().map(|slot| slot.name.clone()).collect();
                return Err(WeightError::UnknownLayer { name: layer.to_owned(), known });
            }
        }
        Ok(())
    }

    pub(crate) fn slots(&self) -> &[LayerSlot<T>] {
        &self.layers
    }

    #[cfg(feature = "gradcheck")]
    pub(crate) fn slots_mut(&mut self) -> &mut [LayerSlot<T>] {
        &mut self.layers
    }

    /// The layers that compute something in this mode, for samples of this type.
    pub(crate) fn computing(&self, mode: Mode, input: InputType) -> Vec<&LayerSlot<T>> {
        computing(&self.layers, mode, input)
    }

    /// The layers that compute something in training, and the block of all weights.
    pub(crate) fn parts_mut(&mut self, input: InputType) -> (Vec<&LayerSlot<T>>, &mut Buffer<T>) {
        (computing(&self.layers, Mode::Training, input), &mut self.weights)
    }

    pub(crate) fn block(&self) -> &[T] {
        &self.weights
    }

    pub(crate) fn block_mut(&mut self) -> &mut [T] {
        &mut self.weights
    }

    /// The name, the shape and the range in the model's block of each weight, in layer order.
    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// For each weight in layout order, whether training updates it by its gradient.
    pub(crate) fn trainable(&self) -> impl Iterator<Item = bool> {
        self.layers.iter().flat_map(|slot| slot.specs.iter().map(|spec| spec.trainable && slot.trainable))
    }

    /// For each weight in layout order, whether training updates it by its gradient if its layer is not frozen.
    pub(crate) fn have_state(&self) -> impl Iterator<Item = bool> {
        self.layers.iter().flat_map(|slot| slot.specs.iter().map(|spec| spec.trainable))
    }

    /// The weights' names, in layer order: `dense.kernel`, `dense.bias`, `dense_1.kernel`, ...
    pub fn weight_names(&self) -> impl Iterator<Item = String> {
        self.layout.iter().map(|(name, ..)| name.clone())
    }

    /// The weights with their names, in layer order.
    pub fn weights(&self) -> impl Iterator<Item = (String, ArrayViewD<'_, T>)> {
        self.layout.iter().map(|(name, shape, range)| (name.clone(), self.view(shape, range)))
    }

    fn view(&self, shape: &[usize], range: &Range<usize>) -> ArrayViewD<'_, T> {
        let view = ArrayView::from_shape(IxDyn(shape), &self.weights[range.clone()]);
        view.expect("a range of the weight's length")
    }

    /// The weight of this name.
    pub fn weight(&self, name: &str) -> Option<ArrayViewD<'_, T>> {
        let (_, shape, range) = self.layout.iter().find(|(other, ..)| other == name)?;
        Some(self.view(shape, range))
    }

    /// Sets the weight of this name.
    ///
    /// ```
    /// use ziffer_nn::{Activation, Sequential};
    /// let mut model = Sequential::new([2]).dense(3, Activation::Linear).build(0)?;
    /// model.set_weight("dense.bias", ndarray::arr1(&[0.5, 0.0, -0.5]).view())?;
    /// assert_eq!(model.weight("dense.bias").unwrap()[2], -0.5);
    /// assert!(model.set_weight("dense.bias", ndarray::arr1(&[1.0]).view()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such weight, or it has another shape. The model is then unchanged.
    pub fn set_weight<D: ndarray::Dimension>(
        &mut self,
        name: &str,
        values: ArrayView<'_, T, D>,
    ) -> Result<(), WeightError> {
        let Some((_, shape, range)) = self.layout.iter().find(|(other, ..)| other == name) else {
            return Err(WeightError::UnknownWeight {
                name: name.to_owned(),
                known: self.weight_names().collect(),
            });
        };
        if values.shape() != shape {
            return Err(WeightError::Shape {
                name: name.to_owned(),
                expected: shape.clone(),
                found: values.shape().to_vec(),
            });
        }
        self.weights[range.clone()].iter_mut().zip(values).for_each(|(weight, &value)| *weight = value);
        Ok(())
    }

    /// Copies weights from another model: those with the same name and shape for which `wanted` returns `true`. The other weights
    /// do not change. Returns the names of the copied weights.
    pub fn copy_weights(&mut self, from: &Self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut copied = Vec::new();
        for (name, shape, range) in self.layout.iter().filter(|(name, ..)| wanted(name)) {
            let source =
                from.layout.iter().find(|(other, other_shape, _)| other == name && other_shape == shape);
            if let Some((.., source)) = source {
                self.weights[range.clone()].copy_from_slice(&from.weights[source.clone()]);
                copied.push(name.clone());
            }
        }
        copied
    }

    /// Calls `work` with the description and the elements of each weight, in layer order.
    pub fn for_each_weight_mut(&mut self, mut work: impl FnMut(&WeightSpec, &mut [T])) {
        for slot in &self.layers {
            for (spec, range) in slot.specs.iter().zip(&slot.ranges) {
                work(spec, &mut self.weights[range.clone()]);
            }
        }
    }

    /// A copy of all weights, for [`Model::restore`].
    pub fn snapshot(&self) -> Snapshot<T> {
        Snapshot(self.weights.clone())
    }

    /// Sets all weights to those of a snapshot of this model.
    ///
    /// # Panics
    /// If the snapshot is of a model with another number of parameters.
    pub fn restore(&mut self, snapshot: &Snapshot<T>) {
        self.weights.copy_from_slice(&snapshot.0);
    }

    /// The SHA-256 digest, in hex, of all parameters as little-endian bytes, in layer order, kernel before bias.
    pub fn weights_sha256(&self) -> String {
        let mut sha256 = Sha256::default();
        let mut bytes = Vec::new();
        for (.., range) in self.layout.iter() {
            bytes.clear();
            self.weights[range.clone()].iter().for_each(|weight| weight.write_le(&mut bytes));
            sha256.update(&bytes);
        }
        sha256.finish().to_string()
    }
}

/// The layers that compute something.
///
/// Pixels reach the first of these as bytes. A Rescaling to p / 255 is omitted, since pixels stand for that anyway, unless another
/// Rescaling follows at once or no layer that computes follows.
fn computing<T: Scalar>(layers: &[LayerSlot<T>], mode: Mode, input: InputType) -> Vec<&LayerSlot<T>> {
    let mut found: Vec<&LayerSlot<T>> = Vec::new();
    let mut rescaling = None;
    for slot in layers {
        let is_rescaling = slot.layer.class_name() == crate::rescaling::CLASS;
        let input = if found.is_empty() { input } else { InputType::Real };
        if !slot.layer.is_identity(slot.mode(mode), input) {
            if let Some(first) = rescaling.take().filter(|_| is_rescaling && found.is_empty()) {
                found.push(first);
            }
            found.push(slot);
        } else if is_rescaling && found.is_empty() && input == InputType::Pixels {
            match rescaling.take() {
                Some(first) => found.extend([first, slot]),
                None => rescaling = Some(slot),
            }
        }
    }
    if found.is_empty() {
        // No other layer divides the pixels by 255.
        found.extend(rescaling);
    }
    found
}

/// The description of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerInfo<'a> {
    /// The name: `dense_1`.
    pub name: &'a str,
    /// The class: `Dense`.
    pub class_name: &'a str,
    /// The shape of an output sample.
    pub output_shape: &'a [usize],
    /// The number of parameters.
    pub parameters: usize,
    /// Whether training updates the layer's weights.
    pub trainable: bool,
}

/// A copy of a model's weights.
#[derive(Clone, Debug)]
pub struct Snapshot<T: Scalar>(Buffer<T>);
