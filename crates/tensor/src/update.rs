//! The optimizers' elementwise updates, by Keras's formulas.
//!
//! Legend: w parameters, g their gradient, m and v the optimizer's moving averages, all of one length; every update panics if
//! the lengths differ. A state that decays for ever is set to zero once it is below [`Float::TINY`](crate::Float::TINY) in
//! magnitude: by then it moves no parameter, and numbers below the normal range would slow down every later step.

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
