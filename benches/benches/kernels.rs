//! Every kernel, at the shapes that training uses: times, and operations a second beside the peak of the core.
//!
//! One thread. The throughput is in floating-point operations; for kernels that skip zeros, in those of the dense product.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array2, ArrayView2, Axis};
use ziffer_benches::{flop_of_chains, fma_chains, mnist};
use ziffer_tensor::random::{Purpose, Stream};
use ziffer_tensor::{Activation, matmul::serial, pixels, softmax, update};

/// Batch, inputs, outputs: the tutorial's layers at a whole batch and at half of one, odd ones, large ones.
const SHAPES: [(usize, usize, usize); 8] = [
    (32, 784, 128),
    (16, 784, 128),
    (32, 128, 64),
    (16, 128, 64),
    (16, 64, 10),
    (50, 100, 37),
    (64, 784, 2048),
    (64, 2048, 2048),
];

fn normal(stream: &mut Stream, rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_simple_fn((rows, columns), || stream.normal() as f32)
}

/// A sink that only takes.
fn discard(_: usize, rows: &[f32]) {
    black_box(rows);
}

fn peak(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("peak");
    let (lanes, _) = fma_chains(1.0);
    group.throughput(Throughput::Elements(flop_of_chains(lanes) as u64));
    group.bench_function("fma", |bench| bench.iter(|| fma_chains(black_box(1.0))));
}

fn products(criterion: &mut Criterion) {
    let mut stream = Stream::new(1, Purpose::Other(0), 0);
    for (batch, inputs, outputs) in SHAPES {
        let (x, kernel) = (normal(&mut stream, batch, inputs), normal(&mut stream, inputs, outputs));
        let d = normal(&mut stream, batch, outputs);
        let bias = normal(&mut stream, 1, outputs).remove_axis(Axis(0));
        let (mut y, mut d_x) = (Array2::zeros((batch, outputs)), Array2::zeros((batch, inputs)));
        let shape = format!("{batch}x{inputs}x{outputs}");
        let flop = Throughput::Elements(2 * (batch * inputs * outputs) as u64);

        let mut group = criterion.benchmark_group("affine");
        group.throughput(flop.clone()).bench_function(BenchmarkId::from_parameter(&shape), |bench| {
            bench.iter(|| {
                serial::affine(x.view(), kernel.view(), Some(bias.view()), Activation::Relu, y.view_mut());
            });
        });
        group.finish();
        let mut group = criterion.benchmark_group("matmul_nt");
        group.throughput(flop.clone()).bench_function(BenchmarkId::from_parameter(&shape), |bench| {
            bench.iter(|| serial::matmul_nt(d.view(), kernel.view(), d_x.view_mut()));
        });
        group.finish();
        let mut group = criterion.benchmark_group("matmul_tn");
        group.throughput(flop).bench_function(BenchmarkId::from_parameter(&shape), |bench| {
            bench.iter(|| serial::matmul_tn(x.view(), d.view(), 0..inputs, &mut discard));
        });
        group.finish();
    }
}

/// The first layer from MNIST's pixels, four fifths of which are zero: another batch at each turn.
fn first_layer(criterion: &mut Criterion) {
    let set = mnist().expect("the repository's copy of MNIST");
    let all = set.train.view();
    let rows = ArrayView2::from_shape((all.len(), 784), all.pixels()).expect("whole pictures");
    let mut stream = Stream::new(1, Purpose::Other(0), 0);
    let (kernel, bias) = (normal(&mut stream, 784, 128), normal(&mut stream, 1, 128).remove_axis(Axis(0)));
    for batch in [16, 32] {
        let d = normal(&mut stream, batch, 128);
        let mut y = Array2::zeros((batch, 128));
        let flop = Throughput::Elements(2 * (batch * 784 * 128) as u64);
        let mut first = 0;
        let mut next = || {
            first = (first + batch) % 50_000;
            rows.slice(ndarray::s![first..first + batch, ..])
        };
        let mut group = criterion.benchmark_group("pixels_affine");
        group.throughput(flop.clone()).bench_function(BenchmarkId::from_parameter(batch), |bench| {
            bench.iter(|| {
                pixels::affine(next(), kernel.view(), bias.view(), Activation::Relu, y.view_mut());
            });
        });
        group.finish();
        let mut group = criterion.benchmark_group("pixels_matmul_tn");
        group.throughput(flop).bench_function(BenchmarkId::from_parameter(batch), |bench| {
            bench.iter(|| pixels::matmul_tn(next(), d.view(), 0..784, &mut discard));
        });
        group.finish();
    }
}

fn elementwise(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("elementwise");
    let n = 100_480;
    let (mut w, mut m, mut v, g) = (vec![0.1_f32; n], vec![0.1; n], vec![0.1; n], vec![0.01; n]);
    let constants = update::Adam {
        alpha: 1e-3,
        one_minus_beta_1: 0.1,
        one_minus_beta_2: 1e-3,
        epsilon: 1e-7,
        decay: 0.0,
    };
    group.throughput(Throughput::Elements(n as u64));
    group.bench_function("adam/100480", |bench| {
        bench.iter(|| update::adam(&mut w, &mut m, &mut v, &g, constants));
    });
    let mut stream = Stream::new(1, Purpose::Other(0), 0);
    let logits = normal(&mut stream, 32, 10).into_raw_vec_and_offset().0;
    let mut d = logits.clone();
    group.throughput(Throughput::Elements(32));
    group.bench_function("cross_entropy/32x10", |bench| {
        bench.iter(|| {
            d.copy_from_slice(&logits);
            d.chunks_exact_mut(10).map(|row| softmax::cross_entropy(row, 3, 1.0 / 32.0)).sum::<f32>()
        });
    });
    group.finish();
}

criterion_group!(kernels, peak, products, first_layer, elementwise);
criterion_main!(kernels);
