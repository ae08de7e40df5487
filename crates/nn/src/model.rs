//! A network with its weights.

use std::ops::Range;

use ndarray::{ArrayView, ArrayViewD, IxDyn};
use sha2::{Digest, Sha256};
use ziffer_tensor::{Buffer, NoMemory, Scalar};

use crate::layer::{Layer, WeightSpec, Weights};

/// A built network: layers that fit together, and their weights in one block of memory.
///
/// It comes from [`Sequential::build`](crate::Sequential::build) or from a file ([`Model::load`]).
#[derive(Debug)]
pub struct Model<T: Scalar = f32> {
    input_shape: Vec<usize>,
    layers: Vec<Placed<T>>,
    weights: Buffer<T>,
}

/// A layer in its place.
#[derive(Debug)]
pub(crate) struct Placed<T: Scalar> {
    pub(crate) name: String,
    pub(crate) layer: Box<dyn Layer<T>>,
    /// The shape of an output sample.
    pub(crate) output_shape: Vec<usize>,
    pub(crate) specs: Vec<WeightSpec>,
    /// Where each weight lies in the model's block.
    pub(crate) ranges: Vec<Range<usize>>,
}

impl<T: Scalar> Placed<T> {
    pub(crate) fn new(
        name: String,
        layer: Box<dyn Layer<T>>,
        output_shape: Vec<usize>,
        specs: Vec<WeightSpec>,
    ) -> Self {
        Self { name, layer, output_shape, specs, ranges: Vec::new() }
    }

    /// O, the numbers of an output sample.
    pub(crate) fn outputs(&self) -> usize {
        self.output_shape.iter().product()
    }

    pub(crate) fn weights<'a>(&'a self, all: &'a [T]) -> Weights<'a, T> {
        Weights::new(all, &self.ranges)
    }

    fn parameters(&self) -> usize {
        self.specs.iter().map(WeightSpec::len).sum()
    }

    /// Each weight's name in the model, and its shape.
    pub(crate) fn weight_shapes(&self) -> impl Iterator<Item = (String, &[usize])> {
        self.specs.iter().map(|spec| (format!("{}.{}", self.name, spec.name), spec.shape.as_slice()))
    }
}

/// Every weight begins at a multiple of this many numbers: a cache line for `f32`.
pub(crate) const ALIGNMENT: usize = 16;

impl<T: Scalar> Model<T> {
    pub(crate) fn new(input_shape: Vec<usize>, mut layers: Vec<Placed<T>>) -> Result<Self, NoMemory> {
        let mut end = 0;
        for placed in &mut layers {
            for spec in &placed.specs {
                let start = usize::next_multiple_of(end, ALIGNMENT);
                end = start + spec.len();
                placed.ranges.push(start..end);
            }
        }
        Ok(Self { input_shape, layers, weights: Buffer::try_zeros(end)? })
    }

    /// The shape of an input sample: `[28, 28]`.
    pub fn input_shape(&self) -> &[usize] {
        &self.input_shape
    }

    /// The numbers of an input sample.
    pub fn inputs(&self) -> usize {
        self.input_shape.iter().product()
    }

    /// The shape of an output sample: `[10]`.
    pub fn output_shape(&self) -> &[usize] {
        self.layers.last().map_or(&self.input_shape, |placed| &placed.output_shape)
    }

    /// The numbers of an output sample.
    pub fn outputs(&self) -> usize {
        self.output_shape().iter().product()
    }

    /// The number of parameters: of all elements of all weights.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(Placed::parameters).sum()
    }

    /// The layers with what Keras's summary says of each: name, class, output shape, parameters.
    pub fn layers(&self) -> impl Iterator<Item = LayerInfo<'_>> {
        self.layers.iter().map(|placed| LayerInfo {
            name: &placed.name,
            class_name: placed.layer.class_name(),
            output_shape: &placed.output_shape,
            parameters: placed.parameters(),
        })
    }

    pub(crate) fn placed(&self) -> &[Placed<T>] {
        &self.layers
    }

    /// The layers that compute, and the block of all weights.
    pub(crate) fn parts_mut(&mut self) -> (Vec<&Placed<T>>, &mut Buffer<T>) {
        (self.layers.iter().filter(|placed| !placed.layer.is_identity()).collect(), &mut self.weights)
    }

    pub(crate) fn block(&self) -> &[T] {
        &self.weights
    }

    pub(crate) fn block_mut(&mut self) -> &mut [T] {
        &mut self.weights
    }

    /// Each weight's name, shape, and place in the model's block, in layer order.
    pub(crate) fn places(&self) -> impl Iterator<Item = (String, &[usize], Range<usize>)> {
        self.layers.iter().flat_map(|placed| {
            let weights = placed.weight_shapes().zip(&placed.ranges);
            weights.map(|((name, shape), range)| (name, shape, range.clone()))
        })
    }

    /// The weights' names, in layer order: `dense.kernel`, `dense.bias`, `dense_1.kernel`, ...
    pub fn weight_names(&self) -> impl Iterator<Item = String> {
        self.weights().map(|(name, _)| name)
    }

    /// The weights with their names, in layer order.
    pub fn weights(&self) -> impl Iterator<Item = (String, ArrayViewD<'_, T>)> {
        self.places().map(|(name, shape, range)| {
            let view = ArrayView::from_shape(IxDyn(shape), &self.weights[range]);
            (name, view.expect("a range of the weight's length"))
        })
    }

    /// The weight of that name.
    pub fn weight(&self, name: &str) -> Option<ArrayViewD<'_, T>> {
        self.weights().find(|(other, _)| other == name).map(|(_, weight)| weight)
    }

    /// Calls `work` with each weight's description and elements, in layer order.
    pub fn for_each_weight_mut(&mut self, mut work: impl FnMut(&WeightSpec, &mut [T])) {
        for placed in &self.layers {
            for (spec, range) in placed.specs.iter().zip(&placed.ranges) {
                work(spec, &mut self.weights[range.clone()]);
            }
        }
    }

    /// A copy of all weights, to come back to with [`Model::restore`].
    pub fn snapshot(&self) -> Snapshot<T> {
        Snapshot(self.weights.clone())
    }

    /// Sets all weights to those of a snapshot of this model.
    ///
    /// # Panics
    /// If it is one of a model of another size.
    pub fn restore(&mut self, snapshot: &Snapshot<T>) {
        self.weights.copy_from_slice(&snapshot.0);
    }

    /// SHA-256, in hex, of every parameter's little-endian bytes, in layer order, kernel before bias.
    pub fn weights_sha256(&self) -> String {
        let mut digest = Sha256::new();
        let mut bytes = Vec::new();
        for placed in &self.layers {
            for range in &placed.ranges {
                bytes.clear();
                self.weights[range.clone()].iter().for_each(|weight| weight.write_le(&mut bytes));
                digest.update(&bytes);
            }
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What is to be said of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerInfo<'a> {
    /// `dense_1`.
    pub name: &'a str,
    /// `Dense`.
    pub class_name: &'a str,
    /// The shape of an output sample.
    pub output_shape: &'a [usize],
    /// The number of parameters.
    pub parameters: usize,
}

/// The weights of a model at some time.
#[derive(Clone, Debug)]
pub struct Snapshot<T: Scalar>(Buffer<T>);
