//! Training steps on one thread and on two, and inference.
//!
//! An iteration is a hundred steps of the tutorial, without and with augmentation, or one step of a large network.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::ArrayView2;
use ziffer_benches::mnist;
use ziffer_dataset::augment::Distortion;
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::{Activation, Adam, Model, Samples, Sequential, SparseCategoricalCrossentropy, Training};
use ziffer_trainer::{Augmented, DatasetSamples, Evaluate};

fn network(hidden: [usize; 2]) -> Model {
    Sequential::new([28, 28])
        .flatten()
        .dense(hidden[0], Activation::Relu)
        .dense(hidden[1], Activation::Relu)
        .dense(10, Activation::Softmax)
        .build(0)
        .expect("a network whose layers fit")
}

fn training(criterion: &mut Criterion) {
    let set = mnist().expect("the repository's copy of MNIST");
    let samples = DatasetSamples(set.train.view());
    for (name, hidden, batch, steps) in [("tutorial", [128, 64], 32, 100), ("large", [2048, 2048], 128, 1)] {
        train_on(criterion, name, &samples, hidden, batch, steps);
    }
    let augmented = Augmented::new(&samples, [28, 28], Distortion::default()).expect("images of 28 x 28");
    train_on(criterion, "augmented", &augmented, [128, 64], 32, 100);
}

fn train_on(
    criterion: &mut Criterion,
    name: &str,
    samples: &impl Samples<f32>,
    hidden: [usize; 2],
    batch: usize,
    steps: u64,
) {
    let loss = SparseCategoricalCrossentropy::default();
    let mut order: Vec<u32> = (0..60_000).collect();
    Stream::new(0, Purpose::Shuffle, 0).shuffle(&mut order);
    let mut group = criterion.benchmark_group(format!("step_{name}"));
    group.throughput(Throughput::Elements(steps));
    for threads in [1, 2] {
        let team = ThreadTeam::new(threads).expect("threads");
        let mut model = network(hidden);
        let mut training = Training::new(&model, Adam::default(), batch).expect("memory");
        let mut runs = order.chunks_exact(batch * steps as usize).cycle();
        group.bench_function(BenchmarkId::new("threads", threads), |bench| {
            bench.iter(|| {
                let run = runs.next().expect("an endless iterator");
                training.run(&mut model, &loss, samples, run, (&team).into()).expect("a finite loss")
            });
        });
    }
    group.finish();
}

fn inference(criterion: &mut Criterion) {
    let set = mnist().expect("the repository's copy of MNIST");
    let model = network([128, 64]);
    let mut group = criterion.benchmark_group("inference");
    let one = ArrayView2::from_shape((1, 784), set.test.view().image(0)).expect("an image");
    group.throughput(Throughput::Elements(1));
    group.bench_function("1", |bench| bench.iter(|| model.predict(one)));
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("10000", |bench| bench.iter(|| model.predict_dataset(&set.test).expect("digits")));
    group.finish();
}

criterion_group!(steps, training, inference);
criterion_main!(steps);
