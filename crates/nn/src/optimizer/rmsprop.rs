//! RMSprop.

use ziffer_tensor::{Scalar, update};

use super::{Optimizer, SettingError, require, require_below_1, require_learning_rate, require_not_negative};

/// RMSprop (Tieleman and Hinton 2012), as `keras/src/optimizers/rmsprop.py`:
/// v = rho v + (1 - rho) g^2; w -= s with s = learning_rate g / sqrt(v + epsilon).
///
/// If centered, a = rho a + (1 - rho) g, and the root is of v - a^2 + epsilon (Graves 2013). With momentum, m = momentum m + s and
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
    /// The learning rate.
    pub learning_rate: f64,
    /// The decay rate of the mean squared gradient.
    pub rho: f64,
    /// The fraction of the previous step that is added.
    pub momentum: f64,
    /// Added to the mean squared gradient under the root.
    pub epsilon: f64,
    /// Whether to use the gradient's variance instead of its mean square.
    pub centered: bool,
    /// The fraction of a weight that is subtracted per step, in units of the learning rate.
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
    /// The optimizer with this learning rate and the defaults of the other settings.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, ..Self::default() }
    }
}

impl<T: Scalar> Optimizer<T> for RmsProp {
    type Step = update::RmsProp<T>;

    fn name(&self) -> &'static str {
        "rmsprop"
    }

    fn state_names(&self) -> &'static [&'static str] {
        match (self.momentum == 0.0, self.centered) {
            (true, false) => &["velocity"],
            (false, false) => &["velocity", "momentum"],
            (true, true) => &["velocity", "average_gradient"],
            (false, true) => &["velocity", "momentum", "average_gradient"],
        }
    }

    fn validate(&self) -> Result<(), SettingError> {
        require_learning_rate("rmsprop", self.learning_rate)?;
        require_below_1("rmsprop", "rho", self.rho)?;
        require_below_1("rmsprop", "momentum", self.momentum)?;
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

    fn update(step: &update::RmsProp<T>, w: &mut [T], state: &mut [&mut [T]], g: &[T]) {
        let (velocity, momentum, average_gradient) = match state {
            [v] => (&mut **v, None, None),
            [v, a] if step.centered => (&mut **v, None, Some(&mut **a)),
            [v, m] => (&mut **v, Some(&mut **m), None),
            [v, m, a] => (&mut **v, Some(&mut **m), Some(&mut **a)),
            _ => unreachable!("rmsprop has one to three states"),
        };
        update::rmsprop(w, update::RmsPropState { velocity, momentum, average_gradient }, g, *step);
    }
}
