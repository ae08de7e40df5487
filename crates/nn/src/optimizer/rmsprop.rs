//! RMSprop.

use ziffer_tensor::{Scalar, update};

use super::{Optimizer, SettingError, require, require_learning_rate, require_not_negative, require_share};

/// RMSprop (Tieleman and Hinton 2012), as `keras/src/optimizers/rmsprop.py`:
/// v = rho v + (1 - rho) g^2; w -= s with s = learning_rate g / sqrt(v + epsilon).
///
/// Centred, a = rho a + (1 - rho) g, and the root is of v - a^2 + epsilon (Graves 2013). With momentum, m = momentum m + s and
/// w -= m.
///
/// | setting | default | range |
/// |---|---|---|
/// | learning_rate | 0.001 | above 0 |
/// | rho | 0.9 | 0 to below 1 |
/// | momentum | 0 | 0 to below 1 |
/// | epsilon | 1e-7 | above 0 |
/// | centered | false | |
/// | weight_decay | 0 | at least 0 |
///
/// Weight decay is decoupled: before the update, w -= learning_rate weight_decay w, for every weight, biases included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// The step's size.
    pub learning_rate: f64,
    /// How much of the mean square is kept in a step.
    pub rho: f64,
    /// How much of the last step is kept.
    pub momentum: f64,
    /// Added under the root.
    pub epsilon: f64,
    /// Whether the gradient's variance is taken in the place of its mean square.
    pub centered: bool,
    /// The share of a weight that is taken off, in units of the learning rate.
    pub weight_decay: f64,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self {
            learning_rate: 0.001,
            rho: 0.9,
            momentum: 0.0,
            epsilon: 1e-7,
            centered: false,
            weight_decay: 0.0,
        }
    }
}

impl RmsProp {
    /// With this learning rate and the other settings' defaults.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, ..Self::default() }
    }
}

impl<T: Scalar> Optimizer<T> for RmsProp {
    type Step = update::RmsProp<T>;

    fn name(&self) -> &'static str {
        "rmsprop"
    }

    fn slots(&self) -> &'static [&'static str] {
        match (self.momentum == 0.0, self.centered) {
            (true, false) => &["velocity"],
            (false, false) => &["velocity", "momentum"],
            (true, true) => &["velocity", "average_gradient"],
            (false, true) => &["velocity", "momentum", "average_gradient"],
        }
    }

    fn validate(&self) -> Result<(), SettingError> {
        require_learning_rate("rmsprop", self.learning_rate)?;
        require_share("rmsprop", "rho", self.rho)?;
        require_share("rmsprop", "momentum", self.momentum)?;
        let holds = self.epsilon > 0.0 && self.epsilon.is_finite();
        require("rmsprop", "epsilon", self.epsilon, "a positive number", holds)?;
        require_not_negative("rmsprop", "weight_decay", self.weight_decay)
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn step(&self, _: u64, learning_rate: f64) -> update::RmsProp<T> {
        update::RmsProp {
            learning_rate: T::from_f64(learning_rate),
            rho: T::from_f64(self.rho),
            momentum: T::from_f64(self.momentum),
            epsilon: T::from_f64(self.epsilon),
            centered: self.centered,
            decay: T::from_f64(learning_rate * self.weight_decay),
        }
    }

    fn update(step: &update::RmsProp<T>, w: &mut [T], slots: &mut [&mut [T]], g: &[T]) {
        let (velocity, momentum, average_gradient) = match slots {
            [v] => (&mut **v, None, None),
            [v, a] if step.centered => (&mut **v, None, Some(&mut **a)),
            [v, m] => (&mut **v, Some(&mut **m), None),
            [v, m, a] => (&mut **v, Some(&mut **m), Some(&mut **a)),
            _ => unreachable!("rmsprop has one to three slots"),
        };
        update::rmsprop(w, update::RmsPropState { velocity, momentum, average_gradient }, g, *step);
    }
}
