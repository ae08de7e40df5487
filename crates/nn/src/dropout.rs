//! Dropout: random numbers of a layer's input become 0 in training.

use ndarray::{ArrayView2, ArrayViewMut2};
use serde_json::{Map, Value};
use ziffer_tensor::Scalar;

use crate::layer::{Context, Input, InputType, Layer, LayerError, Mode, Weights};

/// Sets each number of a sample to zero with probability `rate` in training, and multiplies the others by 1 / (1 - rate), as
/// Keras's `Dropout` (Srivastava and others 2014). At inference y = x.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | rate | the probability, 0 to below 1 | - |
///
/// The dropped numbers depend on the seed, the batch and the row, not on the threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    rate: f64,
    /// I, set by `build`.
    inputs: usize,
}

impl Dropout {
    /// A layer with this rate.
    pub fn new(rate: f64) -> Self {
        Self { rate, inputs: 0 }
    }
}

impl<T: Scalar> Layer<T> for Dropout {
    fn class_name(&self) -> &'static str {
        "Dropout"
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        if !(0.0..1.0).contains(&self.rate) {
            return Err(format!("rate is {}, expected a number from 0 to below 1", self.rate).into());
        }
        self.inputs = input_shape.iter().product();
        Ok(input_shape.to_vec())
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("rate".to_owned(), self.rate.into())])
    }

    fn is_identity(&self, mode: Mode, _: InputType) -> bool {
        mode == Mode::Inference || self.rate == 0.0
    }

    /// The factor of each number: 0 or 1 / (1 - rate).
    fn saved(&self) -> usize {
        self.inputs
    }

    fn forward(
        &self,
        context: &mut Context<'_, T>,
        _: Weights<'_, T>,
        x: Input<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) {
        let x = x.to_real();
        if !context.is_training() {
            y.assign(&x);
            return;
        }
        // A random number of 32 bits below the threshold drops the element.
        let bound = (self.rate * 2f64.powi(32)) as u32;
        let kept = T::from_f64(1.0 / (1.0 - self.rate));
        let mut drawn = [0; 64];
        for (row, (mut y, x)) in y.rows_mut().into_iter().zip(x.rows()).enumerate() {
            let mut stream = context.stream(row);
            let factors = &mut context.saved()[row * self.inputs..][..self.inputs];
            for factors in factors.chunks_mut(drawn.len()) {
                stream.fill(&mut drawn[..factors.len()]);
                for (factor, &draw) in factors.iter_mut().zip(&drawn) {
                    *factor = if draw < bound { T::zero() } else { kept };
                }
            }
            y.iter_mut().zip(x).zip(factors).for_each(|((y, &x), &mut factor)| {
                // Not a product, so that a dropped NaN or infinity becomes 0.
                *y = if factor == T::zero() { T::zero() } else { x * factor };
            });
        }
    }

    fn backward(
        &self,
        context: &mut Context<'_, T>,
        _: Weights<'_, T>,
        _: Input<'_, T>,
        _: ArrayView2<'_, T>,
        d: ArrayViewMut2<'_, T>,
        d_x: Option<ArrayViewMut2<'_, T>>,
    ) {
        let Some(mut d_x) = d_x else { return };
        if context.is_training() {
            let factors = context.saved().iter();
            d_x.iter_mut().zip(&d).zip(factors).for_each(|((d_x, &d), &factor)| *d_x = d * factor);
        } else {
            d_x.assign(&d);
        }
    }
}
