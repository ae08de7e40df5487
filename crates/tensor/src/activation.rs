//! The activations of a dense layer and their derivatives.

use std::fmt;
use std::str::FromStr;

use crate::Scalar;
use crate::isa::{self, Isa, Kernel};
use crate::softmax;

/// An activation, by Keras's names.
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
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Linear, Self::Relu, Self::Sigmoid, Self::Tanh, Self::Softmax];

    /// Keras's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Relu => "relu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Softmax => "softmax",
        }
    }

    /// Replaces z by f(z), in rows of `columns` numbers.
    pub fn apply<T: Scalar>(self, z: &mut [T], columns: usize) {
        match self {
            Self::Linear => {}
            Self::Softmax => softmax::softmax(z, columns),
            _ => isa::run(Apply { activation: self, z }),
        }
    }

    /// Replaces the gradient by y = f(z) by the gradient by z, in rows of `columns` numbers.
    ///
    /// All derivatives are functions of y: relu' = \[y > 0\], sigmoid' = y (1 - y), tanh' = 1 - y^2, and for softmax
    /// d_z = y (d_y - sum(d_y y)).
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn backward<T: Scalar>(self, y: &[T], d: &mut [T], columns: usize) {
        assert_eq!(y.len(), d.len(), "outputs and their gradients");
        match self {
            Self::Linear => {}
            Self::Softmax => softmax::softmax_backward(y, d, columns),
            _ => isa::run(Backward { activation: self, y, d }),
        }
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
        Self::ALL.into_iter().find(|activation| activation.name() == name).ok_or_else(|| {
            format!("unknown activation {name:?}, expected linear, relu, sigmoid, tanh or softmax")
        })
    }
}

struct Apply<'a, T> {
    activation: Activation,
    z: &'a mut [T],
}

impl<T: Scalar> Kernel for Apply<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        match self.activation {
            Activation::Relu => {
                self.z.iter_mut().for_each(|z| *z = if *z < T::zero() { T::zero() } else { *z })
            }
            Activation::Sigmoid => self.z.iter_mut().for_each(|z| *z = sigmoid::<T, I>(*z)),
            Activation::Tanh => self.z.iter_mut().for_each(|z| *z = z.tanh_with(I::fma)),
            Activation::Linear | Activation::Softmax => {}
        }
    }
}

struct Backward<'a, T> {
    activation: Activation,
    y: &'a [T],
    d: &'a mut [T],
}

impl<T: Scalar> Kernel for Backward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let pairs = self.d.iter_mut().zip(self.y);
        match self.activation {
            Activation::Relu => pairs.for_each(|(d, &y)| *d = if y > T::zero() { *d } else { T::zero() }),
            Activation::Sigmoid => pairs.for_each(|(d, &y)| *d *= y * (T::one() - y)),
            Activation::Tanh => pairs.for_each(|(d, &y)| *d *= I::fma(-y, y, T::one())),
            Activation::Linear | Activation::Softmax => {}
        }
    }
}

/// 1 / (1 + e^-z): 0 or 1 far out, where e^-z overflows or vanishes.
#[inline(always)]
fn sigmoid<T: Scalar, I: Isa>(z: T) -> T {
    T::one() / (T::one() + (-z).exp_with(I::fma))
}
