//! Activations as separate layers.

use ndarray::{ArrayView2, ArrayViewMut2};
use serde_json::{Map, Value};
use ziffer_tensor::{Activation, Scalar};

use crate::layer::{Context, Input, InputType, Layer, LayerError, Mode, OutputKind, Weights};

/// The size of the last axis of a sample; 1 for a shape without axes.
fn last_axis(shape: &[usize]) -> usize {
    shape.last().copied().unwrap_or(1)
}

/// Checks that an axis, counted including the batch's, is the last axis of samples of this shape.
pub(crate) fn check_last_axis(axis: i64, shape: &[usize]) -> Result<(), LayerError> {
    if axis == -1 || usize::try_from(axis) == Ok(shape.len()) {
        return Ok(());
    }
    Err(format!("axis is {axis}, expected -1, the last one").into())
}

/// Checks that a setting is a finite number of at least 0.
fn check_not_negative(setting: &str, value: f64) -> Result<(), LayerError> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(format!("{setting} is {value}, expected a finite number of at least 0").into())
}

/// Makes a layer without weights of a type with the methods `prepare`, `settings`, `passes_all`, `left_out`, `apply`
/// and `backward`. Its y has the shape of x.
macro_rules! activation_layer {
    ($layer:ty, $class:literal) => {
        impl<T: Scalar> Layer<T> for $layer {
            fn class_name(&self) -> &'static str {
                $class
            }

            fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
                self.prepare(input_shape)?;
                Ok(input_shape.to_vec())
            }

            fn config(&self) -> Map<String, Value> {
                self.settings()
            }

            fn is_identity(&self, _: Mode, _: InputType) -> bool {
                self.is_linear()
            }

            fn output_activation(&self) -> Option<Activation> {
                self.optional_activation()
            }

            fn forward(
                &self,
                context: &mut Context<'_, T>,
                _: Weights<'_, T>,
                x: Input<'_, T>,
                mut y: ArrayViewMut2<'_, T>,
            ) {
                y.assign(&x.to_real());
                if context.output_kind() == OutputKind::Activated {
                    self.apply(y.as_slice_mut().expect("outputs in C order"));
                }
            }

            fn backward(
                &self,
                context: &mut Context<'_, T>,
                _: Weights<'_, T>,
                x: Input<'_, T>,
                y: ArrayView2<'_, T>,
                d: ArrayViewMut2<'_, T>,
                d_x: Option<ArrayViewMut2<'_, T>>,
            ) {
                let Some(mut d_x) = d_x else { return };
                d_x.assign(&d);
                if context.output_kind() == OutputKind::Activated {
                    let x = x.to_real();
                    let (x, y) = (x.as_slice(), y.to_slice());
                    let (x, y) = (x.expect("inputs in C order"), y.expect("outputs in C order"));
                    self.backward(x, y, d_x.as_slice_mut().expect("gradients in C order"));
                }
            }
        }
    };
}

/// y = f(x) with any [`Activation`], as Keras's `Activation`. A softmax is over the last axis.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | activation | f | - |
///
/// ```
/// use ziffer_nn::{Activation, Sequential};
/// let model = Sequential::new([4])
///     .dense(8, Activation::Linear)
///     .batch_normalization()
///     .activation(Activation::Relu)
///     .dense(3, Activation::Linear)
///     .activation(Activation::Softmax)
///     .build(0)?;
/// assert_eq!(model.layers().last().map(|layer| layer.class_name), Some("Activation"));
/// # Ok::<(), ziffer_nn::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActivationLayer {
    activation: Activation,
    /// The size of the last axis and the number of axes of a sample, set by `build`.
    columns: usize,
    rank: usize,
}

impl ActivationLayer {
    /// A layer with this activation.
    pub fn new(activation: Activation) -> Self {
        Self { activation, columns: 1, rank: 0 }
    }

    fn prepare(&mut self, shape: &[usize]) -> Result<(), LayerError> {
        (self.columns, self.rank) = (last_axis(shape), shape.len());
        Ok(())
    }

    fn settings(&self) -> Map<String, Value> {
        Map::from_iter([("activation".to_owned(), self.activation.name().into())])
    }

    fn is_linear(&self) -> bool {
        self.activation == Activation::Linear
    }

    /// The activation that a loss may include. Such a loss takes one logit per class.
    fn optional_activation(&self) -> Option<Activation> {
        let has_loss = matches!(self.activation, Activation::Softmax | Activation::Sigmoid) && self.rank == 1;
        has_loss.then_some(self.activation)
    }

    fn apply<T: Scalar>(&self, y: &mut [T]) {
        self.activation.apply(y, self.columns);
    }

    fn backward<T: Scalar>(&self, x: &[T], y: &[T], d: &mut [T]) {
        self.activation.backward(if self.activation.needs_input() { x } else { y }, d, self.columns);
    }
}

activation_layer!(ActivationLayer, "Activation");

/// y_c = e^(x_c) / sum_k e^(x_k) over the last axis, as Keras's `Softmax`.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | axis | the last axis: -1, or its index including the batch's axis | -1 |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Softmax {
    axis: i64,
    inner: ActivationLayer,
}

impl Default for Softmax {
    fn default() -> Self {
        Self { axis: -1, inner: ActivationLayer::new(Activation::Softmax) }
    }
}

impl Softmax {
    /// A softmax over the last axis.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the axis, counted including the batch's. It must be the last axis.
    pub fn axis(mut self, axis: i64) -> Self {
        self.axis = axis;
        self
    }

    fn prepare(&mut self, shape: &[usize]) -> Result<(), LayerError> {
        check_last_axis(self.axis, shape)?;
        self.inner.prepare(shape)
    }

    fn settings(&self) -> Map<String, Value> {
        Map::from_iter([("axis".to_owned(), self.axis.into())])
    }

    fn is_linear(&self) -> bool {
        false
    }

    fn optional_activation(&self) -> Option<Activation> {
        self.inner.optional_activation()
    }

    fn apply<T: Scalar>(&self, y: &mut [T]) {
        self.inner.apply(y);
    }

    fn backward<T: Scalar>(&self, x: &[T], y: &[T], d: &mut [T]) {
        self.inner.backward(x, y, d);
    }
}

activation_layer!(Softmax, "Softmax");

/// y = min(x, max_value) where x > threshold, else negative_slope (x - threshold), as Keras's `ReLU`.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | max_value | the largest y, at least 0 | none |
/// | negative_slope | the slope below the threshold, at least 0 | 0 |
/// | threshold | the x above which y = x, at least 0 | 0 |
///
/// The derivative at the threshold is negative_slope, and that from max_value on is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Relu {
    max_value: Option<f64>,
    negative_slope: f64,
    threshold: f64,
}

impl Relu {
    /// y = max(x, 0).
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the largest y.
    pub fn max_value(mut self, max_value: f64) -> Self {
        self.max_value = Some(max_value);
        self
    }

    /// Sets the slope below the threshold.
    pub fn negative_slope(mut self, negative_slope: f64) -> Self {
        self.negative_slope = negative_slope;
        self
    }

    /// Sets the threshold.
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    fn prepare(&mut self, _: &[usize]) -> Result<(), LayerError> {
        if let Some(max_value) = self.max_value {
            check_not_negative("max_value", max_value)?;
        }
        check_not_negative("negative_slope", self.negative_slope)?;
        check_not_negative("threshold", self.threshold)
    }

    fn settings(&self) -> Map<String, Value> {
        Map::from_iter([
            ("max_value".to_owned(), self.max_value.into()),
            ("negative_slope".to_owned(), self.negative_slope.into()),
            ("threshold".to_owned(), self.threshold.into()),
        ])
    }

    fn is_linear(&self) -> bool {
        false
    }

    fn optional_activation(&self) -> Option<Activation> {
        None
    }

    /// max_value, negative_slope and threshold.
    fn numbers<T: Scalar>(&self) -> [T; 3] {
        [self.max_value.unwrap_or(f64::INFINITY), self.negative_slope, self.threshold].map(T::from_f64)
    }

    fn apply<T: Scalar>(&self, y: &mut [T]) {
        let [max, slope, threshold] = self.numbers();
        for y in y {
            let above = if *y > max { max } else { *y };
            *y = if *y > threshold { above } else { slope * (*y - threshold) };
        }
    }

    fn backward<T: Scalar>(&self, x: &[T], _: &[T], d: &mut [T]) {
        let [max, slope, threshold] = self.numbers();
        for (d, &x) in d.iter_mut().zip(x) {
            let factor = if x < max { T::one() } else { T::zero() };
            *d *= if x > threshold { factor } else { slope };
        }
    }
}

activation_layer!(Relu, "ReLU");

/// y = x where x > 0, else negative_slope x, as Keras's `LeakyReLU`.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | negative_slope | the slope below 0, at least 0 | 0.3 |
///
/// The derivative at 0 is negative_slope. [`Activation::LeakyRelu`] has another slope, as in Keras.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeakyRelu {
    inner: Relu,
}

impl Default for LeakyRelu {
    fn default() -> Self {
        Self::new(0.3)
    }
}

impl LeakyRelu {
    /// A layer with this slope below 0.
    pub fn new(negative_slope: f64) -> Self {
        Self { inner: Relu::new().negative_slope(negative_slope) }
    }

    fn prepare(&mut self, shape: &[usize]) -> Result<(), LayerError> {
        self.inner.prepare(shape)
    }

    fn settings(&self) -> Map<String, Value> {
        Map::from_iter([("negative_slope".to_owned(), self.inner.negative_slope.into())])
    }

    fn is_linear(&self) -> bool {
        false
    }

    fn optional_activation(&self) -> Option<Activation> {
        None
    }

    fn apply<T: Scalar>(&self, y: &mut [T]) {
        self.inner.apply(y);
    }

    fn backward<T: Scalar>(&self, x: &[T], y: &[T], d: &mut [T]) {
        self.inner.backward(x, y, d);
    }
}

activation_layer!(LeakyRelu, "LeakyReLU");

/// y = x where x > 0, else alpha (e^x - 1), as Keras's `ELU` (Clevert, Unterthiner and Hochreiter 2015).
///
/// | setting | meaning | default |
/// |---|---|---|
/// | alpha | the negative of the limit for x to minus infinity | 1 |
///
/// The derivative at 0 is alpha.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elu {
    alpha: f64,
}

impl Default for Elu {
    fn default() -> Self {
        Self::new(1.0)
    }
}

impl Elu {
    /// A layer with this alpha.
    pub fn new(alpha: f64) -> Self {
        Self { alpha }
    }

    fn prepare(&mut self, _: &[usize]) -> Result<(), LayerError> {
        if self.alpha.is_finite() {
            return Ok(());
        }
        Err(format!("alpha is {}, expected a finite number", self.alpha).into())
    }

    fn settings(&self) -> Map<String, Value> {
        Map::from_iter([("alpha".to_owned(), self.alpha.into())])
    }

    fn is_linear(&self) -> bool {
        false
    }

    fn optional_activation(&self) -> Option<Activation> {
        None
    }

    fn apply<T: Scalar>(&self, y: &mut [T]) {
        let alpha = T::from_f64(self.alpha);
        Activation::Elu.apply(y, 1);
        for y in y.iter_mut().filter(|y| **y < T::zero()) {
            *y *= alpha;
        }
    }

    fn backward<T: Scalar>(&self, x: &[T], y: &[T], d: &mut [T]) {
        let alpha = T::from_f64(self.alpha);
        for ((d, &x), &y) in d.iter_mut().zip(x).zip(y) {
            *d *= if x > T::zero() { T::one() } else { y + alpha };
        }
    }
}

activation_layer!(Elu, "ELU");
