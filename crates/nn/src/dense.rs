//! Dense: y = f(x W + b).

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, s};
use serde_json::{Map, Value};
use ziffer_tensor::{Activation, Scalar, matmul, pixels};

use crate::Initializer;
use crate::layer::{
    Context, GradientSink, Input, Layer, LayerError, OutputKind, Parallelism, WeightSpec, Weights,
};

/// A fully connected layer, as Keras's `Dense`: y = f(x W + b) with W the kernel \[I, O\] and b the bias \[O\].
///
/// | setting | meaning | default |
/// |---|---|---|
/// | units | O, at least 1 | - |
/// | activation | f | linear |
/// | use_bias | whether to add b | true |
/// | kernel_initializer | the initializer of W | Glorot uniform |
/// | bias_initializer | the initializer of b | zeros |
///
/// In training, an activation whose derivative is computed from z = x W + b ([`Activation::needs_input`]) takes memory for O more
/// numbers per row.
#[derive(Clone, Debug)]
pub struct Dense {
    units: usize,
    activation: Activation,
    use_bias: bool,
    kernel_initializer: Initializer,
    bias_initializer: Initializer,
    /// I, set by `build`.
    inputs: usize,
}

impl Dense {
    /// A layer with `units` outputs.
    pub fn new(units: usize, activation: Activation) -> Self {
        let (kernel_initializer, bias_initializer) = (Initializer::GlorotUniform, Initializer::Zeros);
        Self { units, activation, use_bias: true, kernel_initializer, bias_initializer, inputs: 0 }
    }

    /// Sets whether the layer has a bias.
    pub fn use_bias(mut self, use_bias: bool) -> Self {
        self.use_bias = use_bias;
        self
    }

    /// Sets the initializer of the kernel.
    pub fn kernel_initializer(mut self, initializer: Initializer) -> Self {
        self.kernel_initializer = initializer;
        self
    }

    /// Sets the initializer of the bias.
    pub fn bias_initializer(mut self, initializer: Initializer) -> Self {
        self.bias_initializer = initializer;
        self
    }
}

impl Dense {
    /// f(x W + b). Without a bias, the start of `scratch` holds zeros instead.
    fn affine<T: Scalar>(
        &self,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        activation: Activation,
        scratch: &mut [T],
        y: ArrayViewMut2<'_, T>,
    ) {
        let kernel = weights.matrix(KERNEL, self.inputs);
        let bias = if self.use_bias {
            weights.vector(BIAS)
        } else {
            let zeros = &mut scratch[..kernel.ncols()];
            zeros.fill(T::zero());
            ArrayView1::from(&*zeros)
        };
        match x {
            Input::Real(x) => matmul::serial::affine(x, kernel, Some(bias), activation, y),
            Input::Pixels(x) => pixels::affine(x, kernel, bias, activation, y),
        }
    }

    /// Computes the gradient with respect to z from that with respect to y, where z was not saved: z is recomputed row by row.
    fn backward_frozen<T: Scalar>(
        &self,
        context: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        d: &mut [T],
    ) {
        let scratch = context.scratch();
        let (zeros, z) = scratch.split_at_mut(scratch.len() - self.units);
        for (row, d) in d.chunks_exact_mut(self.units).enumerate() {
            let x = match &x {
                Input::Real(x) => Input::Real(x.slice(s![row..=row, ..])),
                Input::Pixels(x) => Input::Pixels(x.slice(s![row..=row, ..])),
            };
            let of_row = ArrayViewMut2::from_shape((1, self.units), &mut *z).expect("a row of outputs");
            self.affine(weights, x, Activation::Linear, zeros, of_row);
            self.activation.backward(z, d, self.units);
        }
    }
}

/// The index of the kernel among the layer's weights.
const KERNEL: usize = 0;
/// The index of the bias.
const BIAS: usize = 1;

impl<T: Scalar> Layer<T> for Dense {
    fn class_name(&self) -> &'static str {
        "Dense"
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        let [inputs] = *input_shape else {
            return Err(
                format!("expects a flat input, found {input_shape:?}; put flatten() before it").into()
            );
        };
        if inputs == 0 {
            return Err("its input is empty".into());
        }
        if self.units == 0 {
            return Err("units is 0, expected at least 1".into());
        }
        if inputs.checked_mul(self.units).is_none_or(|weights| weights > isize::MAX as usize / 64) {
            return Err(format!("a kernel of [{inputs}, {}] does not fit into memory", self.units).into());
        }
        self.inputs = inputs;
        Ok(vec![self.units])
    }

    fn weights(&self) -> Vec<WeightSpec> {
        let kernel = WeightSpec::new("kernel", [self.inputs, self.units], self.kernel_initializer);
        let bias = WeightSpec::new("bias", [self.units], self.bias_initializer);
        if self.use_bias { vec![kernel, bias] } else { vec![kernel] }
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = Map::new();
        config.insert("units".to_owned(), self.units.into());
        config.insert("activation".to_owned(), self.activation.name().into());
        config.insert("use_bias".to_owned(), self.use_bias.into());
        config.insert("kernel_initializer".to_owned(), self.kernel_initializer.config());
        config.insert("bias_initializer".to_owned(), self.bias_initializer.config());
        config
    }

    fn output_activation(&self) -> Option<Activation> {
        matches!(self.activation, Activation::Softmax | Activation::Sigmoid).then_some(self.activation)
    }

    fn parallelism(&self) -> Parallelism {
        let by_rows = self.activation == Activation::Softmax || self.activation.needs_input();
        if by_rows { Parallelism::Rows } else { Parallelism::RowsOrOutputs }
    }

    /// z, if the activation's derivative is computed from it.
    fn saved(&self) -> usize {
        if self.activation.needs_input() { self.units } else { 0 }
    }

    /// Zeros instead of a bias, then z of one row, where z is not saved.
    fn scratch(&self) -> usize {
        let zeros = if self.use_bias { 0 } else { self.units };
        zeros + if self.activation.needs_input() { self.units } else { 0 }
    }

    fn forward(
        &self,
        context: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        y: ArrayViewMut2<'_, T>,
    ) {
        let activation =
            if context.output_kind() == OutputKind::Logits { Activation::Linear } else { self.activation };
        let saves_z = activation.needs_input() && context.is_training();
        let (saved, scratch) = context.memory();
        if !saves_z {
            self.affine(weights, x, activation, scratch, y);
            return;
        }
        let mut y = y;
        self.affine(weights, x, Activation::Linear, scratch, y.view_mut());
        let y = y.as_slice_mut().expect("outputs in C order");
        saved.copy_from_slice(y);
        activation.apply(y, self.units);
    }

    fn backward(
        &self,
        context: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        y: ArrayView2<'_, T>,
        mut d: ArrayViewMut2<'_, T>,
        d_x: Option<ArrayViewMut2<'_, T>>,
    ) {
        if context.output_kind() == OutputKind::Activated {
            let y = y.to_slice().expect("outputs in C order");
            let d = d.as_slice_mut().expect("gradients in C order");
            if !self.activation.needs_input() {
                self.activation.backward(y, d, self.units);
            } else if context.is_training() {
                self.activation.backward(context.saved(), d, self.units);
            } else {
                self.backward_frozen(context, weights, x, d);
            }
        }
        if let Some(d_x) = d_x {
            matmul::serial::matmul_nt(d.view(), weights.matrix(KERNEL, self.inputs), d_x);
        }
    }

    fn gradient(&self, x: Input<'_, T>, d: ArrayView2<'_, T>, _: &[T], sink: &mut GradientSink<'_, T>) {
        sink.push_product(KERNEL, x, d);
        if self.use_bias {
            sink.push_column_sums(BIAS, d);
        }
    }
}
