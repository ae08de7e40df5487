//! Compares the gradients of every layer, activation and loss, and of random stacks, with central differences in f64.

use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use ziffer_nn::gradcheck::{GradCheck, GradientError};
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::{
    Activation, ActivationLayer, AnyLoss, BatchNormalization, BinaryCrossentropy, CategoricalCrossentropy,
    Context, Dense, Dropout, Elu, Flatten, GaussianNoise, GradientSink, Input, Layer, LayerError,
    LayerNormalization, LeakyRelu, Loss, MeanAbsoluteError, MeanSquaredError, PRelu, Relu, Rescaling,
    Reshape, Samples, Sequential, Sgd, Softmax, SparseCategoricalCrossentropy, Training, WeightSpec, Weights,
    WithLabels, WithTargets,
};

fn activation() -> impl Strategy<Value = Activation> {
    prop::sample::select(Activation::ALL.to_vec())
}

/// Activations for stacked layers. Exponentials of exponentials overflow. A sum of outputs that a relu has set to 0 is exactly 0,
/// where the second derivatives of elu and softsign jump, and central differences are wrong by h times the jump.
fn stackable() -> impl Strategy<Value = Activation> {
    let others = [Activation::Exponential, Activation::Elu, Activation::Softsign];
    prop::sample::select(
        Activation::ALL.into_iter().filter(|activation| !others.contains(activation)).collect::<Vec<_>>(),
    )
}

fn normal(stream: &mut Stream, rows: usize, columns: usize) -> Array2<f64> {
    Array2::from_shape_simple_fn((rows, columns), || stream.normal())
}

/// Too many kinks are rare. A case with too many is rejected and is not a failure.
fn passes(outcome: Result<ziffer_nn::gradcheck::GradCheckStats, GradientError>) -> Result<(), TestCaseError> {
    match outcome {
        Ok(_) => Ok(()),
        Err(GradientError::Kinks { .. }) => Err(TestCaseError::reject("kinks")),
        Err(error) => Err(TestCaseError::fail(error.to_string())),
    }
}

proptest! {
    // Each case has all activations.
    #![proptest_config(ProptestConfig { cases: 24, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    /// All of them, with and without a bias.
    #[test]
    fn dense_with_every_activation(inputs in 1_usize..8, units in 1_usize..8, batch in 1_usize..4, seed: u64) {
        for activation in Activation::ALL {
            let dense = Dense::new(units, activation).use_bias(seed % 2 > 0);
            match GradCheck::default().layer(dense, &[inputs], batch, seed) {
                Ok(_) | Err(GradientError::Kinks { .. }) => {}
                Err(error) => return Err(TestCaseError::fail(format!("{activation}: {error}"))),
            }
        }
    }

    #[test]
    fn activations_as_layers(
        rows in 1_usize..4, columns in 1_usize..9, batch in 1_usize..5, alpha in 0.0_f64..1.5, seed: u64,
    ) {
        let shape = &[rows, columns];
        let check = |outcome| match outcome {
            Ok(_) | Err(GradientError::Kinks { .. }) => Ok(()),
            Err(error) => Err(TestCaseError::fail(format!("{error}"))),
        };
        let checks = GradCheck::default();
        for activation in Activation::ALL {
            check(checks.layer(ActivationLayer::new(activation), shape, batch, seed))?;
            // A softmax over a flat sample has logits.
            check(checks.layer(ActivationLayer::new(activation), &[columns], batch, seed))?;
        }
        check(checks.layer(Softmax::new(), shape, batch, seed))?;
        check(checks.layer(Elu::new(alpha), shape, batch, seed))?;
        check(checks.layer(LeakyRelu::new(alpha), shape, batch, seed))?;
        check(checks.layer(Relu::new().max_value(1.0).negative_slope(alpha).threshold(0.3), shape, batch, seed))?;
        check(checks.layer(PRelu::new(), shape, batch, seed))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn dropout_and_rescaling(inputs in 1_usize..90, batch in 1_usize..5, rate in 0.0_f64..0.95, seed: u64) {
        passes(GradCheck::default().layer(Dropout::new(rate), &[inputs], batch, seed))?;
        passes(GradCheck::default().layer(Rescaling::new(1.0 / 127.5, -1.0), &[inputs], batch, seed))?;
        passes(GradCheck::default().layer(Rescaling::new(1.0 / 255.0, 0.0), &[inputs], batch, seed))?;
    }

    #[test]
    fn pixels(inputs in 1_usize..70, units in 1_usize..20, batch in 1_usize..40, density in 0.0_f64..1.0, seed: u64) {
        let mut stream = Stream::new(seed, Purpose::Other(0), 0);
        let x = Array2::from_shape_simple_fn((batch, inputs), || {
            if stream.uniform() < density { stream.below(256) as u8 } else { 0 }
        });
        let labels: Vec<usize> = (0..batch).map(|i| i % 3).collect();
        let mut model = Sequential::<f64>::with_input_shape([inputs])
            .dense(units, Activation::Sigmoid).dense(3, Activation::Softmax).build(seed).unwrap();
        let samples = WithLabels::new(x.view(), &labels);
        passes(GradCheck::default().model(&mut model, &SparseCategoricalCrossentropy::default(), &samples))?;
    }

    #[test]
    fn dense_with_each_activation(
        activation in activation(), inputs in 1_usize..20, units in 1_usize..20, batch in 1_usize..6, seed: u64,
    ) {
        let dense = Dense::new(units, activation).use_bias(seed % 3 > 0);
        passes(GradCheck::default().layer(dense, &[inputs], batch, seed))?;
    }

    #[test]
    fn batch_normalization(
        rows in 1_usize..4, channels in 1_usize..40, batch in 2_usize..6, center: bool, scale: bool, seed: u64,
    ) {
        let layer = BatchNormalization::new().center(center).scale(scale).epsilon(0.1);
        passes(GradCheck::default().layer(layer, &[rows, channels], batch, seed))?;
    }

    #[test]
    fn layer_normalization(
        rows in 1_usize..4, columns in 1_usize..40, batch in 1_usize..5, center: bool, scale: bool, seed: u64,
    ) {
        let layer = LayerNormalization::new().center(center).scale(scale).epsilon(0.1);
        passes(GradCheck::default().layer(layer, &[rows, columns], batch, seed))?;
    }

    #[test]
    fn noise_and_reshape(rows in 1_usize..4, columns in 1_usize..9, batch in 1_usize..5, seed: u64) {
        passes(GradCheck::default().layer(GaussianNoise::new(0.5), &[rows, columns], batch, seed))?;
        passes(GradCheck::default().layer(Reshape::new([-1, rows as i64]), &[rows, columns], batch, seed))?;
    }

    #[test]
    fn flatten(rows in 1_usize..5, columns in 1_usize..5, batch in 1_usize..4, seed: u64) {
        // A flatten is an identity without weights, and does not change the gradients of a stack.
        let mut stream = Stream::new(seed, Purpose::Other(0), 0);
        let mut model = Sequential::<f64>::with_input_shape([rows, columns])
            .flatten().dense(3, Activation::Tanh).add(Flatten).dense(2, Activation::Softmax).build(seed).unwrap();
        let x = normal(&mut stream, batch, rows * columns);
        let classes: Vec<usize> = (0..batch).map(|i| i % 2).collect();
        let samples = WithLabels::new(x.view(), &classes);
        passes(GradCheck::default().model(&mut model, &SparseCategoricalCrossentropy::default(), &samples))?;
    }

    #[test]
    fn random_stacks_with_cross_entropy(
        hidden in prop::collection::vec((1_usize..14, stackable()), 0..4),
        inputs in 1_usize..16, classes in 1_usize..12, batch in 1_usize..7, seed: u64, from_logits: bool,
        label_smoothing in prop_oneof![Just(0.0), 0.0..1.0],
    ) {
        let last = if from_logits { Activation::Linear } else { Activation::Softmax };
        let mut stack = Sequential::<f64>::with_input_shape([inputs]);
        for (units, activation) in hidden {
            stack = stack.dense(units, activation);
        }
        let mut model = stack.dense(classes, last).build(seed).unwrap();
        let mut stream = Stream::new(seed, Purpose::Other(0), 0);
        let x = normal(&mut stream, batch, inputs);
        let labels: Vec<usize> = (0..batch).map(|_| stream.below(classes as u64) as usize).collect();
        let loss = SparseCategoricalCrossentropy { from_logits, label_smoothing };
        passes(GradCheck::default().model(&mut model, &loss, &WithLabels::new(x.view(), &labels)))?;
    }

    #[test]
    fn random_stacks_with_mean_squared_error(
        layers in prop::collection::vec((1_usize..14, stackable()), 1..4),
        inputs in 1_usize..16, batch in 1_usize..7, seed: u64,
    ) {
        let mut stack = Sequential::<f64>::with_input_shape([inputs]);
        for (units, activation) in layers {
            stack = stack.dense(units, activation);
        }
        let mut model = stack.build(seed).unwrap();
        let mut stream = Stream::new(seed, Purpose::Other(0), 0);
        let (x, t) = (normal(&mut stream, batch, inputs), normal(&mut stream, batch, model.outputs()));
        passes(GradCheck::default().model(&mut model, &MeanSquaredError, &WithTargets::new(x.view(), t.view())))?;
    }

    #[test]
    fn losses_of_target_values(
        hidden in 1_usize..9, outputs in 1_usize..6, batch in 1_usize..7, seed: u64, from_logits: bool,
        label_smoothing in prop_oneof![Just(0.0), 0.0..1.0],
    ) {
        let mut stream = Stream::new(seed, Purpose::Other(0), 0);
        let (x, t) = (normal(&mut stream, batch, 5), normal(&mut stream, batch, outputs));
        let probabilities = t.mapv(|t| 1.0 / (1.0 + t * t));
        for (loss, last) in [
            (AnyLoss::CategoricalCrossentropy(CategoricalCrossentropy { from_logits, label_smoothing }), Activation::Softmax),
            (AnyLoss::BinaryCrossentropy(BinaryCrossentropy { from_logits, label_smoothing }), Activation::Sigmoid),
            (AnyLoss::MeanAbsoluteError(MeanAbsoluteError), Activation::Tanh),
        ] {
            let last = if from_logits { Activation::Linear } else { last };
            let stack = Sequential::<f64>::with_input_shape([5]).dense(hidden, Activation::Tanh);
            let mut model = stack.dense(outputs, last).build(seed).unwrap();
            let samples = WithTargets::new(x.view(), probabilities.view());
            passes(GradCheck::default().model(&mut model, &loss, &samples))?;
        }
    }

    #[test]
    fn one_output_for_two_classes(batch in 1_usize..7, seed: u64) {
        let mut stream = Stream::new(seed, Purpose::Other(0), 0);
        let x = normal(&mut stream, batch, 5);
        let labels: Vec<usize> = (0..batch).map(|_| stream.below(2) as usize).collect();
        let mut model = Sequential::<f64>::with_input_shape([5]).dense(1, Activation::Sigmoid).build(seed).unwrap();
        let samples = WithLabels::new(x.view(), &labels);
        passes(GradCheck::default().model(&mut model, &BinaryCrossentropy::default(), &samples))?;
        passes(GradCheck::default().model(&mut model, &MeanSquaredError, &samples))?;
    }

    /// The fused step, on any number of threads, updates the weights by the gradients that the checks above compare.
    #[test]
    fn the_step_uses_these_gradients(
        hidden in 1_usize..20, activation in stackable(), inputs in 1_usize..20, batch in 1_usize..9,
        threads in 1_usize..5, seed: u64,
    ) {
        let stack = || Sequential::<f64>::with_input_shape([inputs]).dense(hidden, activation).dense(4, Activation::Softmax);
        let mut stream = Stream::new(seed, Purpose::Other(0), 0);
        let x = normal(&mut stream, batch, inputs);
        let labels: Vec<usize> = (0..batch).map(|i| i % 4).collect();
        let samples = WithLabels::new(x.view(), &labels);
        let loss = SparseCategoricalCrossentropy::default();

        let mut model = stack().build(seed).unwrap();
        let before: Vec<f64> = model.weights().flat_map(|(_, w)| w.into_iter().copied().collect::<Vec<_>>()).collect();
        let sgd = Sgd { learning_rate: 0.5, ..Sgd::default() };
        let order: Vec<u32> = (0..batch as u32).collect();
        let team = ThreadTeam::new(threads).unwrap();
        let stored: Vec<f64> = Training::new(&model, sgd, batch).unwrap()
            .gradients(&mut model, &loss, &samples, &order, (&team).into()).unwrap()
            .iter().flat_map(|(_, gradient)| gradient.iter().copied().collect::<Vec<_>>()).collect();
        let results = Training::new(&model, sgd, batch).unwrap()
            .run(&mut model, &loss, &samples, &order, (&team).into())
            .unwrap();
        let after = model.weights().flat_map(|(_, w)| w.into_iter().copied().collect::<Vec<_>>());
        for ((after, before), gradient) in after.zip(before).zip(stored) {
            prop_assert_eq!(after, (-0.5_f64).mul_add(gradient, before));
        }
        let evaluated = stack().build(seed).unwrap().evaluate_with(&loss, &samples).unwrap();
        prop_assert!((results[0].loss() - evaluated.loss).abs() < 1e-12);
        prop_assert_eq!(results[0].correct, evaluated.correct);
    }
}

proptest! {
    // Fewer cases, since each has thousands of weights.
    #![proptest_config(ProptestConfig { cases: 8, rng_seed: RngSeed::Fixed(2), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stacks_with_barriers_inside_a_step(
        units in prop::collection::vec(1_usize..40, 1..4), inputs in 1_usize..16, batch in 2_usize..6, seed: u64,
    ) {
        let mut stack = Sequential::<f64>::with_input_shape([inputs]);
        for units in units {
            stack = stack.dense(units, Activation::Tanh).batch_normalization().dropout(0.3);
        }
        let mut model = stack.dense(3, Activation::Softmax).build(seed).unwrap();
        let mut stream = Stream::new(seed, Purpose::Other(0), 0);
        let x = normal(&mut stream, batch, inputs);
        let labels: Vec<usize> = (0..batch).map(|i| i % 3).collect();
        let loss = SparseCategoricalCrossentropy::default();
        passes(GradCheck::default().model(&mut model, &loss, &WithLabels::new(x.view(), &labels)))?;
    }

    /// Keras's usual block. A large epsilon keeps the third derivative small, on which the error of central differences depends.
    #[test]
    fn stacks_of_normalizations_and_activations(
        units in 1_usize..20, activation in stackable(), inputs in 1_usize..16, batch in 3_usize..6, seed: u64,
    ) {
        let mut model = Sequential::<f64>::with_input_shape([inputs])
            .dense(units, Activation::Linear)
            .add(BatchNormalization::new().epsilon(0.1))
            .activation(activation)
            .gaussian_noise(0.2)
            .dense(units + 1, Activation::Gelu)
            .add(LayerNormalization::new().epsilon(0.1))
            .p_relu()
            .dense(3, Activation::Linear)
            .softmax()
            .build(seed)
            .unwrap();
        let mut stream = Stream::new(seed, Purpose::Other(0), 0);
        let x = normal(&mut stream, batch, inputs);
        let labels: Vec<usize> = (0..batch).map(|i| i % 3).collect();
        let loss = SparseCategoricalCrossentropy::default();
        passes(GradCheck::default().model(&mut model, &loss, &WithLabels::new(x.view(), &labels)))?;
    }
}

/// A dense layer with one mistake.
#[derive(Clone, Debug)]
struct Wrong(Dense, Mistake);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mistake {
    InputGradient,
    WeightGradient,
    LogitsGradient,
    Pixels,
    Thread,
    Outputs,
}

impl Layer<f64> for Wrong {
    fn class_name(&self) -> &'static str {
        "Wrong"
    }
    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        Layer::<f64>::build(&mut self.0, input_shape)
    }
    fn weights(&self) -> Vec<WeightSpec> {
        Layer::<f64>::weights(&self.0)
    }
    fn output_activation(&self) -> Option<Activation> {
        Layer::<f64>::output_activation(&self.0)
    }
    fn parallelism(&self) -> ziffer_nn::layer::Parallelism {
        Layer::<f64>::parallelism(&self.0)
    }
    fn forward(
        &self,
        context: &mut Context<'_, f64>,
        weights: Weights<'_, f64>,
        x: Input<'_, f64>,
        mut y: ArrayViewMut2<'_, f64>,
    ) {
        let columns = y.ncols();
        self.0.forward(context, weights, x, y.view_mut());
        if self.1 == Mistake::Outputs && columns < 3 {
            y += 1e-3;
        }
    }
    fn backward(
        &self,
        context: &mut Context<'_, f64>,
        weights: Weights<'_, f64>,
        x: Input<'_, f64>,
        y: ArrayView2<'_, f64>,
        mut d: ArrayViewMut2<'_, f64>,
        mut d_x: Option<ArrayViewMut2<'_, f64>>,
    ) {
        self.0.backward(context, weights, x, y, d.view_mut(), d_x.as_mut().map(|d_x| d_x.view_mut()));
        // A thread may have no rows.
        if context.first_row() > 0 || d.is_empty() {
            return;
        }
        if let (Mistake::InputGradient, Some(mut d_x)) = (self.1, d_x) {
            d_x[[0, 0]] *= 1.001;
        }
        if self.1 == Mistake::LogitsGradient && context.output_kind() == ziffer_nn::OutputKind::Logits {
            d[[0, 0]] *= 1.001;
        }
    }
    fn gradient(
        &self,
        x: Input<'_, f64>,
        d: ArrayView2<'_, f64>,
        saved: &[f64],
        sink: &mut GradientSink<'_, f64>,
    ) {
        let owned = sink.range(0);
        let bends = match self.1 {
            Mistake::WeightGradient => !owned.is_empty() && owned.start == 0,
            Mistake::Pixels => matches!(x, Input::Pixels(_)),
            Mistake::Thread => owned.start > 0,
            _ => false,
        };
        let mut d = d.to_owned();
        if bends {
            d[[0, 0]] += 1e-3;
        }
        self.0.gradient(x, d.view(), saved, sink);
    }
}

#[test]
fn wrong_gradients_of_layers_are_found() {
    let check = |mistake, activation| {
        GradCheck::default().layer(Wrong(Dense::new(3, activation), mistake), &[4], 2, 1).unwrap_err()
    };
    let tanh = Activation::Tanh;
    let is = |of: &str, name: &str| of.starts_with(name);
    assert!(
        matches!(check(Mistake::InputGradient, tanh), GradientError::Wrong { of, .. } if is(&of, "input.number[0]"))
    );
    assert!(
        matches!(check(Mistake::WeightGradient, tanh), GradientError::Wrong { of, .. } if is(&of, "wrong.kernel"))
            || matches!(check(Mistake::WeightGradient, tanh), GradientError::Threads { .. })
    );
    let softmax = Activation::Softmax;
    assert!(matches!(check(Mistake::LogitsGradient, softmax), GradientError::Wrong { .. }));
    assert!(
        matches!(check(Mistake::Pixels, tanh), GradientError::Wrong { of, .. } if is(&of, "wrong.kernel"))
    );
    assert!(
        matches!(check(Mistake::Thread, tanh), GradientError::Threads { of, .. } if is(&of, "wrong.kernel"))
    );
    assert!(matches!(check(Mistake::Outputs, tanh), GradientError::Outputs { .. }));
}

#[test]
fn wrong_gradients_of_losses_are_found() {
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
    let samples = WithLabels::new(x.view(), &[0, 1]);
    assert_eq!(Samples::<f64>::len(&samples), 2);
    let mut model = Sequential::<f64>::with_input_shape([2]).dense(2, Activation::Sigmoid).build(1).unwrap();
    assert!(matches!(
        GradCheck::default().model(&mut model, &Off, &samples),
        Err(GradientError::Wrong { .. })
    ));
}
