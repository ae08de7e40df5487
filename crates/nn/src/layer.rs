//! What a layer is to the model and to the training step.

mod context;
mod input;
mod sink;
mod weights;

use std::fmt::Debug;

use ndarray::{ArrayView2, ArrayViewMut2};
use serde_json::{Map, Value};
use ziffer_tensor::{Activation, Scalar};

pub use context::{Context, Mode, Output};
pub use input::{Feature, Input, InputType};
pub use sink::GradientSink;
pub(crate) use sink::{GradientTarget, Progress};
pub use weights::{WeightSpec, Weights};

/// A layer of a [`Model`](crate::Model). Implement it outside of this crate to add one of your own; the harness in
/// `gradcheck` (a feature of that name) compares its gradients with central differences, `examples/own_layer.rs` shows
/// one from start to end, and [`register_layer`](crate::register_layer) makes its models loadable.
///
/// # How a training step calls it
/// Before training begins, the layers are compiled into a [`Plan`](crate::training::Plan): a list of stages, each of which
/// shares out rows of the batch, channels of a layer, or weights among the threads. All threads meet at a barrier after
/// each stage.
/// * [`forward`](Self::forward) and [`backward`](Self::backward) belong to a stage that shares out rows, unless
///   [`sharing`](Self::sharing) says otherwise. The weights do not change meanwhile.
/// * [`gradient`](Self::gradient) belongs to the stage that shares out the weights. It sees the whole batch and hands the
///   gradient of the elements that the calling thread owns to a [`GradientSink`], which stores it or updates the weights
///   with it.
///
/// Every number is formed within one thread. If a layer sums in an order that does not depend on the rows, channels or
/// elements that it is called for, training gives the same bits for any number of threads.
///
/// # Shapes
/// A sample is a row: x is \[B, I\] and y \[B, O\], with I and O the products of the input's and the output's shape.
///
/// # What it cannot do
/// A layer reaches only the memory that is lent to it. The step panics with the layer's name if a layer panics, hands over
/// elements that the thread does not own, leaves out some that it does, or leaves outputs unwritten.
pub trait Layer<T: Scalar>: Debug + Send + Sync {
    /// The class, as Keras calls it: `"Dense"`. The layer's name is made of it: `dense`, `dense_1`, ...
    fn class_name(&self) -> &'static str;

    /// Takes the shape of one input sample and returns that of one output sample. Called once, before all below.
    ///
    /// # Errors
    /// What is wrong with the layer's settings or with that shape, as one line; the model adds the layer's name.
    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError>;

    /// The weights that it has once built, in the order in which they are stored: trainable ones first. By default none.
    fn weights(&self) -> Vec<WeightSpec> {
        Vec::new()
    }

    /// The settings, by Keras's names, for the model's file. By default none.
    fn config(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Whether y is x in this mode, in another shape perhaps. Then nothing below is called. For pixels y must be pixel / 255.
    fn is_identity(&self, mode: Mode, input: InputType) -> bool {
        let _ = (mode, input);
        false
    }

    /// The activation that the output has, if `forward` and `backward` know [`Output::Logits`], which leaves it out. A loss
    /// that has the same [`activation`](crate::Loss::activation) is then computed from the logits. By default none.
    fn output_activation(&self) -> Option<Activation> {
        None
    }

    /// What a training step may share out among threads in `forward` and `backward`. By default rows. Asked once, when the
    /// model is built, as are [`saved`](Self::saved) and [`scratch`](Self::scratch).
    fn sharing(&self) -> Sharing {
        Sharing::Rows
    }

    /// How many numbers the layer keeps for each row (or, with [`Sharing::Channels`], for each channel) from `forward` to
    /// `backward` and `gradient` in a training step; see [`Context::saved`]. By default none.
    fn saved(&self) -> usize {
        0
    }

    /// How many numbers of working memory a call needs; see [`Context::scratch`]. By default none.
    fn scratch(&self) -> usize {
        0
    }

    /// Computes y \[B, O\] from x \[B, I\]. Every element of y is written.
    fn forward(
        &self,
        context: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        y: ArrayViewMut2<'_, T>,
    );

    /// Takes the gradient of the loss by y in `d`, \[B, O\], and writes that by x to `d_x`, \[B, I\], if it is wanted.
    /// What it leaves in `d` is what [`gradient`](Self::gradient) will get: a dense layer leaves the gradient by its
    /// sums, before the activation.
    fn backward(
        &self,
        context: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        y: ArrayView2<'_, T>,
        d: ArrayViewMut2<'_, T>,
        d_x: Option<ArrayViewMut2<'_, T>>,
    );

    /// Hands the gradient of the loss by the weights to `sink`: for each trainable weight the elements of
    /// [`GradientSink::range`], in ascending order. It comes from the whole batch's x \[B, I\], what `backward` left in
    /// d \[B, O\], and what was saved, \[B, S\]. With [`Sharing::Channels`], x, d and `saved` are those of the call's channels.
    ///
    /// The trainable weights themselves may be changing meanwhile and are not passed. New values of non-trainable weights,
    /// moving averages say, are assigned here. By default nothing, for a layer that has no weights.
    fn gradient(&self, x: Input<'_, T>, d: ArrayView2<'_, T>, saved: &[T], sink: &mut GradientSink<'_, T>) {
        let _ = (x, d, saved, sink);
    }
}

/// What threads can share out of a layer's forward and backward passes in training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Rows: each row of y and d_x depends on that row alone.
    #[default]
    Rows,
    /// Rows, and in the forward pass outputs instead: column o of y depends on x and on index o of the last axis of each
    /// weight, which has O elements. `forward` is then called with these columns of y and of the weights.
    ///
    /// For a first layer with many weights this is better than sharing out rows, since weights stay in the cache of the
    /// core that updates them.
    RowsOrOutputs,
    /// Channels, the last axis of the input: each channel of y and d_x depends on that channel of the whole batch, as with
    /// batch statistics. The shape stays, and every weight has one element a channel. In both modes x, y, d and d_x are
    /// \[B * O / C, C\]; in training they are some columns of that, and the weights the elements of these channels.
    Channels,
}

/// What is wrong with a layer's settings or its input's shape, as one line.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LayerError(String);

ziffer_base::debug_as_message!(LayerError);

impl From<String> for LayerError {
    fn from(problem: String) -> Self {
        Self(problem)
    }
}

impl From<&str> for LayerError {
    fn from(problem: &str) -> Self {
        Self(problem.to_owned())
    }
}
