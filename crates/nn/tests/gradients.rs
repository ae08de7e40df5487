//! Gradients of every layer, activation and loss, and of random stacks, against central differences in f64.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use ziffer_nn::gradcheck::{GradCheck, GradientError, gradients};
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::team::Team;
use ziffer_nn::{
    Activation, Dense, Flatten, Input, Layer, Loss, MeanSquaredError, Output, Samples, Sequential, Sgd,
    SparseCategoricalCrossentropy, Training, Weights, WithClasses, WithValues,
};

fn activation() -> impl Strategy<Value = Activation> {
    prop::sample::select(Activation::ALL.to_vec())
}

fn normal(stream: &mut Stream, rows: usize, columns: usize) -> Array2<f64> {
    Array2::from_shape_simple_fn((rows, columns), || stream.normal())
}

/// Kinks are rare by construction; those that a seed happens to hit are told as such and are not a failure.
fn passes(outcome: Result<ziffer_nn::gradcheck::Report, GradientError>) -> Result<(), TestCaseError> {
    match outcome {
        Ok(_) => Ok(()),
        Err(GradientError::Kinks { .. }) => Err(TestCaseError::reject("kinks")),
        Err(error) => Err(TestCaseError::fail(error.to_string())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn dense_with_each_activation(
        activation in activation(), inputs in 1_usize..20, units in 1_usize..20, batch in 1_usize..6, seed: u64,
    ) {
        passes(GradCheck::default().layer(Dense::new(units, activation), &[inputs], batch, seed))?;
    }

    #[test]
    fn flatten(rows in 1_usize..5, columns in 1_usize..5, batch in 1_usize..4, seed: u64) {
        // As a layer of its own it is an identity and has no weights; in a stack it changes nothing.
        let mut stream = Stream::new(seed, Purpose::Other(0), 0);
        let mut model = Sequential::<f64>::with_input([rows, columns])
            .flatten().dense(3, Activation::Tanh).add(Flatten).dense(2, Activation::Softmax).build(seed).unwrap();
        let x = normal(&mut stream, batch, rows * columns);
        let classes: Vec<usize> = (0..batch).map(|i| i % 2).collect();
        let samples = WithClasses::new(x.view(), &classes);
        passes(GradCheck::default().model(&mut model, &SparseCategoricalCrossentropy::default(), &samples))?;
    }

    #[test]
    fn random_stacks_with_cross_entropy(
        hidden in prop::collection::vec((1_usize..14, activation()), 0..4),
        inputs in 1_usize..16, classes in 1_usize..12, batch in 1_usize..7, seed: u64, from_logits: bool,
    ) {
        let last = if from_logits { Activation::Linear } else { Activation::Softmax };
        let mut stack = Sequential::<f64>::with_input([inputs]);
        for (units, activation) in hidden {
            stack = stack.dense(units, activation);
        }
        let mut model = stack.dense(classes, last).build(seed).unwrap();
        let mut stream = Stream::new(seed, Purpose::Other(0), 0);
        let x = normal(&mut stream, batch, inputs);
        let labels: Vec<usize> = (0..batch).map(|_| stream.below(classes as u64) as usize).collect();
        let loss = SparseCategoricalCrossentropy { from_logits };
        passes(GradCheck::default().model(&mut model, &loss, &WithClasses::new(x.view(), &labels)))?;
    }

    #[test]
    fn random_stacks_with_mean_squared_error(
        layers in prop::collection::vec((1_usize..14, activation()), 1..4),
        inputs in 1_usize..16, batch in 1_usize..7, seed: u64,
    ) {
        let mut stack = Sequential::<f64>::with_input([inputs]);
        for (units, activation) in layers {
            stack = stack.dense(units, activation);
        }
        let mut model = stack.build(seed).unwrap();
        let mut stream = Stream::new(seed, Purpose::Other(0), 0);
        let (x, t) = (normal(&mut stream, batch, inputs), normal(&mut stream, batch, model.outputs()));
        passes(GradCheck::default().model(&mut model, &MeanSquaredError, &WithValues::new(x.view(), t.view())))?;
    }

    #[test]
    fn pixels(inputs in 1_usize..70, units in 1_usize..20, batch in 1_usize..40, lit in 0.0_f64..1.0, seed: u64) {
        let mut stream = Stream::new(seed, Purpose::Other(0), 0);
        let x = Array2::from_shape_simple_fn((batch, inputs), || {
            if stream.uniform() < lit { stream.below(256) as u8 } else { 0 }
        });
        let labels: Vec<usize> = (0..batch).map(|i| i % 3).collect();
        let mut model = Sequential::<f64>::with_input([inputs])
            .dense(units, Activation::Sigmoid).dense(3, Activation::Softmax).build(seed).unwrap();
        let samples = WithClasses::new(x.view(), &labels);
        passes(GradCheck::default().model(&mut model, &SparseCategoricalCrossentropy::default(), &samples))?;
    }

    /// The step that updates as it goes makes of the weights what the stored gradients say: ties the fused way, on any
    /// number of threads, to the one that the checks above look at.
    #[test]
    fn the_step_uses_these_gradients(
        hidden in 1_usize..20, activation in activation(), inputs in 1_usize..20, batch in 1_usize..9,
        threads in 1_usize..5, seed: u64,
    ) {
        let stack = || Sequential::<f64>::with_input([inputs]).dense(hidden, activation).dense(4, Activation::Softmax);
        let mut stream = Stream::new(seed, Purpose::Other(0), 0);
        let x = normal(&mut stream, batch, inputs);
        let labels: Vec<usize> = (0..batch).map(|i| i % 4).collect();
        let samples = WithClasses::new(x.view(), &labels);
        let loss = SparseCategoricalCrossentropy::default();

        let mut model = stack().build(seed).unwrap();
        let before: Vec<f64> = model.weights().flat_map(|(_, w)| w.into_iter().copied().collect::<Vec<_>>()).collect();
        let stored: Vec<f64> = gradients(&model, &loss, &samples).unwrap().into_iter().flatten().flatten().collect();
        let sgd = Sgd { learning_rate: 0.5, ..Sgd::default() };
        let order: Vec<u32> = (0..batch as u32).collect();
        let team = Team::new(threads).unwrap();
        let results = Training::new(&model, sgd, batch).unwrap()
            .run(&mut model, &loss, &samples, &order, (&team).into())
            .unwrap();
        let after = model.weights().flat_map(|(_, w)| w.into_iter().copied().collect::<Vec<_>>());
        for ((after, before), gradient) in after.zip(before).zip(stored) {
            prop_assert_eq!(after, (-0.5_f64).mul_add(gradient, before));
        }
        let evaluated = stack().build(seed).unwrap().evaluate_with(&loss, &samples).unwrap();
        prop_assert!((results[0].loss() - evaluated.loss).abs() < 1e-12);
        prop_assert_eq!(results[0].hits, evaluated.hits);
    }
}

/// Dense, but for one thing that is wrong.
#[derive(Debug)]
struct Wrong(Dense, Mistake);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mistake {
    InputGradient,
    WeightGradient,
    MissingBias,
}

impl Layer<f64> for Wrong {
    fn class_name(&self) -> &'static str {
        "Wrong"
    }
    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, String> {
        Layer::<f64>::build(&mut self.0, input_shape)
    }
    fn weights(&self) -> Vec<ziffer_nn::WeightSpec> {
        Layer::<f64>::weights(&self.0)
    }
    fn forward(
        &self,
        weights: Weights<'_, f64>,
        x: Input<'_, f64>,
        y: ArrayViewMut2<'_, f64>,
        output: Output,
    ) {
        self.0.forward(weights, x, y, output);
    }
    fn backward(
        &self,
        weights: Weights<'_, f64>,
        x: Input<'_, f64>,
        y: ArrayView2<'_, f64>,
        d: ArrayViewMut2<'_, f64>,
        mut d_x: Option<ArrayViewMut2<'_, f64>>,
        output: Output,
    ) {
        self.0.backward(weights, x, y, d, d_x.as_mut().map(|d_x| d_x.view_mut()), output);
        if let (Mistake::InputGradient, Some(mut d_x)) = (self.1, d_x) {
            d_x[[0, 0]] *= 1.001;
        }
    }
    fn gradient(
        &self,
        x: Input<'_, f64>,
        d: ArrayView2<'_, f64>,
        part: ziffer_nn::Part,
        sink: &mut dyn ziffer_nn::Sink<f64>,
    ) {
        let mistake = self.1;
        self.0.gradient(x, d, part, &mut Bent { sink, mistake });
    }
}

struct Bent<'a> {
    sink: &'a mut dyn ziffer_nn::Sink<f64>,
    mistake: Mistake,
}

impl ziffer_nn::Sink<f64> for Bent<'_> {
    fn accept(&mut self, index: usize, offset: usize, gradient: &[f64]) {
        let mut gradient = gradient.to_vec();
        if self.mistake == Mistake::WeightGradient && index == 0 && offset == 0 {
            gradient[0] += 1e-3;
        }
        if self.mistake != Mistake::MissingBias || index == 0 {
            self.sink.accept(index, offset, &gradient);
        }
    }
}

#[test]
fn mistakes_are_found() {
    let check = |mistake| {
        GradCheck::default().layer(Wrong(Dense::new(3, Activation::Tanh), mistake), &[4], 2, 1).unwrap_err()
    };
    assert!(matches!(check(Mistake::InputGradient), GradientError::Wrong { of, .. } if of == "input[0]"));
    assert!(
        matches!(check(Mistake::WeightGradient), GradientError::Wrong { of, .. } if of.ends_with("kernel[0]"))
    );
    assert!(matches!(check(Mistake::MissingBias), GradientError::Coverage { index: 1, times: 0, .. }));
}

#[test]
fn a_wrong_loss_is_found() {
    #[derive(Debug)]
    struct Off;
    impl Loss<f64> for Off {
        fn name(&self) -> &'static str {
            "off"
        }
        fn value(&self, output: &[f64], target: ziffer_nn::Target<'_, f64>) -> f64 {
            MeanSquaredError.value(output, target)
        }
        fn backward(
            &self,
            output: &[f64],
            target: ziffer_nn::Target<'_, f64>,
            scale: f64,
            d: &mut [f64],
        ) -> f64 {
            MeanSquaredError.backward(output, target, scale * 1.0001, d)
        }
    }
    let x = ndarray::arr2(&[[0.3, -0.2], [1.0, 0.5]]);
    let samples = WithClasses::new(x.view(), &[0, 1]);
    assert_eq!(Samples::<f64>::len(&samples), 2);
    let mut model = Sequential::<f64>::with_input([2]).dense(2, Activation::Sigmoid).build(1).unwrap();
    assert!(matches!(
        GradCheck::default().model(&mut model, &Off, &samples),
        Err(GradientError::Wrong { .. })
    ));
}
