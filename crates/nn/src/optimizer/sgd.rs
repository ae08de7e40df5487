//! Stochastic gradient descent.

use ziffer_tensor::{Scalar, update};

use super::{Optimizer, SettingError, require_below_1, require_learning_rate, require_not_negative};

/// Gradient descent, as `keras/src/optimizers/sgd.py`: w -= learning_rate g; with momentum,
/// m = momentum m - learning_rate g and w += m, or with Nesterov momentum w += momentum m - learning_rate g.
///
/// | setting | default | range |
/// |---|---|---|
/// | learning_rate | 0.01 | above 0 |
/// | momentum | 0 | 0 to below 1 |
/// | nesterov | false | |
/// | weight_decay | 0 | at least 0 |
///
/// Weight decay is decoupled: before the update, w -= learning_rate weight_decay w, for every weight, biases included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// The learning rate.
    pub learning_rate: f64,
    /// The fraction of the previous step that is added.
    pub momentum: f64,
    /// Whether to use Nesterov momentum. Without momentum it has no effect.
    pub nesterov: bool,
    /// The fraction of a weight that is subtracted per step, in units of the learning rate.
    pub weight_decay: f64,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { learning_rate: 0.01, momentum: 0.0, nesterov: false, weight_decay: 0.0 }
    }
}

impl Sgd {
    /// The optimizer with this learning rate and the defaults of the other settings.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, ..Self::default() }
    }
}

impl<T: Scalar> Optimizer<T> for Sgd {
    type Step = update::Momentum<T>;

    fn name(&self) -> &'static str {
        "sgd"
    }

    fn state_names(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum"] }
    }

    fn validate(&self) -> Result<(), SettingError> {
        require_learning_rate("sgd", self.learning_rate)?;
        require_below_1("sgd", "momentum", self.momentum)?;
        require_not_negative("sgd", "weight_decay", self.weight_decay)
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn step(&self, _: u64, learning_rate: f64) -> update::Momentum<T> {
        update::Momentum {
            learning_rate: T::from_f64(learning_rate),
            momentum: T::from_f64(self.momentum),
            nesterov: self.nesterov,
            decay: T::from_f64(learning_rate * self.weight_decay),
        }
    }

    fn update(step: &update::Momentum<T>, w: &mut [T], state: &mut [&mut [T]], g: &[T]) {
        match state {
            [m] => update::momentum(w, m, g, *step),
            _ => update::sgd(w, g, step.learning_rate, step.decay),
        }
    }
}
