//! Tests of the activations: against their definitions in f64, and their derivatives against central differences.

use super::*;
use crate::isa::tests::with_each;

/// The reference: the definition of f(z) and its derivative, in f64.
fn reference(activation: Activation, z: f64) -> (f64, f64) {
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let is = |condition: bool| f64::from(u8::from(condition));
    match activation {
        Activation::Linear => (z, 1.0),
        Activation::Relu => (z.max(0.0), is(z > 0.0)),
        Activation::Sigmoid => (sigmoid(z), sigmoid(z) * sigmoid(-z)),
        Activation::Tanh => (z.tanh(), 1.0 - z.tanh().powi(2)),
        Activation::Elu => (if z > 0.0 { z } else { z.exp_m1() }, z.min(0.0).exp()),
        Activation::Selu => {
            let (scale, alpha) = (1.050_700_987_355_480_5, 1.673_263_242_354_377_2);
            if z > 0.0 { (scale * z, scale) } else { (scale * alpha * z.exp_m1(), scale * alpha * z.exp()) }
        }
        Activation::Gelu => {
            let (cdf, gaussian) = crate::elementary::normal_cdf_f64(z);
            (z * cdf, cdf + z * gaussian / std::f64::consts::TAU.sqrt())
        }
        Activation::GeluTanh => {
            let root = (2.0 / std::f64::consts::PI).sqrt();
            let u = root * (z + 0.044715 * z.powi(3));
            let cosh = u.cosh();
            // (1 + tanh u) / 2, without cancellation.
            let half = sigmoid(2.0 * u);
            (z * half, half + 0.5 * z * root * (1.0 + 3.0 * 0.044715 * z * z) / (cosh * cosh))
        }
        Activation::Silu => (z * sigmoid(z), sigmoid(z) * (1.0 + z * sigmoid(-z))),
        Activation::Softplus => (z.max(0.0) + (-z.abs()).exp().ln_1p(), sigmoid(z)),
        Activation::Softsign => (z / (1.0 + z.abs()), (1.0 + z.abs()).powi(-2)),
        Activation::LeakyRelu => {
            if z > 0.0 {
                (z, 1.0)
            } else {
                (0.2 * z, 0.2)
            }
        }
        Activation::Relu6 => (z.clamp(0.0, 6.0), is(z > 0.0 && z < 6.0)),
        Activation::HardSigmoid => ((z + 3.0).clamp(0.0, 6.0) / 6.0, is(z > -3.0 && z < 3.0) / 6.0),
        Activation::Mish => {
            let tanh = z.exp().ln_1p().tanh();
            (z * tanh, tanh + z * (1.0 - tanh * tanh) * sigmoid(z))
        }
        Activation::Exponential => (z.exp(), z.exp()),
        Activation::Softmax => unreachable!("not elementwise"),
    }
}

fn elementwise() -> impl Iterator<Item = Activation> {
    Activation::ALL.into_iter().filter(|&activation| activation != Activation::Softmax)
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes under Miri, and has no unsafe code")]
fn activations_equal_their_definitions_on_each_instruction_set() {
    let z: Vec<f32> = (-2000..2000).map(|i| i as f32 * 0.01).collect();
    for activation in elementwise() {
        let all = with_each(|| {
            let mut y = z.clone();
            activation.apply(&mut y, 1);
            let mut d = vec![2.0; z.len()];
            activation.backward(if activation.needs_input() { &z } else { &y }, &mut d, 1);
            (y, d)
        });
        let (y, d) = &all[0].1;
        for (i, &z) in z.iter().enumerate() {
            let z64 = f64::from(z);
            let (value, slope) = reference(activation, z64);
            // The rounding error of 2 u is a relative error of e^-2u.
            let roundings = match activation {
                Activation::GeluTanh if z < 0.0 => 1.0 - 1.6 * (z64 + 0.044715 * z64.powi(3)),
                _ => 1.0,
            };
            // Five units in the last place, and four for relu, sigmoid and tanh.
            let relative = match activation {
                Activation::Relu | Activation::Sigmoid | Activation::Tanh => 4e-7,
                _ => 6e-7,
            };
            assert!(
                (f64::from(y[i]) - value).abs() <= relative * roundings * value.abs() + 1e-37,
                "{activation} {z}: {}, {value}",
                y[i]
            );
            assert!(
                (f64::from(d[i]) - 2.0 * slope).abs() <= 1e-6 * slope.abs().max(1.0),
                "{activation}' {z}: {}, {}",
                d[i],
                2.0 * slope
            );
        }
        for (set, (other_y, other_d)) in &all[1..] {
            assert!(y.iter().zip(other_y).all(|(a, b)| a.to_bits() == b.to_bits()), "{activation} {set:?}");
            assert!(d.iter().zip(other_d).all(|(a, b)| a.to_bits() == b.to_bits()), "{activation}' {set:?}");
        }
    }
}

#[test]
fn values_and_derivatives_of_large_numbers_are_their_limits() {
    for activation in elementwise().filter(|&activation| activation != Activation::Exponential) {
        for z in [-1e30_f32, -1e10, -100.0, 100.0, 1e10, 1e30] {
            let mut y = [z];
            activation.apply(&mut y, 1);
            let mut d = [1.0];
            let known = if activation.needs_input() { [z] } else { y };
            activation.backward(&known, &mut d, 1);
            let (value, slope) = match activation {
                // The terms of both references overflow in f64.
                Activation::GeluTanh => (z.max(0.0), f32::from(u8::from(z > 0.0))),
                Activation::Mish if z > 0.0 => (z, 1.0),
                _ => {
                    let (value, slope) = reference(activation, f64::from(z));
                    (value as f32, slope as f32)
                }
            };
            assert!(
                (y[0] - value).abs() <= 1e-6 * value.abs() + 1e-37,
                "{activation} {z}: {}, {value}",
                y[0]
            );
            assert!(
                (d[0] - slope).abs() <= 2e-4 * slope.abs().max(1.0),
                "{activation}' {z}: {}, {slope}",
                d[0]
            );
        }
    }
}

/// Compares the derivatives in f64 with central differences.
#[test]
fn derivatives_in_f64_equal_central_differences() {
    for activation in elementwise() {
        for step in -60..60 {
            // No z is close to a point where f is not differentiable.
            let z = 0.1 * f64::from(step) + 0.03;
            let of = |z: f64| {
                let mut y = [z];
                activation.apply(&mut y, 1);
                y[0]
            };
            let mut d = [1.0];
            let known = if activation.needs_input() { z } else { of(z) };
            activation.backward(&[known], &mut d, 1);
            let difference = (of(z + 1e-5) - of(z - 1e-5)) / 2e-5;
            assert!(
                (d[0] - difference).abs() <= 1e-8 * d[0].abs().max(1.0),
                "{activation}' {z}: {}, {difference}",
                d[0]
            );
        }
    }
}

#[test]
fn softmax_backward_multiplies_by_the_jacobian() {
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
fn names_can_be_parsed_and_nan_propagates() {
    for activation in Activation::ALL {
        assert_eq!(activation.to_string().parse(), Ok(activation));
        let mut z = [f32::NAN, 1.0];
        activation.apply(&mut z, 2);
        assert!(z[0].is_nan(), "{activation}");
    }
    assert_eq!("swish".parse(), Ok(Activation::Silu));
    let error = "glu".parse::<Activation>().unwrap_err();
    assert!(error.starts_with("unknown activation \"glu\", expected linear, relu, "), "{error}");
    assert!(error.ends_with("mish or exponential"), "{error}");
}
