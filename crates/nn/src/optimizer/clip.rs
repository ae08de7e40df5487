//! Gradient clipping.

use super::{SettingError, require};

/// Clipping of gradients before an update, as three arguments of Keras's optimizers
/// (`keras/src/optimizers/base_optimizer.py`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clip {
    /// `clipvalue`: clips each number to at most this absolute value.
    Value(f64),
    /// `clipnorm`: scales each weight's gradient g to g c / max(|g|, c), where |g| is its Euclidean norm.
    Norm(f64),
    /// `global_clipnorm`: the same with the norm of the gradients of all trainable weights together (Pascanu and others 2013).
    GlobalNorm(f64),
}

impl Clip {
    /// Keras's name of the argument.
    pub fn name(self) -> &'static str {
        match self {
            Self::Value(_) => "clipvalue",
            Self::Norm(_) => "clipnorm",
            Self::GlobalNorm(_) => "global_clipnorm",
        }
    }

    /// The bound.
    pub fn bound(self) -> f64 {
        match self {
            Self::Value(bound) | Self::Norm(bound) | Self::GlobalNorm(bound) => bound,
        }
    }

    /// Checks that the bound is a positive number.
    ///
    /// # Errors
    /// If it is not.
    pub fn validate(self) -> Result<(), SettingError> {
        let bound = self.bound();
        require("clipping", self.name(), bound, "a positive number", bound > 0.0 && bound.is_finite())
    }

    /// The factor that a gradient of this norm is multiplied by.
    pub(crate) fn factor(self, norm: f64) -> f64 {
        match self {
            Self::Value(_) => 1.0,
            Self::Norm(bound) | Self::GlobalNorm(bound) => bound / norm.max(bound),
        }
    }
}
