//! RMSprop.

use ziffer_tensor::{Scalar, update};

use super::{Optimizer, SettingError, require, require_learning_rate, require_share};

/// RMSprop (Tieleman and Hinton 2012), as `keras/src/optimizers/rmsprop.py` without its options:
/// v = rho v + (1 - rho) g^2; w -= learning_rate g / sqrt(v + epsilon).
///
/// | setting | default | range |
/// |---|---|---|
/// | learning_rate | 0.001 | above 0 |
/// | rho | 0.9 | 0 to below 1 |
/// | epsilon | 1e-7 | above 0 |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// The step's size.
    pub learning_rate: f64,
    /// How much of the mean square is kept in a step.
    pub rho: f64,
    /// Added under the root.
    pub epsilon: f64,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self { learning_rate: 0.001, rho: 0.9, epsilon: 1e-7 }
    }
}

impl<T: Scalar> Optimizer<T> for RmsProp {
    type Step = update::RmsProp<T>;

    fn name(&self) -> &'static str {
        "rmsprop"
    }

    fn slots(&self) -> &'static [&'static str] {
        &["velocity"]
    }

    fn validate(&self) -> Result<(), SettingError> {
        require_learning_rate("rmsprop", self.learning_rate)?;
        require_share("rmsprop", "rho", self.rho)?;
        let holds = self.epsilon > 0.0 && self.epsilon.is_finite();
        require("rmsprop", "epsilon", self.epsilon, "a positive number", holds)
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn step(&self, _: u64, learning_rate: f64) -> update::RmsProp<T> {
        update::RmsProp {
            learning_rate: T::from_f64(learning_rate),
            rho: T::from_f64(self.rho),
            epsilon: T::from_f64(self.epsilon),
        }
    }

    fn update(step: &update::RmsProp<T>, w: &mut [T], slots: &mut [&mut [T]], g: &[T]) {
        let [v] = slots else { unreachable!("rmsprop has one slot") };
        update::rmsprop(w, v, g, *step);
    }
}
