//! Lion.

use ziffer_tensor::{Scalar, update};

use super::{Optimizer, SettingError, require, require_below_1, require_learning_rate, require_not_negative};

/// Lion (Chen and others 2023), as `keras/src/optimizers/lion.py`:
/// w -= learning_rate sign(beta_1 m + (1 - beta_1) g); m = beta_2 m + (1 - beta_2) g. The sign of 0 is 0.
///
/// Every weight moves by the learning rate. So the usual rate is a third to a tenth of Adam's, with a weight decay that is
/// larger by the same factor.
///
/// | setting | default | range |
/// |---|---|---|
/// | learning_rate | 0.001 | above 0 |
/// | beta_1 | 0.9 | above 0, to 1 |
/// | beta_2 | 0.99 | 0 to below 1 |
/// | weight_decay | 0 | at least 0 |
///
/// Weight decay is decoupled: before the update, w -= learning_rate weight_decay w, for every weight, biases included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lion {
    /// The learning rate.
    pub learning_rate: f64,
    /// The weight of the mean gradient in a step's direction.
    pub beta_1: f64,
    /// The decay rate of the mean gradient.
    pub beta_2: f64,
    /// The fraction of a weight that is subtracted per step, in units of the learning rate.
    pub weight_decay: f64,
}

impl Default for Lion {
    fn default() -> Self {
        Self { learning_rate: 0.001, beta_1: 0.9, beta_2: 0.99, weight_decay: 0.0 }
    }
}

impl Lion {
    /// The optimizer with this learning rate and the defaults of the other settings.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, ..Self::default() }
    }
}

impl<T: Scalar> Optimizer<T> for Lion {
    type Step = update::Lion<T>;

    fn name(&self) -> &'static str {
        "lion"
    }

    fn state_names(&self) -> &'static [&'static str] {
        &["momentum"]
    }

    fn validate(&self) -> Result<(), SettingError> {
        require_learning_rate("lion", self.learning_rate)?;
        let holds = self.beta_1 > 0.0 && self.beta_1 <= 1.0;
        require("lion", "beta_1", self.beta_1, "a number above 0, at most 1", holds)?;
        require_below_1("lion", "beta_2", self.beta_2)?;
        require_not_negative("lion", "weight_decay", self.weight_decay)
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn step(&self, _: u64, learning_rate: f64) -> update::Lion<T> {
        update::Lion {
            learning_rate: T::from_f64(learning_rate),
            beta_1: T::from_f64(self.beta_1),
            beta_2: T::from_f64(self.beta_2),
            decay: T::from_f64(learning_rate * self.weight_decay),
        }
    }

    fn update(step: &update::Lion<T>, w: &mut [T], state: &mut [&mut [T]], g: &[T]) {
        let [m] = state else { unreachable!("lion has one state") };
        update::lion(w, m, g, *step);
    }
}
