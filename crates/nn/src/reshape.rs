//! Reshape: a sample with another shape.

use ndarray::{ArrayView2, ArrayViewMut2};
use serde_json::{Map, Value};
use ziffer_tensor::Scalar;

use crate::layer::{Context, Input, InputType, Layer, LayerError, Mode, Weights};

/// Gives a sample another shape with the same number of elements, in C order, as Keras's `Reshape`. It costs nothing: samples are
/// stored flat.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | target_shape | the shape, without the axis of the batch; one size may be -1, which is computed from the others | - |
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    target_shape: Vec<i64>,
}

impl Reshape {
    /// A layer with this shape.
    pub fn new(target_shape: impl Into<Vec<i64>>) -> Self {
        Self { target_shape: target_shape.into() }
    }
}

impl<T: Scalar> Layer<T> for Reshape {
    fn class_name(&self) -> &'static str {
        "Reshape"
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        let target = &self.target_shape;
        let numbers: usize = input_shape.iter().product();
        let unknown = target.iter().filter(|&&size| size == -1).count();
        if unknown > 1 || target.iter().any(|&size| size < -1 || size == 0) {
            return Err(format!(
                "target_shape is {target:?}, expected sizes of at least 1 and at most one -1"
            )
            .into());
        }
        let misfit =
            || LayerError::from(format!("target_shape is {target:?}, which does not fit {input_shape:?}"));
        let known = |&size: &i64| usize::try_from(size).unwrap_or(1);
        let product = target.iter().map(known).try_fold(1, usize::checked_mul).ok_or_else(misfit)?;
        if !numbers.is_multiple_of(product) || (unknown == 0 && numbers != product) {
            return Err(misfit());
        }
        Ok(target.iter().map(|&size| usize::try_from(size).unwrap_or(numbers / product)).collect())
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("target_shape".to_owned(), self.target_shape.clone().into())])
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
