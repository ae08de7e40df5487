//! The loss and the layer that make gradients with respect to a layer's input those of a model's weights.

use ndarray::{ArrayView2, ArrayViewMut2, s};
use ziffer_tensor::Activation;

use crate::Initializer;
use crate::layer::{Context, GradientSink, Input, Layer, LayerError, WeightSpec, Weights};
use crate::loss::{Loss, Target};

/// L = sum(c y), with c as target.
#[derive(Debug)]
pub(super) struct Dot {
    /// The activation that the loss includes.
    pub(super) logits: Option<Activation>,
}

impl Loss<f64> for Dot {
    fn name(&self) -> &'static str {
        "dot"
    }

    fn activation(&self) -> Option<Activation> {
        self.logits
    }

    fn value(&self, output: &[f64], target: Target<'_, f64>) -> f64 {
        let Target::Values(c) = target else { unreachable!("targets are values") };
        output.iter().zip(c).map(|(y, c)| y * c).sum()
    }

    fn backward(&self, output: &[f64], target: Target<'_, f64>, scale: f64, d: &mut [f64]) -> f64 {
        let Target::Values(c) = target else { unreachable!("targets are values") };
        d.iter_mut().zip(c).for_each(|(d, c)| *d = scale * c);
        self.value(output, target)
    }
}

/// y = x + w with one w per number of each sample of the batch. The gradient with respect to w is the gradient with respect to the
/// input of the next layer.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    batch: usize,
    inputs: usize,
}

impl Probe {
    pub(super) fn new(batch: usize) -> Self {
        Self { batch, inputs: 0 }
    }
}

impl Layer<f64> for Probe {
    fn class_name(&self) -> &'static str {
        "Input"
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.inputs = input_shape.iter().product();
        Ok(input_shape.to_vec())
    }

    fn weights(&self) -> Vec<WeightSpec> {
        vec![WeightSpec::new("number", [self.batch, self.inputs], Initializer::Zeros)]
    }

    fn forward(
        &self,
        context: &mut Context<'_, f64>,
        weights: Weights<'_, f64>,
        x: Input<'_, f64>,
        mut y: ArrayViewMut2<'_, f64>,
    ) {
        let rows = context.first_row()..context.first_row() + y.nrows();
        y.assign(&x.to_real());
        y += &weights.matrix(0, self.batch).slice(s![rows, ..]);
    }

    fn backward(
        &self,
        _: &mut Context<'_, f64>,
        _: Weights<'_, f64>,
        _: Input<'_, f64>,
        _: ArrayView2<'_, f64>,
        d: ArrayViewMut2<'_, f64>,
        d_x: Option<ArrayViewMut2<'_, f64>>,
    ) {
        if let Some(mut d_x) = d_x {
            d_x.assign(&d);
        }
    }

    fn gradient(
        &self,
        _: Input<'_, f64>,
        d: ArrayView2<'_, f64>,
        _: &[f64],
        sink: &mut GradientSink<'_, f64>,
    ) {
        let owned = sink.range(0);
        sink.push(0, &d.as_slice().expect("gradients in C order")[owned]);
    }
}
