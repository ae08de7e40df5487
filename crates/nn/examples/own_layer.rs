//! A layer of one's own: written, compared with central differences, trained in a stack, saved and loaded.
//!
//! `cargo run --release -p ziffer-nn --features gradcheck --example own_layer`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use ziffer_nn::gradcheck::GradCheck;
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::{
    Activation, Adam, Context, GradientSink, Initializer, Input, Layer, LayerError, Model, Scalar,
    Sequential, SparseCategoricalCrossentropy, Training, WeightSpec, Weights, WithLabels, register_layer,
};

/// y = a * x, with one factor a per element of a sample: shapes x \[B, I\], a \[I\], y \[B, I\].
#[derive(Clone, Debug, Default)]
struct Gain {
    inputs: usize,
}

impl<T: Scalar> Layer<T> for Gain {
    fn class_name(&self) -> &'static str {
        "Gain"
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.inputs = input_shape.iter().product();
        Ok(input_shape.to_vec())
    }

    fn weights(&self) -> Vec<WeightSpec> {
        vec![WeightSpec::new("factor", [self.inputs], Initializer::Ones)]
    }

    fn forward(
        &self,
        _: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) {
        y.assign(&x.to_real());
        y *= &weights.vector(0);
    }

    /// d_x = a * d_y. `d` keeps d_y, which `gradient` receives.
    fn backward(
        &self,
        _: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        _: Input<'_, T>,
        _: ArrayView2<'_, T>,
        d: ArrayViewMut2<'_, T>,
        d_x: Option<ArrayViewMut2<'_, T>>,
    ) {
        if let Some(mut d_x) = d_x {
            d_x.assign(&d);
            d_x *= &weights.vector(0);
        }
    }

    /// d_a = sum over the batch of x * d_y, for the factors that this thread owns.
    fn gradient(&self, x: Input<'_, T>, d: ArrayView2<'_, T>, _: &[T], sink: &mut GradientSink<'_, T>) {
        let owned = sink.range(0);
        let x = x.to_real();
        let products = &x.slice(s![.., owned.clone()]) * &d.slice(s![.., owned]);
        sink.push(0, products.sum_axis(Axis(0)).as_slice().expect("a new vector"));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let stats = GradCheck::default().layer(Gain::default(), &[5], 3, 1)?;
    println!("gradients checked: {} derivatives, the worst off by {:.1e}", stats.checked, stats.max_error);

    // Points inside and outside of a circle; the third number of a sample is irrelevant.
    let mut stream = Stream::new(1, Purpose::Other(0), 0);
    let x = Array2::from_shape_simple_fn((512, 3), || stream.normal() as f32);
    let classes: Vec<usize> =
        x.rows().into_iter().map(|p| usize::from(p[0] * p[0] + p[1] * p[1] > 1.4)).collect();
    let samples = WithLabels::new(x.view(), &classes);

    let mut model = Sequential::new([3])
        .add(Gain::default())
        .dense(16, Activation::Tanh)
        .dense(2, Activation::Softmax)
        .build(0)?;
    println!("{}", model.summary());
    let loss = SparseCategoricalCrossentropy::default();
    let mut training = Training::new(&model, Adam { learning_rate: 0.01, ..Adam::default() }, 32)?;
    let team = ThreadTeam::new(2)?;
    let mut order: Vec<u32> = (0..512).collect();
    for epoch in 0..100 {
        Stream::new(0, Purpose::Shuffle, epoch).shuffle(&mut order);
        training.run(&mut model, &loss, &samples, &order, (&team).into())?;
    }
    let result = model.evaluate_with(&loss, &samples)?;
    println!("accuracy {:.3}, loss {:.4}", result.accuracy, result.loss);
    if let Some(factors) = model.weight("gain.factor") {
        println!("factors {factors:.2}");
    }

    // A model file has the class and the settings of each layer. The class is registered once to load such files.
    register_layer("Gain", |_| Ok(Gain::default()))?;
    let loaded = Model::from_safetensors(&model.to_safetensors())?;
    assert_eq!(loaded.weights_sha256(), model.weights_sha256());
    println!("loaded, with the same weights");
    Ok(())
}
