//! A custom layer: RMS normalization, with its gradient check and a property test.
#![allow(clippy::print_stdout, reason = "a program of the guide shows what it does")]

use std::error::Error;

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Zip};
use ziffer::nn::random::{Purpose, Stream};
use ziffer::nn::{
    Context, GradientSink, Input, Layer, LayerError, Scalar, WeightSpec, Weights, register_layer,
};
use ziffer::prelude::*;

/// RMS normalization (Zhang and Sennrich 2019): y = gamma x r with r = 1 / sqrt(mean(x^2) + epsilon).
#[derive(Clone, Debug, Default)]
struct RmsNorm {
    inputs: usize,
}

const EPSILON: f64 = 1e-7;

/// r of a sample.
fn inverse_rms<T: Scalar>(x: ArrayView1<'_, T>) -> T {
    let mean = x.iter().map(|&x| x * x).sum::<T>() / T::from_f64(x.len() as f64);
    T::one() / (mean + T::from_f64(EPSILON)).sqrt()
}

impl<T: Scalar> Layer<T> for RmsNorm {
    fn class_name(&self) -> &'static str {
        "RmsNorm"
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        let &[inputs] = input_shape else {
            return Err(format!("expects a flat input, found {input_shape:?}").into());
        };
        self.inputs = inputs;
        Ok(vec![inputs])
    }

    fn weights(&self) -> Vec<WeightSpec> {
        vec![WeightSpec::new("gamma", [self.inputs], Initializer::Ones)]
    }

    fn forward(
        &self,
        _: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) {
        let (x, gamma) = (x.to_real(), weights.vector(0));
        for (mut y, x) in y.rows_mut().into_iter().zip(x.rows()) {
            let r = inverse_rms(x);
            Zip::from(&mut y).and(&x).and(&gamma).for_each(|y, &x, &gamma| *y = gamma * (x * r));
        }
    }

    /// With n = x r and g = gamma d_y: d_x = r (g - n mean(g n)).
    fn backward(
        &self,
        _: &mut Context<'_, T>,
        weights: Weights<'_, T>,
        x: Input<'_, T>,
        _: ArrayView2<'_, T>,
        d: ArrayViewMut2<'_, T>,
        d_x: Option<ArrayViewMut2<'_, T>>,
    ) {
        // What stays in `d` is d_y: that is what `gradient` needs.
        let Some(mut d_x) = d_x else { return };
        let (x, gamma) = (x.to_real(), weights.vector(0));
        for ((mut d_x, x), d) in d_x.rows_mut().into_iter().zip(x.rows()).zip(d.rows()) {
            let r = inverse_rms(x);
            Zip::from(&mut d_x).and(&d).and(&gamma).for_each(|g, &d, &gamma| *g = gamma * d);
            let sum = d_x.iter().zip(x).map(|(&g, &x)| g * (x * r)).sum::<T>();
            let mean = sum / T::from_f64(x.len() as f64);
            Zip::from(&mut d_x).and(&x).for_each(|g, &x| *g = r * (*g - x * r * mean));
        }
    }

    /// d_gamma: the sum of d_y n over the batch.
    fn gradient(&self, x: Input<'_, T>, d: ArrayView2<'_, T>, _: &[T], sink: &mut GradientSink<'_, T>) {
        let x = x.to_real();
        let own = sink.range(0);
        let mut d_gamma = vec![T::zero(); own.len()];
        for (x, d) in x.rows().into_iter().zip(d.rows()) {
            let r = inverse_rms(x);
            for (sum, i) in d_gamma.iter_mut().zip(own.clone()) {
                *sum += d[i] * (x[i] * r);
            }
        }
        sink.push(0, &d_gamma);
    }
}

/// Points of the plane, of sizes from 0.01 to 100; class 1 where both numbers have the same sign.
fn points(count: usize, seed: u64) -> (Array2<f32>, Vec<usize>) {
    let mut stream = Stream::new(seed, Purpose::Other(0), 0);
    let x = Array2::from_shape_fn((count, 2), |(n, _)| {
        [0.01, 0.1, 1.0, 10.0, 100.0][n % 5] * stream.normal() as f32
    });
    let classes = x.rows().into_iter().map(|row| usize::from(row[0] * row[1] > 0.0)).collect();
    (x, classes)
}

fn main() -> Result<(), Box<dyn Error>> {
    let ((x, classes), (test_x, test_classes)) = (points(1000, 0), points(1000, 1));
    let train = WithLabels::new(x.view(), &classes);
    let test = WithLabels::new(test_x.view(), &test_classes);
    let dense = |network: Sequential| network.dense(16, Activation::Relu).dense(2, Activation::Softmax);
    let mut with = dense(Sequential::new([2]).add(RmsNorm::default())).build(0)?;
    let mut without = dense(Sequential::new([2])).build(0)?;
    println!("{}", with.summary());
    for (name, model) in [("with RmsNorm", &mut with), ("without", &mut without)] {
        Trainer::new(Adam::new(0.01), SparseCategoricalCrossentropy::default())
            .epochs(20)
            .fit(model, &train)?;
        println!("{name}: test accuracy {:.3}", model.evaluate(&test)?.accuracy);
    }

    // From here on models with this layer can be loaded.
    register_layer("RmsNorm", |_| Ok(RmsNorm::default()))?;
    with.save("points.safetensors")?;
    let loaded = Model::load("points.safetensors")?;
    println!("loaded the same weights: {}", loaded.weights_sha256() == with.weights_sha256());
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ziffer::nn::gradcheck::GradCheck;

    use super::*;

    proptest! {
        // Where all of a few inputs are close to zero, the layer bends more than central differences can follow.
        #[test]
        fn the_gradient_is_right(inputs in 4_usize..20, batch in 1_usize..6, seed: u64) {
            let report = GradCheck::default().layer(RmsNorm::default(), &[inputs], batch, seed);
            prop_assert!(report.is_ok(), "{report:?}");
        }

        #[test]
        fn the_mean_square_is_one(x in prop::collection::vec(-1e3_f32..1e3, 1..50)) {
            let model = Sequential::new([x.len()]).add(RmsNorm::default()).build(0).unwrap();
            let mean_square = |x: &[f32]| x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / x.len() as f64;
            prop_assume!(mean_square(&x) > 1.0);
            let y = model.predict_one(&x);
            prop_assert!((mean_square(&y) - 1.0).abs() < 1e-5, "{y:?}");
        }
    }
}
