//! Losses and what is counted as right, by Keras's names, formulas and defaults.

mod choice;
mod crossentropy;
mod regression;

use std::fmt::Debug;

use ziffer_tensor::{Activation, Scalar, reduce};

use crate::FitError;

pub use choice::AnyLoss;
pub use crossentropy::{BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy};
pub use regression::{MeanAbsoluteError, MeanSquaredError};

/// What a sample's output should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target<'a, T> {
    /// A class, from 0.
    Class(usize),
    /// One value for each output.
    Values(&'a [T]),
}

impl<T: Scalar> Target<'_, T> {
    /// What output `o` of `outputs` should be. A class is one-hot; for a single output it is 0 or 1.
    fn value(&self, o: usize, outputs: usize) -> T {
        let is = |holds: bool| if holds { T::one() } else { T::zero() };
        match self {
            Self::Class(class) if outputs == 1 => is(*class == 1),
            Self::Class(class) => is(*class == o),
            Self::Values(values) => values[o],
        }
    }

    /// Whether it names a class, so that an accuracy has a meaning: it is a class, one-hot, or for a single output 0 or 1.
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

    /// Whether the output counts as right, by the accuracy that Keras chooses for the shapes: the largest output is the
    /// class, or stands where the largest target does; a single output lies on the same side of 1/2 as its target.
    pub fn is_hit(&self, output: &[T]) -> bool {
        self.is_hit_by(output, T::from_f64(0.5))
    }

    /// As [`is_hit`](Self::is_hit), with another threshold for a single output.
    fn is_hit_by(&self, output: &[T], threshold: T) -> bool {
        match self {
            _ if output.len() == 1 => (output[0] > threshold) == (self.value(0, 1) > T::from_f64(0.5)),
            Self::Class(class) => reduce::argmax(output) == *class,
            Self::Values(values) => reduce::argmax(output) == reduce::argmax(values),
        }
    }
}

/// A loss of one sample; a batch's is the mean of its samples'.
///
/// | loss | output | target |
/// |---|---|---|
/// | [`SparseCategoricalCrossentropy`] | softmax | a class |
/// | [`CategoricalCrossentropy`] | softmax | a probability for each class |
/// | [`BinaryCrossentropy`] | sigmoid | a probability for each output; for a single output class 0 or 1 |
/// | [`MeanSquaredError`], [`MeanAbsoluteError`] | any | a value for each output |
pub trait Loss<T: Scalar>: Debug + Send + Sync {
    /// Keras's name of it.
    fn name(&self) -> &'static str;

    /// The activation that the model must end in. The loss is then computed from the logits before it. By default none: the
    /// loss takes any outputs, as they are.
    fn activation(&self) -> Option<Activation> {
        None
    }

    /// Whether a target must be a class. By default it need not.
    fn needs_class(&self) -> bool {
        false
    }

    /// How many classes so many outputs are for. By default a single one tells two apart.
    fn classes(&self, outputs: usize) -> usize {
        outputs.max(2)
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`FitError::Setting`], the first that is out of range.
    fn validate(&self) -> Result<(), FitError> {
        Ok(())
    }

    /// The sample's loss.
    fn value(&self, output: &[T], target: Target<'_, T>) -> T;

    /// The sample's loss; writes `scale` times the gradient by the output to `d`.
    fn backward(&self, output: &[T], target: Target<'_, T>, scale: T, d: &mut [T]) -> T;

    /// Whether the output, of which [`activation`](Self::activation) is left out, counts as right: see [`Target::is_hit`].
    fn is_hit(&self, output: &[T], target: Target<'_, T>) -> bool {
        target.is_hit(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits() {
        assert!(Target::Class(1).is_hit(&[0.1_f32, 0.9]));
        assert!(Target::<f32>::Class(1).is_class() && Target::Values(&[0.0_f32, 1.0, 0.0]).is_class());
        assert!(Target::Values(&[1.0_f32]).is_class() && !Target::Values(&[0.5_f32]).is_class());
        assert!(!Target::Values(&[1.0_f32, 1.0]).is_class() && !Target::Values(&[0.0_f32, 0.0]).is_class());
        assert!(!Target::Class(1).is_hit(&[0.9_f32, 0.9]));
        assert!(Target::Values(&[0.0_f32, 2.0]).is_hit(&[0.1, 0.9]));
        assert!(Target::Values(&[1.0_f32]).is_hit(&[0.9]) && !Target::Values(&[1.0_f32]).is_hit(&[0.5]));
        assert!(Target::Class(1).is_hit(&[0.9_f32]) && Target::Class(0).is_hit(&[0.5_f32]));
    }
}
