//! Gaussian noise on a layer's input in training.

use ndarray::{ArrayView2, ArrayViewMut2};
use serde_json::{Map, Value};
use ziffer_tensor::Scalar;

use crate::layer::{Context, Input, InputType, Layer, LayerError, Mode, Weights};

/// Adds normal noise of mean 0 in training, y = x + stddev n, as Keras's `GaussianNoise`. At inference y = x.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | stddev | the noise's standard deviation, 0 to 1 | - |
///
/// The noise depends on the seed, the batch and the row, not on the threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianNoise {
    stddev: f64,
}

impl GaussianNoise {
    /// A layer with noise of this standard deviation.
    pub fn new(stddev: f64) -> Self {
        Self { stddev }
    }
}

impl<T: Scalar> Layer<T> for GaussianNoise {
    fn class_name(&self) -> &'static str {
        "GaussianNoise"
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        if !(0.0..=1.0).contains(&self.stddev) {
            return Err(format!("stddev is {}, expected a number from 0 to 1", self.stddev).into());
        }
        Ok(input_shape.to_vec())
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("stddev".to_owned(), self.stddev.into())])
    }

    fn is_identity(&self, mode: Mode, _: InputType) -> bool {
        mode == Mode::Inference || self.stddev == 0.0
    }

    fn forward(
        &self,
        context: &mut Context<'_, T>,
        _: Weights<'_, T>,
        x: Input<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) {
        y.assign(&x.to_real());
        if !context.is_training() {
            return;
        }
        for (row, mut y) in y.rows_mut().into_iter().enumerate() {
            let mut stream = context.stream(row);
            y.iter_mut().for_each(|y| *y += T::from_f64(self.stddev * stream.normal()));
        }
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
