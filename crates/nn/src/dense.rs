//! Dense: y = f(x W + b).

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2};
use serde_json::{Map, Value};
use ziffer_tensor::{Activation, Scalar, matmul, pixels, reduce};

use crate::Initializer;
use crate::layer::{Input, Layer, Output, Part, Sink, WeightSpec, Weights};

/// A fully connected layer, as Keras's `Dense`: y = f(x W + b) with W the kernel \[I, O\] and b the bias \[O\].
///
/// | setting | meaning | default |
/// |---|---|---|
/// | units | O, at least 1 | - |
/// | activation | f | linear |
/// | kernel_initializer | how W starts | Glorot uniform |
///
/// The bias starts at zero.
#[derive(Clone, Debug)]
pub struct Dense {
    units: usize,
    activation: Activation,
    kernel_initializer: Initializer,
    /// I, known once built.
    inputs: usize,
}

impl Dense {
    /// A layer of `units` outputs.
    pub fn new(units: usize, activation: Activation) -> Self {
        Self { units, activation, kernel_initializer: Initializer::GlorotUniform, inputs: 0 }
    }

    /// With another start for the kernel.
    pub fn kernel_initializer(mut self, initializer: Initializer) -> Self {
        self.kernel_initializer = initializer;
        self
    }
}

/// The kernel's index among the layer's weights.
const KERNEL: usize = 0;
/// The bias's.
const BIAS: usize = 1;

impl<T: Scalar> Layer<T> for Dense {
    fn class_name(&self) -> &'static str {
        "Dense"
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, String> {
        let [inputs] = *input_shape else {
            return Err(format!("expects a flat input, found {input_shape:?}; put flatten() before it"));
        };
        if inputs == 0 {
            return Err("its input is empty".to_owned());
        }
        if self.units == 0 {
            return Err("units is 0, expected at least 1".to_owned());
        }
        if inputs.checked_mul(self.units).is_none_or(|weights| weights > isize::MAX as usize / 64) {
            return Err(format!("a kernel of [{inputs}, {}] does not fit into memory", self.units));
        }
        self.inputs = inputs;
        Ok(vec![self.units])
    }

    fn weights(&self) -> Vec<WeightSpec> {
        vec![
            WeightSpec {
                name: "kernel",
                shape: vec![self.inputs, self.units],
                initializer: self.kernel_initializer,
            },
            WeightSpec { name: "bias", shape: vec![self.units], initializer: Initializer::Zeros },
        ]
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = Map::new();
        config.insert("units".to_owned(), self.units.into());
        config.insert("activation".to_owned(), self.activation.name().into());
        config.insert("kernel_initializer".to_owned(), self.kernel_initializer.name().into());
        config
    }

    fn ends_in_softmax(&self) -> bool {
        self.activation == Activation::Softmax
    }

    fn forward(&self, weights: Weights<'_, T>, x: Input<'_, T>, y: ArrayViewMut2<'_, T>, output: Output) {
        let (kernel, bias) = (weights.matrix(KERNEL, self.inputs), weights.vector(BIAS));
        let activation = if output == Output::Logits { Activation::Linear } else { self.activation };
        match x {
            Input::Real(x) => matmul::serial::affine(x, kernel, Some(bias), activation, y),
            Input::Pixels(x) => pixels::affine(x, kernel, bias, activation, y),
        }
    }

    fn backward(
        &self,
        weights: Weights<'_, T>,
        _: Input<'_, T>,
        y: ArrayView2<'_, T>,
        mut d: ArrayViewMut2<'_, T>,
        d_x: Option<ArrayViewMut2<'_, T>>,
        output: Output,
    ) {
        if output == Output::Activated {
            let y = y.to_slice().expect("outputs in C order");
            let d = d.as_slice_mut().expect("gradients in C order");
            self.activation.backward(y, d, self.units);
        }
        if let Some(d_x) = d_x {
            matmul::serial::matmul_nt(d.view(), weights.matrix(KERNEL, self.inputs), d_x);
        }
    }

    fn gradient(&self, x: Input<'_, T>, d: ArrayView2<'_, T>, part: Part, sink: &mut dyn Sink<T>) {
        let rows = part.of(self.inputs);
        if let Some(parameters) = sink.adam(KERNEL, self.units, rows.clone()) {
            match x {
                Input::Real(x) => matmul::serial::matmul_tn_adam(x, d, rows, parameters),
                Input::Pixels(x) => pixels::matmul_tn_adam(x, d, rows, parameters),
            }
        } else {
            let to_sink = &mut |row: usize, gradient: &[T]| sink.accept(KERNEL, row * self.units, gradient);
            match x {
                Input::Real(x) => matmul::serial::matmul_tn(x, d, rows, to_sink),
                Input::Pixels(x) => pixels::matmul_tn(x, d, rows, to_sink),
            }
        }
        if part.is_last() {
            sink.accept(BIAS, 0, reduce::sum_rows(d).as_slice().expect("a new vector"));
        }
    }

    fn part_of_outputs(&self, outputs: Range<usize>) -> Option<Box<dyn Layer<T>>> {
        let part = Self { units: outputs.len(), ..self.clone() };
        (self.activation != Activation::Softmax).then(|| Box::new(part) as Box<dyn Layer<T>>)
    }
}
