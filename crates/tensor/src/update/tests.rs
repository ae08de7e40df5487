//! Tests of the updates: cases by hand, and each formula with each instruction set.

use super::*;
use crate::Float;
use crate::isa::tests::with_each;
use crate::random::{Purpose, Stream};

#[test]
fn updates_by_hand() {
    let mut w = [1.0_f64, -2.0];
    sgd(&mut w, &[0.5, 1.0], 0.1, 0.0);
    assert!((w[0] - 0.95).abs() < 1e-15 && (w[1] + 2.1).abs() < 1e-15);

    sgd(&mut w, &[0.0, 0.0], 0.1, 0.5);
    assert!((w[0] - 0.475).abs() < 1e-15 && (w[1] + 1.05).abs() < 1e-15);

    let constants = Momentum { learning_rate: 0.1, momentum: 0.9, nesterov: false, decay: 0.0 };
    let (mut w, mut m) = ([1.0_f64], [0.2]);
    momentum(&mut w, &mut m, &[1.0], constants);
    assert!((m[0] - 0.08).abs() < 1e-15 && (w[0] - 1.08).abs() < 1e-15);
    let (mut w, mut m) = ([1.0_f64], [0.2]);
    momentum(&mut w, &mut m, &[1.0], Momentum { nesterov: true, ..constants });
    // 0.9 * 0.08 - 0.1
    assert!((m[0] - 0.08).abs() < 1e-15 && (w[0] - 0.972).abs() < 1e-15);

    // The first step of Adam is about the learning rate times the negative sign of the gradient.
    let alpha = 0.001 * (1.0 - 0.999_f64).sqrt() / (1.0 - 0.9);
    let constants = Adam { alpha, one_minus_beta_1: 0.1, one_minus_beta_2: 0.001, epsilon: 1e-7, decay: 0.0 };
    let (mut w, mut m, mut v) = ([1.0_f64, 1.0], [0.0; 2], [0.0; 2]);
    adam(&mut w, &mut m, &mut v, &[0.3, -3.0], constants);
    assert!((w[0] - 0.999).abs() < 1e-7 && (w[1] - 1.001).abs() < 1e-7);
    assert!((m[0] - 0.03).abs() < 1e-15 && (v[1] - 0.009).abs() < 1e-15);
    let (mut w, mut m, mut v) = ([2.0_f64], [0.0], [0.0]);
    adam(&mut w, &mut m, &mut v, &[0.0], Adam { decay: 0.25, ..constants });
    assert_eq!(w, [1.5]);

    let mut average = [1.0_f64, -1.0];
    moving_average(&mut average, &[3.0, 0.0], 0.75);
    assert_eq!(average, [1.5, -0.75]);

    let step = |centered: bool, with_momentum: bool| {
        let constants =
            RmsProp { learning_rate: 0.1, rho: 0.9, momentum: 0.5, epsilon: 0.0, centered, decay: 0.0 };
        let (mut w, mut v, mut m, mut a) = ([1.0_f64], [0.5], [0.25], [0.5]);
        let state = RmsPropState {
            velocity: &mut v,
            momentum: with_momentum.then_some(&mut m[..]),
            average_gradient: centered.then_some(&mut a[..]),
        };
        rmsprop(&mut w, state, &[2.0], constants);
        // v = 0.45 + 0.4, a = 0.45 + 0.2
        assert!((v[0] - 0.85).abs() < 1e-15 && (!centered || (a[0] - 0.65).abs() < 1e-15));
        w[0]
    };
    let plain = 0.2 / 0.85_f64.sqrt();
    let centered = 0.2 / (0.85 - 0.65 * 0.65_f64).sqrt();
    assert!((step(false, false) - (1.0 - plain)).abs() < 1e-15);
    assert!((step(false, true) - (1.0 - 0.125 - plain)).abs() < 1e-15);
    assert!((step(true, false) - (1.0 - centered)).abs() < 1e-15);
    assert!((step(true, true) - (1.0 - 0.125 - centered)).abs() < 1e-15);

    let constants = Nadam {
        of_momentum: 0.2,
        of_gradient: 0.4,
        one_minus_beta_1: 0.5,
        one_minus_beta_2: 0.25,
        epsilon: 0.5,
        decay: 0.0,
    };
    let (mut w, mut m, mut v) = ([1.0_f64], [1.0], [0.0]);
    nadam(&mut w, &mut m, &mut v, &[3.0], constants);
    // m = 2, v = 2.25, and the step is (0.4 + 1.2) / (1.5 + 0.5).
    assert!(m == [2.0] && v == [2.25] && (w[0] - 0.2).abs() < 1e-15);

    let constants = Lion { learning_rate: 0.1, beta_1: 0.75, beta_2: 0.5, decay: 0.0 };
    let (mut w, mut m) = ([1.0_f64, 1.0, 1.0], [1.0, -1.0, 0.0]);
    lion(&mut w, &mut m, &[-2.0, 0.0, 0.0], constants);
    assert_eq!((w, m), ([0.9, 1.1, 1.0], [-0.5, -0.5, 0.0]));
}

/// Compares the bits of each update with those of its scalar formula, with each instruction set.
#[test]
fn each_instruction_set_gives_the_bits_of_the_formula() {
    const DECAY: f32 = 0.01;
    let decayed = |w: f32| (-DECAY).mul_add(w, w);
    for len in [0, 1, 15, 16, 17, 100] {
        let mut stream = Stream::new(7, Purpose::Other(0), len as u64);
        let mut numbers = |scale: f32| -> Vec<f32> {
            (0..len).map(|i| if i % 7 == 3 { 0.0 } else { stream.normal() as f32 * scale }).collect()
        };
        let (w, g, m, a) = (numbers(1.0), numbers(0.1), numbers(0.1), numbers(0.01));
        let v: Vec<f32> = numbers(0.1).iter().map(|x| x * x).collect();
        // `kernel` and `formula` return the parameters and the state after a step.
        let check = |name: &str, kernel: &dyn Fn() -> Vec<Vec<f32>>, formula: &dyn Fn(usize) -> Vec<f32>| {
            let columns: Vec<Vec<f32>> = (0..len).map(formula).collect();
            for (set, arrays) in with_each(kernel) {
                for (k, array) in arrays.iter().enumerate() {
                    for (i, x) in array.iter().enumerate() {
                        let expected = columns[i][k];
                        assert_eq!(
                            x.to_bits(),
                            expected.to_bits(),
                            "{name} {set:?} {k} {i}: {x}, {expected}"
                        );
                    }
                }
            }
        };
        check(
            "sgd",
            &|| {
                let mut w = w.clone();
                sgd(&mut w, &g, 0.1, DECAY);
                vec![w]
            },
            &|i| vec![(-0.1_f32).mul_add(g[i], decayed(w[i]))],
        );
        for nesterov in [false, true] {
            let constants = Momentum { learning_rate: 0.1, momentum: 0.9, nesterov, decay: DECAY };
            check(
                "momentum",
                &|| {
                    let (mut w, mut m) = (w.clone(), m.clone());
                    momentum(&mut w, &mut m, &g, constants);
                    vec![w, m]
                },
                &|i| {
                    let down = -(0.1 * g[i]);
                    let next = 0.9_f32.mul_add(m[i], down);
                    let step = if nesterov { 0.9_f32.mul_add(next, down) } else { next };
                    vec![decayed(w[i]) + step, next]
                },
            );
        }
        let constants = Lion { learning_rate: 0.01, beta_1: 0.9, beta_2: 0.99, decay: DECAY };
        check(
            "lion",
            &|| {
                let (mut w, mut m) = (w.clone(), m.clone());
                lion(&mut w, &mut m, &g, constants);
                vec![w, m]
            },
            &|i| {
                let direction = 0.9_f32.mul_add(m[i], (1.0 - 0.9_f32) * g[i]);
                let sign = if direction == 0.0 { 0.0 } else { direction.signum() };
                vec![decayed(w[i]) - 0.01 * sign, 0.99_f32.mul_add(m[i], (1.0 - 0.99_f32) * g[i])]
            },
        );
        let constants = Nadam {
            of_momentum: 0.002,
            of_gradient: 0.0003,
            one_minus_beta_1: 0.1,
            one_minus_beta_2: 0.001,
            epsilon: 1e-7,
            decay: DECAY,
        };
        check(
            "nadam",
            &|| {
                let (mut w, mut m, mut v) = (w.clone(), m.clone(), v.clone());
                nadam(&mut w, &mut m, &mut v, &g, constants);
                vec![w, m, v]
            },
            &|i| {
                let m = (g[i] - m[i]).mul_add(0.1, m[i]);
                let v = g[i].mul_add(g[i], -v[i]).mul_add(0.001, v[i]);
                let step = 0.002_f32.mul_add(m, 0.0003 * g[i]) / (v.sqrt() + 1e-7);
                vec![decayed(w[i]) - step, m, v]
            },
        );
        for (centered, with_momentum) in [(false, false), (false, true), (true, false), (true, true)] {
            let constants = RmsProp {
                learning_rate: 0.01,
                rho: 0.9,
                momentum: 0.8,
                epsilon: 1e-7,
                centered,
                decay: DECAY,
            };
            check(
                "rmsprop",
                &|| {
                    let (mut w, mut v, mut m, mut a) = (w.clone(), v.clone(), m.clone(), a.clone());
                    let state = RmsPropState {
                        velocity: &mut v,
                        momentum: with_momentum.then_some(&mut m[..]),
                        average_gradient: centered.then_some(&mut a[..]),
                    };
                    rmsprop(&mut w, state, &g, constants);
                    vec![w, v, m, a]
                },
                &|i| {
                    let share = 1.0 - 0.9_f32;
                    let v = 0.9_f32.mul_add(v[i], share * (g[i] * g[i]));
                    let a = if centered { 0.9_f32.mul_add(a[i], share * g[i]) } else { a[i] };
                    let under_root = if centered { (-a).mul_add(a, v).max(0.0) } else { v };
                    let step = 0.01 * g[i] / (under_root + 1e-7).sqrt();
                    let m = if with_momentum { 0.8_f32.mul_add(m[i], step) } else { m[i] };
                    vec![decayed(w[i]) - if with_momentum { m } else { step }, v, m, a]
                },
            );
        }
    }
}

#[test]
fn small_state_is_flushed_to_zero() {
    let constants =
        Adam { alpha: 0.001, one_minus_beta_1: 0.1, one_minus_beta_2: 0.001, epsilon: 1e-7, decay: 0.0 };
    let (mut w, mut m, mut v) = ([0.5_f32], [1.0], [1e-25]);
    for _ in 0..20_000 {
        adam(&mut w, &mut m, &mut v, &[0.0], constants);
        for state in [m[0], v[0]] {
            assert!(state == 0.0 || state >= f32::TINY);
        }
    }
    assert_eq!((m, v), ([0.0], [0.0]));
    let before = w;
    adam(&mut w, &mut m, &mut v, &[0.0], constants);
    assert_eq!(before, w, "parameters do not move without a gradient and momentum");
}

#[test]
fn nan_propagates() {
    let constants =
        Adam { alpha: 0.001, one_minus_beta_1: 0.1, one_minus_beta_2: 0.001, epsilon: 1e-7, decay: 0.0 };
    let (mut w, mut m, mut v) = ([0.5_f32], [0.0], [0.0]);
    adam(&mut w, &mut m, &mut v, &[f32::NAN], constants);
    assert!(w[0].is_nan() && m[0].is_nan() && v[0].is_nan());
    let constants = Lion { learning_rate: 0.001, beta_1: 0.9, beta_2: 0.99, decay: 0.0 };
    let (mut w, mut m) = ([0.5_f32], [0.0]);
    lion(&mut w, &mut m, &[f32::NAN], constants);
    assert!(w[0].is_nan() && m[0].is_nan());
    let constants =
        RmsProp { learning_rate: 0.1, rho: 0.9, momentum: 0.5, epsilon: 1e-7, centered: true, decay: 0.0 };
    let (mut w, mut v, mut a) = ([0.5_f32], [0.0], [0.0]);
    let state = RmsPropState { velocity: &mut v, momentum: None, average_gradient: Some(&mut a) };
    rmsprop(&mut w, state, &[f32::NAN], constants);
    assert!(w[0].is_nan() && v[0].is_nan() && a[0].is_nan());
}
