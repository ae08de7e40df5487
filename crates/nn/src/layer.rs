//! The trait [`Layer`], and the types of its arguments.

mod context;
mod error;
mod input;
mod sink;
mod weights;

use std::fmt::Debug;

use ndarray::{ArrayView2, ArrayViewMut2};
use serde_json::{Map, Value};
use ziffer_tensor::{Activation, Scalar};

pub use context::{Context, Mode, OutputKind};
pub use error::LayerError;
pub(crate) use input::checked_input;
pub use input::{Input, InputType, SampleValue};
pub use sink::GradientSink;
pub(crate) use sink::{GradientConsumer, SinkCursor};
pub use weights::{WeightSpec, Weights};

/// A layer of a [`Model`](crate::Model).
///
/// Implement this trait to add a layer of your own, for every [`Scalar`] type: models use `f32`, and the gradient check
/// `gradcheck` (behind the feature of that name) uses `f64`. `examples/own_layer.rs` shows a complete layer, and
/// [`register_layer`](crate::register_layer) makes models with it loadable.
///
/// ```
/// use ndarray::{ArrayView2, ArrayViewMut2};
/// use ziffer_nn::layer::{Context, Input, Layer, LayerError, Weights};
/// use ziffer_nn::{Activation, Scalar, Sequential};
///
/// /// y = 2 x.
/// #[derive(Clone, Debug)]
/// struct Double;
///
/// impl<T: Scalar> Layer<T> for Double {
///     fn class_name(&self) -> &'static str {
///         "Double"
///     }
///     fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
///         Ok(input_shape.to_vec())
///     }
///     fn forward(
///         &self,
///         _: &mut Context<'_, T>,
///         _: Weights<'_, T>,
///         x: Input<'_, T>,
///         mut y: ArrayViewMut2<'_, T>,
///     ) {
///         y.zip_mut_with(&x.to_real(), |y, &x| *y = x + x);
///     }
///     fn backward(
///         &self,
///         _: &mut Context<'_, T>,
///         _: Weights<'_, T>,
///         _: Input<'_, T>,
///         _: ArrayView2<'_, T>,
///         d: ArrayViewMut2<'_, T>,
///         d_x: Option<ArrayViewMut2<'_, T>>,
///     ) {
///         if let Some(mut d_x) = d_x {
///             d_x.zip_mut_with(&d, |d_x, &d| *d_x = d + d);
///         }
///     }
/// }
///
/// let model = Sequential::new([4]).dense(3, Activation::Relu).add(Double).dense(2, Activation::Softmax).build(0)?;
/// assert_eq!(model.weight_names().count(), 4);
/// # Ok::<(), ziffer_nn::BuildError>(())
/// ```
///
/// # How a training step calls a layer
/// Before training begins, the layers are compiled into a [`Plan`](crate::training::Plan): a list of stages. In each stage the
/// threads divide rows of the batch, channels of a layer, or weights among themselves. A barrier follows each stage.
/// * [`forward`](Self::forward) and [`backward`](Self::backward) run in a stage that divides rows, unless
///   [`parallelism`](Self::parallelism) says otherwise. The weights do not change during the stage.
/// * [`gradient`](Self::gradient) runs in the stage that divides the weights. It sees the whole batch and pushes the gradient
///   of the elements that the calling thread owns to a [`GradientSink`], which stores it or updates the weights with it.
///
/// Every number is computed by one thread. If the order of a layer's sums does not depend on the rows, channels or elements
/// of the call, training gives the same bits for any number of threads.
///
/// # Shapes
/// A sample is a row: x is \[B, I\] and y \[B, O\], with I and O the products of the input's and the output's shape.
///
/// # Panics
/// A layer can access only the memory that is passed to it. The step panics with the layer's name if a layer panics, pushes
/// elements that the thread does not own, does not push all elements that it does own, or does not write all outputs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `Layer<{T}>`",
    label = "not a layer of `{T}`",
    note = "write `impl<T: Scalar> Layer<T> for ...`: models use `f32`, and `GradCheck` uses `f64`"
)]
pub trait Layer<T: Scalar>: Debug + Send + Sync {
    /// The class name, as in Keras: `"Dense"`. The layer's name is derived from it: `dense`, `dense_1`, ...
    fn class_name(&self) -> &'static str;

    /// Takes the shape of an input sample and returns the shape of an output sample. Called once, before all methods below.
    ///
    /// # Errors
    /// If a setting of the layer or the shape is wrong. The message is one line; the model adds the layer's name.
    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError>;

    /// The weights after `build`, in the order in which they are stored: trainable weights first. By default none.
    fn weights(&self) -> Vec<WeightSpec> {
        Vec::new()
    }

    /// The settings by Keras's names, for the model's file. By default none.
    fn config(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Whether y equals x in this mode, possibly in another shape. If so, no method below is called. For pixels, y must be
    /// pixel / 255.
    fn is_identity(&self, mode: Mode, input: InputType) -> bool {
        let _ = (mode, input);
        false
    }

    /// The activation of the output, if `forward` and `backward` can leave it out ([`OutputKind::Logits`]). A loss with the same
    /// [`activation`](crate::Loss::activation) is then computed from the logits. By default none.
    fn output_activation(&self) -> Option<Activation> {
        None
    }

    /// How threads may divide the work of `forward` and `backward` in a training step. By default by rows. Like
    /// [`saved`](Self::saved) and [`scratch`](Self::scratch), it is called once, when the model is built.
    fn parallelism(&self) -> Parallelism {
        Parallelism::Rows
    }

    /// The count of numbers that the layer saves for each row, or for each channel with [`Parallelism::Channels`], from `forward`
    /// to `backward` and `gradient` in a training step. See [`Context::saved`]. By default 0.
    fn saved(&self) -> usize {
        0
    }

    /// The count of numbers of working memory that a call needs. See [`Context::scratch`]. By default 0.
    fn scratch(&self) -> usize {
        0
    }

    /// Computes y \[B, O\] from x \[B, I\]. It must write every element of y.
    fn forward(
        &self,
        context: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        y: ArrayViewMut2<'_, T>,
    );

    /// Takes the gradient of the loss with respect to y in `d`, \[B, O\], and writes the one with respect to x to `d_x`,
    /// \[B, I\], if that is given.
    ///
    /// [`gradient`](Self::gradient) receives the contents that `backward` leaves in `d`: a dense layer leaves the gradient with
    /// respect to its sums, before the activation.
    fn backward(
        &self,
        context: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        y: ArrayView2<'_, T>,
        d: ArrayViewMut2<'_, T>,
        d_x: Option<ArrayViewMut2<'_, T>>,
    );

    /// Pushes the gradient of the loss with respect to the weights to `sink`: for each trainable weight the elements of
    /// [`GradientSink::range`], in ascending order. It is computed from the whole batch: x \[B, I\], d \[B, O\] as `backward`
    /// left it, and the saved numbers \[B, S\]. With [`Parallelism::Channels`], x, d and `saved` have the call's channels only.
    ///
    /// Weights are not passed: other threads are updating them. A layer assigns new values of non-trainable weights, such as
    /// moving averages, here. By default it does nothing, for a layer without weights.
    fn gradient(&self, x: Input<'_, T>, d: ArrayView2<'_, T>, saved: &[T], sink: &mut GradientSink<'_, T>) {
        let _ = (x, d, saved, sink);
    }
}

/// How threads divide the work of a layer's forward and backward passes in training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parallelism {
    /// By rows: each row of y and d_x depends on that row only.
    #[default]
    Rows,
    /// By rows, or in the forward pass by outputs: column o of y depends on x and on index o of the last axis of each weight,
    /// which has O elements. `forward` is then called with some columns of y and of the weights.
    ///
    /// For a first layer that reads pixels, outputs are better than rows: weights stay in the cache of the core that updates
    /// them, if a thread's part of weights and optimizer state takes at most 1 MiB.
    RowsOrOutputs,
    /// By channels, the last axis of the input: each channel of y and d_x depends on that channel of the whole batch, as with
    /// batch statistics. The output has the shape of the input, and every weight has one element per channel. In both modes x,
    /// y, d and d_x are \[B * O / C, C\]. In training a call has some columns of them, and the weights of these channels.
    Channels,
}
