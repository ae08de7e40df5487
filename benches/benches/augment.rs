//! Distortion of MNIST's images, one at a time on one thread, and its random numbers.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use ziffer_benches::mnist;
use ziffer_dataset::augment::{Distorter, Distortion};
use ziffer_tensor::random::{Purpose, Stream};

fn distort(criterion: &mut Criterion) {
    let set = mnist().expect("the repository's copy of MNIST");
    let default = Distortion::default();
    let settings = [
        ("default", default),
        ("affine", Distortion { elastic_pixels: 0.0, ..default }),
        ("elastic", Distortion { elastic_pixels: default.elastic_pixels, ..default.times(0.0) }),
        ("none", default.times(0.0)),
    ];
    let mut group = criterion.benchmark_group("distort");
    group.throughput(Throughput::Elements(1));
    for (name, distortion) in settings {
        let mut distorter = Distorter::new(distortion, [28, 28]).expect("settings within their ranges");
        let mut out = vec![0; 28 * 28];
        let mut number = 0;
        group.bench_function(BenchmarkId::from_parameter(name), |bench| {
            bench.iter(|| {
                number = (number + 1) % set.train.len();
                let mut stream = Stream::new(0, Purpose::Augment, number as u64);
                distorter.distort(&mut stream, set.train.image(number), black_box(&mut out));
            });
        });
    }
    group.finish();
}

fn random(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stream");
    // A new stream without draws, with one, and with as many as a distortion of a 28x28 image with default settings takes.
    for draws in [0, 1, 28] {
        let mut position = 0;
        group.bench_function(BenchmarkId::from_parameter(draws), |bench| {
            bench.iter(|| {
                position += 1;
                let mut stream = Stream::new(0, Purpose::Augment, position);
                for _ in 0..draws {
                    black_box(stream.bits());
                }
                black_box(&stream);
            });
        });
    }
    group.finish();
}

criterion_group!(augment, distort, random);
criterion_main!(augment);
