//! Tests of the matrix products against scalar references, over awkward sizes, on every instruction set.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::isa::tests::with_each;
use crate::random::{Purpose, Stream};
use crate::{Activation, matmul, pixels, update};

/// The activations, the fractions of nonzero pixels and the weight decays of each check. Miri takes a thousand times as long, so
/// that it runs only the cases that differ in unsafe code.
const RELU: &[bool] = if cfg!(miri) { &[true] } else { &[false, true] };
const FRACTIONS: &[f64] = if cfg!(miri) { &[0.2, 0.9] } else { &[0.0, 0.2, 0.9] };
const DECAYS: &[f32] = if cfg!(miri) { &[0.01] } else { &[0.0, 0.01] };

/// The reference of y = f(x W + b): sums in the order of the inputs, by fused multiply-adds.
fn reference_affine(x: &Array2<f32>, kernel: &Array2<f32>, bias: &Array1<f32>, relu: bool) -> Array2<f32> {
    Array2::from_shape_fn((x.nrows(), kernel.ncols()), |(b, o)| {
        let sum = (0..x.ncols()).fold(bias[o], |sum, i| x[[b, i]].mul_add(kernel[[i, o]], sum));
        if relu && sum < 0.0 { 0.0 } else { sum + 0.0 }
    })
}

/// The reference of c = a Wᵀ.
fn reference_nt(a: &Array2<f32>, kernel: &Array2<f32>) -> Array2<f32> {
    Array2::from_shape_fn((a.nrows(), kernel.nrows()), |(b, i)| {
        (0..a.ncols()).fold(0.0_f32, |sum, o| kernel[[i, o]].mul_add(a[[b, o]], sum)) + 0.0
    })
}

/// The reference of c = xᵀ d.
fn reference_tn(x: &Array2<f32>, d: &Array2<f32>) -> Array2<f32> {
    Array2::from_shape_fn((x.ncols(), d.ncols()), |(i, o)| {
        (0..x.nrows()).fold(0.0_f32, |sum, b| x[[b, i]].mul_add(d[[b, o]], sum)) + 0.0
    })
}

fn random(stream: &mut Stream, rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_simple_fn((rows, columns), || stream.normal() as f32)
}

/// Random bytes, of which about a fraction of `nonzero` are not zero.
fn random_pixels(stream: &mut Stream, rows: usize, columns: usize, nonzero: f64) -> Array2<u8> {
    Array2::from_shape_simple_fn((rows, columns), || {
        if stream.uniform() < nonzero { stream.below(255) as u8 + 1 } else { 0 }
    })
}

fn bits(array: &Array2<f32>) -> Vec<u32> {
    array.iter().map(|x| x.to_bits()).collect()
}

/// Collects the rows that `product` passes to its sink. Every row must come once, in ascending order.
fn collect(
    inputs: usize,
    outputs: usize,
    product: impl FnOnce(&mut dyn FnMut(usize, &[f32])),
) -> Array2<f32> {
    let mut c = Array2::zeros((inputs, outputs));
    let mut next = 0;
    product(&mut |row, values| {
        assert_eq!(row, next);
        assert_eq!(values.len() % outputs, 0);
        next += values.len() / outputs;
        for (mut row, values) in
            c.slice_axis_mut(Axis(0), (row..next).into()).rows_mut().into_iter().zip(values.chunks(outputs))
        {
            row.iter_mut().zip(values).for_each(|(c, &value)| *c = value);
        }
    });
    assert_eq!(next, inputs);
    c
}

/// Compares the bits of all products of these sizes with their references, on each instruction set.
fn check(seed: u64, batch: usize, inputs: usize, outputs: usize) {
    let mut stream = Stream::new(seed, Purpose::Other(0), 0);
    let (x, kernel, d) = (
        random(&mut stream, batch, inputs),
        random(&mut stream, inputs, outputs),
        random(&mut stream, batch, outputs),
    );
    let bias = random(&mut stream, 1, outputs).remove_axis(Axis(0));
    for &relu in RELU {
        let activation = if relu { Activation::Relu } else { Activation::Linear };
        let expected = bits(&reference_affine(&x, &kernel, &bias, relu));
        for (set, y) in with_each(|| {
            let mut y = Array2::from_elem((batch, outputs), f32::NAN);
            matmul::affine(x.view(), kernel.view(), Some(bias.view()), activation, y.view_mut());
            y
        }) {
            assert_eq!(bits(&y), expected, "affine {batch} {inputs} {outputs} {set:?}");
        }
    }
    let expected = bits(&reference_nt(&d, &kernel));
    for (set, c) in with_each(|| {
        let mut c = Array2::from_elem((batch, inputs), f32::NAN);
        matmul::matmul_nt(d.view(), kernel.view(), c.view_mut());
        c
    }) {
        assert_eq!(bits(&c), expected, "nt {batch} {inputs} {outputs} {set:?}");
    }
    let expected = bits(&reference_tn(&x, &d));
    for (set, c) in with_each(|| {
        let mut c = Array2::from_elem((inputs, outputs), f32::NAN);
        matmul::matmul_tn(x.view(), d.view(), c.view_mut());
        c
    }) {
        assert_eq!(bits(&c), expected, "tn {batch} {inputs} {outputs} {set:?}");
    }
    check_fused_adam(&mut stream, &x, &d, |rows, d, parameters| {
        matmul::serial::matmul_tn_adam(x.view(), d, rows, parameters);
    });
    for &nonzero in FRACTIONS {
        let bytes = random_pixels(&mut stream, batch, inputs, nonzero);
        let real = bytes.map(|&p| f32::from(p) / 255.0);
        let expected = bits(&reference_affine(&real, &kernel, &bias, true));
        for (set, y) in with_each(|| {
            let mut y = Array2::from_elem((batch, outputs), f32::NAN);
            pixels::affine(bytes.view(), kernel.view(), bias.view(), Activation::Relu, y.view_mut());
            y
        }) {
            assert_eq!(bits(&y), expected, "pixels {batch} {inputs} {outputs} {nonzero} {set:?}");
        }
        let expected = bits(&reference_tn(&real, &d));
        for (set, c) in with_each(|| {
            collect(inputs, outputs, |sink| pixels::matmul_tn(bytes.view(), d.view(), 0..inputs, sink))
        }) {
            assert_eq!(bits(&c), expected, "pixels tn {batch} {inputs} {outputs} {nonzero} {set:?}");
        }
        check_fused_adam(&mut stream, &real, &d, |rows, d, parameters| {
            pixels::matmul_tn_adam(bytes.view(), d, rows, parameters);
        });
        let columns = outputs / 3..outputs;
        let expected =
            bits(&reference_affine(&real, &kernel, &bias, true).slice(s![.., columns.clone()]).to_owned());
        for (set, y) in with_each(|| {
            let mut y = Array2::from_elem((batch, outputs), f32::NAN);
            let (kernel, bias) = (kernel.slice(s![.., columns.clone()]), bias.slice(s![columns.clone()]));
            let part = y.slice_mut(s![.., columns.clone()]);
            pixels::affine(bytes.view(), kernel, bias, Activation::Relu, part);
            assert!(
                y.slice(s![.., ..columns.start]).iter().all(|y| y.is_nan()),
                "other columns do not change"
            );
            y.slice(s![.., columns.clone()]).to_owned()
        }) {
            assert_eq!(bits(&y), expected, "some columns {batch} {inputs} {outputs} {nonzero} {set:?}");
        }
    }
}

/// Checks a product that is fused with Adam, on some rows and columns of parameters: it has the bits of a product followed by
/// Adam.
fn check_fused_adam(
    stream: &mut Stream,
    x: &Array2<f32>,
    d: &Array2<f32>,
    product: impl Fn(Range<usize>, ArrayView2<'_, f32>, update::Parameters<'_, f32>),
) {
    let (inputs, outputs) = (x.ncols(), d.ncols());
    let (rows, columns) = (inputs / 4..inputs, 0..outputs.div_ceil(2));
    for &decay in DECAYS {
        let step = update::Adam {
            alpha: 0.01,
            one_minus_beta_1: 0.1,
            one_minus_beta_2: 0.001,
            epsilon: 1e-7,
            decay,
        };
        let w = random(stream, inputs, outputs);
        // Some numbers are zero, and some are so small that a step flushes them.
        let state = |stream: &mut Stream| {
            Array2::from_shape_simple_fn((inputs, outputs), || match stream.below(4) {
                0 => 0.0,
                1 => 1e-30,
                _ => stream.uniform() as f32,
            })
        };
        let (mut m, v) = (state(stream), state(stream));
        m.slice_mut(s![..inputs / 2, ..]).fill(0.0);
        let (mut w_expected, mut m_expected, mut v_expected) = (w.clone(), m.clone(), v.clone());
        let gradient = reference_tn(x, d);
        for row in rows.clone() {
            let part = |matrix: &mut Array2<f32>| matrix.slice(s![row, columns.clone()]).to_vec();
            let (mut w, mut m, mut v) = (part(&mut w_expected), part(&mut m_expected), part(&mut v_expected));
            update::adam(
                &mut w,
                &mut m,
                &mut v,
                gradient.slice(s![row, columns.clone()]).as_slice().unwrap(),
                step,
            );
            for (matrix, part) in [(&mut w_expected, w), (&mut m_expected, m), (&mut v_expected, v)] {
                matrix.slice_mut(s![row, columns.clone()]).assign(&Array1::from(part));
            }
        }
        for (set, (w, m, v)) in with_each(|| {
            let (mut w, mut m, mut v) = (w.clone(), m.clone(), v.clone());
            let part = s![rows.clone(), columns.clone()];
            let parameters =
                update::Parameters { w: w.slice_mut(part), m: m.slice_mut(part), v: v.slice_mut(part), step };
            product(rows.clone(), d.slice(s![.., columns.clone()]), parameters);
            (w, m, v)
        }) {
            let shape = (x.nrows(), inputs, outputs);
            assert_eq!(bits(&w), bits(&w_expected), "w {shape:?} {decay} {set:?}");
            assert_eq!(bits(&m), bits(&m_expected), "m {shape:?} {decay} {set:?}");
            assert_eq!(bits(&v), bits(&v_expected), "v {shape:?} {decay} {set:?}");
        }
    }
}

/// A small case for Miri that runs most of the unsafe code. The rows are two tiles and a remainder, so that the first tile
/// packs for the others. The columns are a whole vector and a part of one.
#[test]
fn a_small_size() {
    check(8, 9, 2, 18);
}

#[test]
fn samples_of_several_masks() {
    let mut bytes = Array2::zeros((130, 2));
    for (sample, pixel) in [(3, 0), (64, 0), (129, 1)] {
        bytes[[sample, pixel]] = 255;
    }
    let d = Array2::from_shape_fn((130, 17), |(sample, _)| sample as f32);
    let expected = Array2::from_shape_fn((2, 17), |(pixel, _)| [67.0, 129.0][pixel]);
    for (set, c) in with_each(|| collect(2, 17, |sink| pixels::matmul_tn(bytes.view(), d.view(), 0..2, sink)))
    {
        assert_eq!(c, expected, "{set:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes an hour under Miri, which runs a_small_size instead")]
fn awkward_sizes() {
    for &batch in &[1, 2, 5, 16, 33] {
        for &inputs in &[1, 7, 32, 50] {
            for &outputs in &[1, 10, 16, 37, 64, 100] {
                check(1, batch, inputs, outputs);
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes hours under Miri, and uses rayon's threads")]
fn sizes_of_the_tutorial_and_of_parallel_products() {
    check(2, 32, 784, 128);
    check(3, 16, 128, 64);
    check(4, 100, 300, 310);
    check(5, 3, 30, 1100);
    // More samples than a mask has bits, and more than a block of the depth has.
    check(6, 130, 20, 40);
    check(7, 300, 9, 35);
}

#[test]
fn empty_operands() {
    let (x, kernel, bias) = (Array2::<f32>::zeros((0, 3)), Array2::zeros((3, 4)), Array1::zeros(4));
    let mut y = Array2::zeros((0, 4));
    matmul::affine(x.view(), kernel.view(), Some(bias.view()), Activation::Relu, y.view_mut());
    let mut c = Array2::zeros((3, 4));
    matmul::matmul_tn(x.view(), y.view(), c.view_mut());
    assert_eq!(c, Array2::<f32>::zeros((3, 4)));
    let mut y = Array2::zeros((2, 4));
    let none = Array2::zeros((2, 0));
    matmul::affine(
        none.view(),
        Array2::zeros((0, 4)).view(),
        Some(bias.view()),
        Activation::Linear,
        y.view_mut(),
    );
    assert_eq!(y, Array2::<f32>::zeros((2, 4)));
}

/// If there are more threads than rows, a thread gets no rows.
#[test]
fn no_rows_of_parameters() {
    let (x, d) = (Array2::<f32>::ones((4, 3)), Array2::ones((4, 20)));
    let step = update::Adam {
        alpha: 0.01,
        one_minus_beta_1: 0.1,
        one_minus_beta_2: 0.001,
        epsilon: 1e-7,
        decay: 0.0,
    };
    let (mut w, mut m, mut v) = (Array2::zeros((0, 20)), Array2::zeros((0, 20)), Array2::zeros((0, 20)));
    macro_rules! parameters {
        () => {
            update::Parameters { w: w.view_mut(), m: m.view_mut(), v: v.view_mut(), step }
        };
    }
    matmul::serial::matmul_tn_adam(x.view(), d.view(), 1..1, parameters!());
    pixels::matmul_tn_adam(Array2::ones((4, 3)).view(), d.view(), 1..1, parameters!());
    let (kernel, bias) = (Array2::<f32>::ones((3, 20)), Array1::ones(20));
    let mut y = Array2::zeros((0, 20));
    let pixels = Array2::ones((0, 3));
    pixels::affine(pixels.view(), kernel.view(), bias.view(), Activation::Relu, y.view_mut());
}

#[test]
#[cfg_attr(miri, ignore = "takes a minute under Miri, and copies with safe code only")]
fn transposed_views() {
    let mut stream = Stream::new(5, Purpose::Other(0), 0);
    let (x, kernel) = (random(&mut stream, 9, 20), random(&mut stream, 20, 18));
    let bias = Array1::zeros(18);
    let expected = reference_affine(&x, &kernel, &bias, false);
    let (x_t, kernel_t) = (x.t().as_standard_layout().to_owned(), kernel.t().as_standard_layout().to_owned());
    let mut y_t = Array2::zeros((18, 9));
    matmul::affine(x_t.t(), kernel_t.t(), None, Activation::Linear, y_t.view_mut().reversed_axes());
    assert_eq!(y_t.t(), expected);
}

#[test]
fn nan_and_infinity_pass_through() {
    let x = ndarray::arr2(&[[f32::NAN, 0.0], [f32::INFINITY, 0.0], [0.0, 1.0]]);
    let kernel = ndarray::arr2(&[[1.0_f32], [2.0]]);
    for activation in [Activation::Linear, Activation::Relu] {
        let mut y = Array2::zeros((3, 1));
        matmul::affine(x.view(), kernel.view(), None, activation, y.view_mut());
        assert!(y[[0, 0]].is_nan() && y[[1, 0]] == f32::INFINITY && y[[2, 0]] == 2.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    #[cfg_attr(miri, ignore = "takes an hour under Miri, which runs a_small_size instead")]
    fn any_sizes(seed: u64, batch in 1_usize..70, inputs in 1_usize..90, outputs in 1_usize..90) {
        check(seed, batch, inputs, outputs);
    }
}
