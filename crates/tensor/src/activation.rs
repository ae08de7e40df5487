//! The activations, their names, and their application.

mod operations;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

/// An activation, by Keras's names. The formulas are those of `keras.activations` in Keras 3.
///
/// The derivative of most is a function of y = f(z); that of gelu, gelu_tanh, silu and mish is one of z, see
/// [`needs_input`](Self::needs_input).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Activation {
    /// f(z) = z.
    #[default]
    Linear,
    /// f(z) = max(z, 0); its derivative at 0 is taken for 0.
    Relu,
    /// f(z) = 1 / (1 + e^-z).
    Sigmoid,
    /// f(z) = tanh z.
    Tanh,
    /// f(z)_o = e^(z_o) / sum_p e^(z_p), by row.
    Softmax,
    /// f(z) = z where z > 0, else e^z - 1 (Clevert, Unterthiner and Hochreiter 2015).
    Elu,
    /// f(z) = s z where z > 0, else s a (e^z - 1), with s = 1.0507 and a = 1.6733 (Klambauer and others 2017).
    Selu,
    /// f(z) = z Phi(z), Phi(z) = (1 + erf(z / sqrt 2)) / 2 (Hendrycks and Gimpel 2016); Keras's `gelu(approximate=False)`.
    Gelu,
    /// f(z) = z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2; Keras's `gelu(approximate=True)`, which has no name there.
    GeluTanh,
    /// f(z) = z / (1 + e^-z); it has the name `swish` as well.
    Silu,
    /// f(z) = ln(1 + e^z).
    Softplus,
    /// f(z) = z / (1 + |z|).
    Softsign,
    /// f(z) = z where z > 0, else 0.2 z; its derivative at 0 is taken for 0.2.
    LeakyRelu,
    /// f(z) = min(max(z, 0), 6); its derivatives at 0 and 6 are taken for 0.
    Relu6,
    /// f(z) = min(max(z + 3, 0), 6) / 6; its derivatives at -3 and 3 are taken for 0.
    HardSigmoid,
    /// f(z) = z tanh(ln(1 + e^z)) (Misra 2019).
    Mish,
    /// f(z) = e^z.
    Exponential,
}

impl Activation {
    /// All of them.
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

    /// Keras's name of it.
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

    /// Whether the derivative is formed from z, as for gelu, gelu_tanh, silu and mish, which take a value twice. For all others
    /// it is a function of y = f(z).
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
        // Keras knows silu by two names.
        let canonical = if name == "swish" { "silu" } else { name };
        Self::ALL.into_iter().find(|activation| activation.name() == canonical).ok_or_else(|| {
            let (last, others) = Self::ALL.split_last().expect("there are some");
            let others: Vec<&str> = others.iter().map(|activation| activation.name()).collect();
            format!("unknown activation {name:?}, expected {} or {last}", others.join(", "))
        })
    }
}
