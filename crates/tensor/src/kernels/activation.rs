//! The elementwise activations and their derivatives.

use crate::activation::Activation;
use crate::elementary::INVERSE_SQRT_TAU;
use crate::float::Float;
use crate::isa::{Isa, Kernel};

/// The slope of `leaky_relu` below 0, as in Keras.
const LEAKY_SLOPE: f64 = 0.2;
/// The constants s and s a of `selu`, which preserve mean 0 and variance 1.
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_SCALE_ALPHA: f64 = SELU_SCALE * 1.673_263_242_354_377_2;

/// Replaces z by f(z).
pub(crate) struct Apply<'a, T> {
    pub(crate) activation: Activation,
    pub(crate) z: &'a mut [T],
}

impl<T: Float> Kernel for Apply<'_, T> {
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

/// Multiplies the gradient d by f'(z).
pub(crate) struct Backward<'a, T> {
    pub(crate) activation: Activation,
    /// z if the activation [needs it](Activation::needs_input), otherwise y = f(z).
    pub(crate) of: &'a [T],
    pub(crate) d: &'a mut [T],
}

impl<T: Float> Kernel for Backward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let number = T::from_f64;
        // Pairs of d and y, or of d and z for the four activations that need z.
        let pairs = self.d.iter_mut().zip(self.of);
        match self.activation {
            Activation::Relu => pairs.for_each(|(d, &y)| *d = if y > T::zero() { *d } else { T::zero() }),
            Activation::Sigmoid => pairs.for_each(|(d, &y)| *d *= y * (T::one() - y)),
            Activation::Tanh => pairs.for_each(|(d, &y)| *d *= I::fma(-y, y, T::one())),
            // For z < 0, f'(z) = a e^z = y + a.
            Activation::Elu => {
                pairs.for_each(|(d, &y)| *d *= if y > T::zero() { T::one() } else { y + T::one() });
            }
            Activation::Selu => {
                let (above, below) = (number(SELU_SCALE), number(SELU_SCALE_ALPHA));
                pairs.for_each(|(d, &y)| *d *= if y > T::zero() { above } else { y + below });
            }
            Activation::Gelu => pairs.for_each(|(d, &z)| {
                let (cdf, gaussian) = z.normal_cdf_with(I::fma);
                *d *= I::fma(z, gaussian * number(INVERSE_SQRT_TAU), cdf);
            }),
            // f'(z) = s + z s (1 - s) 2 u', where u is the argument of tanh and s = sigmoid(2 u) = (1 + tanh u) / 2.
            Activation::GeluTanh => pairs.for_each(|(d, &z)| {
                // For |z| >= 30, s (1 - s) is 0, but u' may overflow.
                let z = clamp_magnitude(z, number(30.0));
                let (s, rest) = sigmoids::<T, I>(doubled_argument::<T, I>(z));
                let slope = I::fma(z * z, number(3.0 * DOUBLED_CUBIC), number(DOUBLED_LINEAR));
                *d *= I::fma(z * slope, s * rest, s);
            }),
            // f'(z) = s (1 + z (1 - s)) with s = sigmoid(z).
            Activation::Silu => pairs.for_each(|(d, &z)| {
                let (s, rest) = sigmoids::<T, I>(z);
                *d *= I::fma(z * rest, s, s);
            }),
            // f'(z) = sigmoid(z) = 1 - e^-y.
            Activation::Softplus => pairs.for_each(|(d, &y)| *d *= -(-y).exp_m1_with(I::fma)),
            // f'(z) = 1 / (1 + |z|)^2 = (1 - |y|)^2.
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
                *d *= I::fma(clamp_magnitude(z, number(MISH_LINEAR_FROM)), slope, factor);
            }),
            Activation::Exponential => pairs.for_each(|(d, &y)| *d *= y),
            Activation::Linear | Activation::Softmax => {}
        }
    }
}

/// sigmoid(z) = 1 / (1 + e^-z). The result is 0 if e^-z overflows, and 1 if it underflows.
#[inline(always)]
fn sigmoid<T: Float, I: Isa>(z: T) -> T {
    T::one() / (T::one() + (-z).exp_with(I::fma))
}

/// sigmoid(z) and 1 - sigmoid(z), both with a small relative error.
#[inline(always)]
fn sigmoids<T: Float, I: Isa>(z: T) -> (T, T) {
    let e = (-z.abs()).exp_with(I::fma);
    let larger = T::one() / (T::one() + e);
    let smaller = e * larger;
    if z < T::zero() { (smaller, larger) } else { (larger, smaller) }
}

/// `above` z for z > 0, and `below` (e^z - 1) otherwise.
#[inline(always)]
fn elu<T: Float, I: Isa>(z: T, above: T, below: T) -> T {
    let negative = if z > T::zero() { T::zero() } else { z };
    let curve = below * negative.exp_m1_with(I::fma);
    if z > T::zero() { above * z } else { curve }
}

/// min(max(z, 0), max_value). NaN stays NaN.
#[inline(always)]
fn clipped<T: Float>(z: T, max_value: T) -> T {
    let z = if z < T::zero() { T::zero() } else { z };
    if z > max_value { max_value } else { z }
}

/// min(max(z, -bound), bound). NaN stays NaN.
#[inline(always)]
fn clamp_magnitude<T: Float>(z: T, bound: T) -> T {
    let z = if z < -bound { -bound } else { z };
    if z > bound { bound } else { z }
}

/// The coefficients 2 sqrt(2 / pi) and 0.044715 * 2 sqrt(2 / pi) of [`doubled_argument`].
const DOUBLED_LINEAR: f64 = 1.595_769_121_605_730_7;
const DOUBLED_CUBIC: f64 = DOUBLED_LINEAR * 0.044_715;

/// 2 sqrt(2 / pi) (z + 0.044715 z^3), which is twice the argument of the tanh in `gelu_tanh`.
#[inline(always)]
fn doubled_argument<T: Float, I: Isa>(z: T) -> T {
    z * I::fma(z * z, T::from_f64(DOUBLED_CUBIC), T::from_f64(DOUBLED_LINEAR))
}

/// From here on, mish(z) = z to the precision of `f64`.
const MISH_LINEAR_FROM: f64 = 20.0;

/// tanh(ln(1 + e^z)) and its derivative.
///
/// With e = e^z and n = e (e + 2) they are n / (n + 2) and 4 e (e + 1) / (n + 2)^2.
#[inline(always)]
fn mish_factor<T: Float, I: Isa>(z: T) -> (T, T) {
    let (two, max_z) = (T::from_f64(2.0), T::from_f64(MISH_LINEAR_FROM));
    let e = (if z > max_z { max_z } else { z }).exp_with(I::fma);
    let n = e * (e + two);
    let inverse = T::one() / (n + two);
    (n * inverse, two * two * e * (e + T::one()) * inverse * inverse)
}
