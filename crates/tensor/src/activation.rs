//! The activations of a dense layer and their derivatives.

use std::fmt;
use std::str::FromStr;

use crate::Scalar;
use crate::isa::{Isa, Kernel};
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
            _ => T::activation(Apply { activation: self, z }),
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
            _ => T::activation_backward(Backward { activation: self, y, d }),
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

pub(crate) struct Apply<'a, T> {
    activation: Activation,
    z: &'a mut [T],
}

impl<T: Scalar> Kernel for Apply<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        match self.activation {
            Activation::Relu => {
                self.z.iter_mut().for_each(|z| *z = if *z < T::zero() { T::zero() } else { *z });
            }
            Activation::Sigmoid => self.z.iter_mut().for_each(|z| *z = sigmoid::<T, I>(*z)),
            Activation::Tanh => self.z.iter_mut().for_each(|z| *z = z.tanh_with(I::fma)),
            Activation::Linear | Activation::Softmax => {}
        }
    }
}

pub(crate) struct Backward<'a, T> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::tests::with_each;

    /// The definitions, in f64.
    fn plain(activation: Activation, z: f64) -> (f64, f64) {
        match activation {
            Activation::Linear => (z, 1.0),
            Activation::Relu => (z.max(0.0), f64::from(u8::from(z > 0.0))),
            Activation::Sigmoid => {
                let y = 1.0 / (1.0 + (-z).exp());
                (y, y * (1.0 - y))
            }
            Activation::Tanh => (z.tanh(), 1.0 - z.tanh().powi(2)),
            Activation::Softmax => unreachable!("not elementwise"),
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes Miri minutes, and nothing is unsafe")]
    fn follow_their_definitions_on_each_instruction_set() {
        let z: Vec<f32> = (-2000..2000).map(|i| i as f32 * 0.01).collect();
        for activation in [Activation::Linear, Activation::Relu, Activation::Sigmoid, Activation::Tanh] {
            let all = with_each(|| {
                let mut y = z.clone();
                activation.apply(&mut y, 1);
                let mut d = vec![2.0; z.len()];
                activation.backward(&y, &mut d, 1);
                (y, d)
            });
            let (y, d) = &all[0].1;
            for (i, &z) in z.iter().enumerate() {
                let (value, slope) = plain(activation, f64::from(z));
                assert!(
                    (f64::from(y[i]) - value).abs() <= 4e-7 * value.abs() + 1e-37,
                    "{activation} {z}: {}",
                    y[i]
                );
                assert!((f64::from(d[i]) - 2.0 * slope).abs() <= 1e-6, "{activation}' {z}: {}", d[i]);
            }
            for (set, (other_y, other_d)) in &all[1..] {
                assert!(
                    y.iter().zip(other_y).all(|(a, b)| a.to_bits() == b.to_bits()),
                    "{activation} {set:?}"
                );
                assert!(
                    d.iter().zip(other_d).all(|(a, b)| a.to_bits() == b.to_bits()),
                    "{activation}' {set:?}"
                );
            }
        }
    }

    #[test]
    fn softmax_backward_is_the_jacobian() {
        let z = [0.3_f64, -1.0, 2.0, 0.0];
        let mut y = z;
        Activation::Softmax.apply(&mut y, 4);
        let d_y = [0.5, -2.0, 0.25, 1.0];
        let mut d = d_y;
        Activation::Softmax.backward(&y, &mut d, 4);
        for i in 0..4 {
            // d y_j / d z_i = y_j ([i = j] - y_i)
            let expected: f64 = (0..4).map(|j| d_y[j] * y[j] * (f64::from(u8::from(i == j)) - y[i])).sum();
            assert!((d[i] - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn names_lead_back_and_nan_stays() {
        for activation in Activation::ALL {
            assert_eq!(activation.to_string().parse(), Ok(activation));
            let mut z = [f32::NAN, 1.0];
            activation.apply(&mut z, 2);
            assert!(z[0].is_nan(), "{activation}");
        }
        assert!("gelu".parse::<Activation>().is_err());
    }
}
