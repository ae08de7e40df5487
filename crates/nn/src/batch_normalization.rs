//! Batch normalization: each channel by the mean and variance of the batch.

use ndarray::{ArrayView2, ArrayViewMut2};
use serde_json::{Map, Value};
use ziffer_tensor::{Scalar, batch_norm};

use crate::Initializer;
use crate::layer::{Context, GradientSink, Input, Layer, LayerError, Parallelism, WeightSpec, Weights};

/// Batch normalization over the last axis, as Keras's `BatchNormalization` (Ioffe and Szegedy 2015).
///
/// In training, for each channel, with mean and variance over all other axes of the batch:
/// y = gamma (x - mean) / sqrt(variance + epsilon) + beta. The variance is the mean of the squared deviations. Then
/// moving_mean = momentum moving_mean + (1 - momentum) mean, and the same for the variance. At inference, and while the
/// layer is frozen, the moving averages replace mean and variance.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | momentum | the decay rate of the moving averages, 0 to 1 | 0.99 |
/// | epsilon | added to the variance, above 0 | 0.001 |
/// | center | whether to add beta | true |
/// | scale | whether to multiply by gamma | true |
/// | beta_initializer | the initializer of beta | zeros |
/// | gamma_initializer | the initializer of gamma | ones |
/// | moving_mean_initializer | the initializer of moving_mean | zeros |
/// | moving_variance_initializer | the initializer of moving_variance | ones |
///
/// Weights, each \[C\]: gamma and beta, and the non-trainable moving_mean and moving_variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormalization {
    momentum: f64,
    epsilon: f64,
    center: bool,
    scale: bool,
    beta_initializer: Initializer,
    gamma_initializer: Initializer,
    moving_mean_initializer: Initializer,
    moving_variance_initializer: Initializer,
    /// C, set by `build`.
    channels: usize,
}

impl Default for BatchNormalization {
    fn default() -> Self {
        Self {
            momentum: 0.99,
            epsilon: 1e-3,
            center: true,
            scale: true,
            beta_initializer: Initializer::Zeros,
            gamma_initializer: Initializer::Ones,
            moving_mean_initializer: Initializer::Zeros,
            moving_variance_initializer: Initializer::Ones,
            channels: 0,
        }
    }
}

impl BatchNormalization {
    /// A layer with the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the decay rate of the moving averages.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Sets the number that is added to the variance.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Sets whether to add beta.
    pub fn center(mut self, center: bool) -> Self {
        self.center = center;
        self
    }

    /// Sets whether to multiply by gamma.
    pub fn scale(mut self, scale: bool) -> Self {
        self.scale = scale;
        self
    }

    /// Sets the initializer of beta.
    pub fn beta_initializer(mut self, initializer: Initializer) -> Self {
        self.beta_initializer = initializer;
        self
    }

    /// Sets the initializer of gamma.
    pub fn gamma_initializer(mut self, initializer: Initializer) -> Self {
        self.gamma_initializer = initializer;
        self
    }

    /// Sets the initializer of the moving mean.
    pub fn moving_mean_initializer(mut self, initializer: Initializer) -> Self {
        self.moving_mean_initializer = initializer;
        self
    }

    /// Sets the initializer of the moving variance.
    pub fn moving_variance_initializer(mut self, initializer: Initializer) -> Self {
        self.moving_variance_initializer = initializer;
        self
    }
}

/// The count of numbers saved per channel.
const SAVED: usize = 4;

/// The saved numbers: the batch's mean and variance, and the gradients with respect to gamma and beta.
struct Saved<'a, T> {
    mean: &'a mut [T],
    variance: &'a mut [T],
    d_gamma: &'a mut [T],
    d_beta: &'a mut [T],
}

impl<'a, T> Saved<'a, T> {
    fn split(saved: &'a mut [T]) -> Self {
        let channels = saved.len() / SAVED;
        let (mean, rest) = saved.split_at_mut(channels);
        let (variance, rest) = rest.split_at_mut(channels);
        let (d_gamma, d_beta) = rest.split_at_mut(channels);
        Self { mean, variance, d_gamma, d_beta }
    }
}

impl BatchNormalization {
    /// The index of gamma among the layer's weights.
    fn gamma_index(&self) -> Option<usize> {
        self.scale.then_some(0)
    }

    fn beta_index(&self) -> Option<usize> {
        self.center.then_some(usize::from(self.scale))
    }

    fn moving_mean_index(&self) -> usize {
        usize::from(self.scale) + usize::from(self.center)
    }

    fn moving_variance_index(&self) -> usize {
        self.moving_mean_index() + 1
    }

    /// 1 / sqrt(variance + epsilon), by channel, into `inverse`.
    fn inverse_deviation<T: Scalar>(&self, variance: &[T], inverse: &mut [T]) {
        let epsilon = T::from_f64(self.epsilon);
        inverse.iter_mut().zip(variance).for_each(|(inverse, &variance)| {
            *inverse = T::one() / (variance + epsilon).sqrt();
        });
    }
}

impl<T: Scalar> Layer<T> for BatchNormalization {
    fn class_name(&self) -> &'static str {
        "BatchNormalization"
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(format!("momentum is {}, expected a number from 0 to 1", self.momentum).into());
        }
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(format!("epsilon is {}, expected a positive number", self.epsilon).into());
        }
        match input_shape.last() {
            Some(&channels) if !input_shape.contains(&0) => self.channels = channels,
            _ => return Err("its input is empty".into()),
        }
        Ok(input_shape.to_vec())
    }

    fn weights(&self) -> Vec<WeightSpec> {
        let channels = self.channels;
        let gamma = self.scale.then(|| WeightSpec::new("gamma", [channels], self.gamma_initializer));
        let beta = self.center.then(|| WeightSpec::new("beta", [channels], self.beta_initializer));
        let mean = WeightSpec::new("moving_mean", [channels], self.moving_mean_initializer).non_trainable();
        let variance =
            WeightSpec::new("moving_variance", [channels], self.moving_variance_initializer).non_trainable();
        gamma.into_iter().chain(beta).chain([mean, variance]).collect()
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("momentum".to_owned(), self.momentum.into()),
            ("epsilon".to_owned(), self.epsilon.into()),
            ("center".to_owned(), self.center.into()),
            ("scale".to_owned(), self.scale.into()),
            ("beta_initializer".to_owned(), self.beta_initializer.config()),
            ("gamma_initializer".to_owned(), self.gamma_initializer.config()),
            ("moving_mean_initializer".to_owned(), self.moving_mean_initializer.config()),
            ("moving_variance_initializer".to_owned(), self.moving_variance_initializer.config()),
        ])
    }

    fn parallelism(&self) -> Parallelism {
        Parallelism::Channels
    }

    /// Mean, variance, and the gradients with respect to gamma and beta.
    fn saved(&self) -> usize {
        SAVED
    }

    /// For each channel 1 / sqrt(variance + epsilon), gamma, and beta or the product of the first two.
    fn scratch(&self) -> usize {
        3 * self.channels
    }

    fn forward(
        &self,
        context: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        y: ArrayViewMut2<'_, T>,
    ) {
        let x = x.to_real();
        let channels = y.ncols();
        if x.nrows() == 0 || channels == 0 {
            return;
        }
        let is_training = context.is_training();
        let (saved, scratch) = context.memory();
        let (factor, shift) = scratch[..2 * channels].split_at_mut(channels);
        let (mean, variance): (&[T], &[T]) = if is_training {
            let Saved { mean, variance, .. } = Saved::split(saved);
            batch_norm::moments(x.view(), mean, variance);
            (mean, variance)
        } else {
            (weights.slice(self.moving_mean_index()), weights.slice(self.moving_variance_index()))
        };
        self.inverse_deviation(variance, factor);
        if let Some(gamma) = self.gamma_index() {
            factor.iter_mut().zip(weights.slice(gamma)).for_each(|(factor, &gamma)| *factor *= gamma);
        }
        match self.beta_index() {
            Some(beta) => shift.copy_from_slice(weights.slice(beta)),
            None => shift.fill(T::zero()),
        }
        batch_norm::normalize(x.view(), mean, factor, shift, y);
    }

    fn backward(
        &self,
        context: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        _: ArrayView2<'_, T>,
        d: ArrayViewMut2<'_, T>,
        d_x: Option<ArrayViewMut2<'_, T>>,
    ) {
        let x = x.to_real();
        let channels = d.ncols();
        if x.nrows() == 0 || channels == 0 {
            return;
        }
        let is_training = context.is_training();
        let (saved, scratch) = context.memory();
        let (inverse, rest) = scratch[..3 * channels].split_at_mut(channels);
        let (gamma, factor) = rest.split_at_mut(channels);
        match self.gamma_index() {
            Some(index) => gamma.copy_from_slice(weights.slice(index)),
            None => gamma.fill(T::one()),
        }
        if !is_training {
            if let Some(d_x) = d_x {
                self.inverse_deviation(weights.slice(self.moving_variance_index()), inverse);
                factor.iter_mut().zip(&*inverse).zip(&*gamma).for_each(|((f, &i), &g)| *f = i * g);
                batch_norm::scale_columns(d.view(), factor, d_x);
            }
            return;
        }
        let Saved { mean, variance, d_gamma, d_beta } = Saved::split(saved);
        self.inverse_deviation(variance, inverse);
        batch_norm::gradient_sums(x.view(), d.view(), mean, inverse, d_gamma, d_beta);
        if let Some(d_x) = d_x {
            batch_norm::input_gradient(x.view(), d.view(), mean, inverse, gamma, d_gamma, d_beta, d_x);
        }
    }

    fn gradient(&self, _: Input<'_, T>, _: ArrayView2<'_, T>, saved: &[T], sink: &mut GradientSink<'_, T>) {
        let channels = saved.len() / SAVED;
        let row = |number: usize| &saved[number * channels..][..channels];
        if let Some(gamma) = self.gamma_index() {
            sink.push(gamma, row(2));
        }
        if let Some(beta) = self.beta_index() {
            sink.push(beta, row(3));
        }
        let (kept, new) = (T::from_f64(self.momentum), T::from_f64(1.0 - self.momentum));
        for (index, of_batch) in [(self.moving_mean_index(), row(0)), (self.moving_variance_index(), row(1))]
        {
            for (moving, &of_batch) in sink.non_trainable(index).iter_mut().zip(of_batch) {
                *moving = *moving * kept + of_batch * new;
            }
        }
    }
}
