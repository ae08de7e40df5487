//! Flatten: a sample with one axis.

use ndarray::{ArrayView2, ArrayViewMut2};
use ziffer_tensor::Scalar;

use crate::layer::{Context, Input, InputType, Layer, LayerError, Mode, Weights};

/// Gives a sample a single axis, as Keras's `Flatten`. It costs nothing: samples are stored flat.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flatten;

impl<T: Scalar> Layer<T> for Flatten {
    fn class_name(&self) -> &'static str {
        "Flatten"
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok(vec![input_shape.iter().product()])
    }

    fn is_identity(&self, _: Mode, _: InputType) -> bool {
        true
    }

    fn forward(
        &self,
        _: &mut Context<'_, T>,
        _: Weights<'_, T>,
        x: Input<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) {
        y.assign(&x.to_real());
    }

    fn backward(
        &self,
        _: &mut Context<'_, T>,
        _: Weights<'_, T>,
        _: Input<'_, T>,
        _: ArrayView2<'_, T>,
        d: ArrayViewMut2<'_, T>,
        d_x: Option<ArrayViewMut2<'_, T>>,
    ) {
        if let Some(mut d_x) = d_x {
            d_x.assign(&d);
        }
    }
}
