//! One of the crate's optimizers, chosen at run time.

use ziffer_tensor::{Scalar, update};

use super::{Adam, AdamW, Optimizer, RmsProp, SettingError, Sgd};

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
}

/// A step of one of them.
#[derive(Clone, Copy, Debug)]
pub enum AnyStep<T> {
    /// Of [`Sgd`].
    Sgd(update::Momentum<T>),
    /// Of [`Adam`] or [`AdamW`].
    Adam(update::Adam<T>),
    /// Of [`RmsProp`].
    RmsProp(update::RmsProp<T>),
}

/// `$body` with `$inner` bound to the optimizer that it is.
macro_rules! inner {
    ($self:expr, $inner:ident => $body:expr) => {
        match $self {
            AnyOptimizer::Sgd($inner) => $body,
            AnyOptimizer::Adam($inner) => $body,
            AnyOptimizer::AdamW($inner) => $body,
            AnyOptimizer::RmsProp($inner) => $body,
        }
    };
}

impl<T: Scalar> Optimizer<T> for AnyOptimizer {
    type Step = AnyStep<T>;

    fn name(&self) -> &'static str {
        inner!(self, optimizer => Optimizer::<T>::name(optimizer))
    }

    fn slots(&self) -> &'static [&'static str] {
        inner!(self, optimizer => Optimizer::<T>::slots(optimizer))
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
        }
    }

    fn update(step: &AnyStep<T>, w: &mut [T], slots: &mut [&mut [T]], g: &[T]) {
        match step {
            AnyStep::Sgd(step) => Sgd::update(step, w, slots, g),
            AnyStep::Adam(step) => Adam::update(step, w, slots, g),
            AnyStep::RmsProp(step) => RmsProp::update(step, w, slots, g),
        }
    }

    fn as_adam(step: &AnyStep<T>) -> Option<update::Adam<T>> {
        match step {
            AnyStep::Adam(step) => Some(*step),
            AnyStep::Sgd(_) | AnyStep::RmsProp(_) => None,
        }
    }
}

impl From<Sgd> for AnyOptimizer {
    fn from(optimizer: Sgd) -> Self {
        Self::Sgd(optimizer)
    }
}

impl From<Adam> for AnyOptimizer {
    fn from(optimizer: Adam) -> Self {
        Self::Adam(optimizer)
    }
}

impl From<AdamW> for AnyOptimizer {
    fn from(optimizer: AdamW) -> Self {
        Self::AdamW(optimizer)
    }
}

impl From<RmsProp> for AnyOptimizer {
    fn from(optimizer: RmsProp) -> Self {
        Self::RmsProp(optimizer)
    }
}
