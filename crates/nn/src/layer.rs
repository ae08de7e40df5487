//! What a layer is to the model and to the training step.

use std::fmt::Debug;
use std::ops::Range;

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, CowArray, Ix2};
use serde_json::{Map, Value};
use ziffer_tensor::{Scalar, pixels, update};

use crate::Initializer;

/// A layer of a [`Model`](crate::Model). Implement it outside of this crate to add one of your own; the harness in
/// `gradcheck` (a feature of that name) holds its gradients to central differences, and `examples/own_layer.rs` shows
/// one from start to end.
///
/// # How a training step calls it
/// A step has two phases, with a meeting of all threads after each; for another one before them, see
/// [`part_of_outputs`](Self::part_of_outputs).
/// 1. The samples of a batch are shared out. Each thread takes its samples through all layers [`forward`](Self::forward),
///    the loss, and all layers [`backward`](Self::backward). No weight changes.
/// 2. The weights are shared out. For its [`Part`] of them, each thread forms the [`gradient`](Self::gradient) over the
///    *whole* batch and hands it to a [`Sink`], which stores it or updates the weights with it.
///
/// So every number is formed within one thread. If a layer sums in an order that does not depend on the share or the
/// part that it is called with, training gives the same bits for any number of threads.
///
/// # Shapes
/// A sample is a row: x is \[B, I\] and y \[B, O\], with I and O the products of the input's and the output's shape.
pub trait Layer<T: Scalar>: Debug + Send + Sync {
    /// The class, as Keras calls it: `"Dense"`. The layer's name is made of it: `dense`, `dense_1`, ...
    fn class_name(&self) -> &'static str;

    /// Takes the shape of one input sample and returns that of one output sample. Called once, before all below.
    ///
    /// # Errors
    /// What is wrong with the layer's settings or with that shape, as one line; the model adds the layer's name.
    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, String>;

    /// The weights that it has once built, in the order in which they are stored. By default none.
    fn weights(&self) -> Vec<WeightSpec> {
        Vec::new()
    }

    /// The settings, by Keras's names, for the model's file. By default none.
    fn config(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Whether y is x, in another shape perhaps. Then nothing below is ever called.
    fn is_identity(&self) -> bool {
        false
    }

    /// Whether the output is a softmax, so that `forward` and `backward` know [`Output::Logits`].
    fn ends_in_softmax(&self) -> bool {
        false
    }

    /// Computes y \[B, O\] from x \[B, I\].
    fn forward(&self, weights: Weights<'_, T>, x: Input<'_, T>, y: ArrayViewMut2<'_, T>, output: Output);

    /// Takes the gradient of the loss by y in `d`, \[B, O\], and writes that by x to `d_x`, \[B, I\], if it is wanted.
    /// What it leaves in `d` is what [`gradient`](Self::gradient) will get: a dense layer leaves the gradient by its
    /// sums, before the activation.
    fn backward(
        &self,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        y: ArrayView2<'_, T>,
        d: ArrayViewMut2<'_, T>,
        d_x: Option<ArrayViewMut2<'_, T>>,
        output: Output,
    );

    /// Hands the gradient of the loss by this part of the weights to `sink`, from the whole batch's x \[B, I\] and what
    /// `backward` left in d \[B, O\]. The weights themselves may be changing and are not to be had here.
    ///
    /// The parts of all indices cover each element of each weight exactly once. By default nothing, for a layer that has
    /// no weights.
    fn gradient(&self, x: Input<'_, T>, d: ArrayView2<'_, T>, part: Part, sink: &mut dyn Sink<T>) {
        let _ = (x, d, part, sink);
    }

    /// A layer of the outputs `outputs` alone, if they can be had apart from the others. By default they can't.
    ///
    /// The last axis of each weight must be that of the outputs, and the part's weights are these columns of the layer's.
    /// Threads can share out the outputs then, each with the weights that belong to its own: for a first layer with many
    /// weights and pixels as input this is better than sharing out the samples, since weights stay in the cache of the core
    /// that updates them. The part's y and d are then columns of the layer's, whose rows lie in order but not side by side.
    fn part_of_outputs(&self, outputs: Range<usize>) -> Option<Box<dyn Layer<T>>> {
        let _ = outputs;
        None
    }
}

/// One weight of a layer: its name within the layer, its shape, and how it starts.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightSpec {
    /// `"kernel"` or `"bias"`, say.
    pub name: &'static str,
    /// The shape; elements lie in C order.
    pub shape: Vec<usize>,
    /// How the elements are drawn at first.
    pub initializer: Initializer,
}

impl WeightSpec {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The weights of one layer, in the order of [`Layer::weights`].
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a, T> {
    all: &'a [T],
    ranges: &'a [Range<usize>],
}

impl<'a, T: Scalar> Weights<'a, T> {
    /// Weights that lie in `all` at `ranges`.
    pub fn new(all: &'a [T], ranges: &'a [Range<usize>]) -> Self {
        Self { all, ranges }
    }

    /// The elements of weight `index`, in C order.
    ///
    /// # Panics
    /// If there is no such weight.
    pub fn slice(&self, index: usize) -> &'a [T] {
        &self.all[self.ranges[index].clone()]
    }

    /// Weight `index` as a vector.
    pub fn vector(&self, index: usize) -> ArrayView1<'a, T> {
        ArrayView1::from(self.slice(index))
    }

    /// Weight `index` as a matrix of `rows` rows.
    ///
    /// # Panics
    /// If its length is no multiple of `rows`.
    pub fn matrix(&self, index: usize, rows: usize) -> ArrayView2<'a, T> {
        let slice = self.slice(index);
        let columns = slice.len() / rows.max(1);
        ArrayView2::from_shape((rows, columns), slice).expect("a weight of whole rows")
    }
}

/// The input of a layer: B samples as rows, in C order.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a, T> {
    /// Numbers.
    Real(ArrayView2<'a, T>),
    /// Pixel bytes, each of which stands for byte / 255. Only the first layer that computes gets these.
    Pixels(ArrayView2<'a, u8>),
}

impl<'a, T: Scalar> Input<'a, T> {
    /// \[B, I\].
    pub fn dim(&self) -> (usize, usize) {
        match self {
            Self::Real(x) => x.dim(),
            Self::Pixels(x) => x.dim(),
        }
    }

    /// The same samples for a shorter time.
    pub fn reborrow(&self) -> Input<'_, T> {
        match self {
            Self::Real(x) => Input::Real(x.view()),
            Self::Pixels(x) => Input::Pixels(x.view()),
        }
    }

    /// As numbers; pixels are copied.
    pub fn to_real(&self) -> CowArray<'a, T, Ix2> {
        match self {
            Self::Real(x) => CowArray::from(*x),
            Self::Pixels(x) => {
                let mut real = ndarray::Array2::zeros(x.dim());
                match (x.to_slice(), real.as_slice_mut()) {
                    (Some(x), Some(real)) => pixels::to_real(x, real),
                    _ => unreachable!("an input lies in C order"),
                }
                CowArray::from(real)
            }
        }
    }
}

/// A type that samples may consist of.
pub trait Feature<T: Scalar>: Copy + Default + Send + Sync + 'static {
    /// Rows of it as a layer's input.
    fn input(rows: ArrayView2<'_, Self>) -> Input<'_, T>;
}

impl<T: Scalar> Feature<T> for u8 {
    fn input(rows: ArrayView2<'_, u8>) -> Input<'_, T> {
        Input::Pixels(rows)
    }
}

impl Feature<f32> for f32 {
    fn input(rows: ArrayView2<'_, f32>) -> Input<'_, f32> {
        Input::Real(rows)
    }
}

impl Feature<f64> for f64 {
    fn input(rows: ArrayView2<'_, f64>) -> Input<'_, f64> {
        Input::Real(rows)
    }
}

/// What a layer that ends in a softmax puts out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The softmax.
    Activated,
    /// What goes into the softmax, for a loss that takes it from there. `backward` gets the gradient by the logits then.
    Logits,
}

/// A part of a layer's weights: number `index` of `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 0.
    pub index: usize,
    /// At least 1.
    pub count: usize,
}

impl Part {
    /// Everything in one part.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// This part's share of `0..n`: the shares are disjoint, of nearly the same length, and cover it.
    pub fn of(self, n: usize) -> Range<usize> {
        n * self.index / self.count..n * (self.index + 1) / self.count
    }

    /// Whether it is the last, which takes what is not worth sharing out.
    pub fn is_last(self) -> bool {
        self.index + 1 == self.count
    }
}

/// Takes gradients as they are formed.
pub trait Sink<T> {
    /// `gradient` belongs to the elements of weight `index` of the layer from `offset` on.
    fn accept(&mut self, index: usize, offset: usize, gradient: &[T]);

    /// Rows of weight `index`, taken for a matrix of `columns` columns, with Adam's state, if that is what the gradient is
    /// for: they can be moved at once then, instead of the gradient being handed over. Each element is to be moved once, by
    /// its own gradient.
    fn adam(
        &mut self,
        index: usize,
        columns: usize,
        rows: Range<usize>,
    ) -> Option<update::Parameters<'_, T>> {
        let _ = (index, columns, rows);
        None
    }
}
