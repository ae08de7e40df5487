//! The elementwise updates of optimizers, with the formulas of Keras.
//!
//! w are the parameters, g is their gradient, m and v are the optimizer's moving averages, and r is the learning rate. All
//! slices of an update have the same length. Every update panics if the lengths differ.
//!
//! A moving average is set to zero if its magnitude is below [`Float::TINY`](crate::Float::TINY). Such a small number changes no
//! parameter, and it would decay to subnormal numbers, which slow down every later step.

mod adam;
mod decay;
mod lion;
mod moving_average;
mod nadam;
mod rmsprop;
mod sgd;
#[cfg(test)]
mod tests;

pub use adam::{Adam, Parameters, adam};
pub use lion::{Lion, lion};
pub use moving_average::moving_average;
pub use nadam::{Nadam, nadam};
pub use rmsprop::{RmsProp, RmsPropState, rmsprop};
pub use sgd::{Momentum, momentum, sgd};
