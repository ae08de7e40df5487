//! A loss that is chosen at run time.

use ziffer_tensor::{Activation, Scalar};

use super::{
    BinaryCrossentropy, CategoricalCrossentropy, Loss, MeanAbsoluteError, MeanSquaredError,
    SparseCategoricalCrossentropy, Target,
};
use crate::FitError;

/// One of the losses of this crate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AnyLoss {
    /// [`SparseCategoricalCrossentropy`].
    SparseCategoricalCrossentropy(SparseCategoricalCrossentropy),
    /// [`CategoricalCrossentropy`].
    CategoricalCrossentropy(CategoricalCrossentropy),
    /// [`BinaryCrossentropy`].
    BinaryCrossentropy(BinaryCrossentropy),
    /// [`MeanSquaredError`].
    MeanSquaredError(MeanSquaredError),
    /// [`MeanAbsoluteError`].
    MeanAbsoluteError(MeanAbsoluteError),
}

/// Evaluates `$body` with `$inner` bound to the contained loss.
macro_rules! inner {
    ($self:expr, $inner:ident => $body:expr) => {
        match $self {
            AnyLoss::SparseCategoricalCrossentropy($inner) => $body,
            AnyLoss::CategoricalCrossentropy($inner) => $body,
            AnyLoss::BinaryCrossentropy($inner) => $body,
            AnyLoss::MeanSquaredError($inner) => $body,
            AnyLoss::MeanAbsoluteError($inner) => $body,
        }
    };
}

impl<T: Scalar> Loss<T> for AnyLoss {
    fn name(&self) -> &'static str {
        inner!(self, loss => Loss::<T>::name(loss))
    }

    fn activation(&self) -> Option<Activation> {
        inner!(self, loss => Loss::<T>::activation(loss))
    }

    fn needs_class(&self) -> bool {
        inner!(self, loss => Loss::<T>::needs_class(loss))
    }

    fn classes(&self, outputs: usize) -> usize {
        inner!(self, loss => Loss::<T>::classes(loss, outputs))
    }

    fn validate(&self) -> Result<(), FitError> {
        inner!(self, loss => Loss::<T>::validate(loss))
    }

    fn value(&self, output: &[T], target: Target<'_, T>) -> T {
        inner!(self, loss => loss.value(output, target))
    }

    fn backward(&self, output: &[T], target: Target<'_, T>, scale: T, d: &mut [T]) -> T {
        inner!(self, loss => loss.backward(output, target, scale, d))
    }

    fn is_correct(&self, output: &[T], target: Target<'_, T>) -> bool {
        inner!(self, loss => loss.is_correct(output, target))
    }
}
