//! Adam and AdamW.

use ziffer_tensor::{Scalar, update};

use super::{Optimizer, SettingError, power, require_below_1, require_learning_rate, require_not_negative};

/// Adam (Kingma and Ba 2015), as `keras/src/optimizers/adam.py`.
///
/// With t = 1, 2, ... and alpha = learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t):
/// m += (g - m)(1 - beta_1); v += (g^2 - v)(1 - beta_2); w -= alpha m / (sqrt(v) + epsilon).
///
/// | setting | default | range |
/// |---|---|---|
/// | learning_rate | 0.001 | above 0 |
/// | beta_1 | 0.9 | 0 to below 1 |
/// | beta_2 | 0.999 | 0 to below 1 |
/// | epsilon | 1e-7 | at least 0 |
/// | weight_decay | 0 | at least 0 |
///
/// Weight decay is decoupled: before the update, w -= learning_rate weight_decay w, for every weight, biases included. Adam with
/// weight decay is [`AdamW`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// The learning rate.
    pub learning_rate: f64,
    /// The decay rate of the mean gradient.
    pub beta_1: f64,
    /// The decay rate of the mean squared gradient.
    pub beta_2: f64,
    /// Added to the root of the mean squared gradient.
    pub epsilon: f64,
    /// The fraction of a weight that is subtracted per step, in units of the learning rate.
    pub weight_decay: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self { learning_rate: 0.001, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, weight_decay: 0.0 }
    }
}

impl Adam {
    /// The optimizer with this learning rate and the defaults of the other settings.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, ..Self::default() }
    }

    fn constants<T: Scalar>(&self, iteration: u64, learning_rate: f64) -> update::Adam<T> {
        let (beta_1, beta_2) = (power(self.beta_1, iteration), power(self.beta_2, iteration));
        update::Adam {
            alpha: T::from_f64(learning_rate * (1.0 - beta_2).sqrt() / (1.0 - beta_1)),
            one_minus_beta_1: T::from_f64(1.0 - self.beta_1),
            one_minus_beta_2: T::from_f64(1.0 - self.beta_2),
            epsilon: T::from_f64(self.epsilon),
            decay: T::from_f64(learning_rate * self.weight_decay),
        }
    }

    fn validate_as(&self, name: &'static str) -> Result<(), SettingError> {
        require_learning_rate(name, self.learning_rate)?;
        require_below_1(name, "beta_1", self.beta_1)?;
        require_below_1(name, "beta_2", self.beta_2)?;
        require_not_negative(name, "epsilon", self.epsilon)?;
        require_not_negative(name, "weight_decay", self.weight_decay)
    }
}

impl<T: Scalar> Optimizer<T> for Adam {
    type Step = update::Adam<T>;

    fn name(&self) -> &'static str {
        "adam"
    }

    fn state_names(&self) -> &'static [&'static str] {
        &["momentum", "velocity"]
    }

    fn validate(&self) -> Result<(), SettingError> {
        self.validate_as("adam")
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn step(&self, iteration: u64, learning_rate: f64) -> update::Adam<T> {
        self.constants(iteration, learning_rate)
    }

    fn update(step: &update::Adam<T>, w: &mut [T], state: &mut [&mut [T]], g: &[T]) {
        let [m, v] = state else { unreachable!("adam has two states") };
        update::adam(w, m, v, g, *step);
    }

    fn as_adam(step: &update::Adam<T>) -> Option<update::Adam<T>> {
        Some(*step)
    }
}

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019), as Keras's `AdamW`: [`Adam`] with other defaults.
///
/// The settings are those of [`Adam`], and weight_decay is 0.004 by default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// The learning rate.
    pub learning_rate: f64,
    /// The decay rate of the mean gradient.
    pub beta_1: f64,
    /// The decay rate of the mean squared gradient.
    pub beta_2: f64,
    /// Added to the root of the mean squared gradient.
    pub epsilon: f64,
    /// The fraction of a weight that is subtracted per step, in units of the learning rate.
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        let Adam { learning_rate, beta_1, beta_2, epsilon, .. } = Adam::default();
        Self { learning_rate, beta_1, beta_2, epsilon, weight_decay: 0.004 }
    }
}

impl AdamW {
    /// The optimizer with this learning rate and the defaults of the other settings.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, ..Self::default() }
    }

    fn adam(&self) -> Adam {
        let Self { learning_rate, beta_1, beta_2, epsilon, weight_decay } = *self;
        Adam { learning_rate, beta_1, beta_2, epsilon, weight_decay }
    }
}

impl<T: Scalar> Optimizer<T> for AdamW {
    type Step = update::Adam<T>;

    fn name(&self) -> &'static str {
        "adamw"
    }

    fn state_names(&self) -> &'static [&'static str] {
        Optimizer::<T>::state_names(&self.adam())
    }

    fn validate(&self) -> Result<(), SettingError> {
        self.adam().validate_as("adamw")
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn step(&self, iteration: u64, learning_rate: f64) -> update::Adam<T> {
        self.adam().constants(iteration, learning_rate)
    }

    fn update(step: &update::Adam<T>, w: &mut [T], state: &mut [&mut [T]], g: &[T]) {
        <Adam as Optimizer<T>>::update(step, w, state, g);
    }

    fn as_adam(step: &update::Adam<T>) -> Option<update::Adam<T>> {
        <Adam as Optimizer<T>>::as_adam(step)
    }
}
