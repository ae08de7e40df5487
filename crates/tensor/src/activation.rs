//! The activations of a dense layer and their derivatives.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use crate::Scalar;
use crate::elementary::INVERSE_SQRT_TAU;
use crate::isa::{Isa, Kernel};
use crate::softmax;

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

/// Keras's slope of `leaky_relu` below 0.
const LEAKY_SLOPE: f64 = 0.2;
/// The s and the s a of `selu`, which keep mean 0 and variance 1.
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_SCALE_ALPHA: f64 = SELU_SCALE * 1.673_263_242_354_377_2;

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

    /// Replaces z by f(z), in rows of `columns` numbers.
    pub fn apply<T: Scalar>(self, z: &mut [T], columns: usize) {
        match self {
            Self::Linear => {}
            Self::Softmax => softmax::softmax(z, columns),
            _ => T::activation(Apply { activation: self, z }),
        }
    }

    /// Replaces the gradient by y = f(z) by the gradient by z, in rows of `columns` numbers. `of` is y, or z for an activation
    /// that [needs it](Self::needs_input).
    ///
    /// relu' = \[y > 0\], sigmoid' = y (1 - y), tanh' = 1 - y^2, and for softmax d_z = y (d_y - sum(d_y y)).
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn backward<T: Scalar>(self, of: &[T], d: &mut [T], columns: usize) {
        assert_eq!(of.len(), d.len(), "outputs and their gradients");
        match self {
            Self::Linear => {}
            Self::Softmax => softmax::softmax_backward(of, d, columns),
            _ => T::activation_backward(Backward { activation: self, of, d }),
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
        // Keras knows silu by two names.
        let canonical = if name == "swish" { "silu" } else { name };
        Self::ALL.into_iter().find(|activation| activation.name() == canonical).ok_or_else(|| {
            let (last, others) = Self::ALL.split_last().expect("there are some");
            let others: Vec<&str> = others.iter().map(|activation| activation.name()).collect();
            format!("unknown activation {name:?}, expected {} or {last}", others.join(", "))
        })
    }
}

pub(crate) struct Apply<'a, T> {
    activation: Activation,
    z: &'a mut [T],
}

impl<T: Scalar> Kernel for Apply<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let number = T::from_f64;
        let z = self.z.iter_mut();
        match self.activation {
            Activation::Relu => {
                z.for_each(|z| *z = if *z < T::zero() { T::zero() } else { *z });
            }
            Activation::Sigmoid => z.for_each(|z| *z = sigmoid::<T, I>(*z)),
            Activation::Tanh => z.for_each(|z| *z = z.tanh_with(I::fma)),
            Activation::Elu => z.for_each(|z| *z = elu::<T, I>(*z, T::one(), T::one())),
            Activation::Selu => {
                let (above, below) = (number(SELU_SCALE), number(SELU_SCALE_ALPHA));
                z.for_each(|z| *z = elu::<T, I>(*z, above, below));
            }
            Activation::Gelu => z.for_each(|z| *z *= z.normal_cdf_with(I::fma).0),
            Activation::GeluTanh => z.for_each(|z| *z *= sigmoids::<T, I>(doubled_argument::<T, I>(*z)).0),
            Activation::Silu => z.for_each(|z| *z *= sigmoids::<T, I>(*z).0),
            Activation::Softplus => z.for_each(|z| {
                let above = if *z > T::zero() { *z } else { T::zero() };
                *z = above + (-z.abs()).exp_with(I::fma).ln_1p_with(I::fma);
            }),
            Activation::Softsign => z.for_each(|z| *z /= T::one() + z.abs()),
            Activation::LeakyRelu => {
                let slope = number(LEAKY_SLOPE);
                z.for_each(|z| *z = if *z > T::zero() { *z } else { *z * slope });
            }
            Activation::Relu6 => z.for_each(|z| *z = clipped(*z, number(6.0))),
            Activation::HardSigmoid => {
                z.for_each(|z| *z = clipped(*z + number(3.0), number(6.0)) / number(6.0));
            }
            Activation::Mish => z.for_each(|z| *z *= mish_factor::<T, I>(*z).0),
            Activation::Exponential => z.for_each(|z| *z = z.exp_with(I::fma)),
            Activation::Linear | Activation::Softmax => {}
        }
    }
}

pub(crate) struct Backward<'a, T> {
    activation: Activation,
    of: &'a [T],
    d: &'a mut [T],
}

impl<T: Scalar> Kernel for Backward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let number = T::from_f64;
        // y, but z for the four that need it.
        let pairs = self.d.iter_mut().zip(self.of);
        match self.activation {
            Activation::Relu => pairs.for_each(|(d, &y)| *d = if y > T::zero() { *d } else { T::zero() }),
            Activation::Sigmoid => pairs.for_each(|(d, &y)| *d *= y * (T::one() - y)),
            Activation::Tanh => pairs.for_each(|(d, &y)| *d *= I::fma(-y, y, T::one())),
            // Below 0, f'(z) = a e^z = y + a.
            Activation::Elu => {
                pairs.for_each(|(d, &y)| *d *= if y > T::zero() { T::one() } else { y + T::one() });
            }
            Activation::Selu => {
                let (above, below) = (number(SELU_SCALE), number(SELU_SCALE_ALPHA));
                pairs.for_each(|(d, &y)| *d *= if y > T::zero() { above } else { y + below });
            }
            Activation::Gelu => pairs.for_each(|(d, &z)| {
                let (cdf, bell) = z.normal_cdf_with(I::fma);
                *d *= I::fma(z, bell * number(INVERSE_SQRT_TAU), cdf);
            }),
            // With u the argument of tanh and s = sigmoid(2 u) = (1 + tanh u) / 2: s + z s (1 - s) 2 u'.
            Activation::GeluTanh => pairs.for_each(|(d, &z)| {
                // Far out s (1 - s) is 0, but u' might overflow.
                let z = between(z, number(30.0));
                let (s, rest) = sigmoids::<T, I>(doubled_argument::<T, I>(z));
                let slope = I::fma(z * z, number(3.0 * DOUBLED_CUBIC), number(DOUBLED_LINEAR));
                *d *= I::fma(z * slope, s * rest, s);
            }),
            // s (1 + z (1 - s)), s = sigmoid(z).
            Activation::Silu => pairs.for_each(|(d, &z)| {
                let (s, rest) = sigmoids::<T, I>(z);
                *d *= I::fma(z * rest, s, s);
            }),
            // sigmoid(z) = 1 - e^-y.
            Activation::Softplus => pairs.for_each(|(d, &y)| *d *= -(-y).exp_m1_with(I::fma)),
            // 1 / (1 + |z|)^2.
            Activation::Softsign => pairs.for_each(|(d, &y)| {
                let root = T::one() - y.abs();
                *d *= root * root;
            }),
            Activation::LeakyRelu => {
                let slope = number(LEAKY_SLOPE);
                pairs.for_each(|(d, &y)| *d = if y > T::zero() { *d } else { *d * slope });
            }
            Activation::Relu6 => {
                pairs.for_each(|(d, &y)| *d = if y > T::zero() && y < number(6.0) { *d } else { T::zero() });
            }
            Activation::HardSigmoid => pairs.for_each(|(d, &y)| {
                *d = if y > T::zero() && y < T::one() { *d / number(6.0) } else { T::zero() };
            }),
            Activation::Mish => pairs.for_each(|(d, &z)| {
                let (factor, slope) = mish_factor::<T, I>(z);
                *d *= I::fma(between(z, number(MISH_FAR)), slope, factor);
            }),
            Activation::Exponential => pairs.for_each(|(d, &y)| *d *= y),
            Activation::Linear | Activation::Softmax => {}
        }
    }
}

/// 1 / (1 + e^-z): 0 or 1 far out, where e^-z overflows or vanishes.
#[inline(always)]
fn sigmoid<T: Scalar, I: Isa>(z: T) -> T {
    T::one() / (T::one() + (-z).exp_with(I::fma))
}

/// sigmoid(z) and 1 - sigmoid(z), each as close as a number of its size can be.
#[inline(always)]
fn sigmoids<T: Scalar, I: Isa>(z: T) -> (T, T) {
    let e = (-z.abs()).exp_with(I::fma);
    let larger = T::one() / (T::one() + e);
    let smaller = e * larger;
    if z < T::zero() { (smaller, larger) } else { (larger, smaller) }
}

/// above z where z > 0, else below (e^z - 1).
#[inline(always)]
fn elu<T: Scalar, I: Isa>(z: T, above: T, below: T) -> T {
    let negative = if z > T::zero() { T::zero() } else { z };
    let curve = below * negative.exp_m1_with(I::fma);
    if z > T::zero() { above * z } else { curve }
}

/// min(max(z, 0), most), NaN for NaN.
#[inline(always)]
fn clipped<T: Scalar>(z: T, most: T) -> T {
    let z = if z < T::zero() { T::zero() } else { z };
    if z > most { most } else { z }
}

/// min(max(z, -bound), bound), NaN for NaN.
#[inline(always)]
fn between<T: Scalar>(z: T, bound: T) -> T {
    let z = if z < -bound { -bound } else { z };
    if z > bound { bound } else { z }
}

/// 2 sqrt(2 / pi), and 0.044715 times that.
const DOUBLED_LINEAR: f64 = 1.595_769_121_605_730_7;
const DOUBLED_CUBIC: f64 = DOUBLED_LINEAR * 0.044_715;

/// 2 sqrt(2 / pi) (z + 0.044715 z^3), twice the argument of gelu's tanh.
#[inline(always)]
fn doubled_argument<T: Scalar, I: Isa>(z: T) -> T {
    z * I::fma(z * z, T::from_f64(DOUBLED_CUBIC), T::from_f64(DOUBLED_LINEAR))
}

/// From here on mish(z) is z in `f64` too.
const MISH_FAR: f64 = 20.0;

/// tanh(ln(1 + e^z)) and its derivative.
///
/// With e = e^z and n = e (e + 2) they are n / (n + 2) and 4 e (e + 1) / (n + 2)^2.
#[inline(always)]
fn mish_factor<T: Scalar, I: Isa>(z: T) -> (T, T) {
    let (two, far) = (T::from_f64(2.0), T::from_f64(MISH_FAR));
    let e = (if z > far { far } else { z }).exp_with(I::fma);
    let n = e * (e + two);
    let inverse = T::one() / (n + two);
    (n * inverse, two * two * e * (e + T::one()) * inverse * inverse)
}
