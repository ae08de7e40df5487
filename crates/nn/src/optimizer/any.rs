//! An optimizer that is chosen at run time.

use ziffer_tensor::{Scalar, update};

use super::{Adam, AdamW, Lion, Nadam, Optimizer, RmsProp, SettingError, Sgd};

/// One of the optimizers of this crate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AnyOptimizer {
    /// [`Sgd`].
    Sgd(Sgd),
    /// [`Adam`].
    Adam(Adam),
    /// [`AdamW`].
    AdamW(AdamW),
    /// [`RmsProp`].
    RmsProp(RmsProp),
    /// [`Nadam`].
    Nadam(Nadam),
    /// [`Lion`].
    Lion(Lion),
}

/// A step of an [`AnyOptimizer`].
#[derive(Clone, Copy, Debug)]
pub enum AnyStep<T> {
    /// Of [`Sgd`].
    Sgd(update::Momentum<T>),
    /// Of [`Adam`] or [`AdamW`].
    Adam(update::Adam<T>),
    /// Of [`RmsProp`].
    RmsProp(update::RmsProp<T>),
    /// Of [`Nadam`].
    Nadam(update::Nadam<T>),
    /// Of [`Lion`].
    Lion(update::Lion<T>),
}

/// Evaluates `$body` with `$inner` bound to the contained optimizer.
macro_rules! inner {
    ($self:expr, $inner:ident => $body:expr) => {
        match $self {
            AnyOptimizer::Sgd($inner) => $body,
            AnyOptimizer::Adam($inner) => $body,
            AnyOptimizer::AdamW($inner) => $body,
            AnyOptimizer::RmsProp($inner) => $body,
            AnyOptimizer::Nadam($inner) => $body,
            AnyOptimizer::Lion($inner) => $body,
        }
    };
}

impl<T: Scalar> Optimizer<T> for AnyOptimizer {
    type Step = AnyStep<T>;

    fn name(&self) -> &'static str {
        inner!(self, optimizer => Optimizer::<T>::name(optimizer))
    }

    fn state_names(&self) -> &'static [&'static str] {
        inner!(self, optimizer => Optimizer::<T>::state_names(optimizer))
    }

    fn validate(&self) -> Result<(), SettingError> {
        inner!(self, optimizer => Optimizer::<T>::validate(optimizer))
    }

    fn learning_rate(&self) -> f64 {
        inner!(self, optimizer => Optimizer::<T>::learning_rate(optimizer))
    }

    fn step(&self, iteration: u64, learning_rate: f64) -> AnyStep<T> {
        match self {
            Self::Sgd(optimizer) => AnyStep::Sgd(optimizer.step(iteration, learning_rate)),
            Self::Adam(optimizer) => AnyStep::Adam(optimizer.step(iteration, learning_rate)),
            Self::AdamW(optimizer) => AnyStep::Adam(optimizer.step(iteration, learning_rate)),
            Self::RmsProp(optimizer) => AnyStep::RmsProp(optimizer.step(iteration, learning_rate)),
            Self::Nadam(optimizer) => AnyStep::Nadam(optimizer.step(iteration, learning_rate)),
            Self::Lion(optimizer) => AnyStep::Lion(optimizer.step(iteration, learning_rate)),
        }
    }

    fn update(step: &AnyStep<T>, w: &mut [T], state: &mut [&mut [T]], g: &[T]) {
        match step {
            AnyStep::Sgd(step) => Sgd::update(step, w, state, g),
            AnyStep::Adam(step) => Adam::update(step, w, state, g),
            AnyStep::RmsProp(step) => RmsProp::update(step, w, state, g),
            AnyStep::Nadam(step) => Nadam::update(step, w, state, g),
            AnyStep::Lion(step) => Lion::update(step, w, state, g),
        }
    }

    fn as_adam(step: &AnyStep<T>) -> Option<update::Adam<T>> {
        match step {
            AnyStep::Adam(step) => Some(*step),
            AnyStep::Sgd(_) | AnyStep::RmsProp(_) | AnyStep::Nadam(_) | AnyStep::Lion(_) => None,
        }
    }
}

macro_rules! from {
    ($($optimizer:ident),*) => {
        $(
            impl From<$optimizer> for AnyOptimizer {
                fn from(optimizer: $optimizer) -> Self {
                    Self::$optimizer(optimizer)
                }
            }
        )*
    };
}

from!(Sgd, Adam, AdamW, RmsProp, Nadam, Lion);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_rejected() {
        let refused: [(AnyOptimizer, &str); 9] = [
            (
                Sgd { weight_decay: -0.1, ..Sgd::default() }.into(),
                "sgd: weight_decay is -0.1, expected a number of at least 0",
            ),
            (
                Adam { weight_decay: f64::INFINITY, ..Adam::default() }.into(),
                "adam: weight_decay is inf, expected a number of at least 0",
            ),
            (
                AdamW { weight_decay: f64::NAN, ..AdamW::default() }.into(),
                "adamw: weight_decay is NaN, expected a number of at least 0",
            ),
            (
                RmsProp { momentum: 1.0, ..RmsProp::default() }.into(),
                "rmsprop: momentum is 1, expected a number from 0 to below 1",
            ),
            (
                Nadam { beta_1: 1.0, ..Nadam::default() }.into(),
                "nadam: beta_1 is 1, expected a number from 0 to below 1",
            ),
            (
                Nadam { epsilon: -1.0, ..Nadam::default() }.into(),
                "nadam: epsilon is -1, expected a number of at least 0",
            ),
            (
                Lion { beta_1: 0.0, ..Lion::default() }.into(),
                "lion: beta_1 is 0, expected a number above 0, at most 1",
            ),
            (
                Lion { beta_2: 1.0, ..Lion::default() }.into(),
                "lion: beta_2 is 1, expected a number from 0 to below 1",
            ),
            (
                Lion { learning_rate: 0.0, ..Lion::default() }.into(),
                "lion: learning_rate is 0, expected a positive number",
            ),
        ];
        for (optimizer, message) in refused {
            assert_eq!(Optimizer::<f32>::validate(&optimizer).unwrap_err().to_string(), message);
        }
    }
}
