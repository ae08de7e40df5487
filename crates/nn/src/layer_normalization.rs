//! Layer normalization: each sample by its own mean and variance.

use ndarray::{ArrayView2, ArrayViewMut2};
use serde_json::{Map, Value};
use ziffer_tensor::Scalar;

use crate::Initializer;
use crate::activation_layers::check_last_axis;
use crate::layer::{Context, GradientSink, Input, Layer, LayerError, WeightSpec, Weights};

/// Layer normalization over the last axis, as Keras's `LayerNormalization` (Ba, Kiros and Hinton 2016).
///
/// For each group of C numbers x along the last axis, y = gamma (x - mean) / sqrt(variance + epsilon) + beta with the mean of the
/// group and the mean of its squared deviations, in training and at inference.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | axis | the last axis: -1, or its index including the batch's axis | -1 |
/// | epsilon | added to the variance, above 0 | 0.001 |
/// | center | whether to add beta | true |
/// | scale | whether to multiply by gamma | true |
/// | beta_initializer | the initializer of beta | zeros |
/// | gamma_initializer | the initializer of gamma | ones |
///
/// Weights, each \[C\]: gamma, beta.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNormalization {
    axis: i64,
    epsilon: f64,
    center: bool,
    scale: bool,
    beta_initializer: Initializer,
    gamma_initializer: Initializer,
    /// C, and the number of groups of C numbers in a sample, set by `build`.
    columns: usize,
    groups: usize,
}

impl Default for LayerNormalization {
    fn default() -> Self {
        Self {
            axis: -1,
            epsilon: 1e-3,
            center: true,
            scale: true,
            beta_initializer: Initializer::Zeros,
            gamma_initializer: Initializer::Ones,
            columns: 1,
            groups: 0,
        }
    }
}

impl LayerNormalization {
    /// A layer with the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the axis, counted including the batch's. It must be the last axis.
    pub fn axis(mut self, axis: i64) -> Self {
        self.axis = axis;
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

    fn gamma_index(&self) -> Option<usize> {
        self.scale.then_some(0)
    }

    fn beta_index(&self) -> Option<usize> {
        self.center.then_some(usize::from(self.scale))
    }

    /// The mean of a group of numbers, and 1 / sqrt(variance + epsilon).
    fn moments<T: Scalar>(&self, x: &[T]) -> [T; 2] {
        let count = T::from_f64(x.len() as f64);
        let mean = x.iter().copied().sum::<T>() / count;
        let variance = x.iter().map(|&x| (x - mean) * (x - mean)).sum::<T>() / count;
        [mean, T::one() / (variance + T::from_f64(self.epsilon)).sqrt()]
    }
}

/// The count of numbers saved per group: the mean, and 1 / sqrt(variance + epsilon).
const SAVED: usize = 2;

impl<T: Scalar> Layer<T> for LayerNormalization {
    fn class_name(&self) -> &'static str {
        "LayerNormalization"
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(format!("epsilon is {}, expected a positive number", self.epsilon).into());
        }
        check_last_axis(self.axis, input_shape)?;
        match input_shape.split_last() {
            Some((&columns, others)) if !input_shape.contains(&0) => {
                (self.columns, self.groups) = (columns, others.iter().product());
            }
            _ => return Err("its input is empty".into()),
        }
        Ok(input_shape.to_vec())
    }

    fn weights(&self) -> Vec<WeightSpec> {
        let gamma = self.scale.then(|| WeightSpec::new("gamma", [self.columns], self.gamma_initializer));
        let beta = self.center.then(|| WeightSpec::new("beta", [self.columns], self.beta_initializer));
        gamma.into_iter().chain(beta).collect()
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("axis".to_owned(), self.axis.into()),
            ("epsilon".to_owned(), self.epsilon.into()),
            ("center".to_owned(), self.center.into()),
            ("scale".to_owned(), self.scale.into()),
            ("beta_initializer".to_owned(), self.beta_initializer.config()),
            ("gamma_initializer".to_owned(), self.gamma_initializer.config()),
        ])
    }

    /// The mean and the inverse deviation of each group.
    fn saved(&self) -> usize {
        SAVED * self.groups
    }

    fn forward(
        &self,
        context: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) {
        let x = x.to_real();
        let (x, y) =
            (x.as_slice().expect("inputs in C order"), y.as_slice_mut().expect("outputs in C order"));
        let is_training = context.is_training();
        let saved = context.saved();
        let groups = x.chunks_exact(self.columns).zip(y.chunks_exact_mut(self.columns));
        for (group, (x, y)) in groups.enumerate() {
            let moments = self.moments(x);
            if is_training {
                saved[SAVED * group..][..SAVED].copy_from_slice(&moments);
            }
            let [mean, inverse] = moments;
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = (x - mean) * inverse);
            if let Some(gamma) = self.gamma_index() {
                y.iter_mut().zip(weights.slice(gamma)).for_each(|(y, &gamma)| *y *= gamma);
            }
            if let Some(beta) = self.beta_index() {
                y.iter_mut().zip(weights.slice(beta)).for_each(|(y, &beta)| *y += beta);
            }
        }
    }

    /// With n = (x - mean) inverse and g = gamma d: d_x = inverse (g - mean(g) - n mean(g n)).
    fn backward(
        &self,
        context: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        _: ArrayView2<'_, T>,
        d: ArrayViewMut2<'_, T>,
        d_x: Option<ArrayViewMut2<'_, T>>,
    ) {
        let Some(mut d_x) = d_x else { return };
        d_x.assign(&d);
        let x = x.to_real();
        let (x, d_x) =
            (x.as_slice().expect("inputs in C order"), d_x.as_slice_mut().expect("gradients in C order"));
        let count = T::from_f64(self.columns as f64);
        let is_training = context.is_training();
        let saved = context.saved();
        let groups = x.chunks_exact(self.columns).zip(d_x.chunks_exact_mut(self.columns));
        for (group, (x, g)) in groups.enumerate() {
            let [mean, inverse] =
                if is_training { [saved[SAVED * group], saved[SAVED * group + 1]] } else { self.moments(x) };
            if let Some(gamma) = self.gamma_index() {
                g.iter_mut().zip(weights.slice(gamma)).for_each(|(g, &gamma)| *g *= gamma);
            }
            let mean_g = g.iter().copied().sum::<T>() / count;
            let mean_gn = g.iter().zip(x).map(|(&g, &x)| g * ((x - mean) * inverse)).sum::<T>() / count;
            g.iter_mut().zip(x).for_each(|(g, &x)| {
                *g = inverse * (*g - mean_g - (x - mean) * inverse * mean_gn);
            });
        }
    }

    /// d gamma is the sum of d n, and d beta the sum of d, over the batch and all axes except the last, in order.
    fn gradient(&self, x: Input<'_, T>, d: ArrayView2<'_, T>, saved: &[T], sink: &mut GradientSink<'_, T>) {
        /// The number of columns summed at a time, on the stack.
        const CHUNK: usize = 256;
        let x = x.to_real();
        let (x, d) = (x.as_slice().expect("inputs in C order"), d.to_slice().expect("gradients in C order"));
        let groups = || x.chunks_exact(self.columns).zip(d.chunks_exact(self.columns));
        let mut sums = [T::zero(); CHUNK];
        for (weight, is_gamma) in [(self.gamma_index(), true), (self.beta_index(), false)] {
            let Some(weight) = weight else { continue };
            let owned = sink.range(weight);
            for start in owned.clone().step_by(CHUNK) {
                let piece = start..owned.end.min(start + CHUNK);
                let sums = &mut sums[..piece.len()];
                sums.fill(T::zero());
                for ((x, d), moments) in groups().zip(saved.chunks_exact(SAVED)) {
                    let numbers = sums.iter_mut().zip(&x[piece.clone()]).zip(&d[piece.clone()]);
                    if is_gamma {
                        numbers.for_each(|((sum, &x), &d)| *sum += d * ((x - moments[0]) * moments[1]));
                    } else {
                        numbers.for_each(|((sum, _), &d)| *sum += d);
                    }
                }
                sink.push(weight, sums);
            }
        }
    }
}
