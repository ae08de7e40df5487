//! PReLU: a relu with a learned slope per element.

use ndarray::{ArrayView2, ArrayViewMut2, Zip};
use serde_json::{Map, Value};
use ziffer_tensor::Scalar;

use crate::Initializer;
use crate::layer::{Context, GradientSink, Input, Layer, LayerError, WeightSpec, Weights};

/// y = x where x > 0, else alpha x with one alpha per element of a sample, as Keras's `PReLU` (He and others 2015).
///
/// The weight alpha has the input's shape. The default of `alpha_initializer` is zeros. The derivative with respect to x at 0 is
/// alpha.
#[derive(Clone, Debug, PartialEq)]
pub struct PRelu {
    alpha_initializer: Initializer,
    /// The shape of a sample, set by `build`.
    shape: Vec<usize>,
}

impl Default for PRelu {
    fn default() -> Self {
        Self { alpha_initializer: Initializer::Zeros, shape: Vec::new() }
    }
}

impl PRelu {
    /// A layer whose alpha is 0 at first.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the initializer of alpha.
    pub fn alpha_initializer(mut self, initializer: Initializer) -> Self {
        self.alpha_initializer = initializer;
        self
    }
}

const ALPHA: usize = 0;

impl<T: Scalar> Layer<T> for PRelu {
    fn class_name(&self) -> &'static str {
        "PReLU"
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        if input_shape.contains(&0) {
            return Err("its input is empty".into());
        }
        self.shape = input_shape.to_vec();
        Ok(input_shape.to_vec())
    }

    fn weights(&self) -> Vec<WeightSpec> {
        vec![WeightSpec::new("alpha", self.shape.clone(), self.alpha_initializer)]
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("alpha_initializer".to_owned(), self.alpha_initializer.config())])
    }

    fn forward(
        &self,
        _: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) {
        let alpha = weights.slice(ALPHA);
        for (mut y, x) in y.rows_mut().into_iter().zip(x.to_real().rows()) {
            y.iter_mut().zip(x).zip(alpha).for_each(|((y, &x), &alpha)| {
                *y = if x > T::zero() { x } else { alpha * x };
            });
        }
    }

    fn backward(
        &self,
        _: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        _: ArrayView2<'_, T>,
        d: ArrayViewMut2<'_, T>,
        d_x: Option<ArrayViewMut2<'_, T>>,
    ) {
        let Some(mut d_x) = d_x else { return };
        let alpha = weights.slice(ALPHA);
        let x = x.to_real();
        Zip::from(d_x.rows_mut()).and(d.rows()).and(x.rows()).for_each(|mut d_x, d, x| {
            d_x.iter_mut().zip(d).zip(x).zip(alpha).for_each(|(((d_x, &d), &x), &alpha)| {
                *d_x = if x > T::zero() { d } else { d * alpha };
            });
        });
    }

    /// d alpha is the sum over the batch of d min(x, 0), in the batch's order.
    fn gradient(&self, x: Input<'_, T>, d: ArrayView2<'_, T>, _: &[T], sink: &mut GradientSink<'_, T>) {
        /// The number of elements summed at a time, on the stack.
        const CHUNK: usize = 256;
        let x = x.to_real();
        let owned = sink.range(ALPHA);
        let mut sums = [T::zero(); CHUNK];
        for start in owned.clone().step_by(CHUNK) {
            let piece = start..owned.end.min(start + CHUNK);
            let sums = &mut sums[..piece.len()];
            sums.fill(T::zero());
            for (x, d) in x.rows().into_iter().zip(d.rows()) {
                for (sum, element) in sums.iter_mut().zip(piece.clone()) {
                    let x = x[element];
                    *sum += if x > T::zero() { T::zero() } else { d[element] * x };
                }
            }
            sink.push(ALPHA, sums);
        }
    }
}
