//! Losses and their accuracies, by Keras's names, formulas and defaults.

mod any;
mod crossentropy;
mod regression;

use std::fmt::Debug;
use std::marker::PhantomData;

use ziffer_tensor::{Activation, Scalar, ScalarFunction, reduce};

use crate::FitError;

pub use any::AnyLoss;
pub use crossentropy::{BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy};
pub use regression::{MeanAbsoluteError, MeanSquaredError};

/// The target of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target<'a, T> {
    /// A class, from 0.
    Class(usize),
    /// One value per output.
    Values(&'a [T]),
}

impl<T: Scalar> Target<'_, T> {
    /// The target of output `o` of `outputs`. A class is one-hot; for a single output it is 0 or 1.
    fn value(&self, o: usize, outputs: usize) -> T {
        let is = |holds: bool| if holds { T::one() } else { T::zero() };
        match self {
            Self::Class(class) if outputs == 1 => is(*class == 1),
            Self::Class(class) => is(*class == o),
            Self::Values(values) => values[o],
        }
    }

    /// Whether the target is a class, so that the accuracy is meaningful: a class, one-hot values, or 0 or 1 for a single output.
    pub fn is_class(&self) -> bool {
        let is_binary = |value: &T| *value == T::zero() || *value == T::one();
        match self {
            Self::Class(_) => true,
            Self::Values([value]) => is_binary(value),
            Self::Values(values) => {
                values.iter().all(is_binary) && values.iter().filter(|value| **value == T::one()).count() == 1
            }
        }
    }

    /// Whether the output is correct, by the accuracy that Keras chooses for the shapes: the index of the largest output is the
    /// class, or the index of the largest target value. A single output is correct if it is on the same side of 1/2 as its
    /// target.
    pub fn is_correct(&self, output: &[T]) -> bool {
        self.is_correct_by(output, T::from_f64(0.5))
    }

    /// Like [`is_correct`](Self::is_correct), with another threshold for a single output.
    fn is_correct_by(&self, output: &[T], threshold: T) -> bool {
        T::dispatch::<IsCorrect<'_>>((*self, output, threshold))
    }
}

/// [`Target::is_correct_by`], compiled for `f32`.
struct IsCorrect<'a>(PhantomData<&'a ()>);

impl<'a> ScalarFunction for IsCorrect<'a> {
    type Input<T: Scalar> = (Target<'a, T>, &'a [T], T);
    type Output<T: Scalar> = bool;

    fn call<T: Scalar>((target, output, threshold): Self::Input<T>) -> bool {
        match target {
            _ if output.len() == 1 => (output[0] > threshold) == (target.value(0, 1) > T::from_f64(0.5)),
            Target::Class(class) => reduce::argmax(output) == class,
            Target::Values(values) => reduce::argmax(output) == reduce::argmax(values),
        }
    }

    fn call_f32(input: Self::Input<f32>) -> bool {
        Self::call(input)
    }
}

/// A loss of one sample. The loss of a batch is the mean over its samples.
///
/// | loss | output | target |
/// |---|---|---|
/// | [`SparseCategoricalCrossentropy`] | softmax | a class |
/// | [`CategoricalCrossentropy`] | softmax | a probability for each class |
/// | [`BinaryCrossentropy`] | sigmoid | a probability for each output; for a single output class 0 or 1 |
/// | [`MeanSquaredError`], [`MeanAbsoluteError`] | any | a value for each output |
pub trait Loss<T: Scalar>: Debug + Send + Sync {
    /// Keras's name of the loss.
    fn name(&self) -> &'static str;

    /// The activation that the model must end in, if the loss includes it. The loss is then computed from the logits. By default
    /// none: the loss takes any outputs.
    fn activation(&self) -> Option<Activation> {
        None
    }

    /// Whether a target must be a class. By default `false`.
    fn needs_class(&self) -> bool {
        false
    }

    /// The number of classes that this many outputs stand for. By default a single output stands for two classes.
    fn classes(&self, outputs: usize) -> usize {
        outputs.max(2)
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`FitError::Setting`] for the first setting that is out of range.
    fn validate(&self) -> Result<(), FitError> {
        Ok(())
    }

    /// The sample's loss.
    fn value(&self, output: &[T], target: Target<'_, T>) -> T;

    /// The sample's loss. Writes `scale` times the gradient with respect to the output to `d`.
    fn backward(&self, output: &[T], target: Target<'_, T>, scale: T, d: &mut [T]) -> T;

    /// Whether the output, without the [`activation`](Self::activation), is correct: see [`Target::is_correct`].
    fn is_correct(&self, output: &[T], target: Target<'_, T>) -> bool {
        target.is_correct(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_are_correct_by_keras_s_accuracy() {
        assert!(Target::Class(1).is_correct(&[0.1_f32, 0.9]));
        assert!(Target::<f32>::Class(1).is_class() && Target::Values(&[0.0_f32, 1.0, 0.0]).is_class());
        assert!(Target::Values(&[1.0_f32]).is_class() && !Target::Values(&[0.5_f32]).is_class());
        assert!(!Target::Values(&[1.0_f32, 1.0]).is_class() && !Target::Values(&[0.0_f32, 0.0]).is_class());
        assert!(!Target::Class(1).is_correct(&[0.9_f32, 0.9]));
        assert!(Target::Values(&[0.0_f32, 2.0]).is_correct(&[0.1, 0.9]));
        assert!(
            Target::Values(&[1.0_f32]).is_correct(&[0.9]) && !Target::Values(&[1.0_f32]).is_correct(&[0.5])
        );
        assert!(Target::Class(1).is_correct(&[0.9_f32]) && Target::Class(0).is_correct(&[0.5_f32]));
    }
}
