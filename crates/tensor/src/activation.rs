//! The enum of the activations, their formulas and their names.

mod operations;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

/// An activation y = f(z). The names and formulas are those of `keras.activations` in Keras 3.
///
/// The derivative of most activations is computed from y, that of gelu, gelu_tanh, silu and mish from z. See
/// [`needs_input`](Self::needs_input).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Activation {
    /// f(z) = z.
    #[default]
    Linear,
    /// f(z) = max(z, 0). The derivative at 0 is defined as 0.
    Relu,
    /// f(z) = 1 / (1 + e^-z).
    Sigmoid,
    /// f(z) = tanh z.
    Tanh,
    /// f(z)_o = e^(z_o) / sum_p e^(z_p), by row.
    Softmax,
    /// f(z) = z for z > 0, and e^z - 1 otherwise (Clevert, Unterthiner and Hochreiter 2015).
    Elu,
    /// f(z) = s z for z > 0, and s a (e^z - 1) otherwise, with s = 1.0507 and a = 1.6733 (Klambauer and others 2017).
    Selu,
    /// f(z) = z Phi(z) with Phi(z) = (1 + erf(z / sqrt 2)) / 2 (Hendrycks and Gimpel 2016). It is `gelu(approximate=False)` in
    /// Keras.
    Gelu,
    /// f(z) = z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2. It is `gelu(approximate=True)` in Keras, which has no separate
    /// name for it.
    GeluTanh,
    /// f(z) = z / (1 + e^-z). `swish` is another name for it.
    Silu,
    /// f(z) = ln(1 + e^z).
    Softplus,
    /// f(z) = z / (1 + |z|).
    Softsign,
    /// f(z) = z for z > 0, and 0.2 z otherwise. The derivative at 0 is defined as 0.2.
    LeakyRelu,
    /// f(z) = min(max(z, 0), 6). The derivatives at 0 and 6 are defined as 0.
    Relu6,
    /// f(z) = min(max(z + 3, 0), 6) / 6. The derivatives at -3 and 3 are defined as 0.
    HardSigmoid,
    /// f(z) = z tanh(ln(1 + e^z)) (Misra 2019).
    Mish,
    /// f(z) = e^z.
    Exponential,
}

impl Activation {
    /// All activations.
    pub const ALL: [Self; 17] = [
        Self::Linear,
        Self::Relu,
        Self::Sigmoid,
        Self::Tanh,
        Self::Softmax,
        Self::Elu,
        Self::Selu,
        Self::Gelu,
        Self::GeluTanh,
        Self::Silu,
        Self::Softplus,
        Self::Softsign,
        Self::LeakyRelu,
        Self::Relu6,
        Self::HardSigmoid,
        Self::Mish,
        Self::Exponential,
    ];

    /// Returns the name, which is that of Keras except for `gelu_tanh`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Relu => "relu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Softmax => "softmax",
            Self::Elu => "elu",
            Self::Selu => "selu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
            Self::Silu => "silu",
            Self::Softplus => "softplus",
            Self::Softsign => "softsign",
            Self::LeakyRelu => "leaky_relu",
            Self::Relu6 => "relu6",
            Self::HardSigmoid => "hard_sigmoid",
            Self::Mish => "mish",
            Self::Exponential => "exponential",
        }
    }

    /// Whether the derivative is computed from z. This holds for gelu, gelu_tanh, silu and mish, which have the same value at two
    /// points. The derivatives of all others are computed from y = f(z).
    pub fn needs_input(self) -> bool {
        matches!(self, Self::Gelu | Self::GeluTanh | Self::Silu | Self::Mish)
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Activation {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        // Keras has two names for silu.
        let canonical = if name == "swish" { "silu" } else { name };
        Self::ALL.into_iter().find(|activation| activation.name() == canonical).ok_or_else(|| {
            let (last, others) = Self::ALL.split_last().expect("at least one activation");
            let others: Vec<&str> = others.iter().map(|activation| activation.name()).collect();
            format!("unknown activation {name:?}, expected {} or {last}", others.join(", "))
        })
    }
}
