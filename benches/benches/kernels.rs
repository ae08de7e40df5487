//! Every kernel, on one thread, at the shapes that training uses.
//!
//! The throughput is in floating-point operations per second, to compare with the core's peak. Kernels that skip zeros count
//! the operations of the dense product.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};
use ziffer_benches::{flop_of_chains, fma_chains, mnist};
use ziffer_tensor::random::{Purpose, Stream};
use ziffer_tensor::{Activation, Buffer, matmul::serial, pixels, softmax, update};

/// Batch, inputs, outputs: the tutorial's layers with a batch and with half a batch, odd sizes, and large layers.
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

/// A matrix that starts at a cache line, as in training.
struct Matrix {
    numbers: Buffer<f32>,
    rows: usize,
    columns: usize,
}

impl Matrix {
    fn zeros(rows: usize, columns: usize) -> Self {
        Self { numbers: Buffer::zeros(rows * columns), rows, columns }
    }

    fn normal(stream: &mut Stream, rows: usize, columns: usize) -> Self {
        let mut matrix = Self::zeros(rows, columns);
        matrix.numbers.fill_with(|| stream.normal() as f32);
        matrix
    }

    fn view(&self) -> ArrayView2<'_, f32> {
        ArrayView2::from_shape((self.rows, self.columns), &self.numbers).expect("as many numbers")
    }

    fn row(&self) -> ArrayView1<'_, f32> {
        ArrayView1::from(&*self.numbers)
    }

    fn view_mut(&mut self) -> ArrayViewMut2<'_, f32> {
        ArrayViewMut2::from_shape((self.rows, self.columns), &mut self.numbers).expect("as many numbers")
    }
}

/// A sink that drops the rows.
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
        let x = Matrix::normal(&mut stream, batch, inputs);
        let kernel = Matrix::normal(&mut stream, inputs, outputs);
        let d = Matrix::normal(&mut stream, batch, outputs);
        let bias = Matrix::normal(&mut stream, 1, outputs);
        let (mut y, mut d_x) = (Matrix::zeros(batch, outputs), Matrix::zeros(batch, inputs));
        let shape = format!("{batch}x{inputs}x{outputs}");
        let flop = Throughput::Elements(2 * (batch * inputs * outputs) as u64);

        let mut group = criterion.benchmark_group("affine");
        group.throughput(flop.clone()).bench_function(BenchmarkId::from_parameter(&shape), |bench| {
            bench.iter(|| {
                serial::affine(x.view(), kernel.view(), Some(bias.row()), Activation::Relu, y.view_mut());
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

/// The first layer on MNIST's pixels, four fifths of which are zero. Each iteration uses another batch.
fn first_layer(criterion: &mut Criterion) {
    let set = mnist().expect("the repository's copy of MNIST");
    let all = set.train.view();
    let rows = ArrayView2::from_shape((all.len(), 784), all.pixels()).expect("whole images");
    let mut stream = Stream::new(1, Purpose::Other(0), 0);
    let (kernel, bias) = (Matrix::normal(&mut stream, 784, 128), Matrix::normal(&mut stream, 1, 128));
    for batch in [16, 32] {
        let d = Matrix::normal(&mut stream, batch, 128);
        let mut y = Matrix::zeros(batch, 128);
        let flop = Throughput::Elements(2 * (batch * 784 * 128) as u64);
        let mut first = 0;
        let mut next = || {
            first = (first + batch) % 50_000;
            rows.slice(ndarray::s![first..first + batch, ..])
        };
        let mut group = criterion.benchmark_group("pixels_affine");
        group.throughput(flop.clone()).bench_function(BenchmarkId::from_parameter(batch), |bench| {
            bench.iter(|| {
                pixels::affine(next(), kernel.view(), bias.row(), Activation::Relu, y.view_mut());
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
    let filled = |value: f32| {
        let mut buffer = Buffer::zeros(n);
        buffer.fill(value);
        buffer
    };
    let (mut w, mut m, mut v, g) = (filled(0.1), filled(0.1), filled(0.1), filled(0.01));
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
    let logits = Matrix::normal(&mut stream, 32, 10).numbers;
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
