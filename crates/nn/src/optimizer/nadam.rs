//! Nadam.

use ziffer_tensor::{Scalar, update};

use super::{Optimizer, SettingError, power, require_below_1, require_learning_rate, require_not_negative};

/// Adam with Nesterov momentum (Dozat 2016), as `keras/src/optimizers/nadam.py`.
///
/// With t = 1, 2, ..., u_t = beta_1 (1 - 0.96^t / 2) and U_t = u_1 u_2 ... u_t:
/// m += (g - m)(1 - beta_1); v += (g^2 - v)(1 - beta_2);
/// w -= learning_rate (u_(t+1) m / (1 - U_(t+1)) + (1 - u_t) g / (1 - U_t)) / (sqrt(v / (1 - beta_2^t)) + epsilon).
///
/// Keras stores U_t as a variable. Here it is computed from t, so that a checkpoint stores m, v and t only.
///
/// | setting | default | range |
/// |---|---|---|
/// | learning_rate | 0.001 | above 0 |
/// | beta_1 | 0.9 | 0 to below 1 |
/// | beta_2 | 0.999 | 0 to below 1 |
/// | epsilon | 1e-7 | at least 0 |
/// | weight_decay | 0 | at least 0 |
///
/// Weight decay is decoupled: before the update, w -= learning_rate weight_decay w, for every weight, biases included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nadam {
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

impl Default for Nadam {
    fn default() -> Self {
        Self { learning_rate: 0.001, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, weight_decay: 0.0 }
    }
}

/// 1 - 0.96^t / 2 for t = 0, 1, ..., and the products of these factors from t = 1 on. From the last t on, 0.96^t is below half
/// of epsilon: the factor is 1, and the product no longer changes.
const MOMENTUM_FACTORS: [(f64, f64); 1024] = {
    let mut table = [(0.5, 1.0); 1024];
    let (mut power, mut t) = (1.0, 1);
    while t < table.len() {
        power *= 0.96;
        let factor = 1.0 - 0.5 * power;
        table[t] = (factor, table[t - 1].1 * factor);
        t += 1;
    }
    table
};

impl Nadam {
    /// The optimizer with this learning rate and the defaults of the other settings.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, ..Self::default() }
    }

    /// u_t and U_t.
    fn momentum(&self, t: u64) -> (f64, f64) {
        let (factor, product) = MOMENTUM_FACTORS
            [usize::try_from(t).map_or(MOMENTUM_FACTORS.len(), |t| t).min(MOMENTUM_FACTORS.len() - 1)];
        (self.beta_1 * factor, power(self.beta_1, t) * product)
    }
}

impl<T: Scalar> Optimizer<T> for Nadam {
    type Step = update::Nadam<T>;

    fn name(&self) -> &'static str {
        "nadam"
    }

    fn state_names(&self) -> &'static [&'static str] {
        &["momentum", "velocity"]
    }

    fn validate(&self) -> Result<(), SettingError> {
        require_learning_rate("nadam", self.learning_rate)?;
        require_below_1("nadam", "beta_1", self.beta_1)?;
        require_below_1("nadam", "beta_2", self.beta_2)?;
        require_not_negative("nadam", "epsilon", self.epsilon)?;
        require_not_negative("nadam", "weight_decay", self.weight_decay)
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn step(&self, iteration: u64, learning_rate: f64) -> update::Nadam<T> {
        let (u, product) = self.momentum(iteration);
        let (next_u, next_product) = self.momentum(iteration + 1);
        // The step's numerator and denominator are both multiplied by the correction, so that the root is of v itself.
        let correction = (1.0 - power(self.beta_2, iteration)).sqrt();
        update::Nadam {
            of_momentum: T::from_f64(learning_rate * correction * next_u / (1.0 - next_product)),
            of_gradient: T::from_f64(learning_rate * correction * (1.0 - u) / (1.0 - product)),
            one_minus_beta_1: T::from_f64(1.0 - self.beta_1),
            one_minus_beta_2: T::from_f64(1.0 - self.beta_2),
            epsilon: T::from_f64(self.epsilon * correction),
            decay: T::from_f64(learning_rate * self.weight_decay),
        }
    }

    fn update(step: &update::Nadam<T>, w: &mut [T], state: &mut [&mut [T]], g: &[T]) {
        let [m, v] = state else { unreachable!("nadam has two states") };
        update::nadam(w, m, v, g, *step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keras multiplies a variable by u_t in each step.
    #[test]
    fn the_product_of_factors_equals_keras_s_variable() {
        for beta_1 in [0.0, 0.5, 0.9, 0.9999] {
            let nadam = Nadam { beta_1, ..Nadam::default() };
            let mut product = 1.0;
            for t in 1..3000 {
                let u = beta_1 * (1.0 - 0.5 * 0.96_f64.powi(t));
                product *= u;
                let ours = nadam.momentum(t as u64);
                assert!(
                    (ours.0 - u).abs() <= 1e-13 && (ours.1 - product).abs() <= 1e-11 * product + 1e-300,
                    "{t}"
                );
            }
        }
        assert_eq!(Nadam::default().momentum(1 << 62), (0.9, 0.0));
        assert_eq!(MOMENTUM_FACTORS[1023].0, 1.0);
    }
}
