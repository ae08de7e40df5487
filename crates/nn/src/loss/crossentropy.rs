//! Cross-entropies, computed from the logits without clipping, as Keras's TensorFlow backend does.

use std::marker::PhantomData;

use ziffer_tensor::{Activation, Scalar, ScalarFunction, reduce, softmax};

use super::{Loss, Target};
use crate::FitError;

/// Cross-entropy between a class and a softmax, in nats, from the logits z: loss = -log softmax(z)_class,
/// d_z = softmax(z) - onehot(class).
///
/// It needs a model that ends in a softmax, unless [`from_logits`](Self::from_logits) is set. With label smoothing s the target
/// is 1 - s + s / O for the class and s / O for the others, as for [`CategoricalCrossentropy`].
///
/// | setting | default | range |
/// |---|---|---|
/// | from_logits | false | |
/// | label_smoothing | 0 | 0 to 1 |
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SparseCategoricalCrossentropy {
    /// Whether the model's outputs are logits, so that the model does not end in a softmax.
    pub from_logits: bool,
    /// The fraction of the target that is spread evenly over all classes.
    pub label_smoothing: f64,
}

impl<T: Scalar> Loss<T> for SparseCategoricalCrossentropy {
    fn name(&self) -> &'static str {
        "sparse_categorical_crossentropy"
    }

    fn activation(&self) -> Option<Activation> {
        (!self.from_logits).then_some(Activation::Softmax)
    }

    fn needs_class(&self) -> bool {
        true
    }

    fn classes(&self, outputs: usize) -> usize {
        outputs
    }

    fn validate(&self) -> Result<(), FitError> {
        check_smoothing("sparse_categorical_crossentropy", self.label_smoothing)
    }

    /// # Panics
    /// If the target is not one of the output's classes.
    fn value(&self, output: &[T], target: Target<'_, T>) -> T {
        self.backward(output, target, T::one(), &mut vec![T::zero(); output.len()])
    }

    /// # Panics
    /// As for `value`.
    fn backward(&self, output: &[T], target: Target<'_, T>, scale: T, d: &mut [T]) -> T {
        let Target::Class(class) = target else { panic!("{} takes a class", Loss::<T>::name(self)) };
        of_class(output, class, self.label_smoothing, scale, d)
    }
}

/// Cross-entropy between a probability t for each class and a softmax, in nats, from the logits z:
/// loss = -sum_o t_o log softmax(z)_o, d_z = softmax(z) sum_o t_o - t.
///
/// It needs a model that ends in a softmax, unless [`from_logits`](Self::from_logits) is set. A class as target is one-hot. With
/// label smoothing s the target is (1 - s) t + s / O.
///
/// | setting | default | range |
/// |---|---|---|
/// | from_logits | false | |
/// | label_smoothing | 0 | 0 to 1 |
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CategoricalCrossentropy {
    /// Whether the model's outputs are logits, so that the model does not end in a softmax.
    pub from_logits: bool,
    /// The fraction of the target that is spread evenly over all classes.
    pub label_smoothing: f64,
}

impl<T: Scalar> Loss<T> for CategoricalCrossentropy {
    fn name(&self) -> &'static str {
        "categorical_crossentropy"
    }

    fn activation(&self) -> Option<Activation> {
        (!self.from_logits).then_some(Activation::Softmax)
    }

    fn classes(&self, outputs: usize) -> usize {
        outputs
    }

    fn validate(&self) -> Result<(), FitError> {
        check_smoothing("categorical_crossentropy", self.label_smoothing)
    }

    /// # Panics
    /// If there is no target for each output.
    fn value(&self, output: &[T], target: Target<'_, T>) -> T {
        self.backward(output, target, T::one(), &mut vec![T::zero(); output.len()])
    }

    /// # Panics
    /// As for `value`.
    fn backward(&self, output: &[T], target: Target<'_, T>, scale: T, d: &mut [T]) -> T {
        let values = match target {
            Target::Class(class) => return of_class(output, class, self.label_smoothing, scale, d),
            Target::Values(values) => values,
        };
        assert_eq!(values.len(), output.len(), "targets and outputs");
        d.copy_from_slice(output);
        // -log softmax(z)_m of the largest logit z_m. -log softmax(z)_o is the sum of that and z_m - z_o.
        let largest = reduce::argmax(output);
        let of_largest = softmax::cross_entropy(d, largest, scale);
        d[largest] += scale;
        let (kept, spread) = (1.0 - self.label_smoothing, self.label_smoothing / output.len() as f64);
        let (mut sum, mut loss) = (0.0, 0.0);
        for (&t, &z) in values.iter().zip(output) {
            let t = kept * t.to_f64() + spread;
            sum += t;
            // A class with target 0 does not contribute, even if its logit is infinite.
            loss += if t == 0.0 { 0.0 } else { t * (of_largest.to_f64() + (output[largest] - z).to_f64()) };
        }
        let (kept, spread, sum) = (T::from_f64(kept), T::from_f64(spread), T::from_f64(sum));
        for (d, &t) in d.iter_mut().zip(values) {
            *d = *d * sum - (kept * t + spread) * scale;
        }
        T::from_f64(loss)
    }
}

/// Mean over the outputs of the cross-entropy between a probability t and a sigmoid, in nats, from the logits z:
/// loss = 1/O sum_o max(z_o, 0) - z_o t_o + ln(1 + e^-|z_o|), d_z = 1/O (sigmoid(z) - t).
///
/// It needs a model that ends in a sigmoid, unless [`from_logits`](Self::from_logits) is set. A class as target is one-hot; for
/// a model of one output it is 0 or 1. With label smoothing s the target is (1 - s) t + s / 2.
///
/// | setting | default | range |
/// |---|---|---|
/// | from_logits | false | |
/// | label_smoothing | 0 | 0 to 1 |
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BinaryCrossentropy {
    /// Whether the model's outputs are logits already, so that it need not end in a sigmoid.
    pub from_logits: bool,
    /// The share of the target that is 1/2.
    pub label_smoothing: f64,
}

impl<T: Scalar> Loss<T> for BinaryCrossentropy {
    fn name(&self) -> &'static str {
        "binary_crossentropy"
    }

    fn activation(&self) -> Option<Activation> {
        (!self.from_logits).then_some(Activation::Sigmoid)
    }

    fn validate(&self) -> Result<(), FitError> {
        check_smoothing("binary_crossentropy", self.label_smoothing)
    }

    /// # Panics
    /// If there is no target for each output.
    fn value(&self, output: &[T], target: Target<'_, T>) -> T {
        self.backward(output, target, T::one(), &mut vec![T::zero(); output.len()])
    }

    /// # Panics
    /// As for `value`.
    fn backward(&self, output: &[T], target: Target<'_, T>, scale: T, d: &mut [T]) -> T {
        let outputs = output.len();
        let (kept, spread) =
            (T::from_f64(1.0 - self.label_smoothing), T::from_f64(self.label_smoothing / 2.0));
        let factor = scale / T::from_f64(outputs as f64);
        d.copy_from_slice(output);
        Activation::Sigmoid.apply(d, outputs);
        let mut sum = T::zero();
        for (o, (d, &z)) in d.iter_mut().zip(output).enumerate() {
            let t = kept * target.value(o, outputs) + spread;
            let positive = if z > T::zero() { z } else { T::zero() };
            sum += positive - z * t + log1p_exp(-z.abs());
            *d = (*d - t) * factor;
        }
        sum / T::from_f64(outputs as f64)
    }

    /// Of a single logit the threshold is 0, where the sigmoid is 1/2.
    fn is_correct(&self, output: &[T], target: Target<'_, T>) -> bool {
        target.is_correct_by(output, T::zero())
    }
}

fn check_smoothing(loss: &'static str, value: f64) -> Result<(), FitError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    let (setting, value, expected) = ("label_smoothing", value.to_string(), "a number from 0 to 1");
    Err(FitError::Setting { loss, setting, value, expected })
}

/// The cross-entropy with a class and its gradient, from the logits.
fn of_class<T: Scalar>(output: &[T], class: usize, smoothing: f64, scale: T, d: &mut [T]) -> T {
    T::dispatch::<OfClass<'_>>((output, class, smoothing, scale, d))
}

/// [`of_class`], compiled for `f32`.
struct OfClass<'a>(PhantomData<&'a ()>);

impl<'a> ScalarFunction for OfClass<'a> {
    type Input<T: Scalar> = (&'a [T], usize, f64, T, &'a mut [T]);
    type Output<T: Scalar> = T;

    fn call<T: Scalar>((output, class, smoothing, scale, d): Self::Input<T>) -> T {
        d.copy_from_slice(output);
        let loss = softmax::cross_entropy(d, class, scale);
        if smoothing == 0.0 {
            return loss;
        }
        // The target is that of the class, a share of it moved to all classes: -log softmax(z)_o is larger than that of the class
        // by z_class - z_o.
        let (share, spread) =
            (scale * T::from_f64(smoothing), scale * T::from_f64(smoothing / output.len() as f64));
        d[class] += share;
        d.iter_mut().for_each(|d| *d -= spread);
        let above: f64 = output.iter().map(|&z| (output[class] - z).to_f64()).sum();
        T::from_f64(loss.to_f64() + smoothing * above / output.len() as f64)
    }

    fn call_f32(input: Self::Input<f32>) -> f32 {
        Self::call(input)
    }
}

/// ln(1 + e^x) for x of at most 0: the cross-entropy of the logits 0 and x with the first.
fn log1p_exp<T: Scalar>(x: T) -> T {
    softmax::cross_entropy(&mut [T::zero(), x], 0, T::one())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn softmax(z: &[f64]) -> Vec<f64> {
        let sum: f64 = z.iter().map(|z| z.exp()).sum();
        z.iter().map(|z| z.exp() / sum).collect()
    }

    #[track_caller]
    fn near(a: &[f64], b: &[f64]) {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-14), "{a:?} {b:?}");
    }

    #[test]
    fn cross_entropy_by_hand() {
        let loss = SparseCategoricalCrossentropy::default();
        // Equal logits: ln 4, and p - onehot.
        let mut d = [0.0; 4];
        let value = Loss::<f64>::backward(&loss, &[7.0; 4], Target::Class(2), 1.0, &mut d);
        assert!((value - 4.0_f64.ln()).abs() < 1e-15);
        assert_eq!(d, [0.25, 0.25, -0.75, 0.25]);
        // A logit far below is not clipped at -log(1e-7) = 16.1.
        assert_eq!(loss.value(&[0.0_f32, -100.0], Target::Class(1)), 100.0);
    }

    #[test]
    fn targets_are_smoothed_by_the_definition() {
        let z = [0.3, -1.5, 2.0, 0.1];
        let p = softmax(&z);
        let s = 0.2;
        for (target, t) in [
            (Target::Class(1), [0.0, 1.0, 0.0, 0.0]),
            (Target::Values(&[0.5, 0.25, 0.125, 0.125]), [0.5, 0.25, 0.125, 0.125]),
            // They need not make 1.
            (Target::Values(&[2.0, 0.0, 0.0, 1.0]), [2.0, 0.0, 0.0, 1.0]),
        ] {
            let t = t.map(|t| (1.0 - s) * t + s / 4.0);
            let sum: f64 = t.iter().sum();
            let value = -t.iter().zip(&p).map(|(t, p)| t * p.ln()).sum::<f64>();
            let gradient: Vec<f64> = t.iter().zip(&p).map(|(t, p)| 3.0 * (p * sum - t)).collect();
            let categorical = CategoricalCrossentropy { label_smoothing: s, ..Default::default() };
            let mut d = [0.0; 4];
            near(&[categorical.backward(&z, target, 3.0, &mut d)], &[value]);
            near(&d, &gradient);
            if let Target::Class(_) = target {
                let sparse = SparseCategoricalCrossentropy { label_smoothing: s, ..Default::default() };
                near(&[sparse.backward(&z, target, 3.0, &mut d)], &[value]);
                near(&d, &gradient);
            }
        }
        let plain = CategoricalCrossentropy::default();
        let impossible = Target::Values(&[1.0, 0.0]);
        assert_eq!(plain.value(&[0.0, f64::NEG_INFINITY], impossible), 0.0);
    }

    #[test]
    fn binary_cross_entropy_is_its_definition() {
        let z = [0.3, -1.5, 2.0];
        for s in [0.0, 0.3] {
            let loss = BinaryCrossentropy { label_smoothing: s, ..Default::default() };
            let target = [1.0, 0.25, 0.0];
            let t = target.map(|t| (1.0 - s) * t + s / 2.0);
            let p = z.map(|z: f64| 1.0 / (1.0 + (-z).exp()));
            let value =
                -t.iter().zip(&p).map(|(t, p)| t * p.ln() + (1.0 - t) * (1.0 - p).ln()).sum::<f64>() / 3.0;
            let gradient: Vec<f64> = t.iter().zip(&p).map(|(t, p)| 2.0 / 3.0 * (p - t)).collect();
            let mut d = [0.0; 3];
            near(&[loss.backward(&z, Target::Values(&target), 2.0, &mut d)], &[value]);
            near(&d, &gradient);
        }
        // One output tells two classes apart, by the sign of its logit; nothing overflows.
        let loss = BinaryCrossentropy::default();
        assert_eq!(loss.value(&[-200.0_f32], Target::Class(1)), 200.0);
        assert_eq!(loss.value(&[200.0_f32], Target::Class(1)), 0.0);
        assert!(
            loss.is_correct(&[0.1_f32], Target::Class(1)) && loss.is_correct(&[-0.1_f32], Target::Class(0))
        );
        assert!(!loss.is_correct(&[0.1_f32], Target::Class(0)));
    }

    #[test]
    fn settings_out_of_range_are_rejected_by_name() {
        let loss = CategoricalCrossentropy { label_smoothing: 1.5, ..Default::default() };
        let error = Loss::<f32>::validate(&loss).unwrap_err().to_string();
        assert_eq!(error, "categorical_crossentropy: label_smoothing is 1.5, expected a number from 0 to 1");
    }
}
