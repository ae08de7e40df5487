//! The optimizer of a step, without the type of the numbers that the updates of one step share.

use std::fmt::Debug;

use ziffer_tensor::{Scalar, update};

use crate::optimizer::Optimizer;

/// An [`Optimizer`] as a trait object.
pub(super) trait DynOptimizer<T: Scalar>: Sync {
    /// The number of states.
    fn states(&self) -> usize;

    /// Prepares step number `iteration`, counted from 1, and calls `work` with it.
    fn prepare(&self, iteration: u64, learning_rate: f64, work: &mut dyn FnMut(&dyn Update<T>));
}

/// The updates of one step.
pub(super) trait Update<T: Scalar> {
    /// As [`Optimizer::update`].
    fn update(&self, w: &mut [T], state: &mut [&mut [T]], g: &[T]);

    /// As [`Optimizer::as_adam`].
    fn as_adam(&self) -> Option<update::Adam<T>>;
}

/// The step of an optimizer.
#[derive(Debug)]
struct Prepared<T: Scalar, O: Optimizer<T>>(O::Step);

impl<T: Scalar, O: Optimizer<T>> Update<T> for Prepared<T, O> {
    fn update(&self, w: &mut [T], state: &mut [&mut [T]], g: &[T]) {
        O::update(&self.0, w, state, g);
    }

    fn as_adam(&self) -> Option<update::Adam<T>> {
        O::as_adam(&self.0)
    }
}

impl<T: Scalar, O: Optimizer<T>> DynOptimizer<T> for O {
    fn states(&self) -> usize {
        self.state_names().len()
    }

    fn prepare(&self, iteration: u64, learning_rate: f64, work: &mut dyn FnMut(&dyn Update<T>)) {
        work(&Prepared::<T, O>(self.step(iteration, learning_rate)));
    }
}
