//! Layers, optimizers, features and samples that do not keep to their contracts: each ends in a panic that names the layer,
//! or in an error, on any number of threads. No thread waits for ever, and the team works on.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{classes, numbers, pixels, watched};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, ShapeBuilder, s};
use ziffer_nn::layer::{InputType, Parallelism};
use ziffer_nn::optimizer::{Clip, SettingError};
use ziffer_nn::team::Team;
use ziffer_nn::training::{FitError, Gradients};
use ziffer_nn::{
    Activation, Adam, BatchNormalization, Context, Dense, Dropout, EpochSeed, GradientSink, Initializer,
    Input, Layer, LayerError, MeanSquaredError, Mode, Model, Optimizer, Rescaling, SampleValue, Samples,
    Sequential, SparseCategoricalCrossentropy, StepBudget, StepError, Target, Training, WeightSpec, Weights,
    WithLabels, WithTargets,
};
use ziffer_tensor::update;

const THREADS: [usize; 4] = [1, 2, 3, 8];
const SAMPLES: usize = 48;
const BATCH: usize = 24;
/// Enough for every one of eight threads to own rows of each kernel and a cache line of each bias.
const FEATURES: usize = 40;
const UNITS: usize = 128;
const CLASSES: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Nothing,
    /// Pushes the gradient of all elements, whoever owns them.
    IgnoresTheRange,
    PushesOneTooMany,
    PushesNothing,
    /// Pushes where the range begins at 0, nothing elsewhere.
    PushesForTheFirstThread,
    PushesInOneThread,
    PushesTwice,
    ProductOfOtherSamples,
    ProductOfFewerInputs,
    ProductOfFewerOutputs,
    SumsOfFewerOutputs,
    UnknownWeight,
    PushesNonTrainable,
    AssignsTrainable,
    /// Hands the sink on for weights after the first, and catches the panic of what it handed it to.
    CatchesAPanic,
    PanicsForward,
    PanicsBackward,
    PanicsInGradient,
    /// With something that is no text.
    PanicsWithoutText,
    LeavesOutputs,
    LeavesInputGradients,
    /// Needs more than it asked for.
    SavesMore,
    ScratchesMore,
    /// Answers otherwise each time.
    OtherSaved,
    OtherScratch,
    OtherSharing,
}

/// A dense layer with a weight that is not trainable besides, but for one thing.
#[derive(Debug)]
struct Faulty {
    dense: Dense,
    fault: Fault,
    asked: AtomicUsize,
}

impl Faulty {
    fn new(fault: Fault) -> Self {
        Self { dense: Dense::new(UNITS, Activation::Relu), fault, asked: AtomicUsize::new(0) }
    }

    fn dense(&self) -> &dyn Layer<f32> {
        &self.dense
    }
}

const KERNEL: usize = 0;
const BIAS: usize = 1;
const STATE: usize = 2;

impl Layer<f32> for Faulty {
    fn class_name(&self) -> &'static str {
        "Faulty"
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        Layer::<f32>::build(&mut self.dense, input_shape)
    }

    fn weights(&self) -> Vec<WeightSpec> {
        let mut weights = self.dense().weights();
        weights.push(WeightSpec::new("state", [UNITS], Initializer::Zeros).non_trainable());
        weights
    }

    fn parallelism(&self) -> Parallelism {
        if self.fault != Fault::OtherSharing {
            return self.dense().parallelism();
        }
        // At first what is right.
        let answers = [Parallelism::RowsOrOutputs, Parallelism::Channels, Parallelism::Rows];
        answers[self.asked.fetch_add(1, Ordering::Relaxed) % answers.len()]
    }

    fn saved(&self) -> usize {
        if self.fault == Fault::OtherSaved { self.asked.fetch_add(1000, Ordering::Relaxed) } else { 0 }
    }

    fn scratch(&self) -> usize {
        if self.fault == Fault::OtherScratch { self.asked.fetch_add(1 << 20, Ordering::Relaxed) } else { 0 }
    }

    fn forward(
        &self,
        context: &mut Context<'_, f32>,
        weights: Weights<'_, f32>,
        x: Input<'_, f32>,
        mut y: ArrayViewMut2<'_, f32>,
    ) {
        let rows = y.nrows();
        let has_last_row = context.first_row() + rows == context.batch_rows();
        match self.fault {
            Fault::PanicsForward if has_last_row => {
                y.slice_mut(s![..rows / 2, ..]).fill(1.0);
                panic!("half-way forward");
            }
            Fault::PanicsWithoutText if has_last_row => std::panic::panic_any(42),
            Fault::SavesMore => context.saved()[0] = 1.0,
            Fault::ScratchesMore => context.scratch()[0] = 1.0,
            Fault::LeavesOutputs if has_last_row => {
                y.slice_mut(s![..rows - 1, ..]).fill(1.0);
                return;
            }
            _ => {}
        }
        self.dense().forward(context, weights, x, y);
    }

    fn backward(
        &self,
        context: &mut Context<'_, f32>,
        weights: Weights<'_, f32>,
        x: Input<'_, f32>,
        y: ArrayView2<'_, f32>,
        mut d: ArrayViewMut2<'_, f32>,
        mut d_x: Option<ArrayViewMut2<'_, f32>>,
    ) {
        if self.fault == Fault::PanicsBackward && context.first_row() + y.nrows() == context.batch_rows() {
            d.fill(1.0);
            panic!("half-way backward");
        }
        if self.fault == Fault::LeavesInputGradients {
            d_x = None;
        }
        self.dense().backward(context, weights, x, y, d, d_x);
    }

    fn gradient(
        &self,
        x: Input<'_, f32>,
        d: ArrayView2<'_, f32>,
        saved: &[f32],
        sink: &mut GradientSink<'_, f32>,
    ) {
        let (kernel, bias) = (sink.range(KERNEL), sink.range(BIAS));
        let honest = |sink: &mut GradientSink<'_, f32>| {
            self.dense().gradient(x.reborrow(), d.view(), saved, sink);
        };
        match self.fault {
            Fault::IgnoresTheRange => {
                let all = x.to_real().t().dot(&d);
                sink.push(KERNEL, all.as_standard_layout().as_slice().unwrap());
                sink.push(BIAS, &vec![1.0; UNITS]);
            }
            Fault::PushesOneTooMany => sink.push(BIAS, &vec![1.0; bias.len() + 1]),
            Fault::PushesNothing => {}
            Fault::PushesForTheFirstThread if kernel.start == 0 => honest(sink),
            Fault::PushesForTheFirstThread => {}
            Fault::PushesInOneThread => {
                if std::thread::current().name() == Some("watched") {
                    honest(sink);
                }
            }
            Fault::PushesTwice => {
                honest(sink);
                sink.push_product(KERNEL, x, d);
            }
            Fault::ProductOfOtherSamples => sink.push_product(KERNEL, x, d.slice(s![1.., ..])),
            Fault::ProductOfFewerInputs => match x {
                Input::Real(x) => sink.push_product(KERNEL, Input::Real(x.slice(s![.., 1..])), d),
                Input::Pixels(x) => sink.push_product(KERNEL, Input::Pixels(x.slice(s![.., 1..])), d),
            },
            Fault::ProductOfFewerOutputs => sink.push_product(KERNEL, x, d.slice(s![.., 1..])),
            Fault::SumsOfFewerOutputs => {
                sink.push_product(KERNEL, x, d);
                sink.push_column_sums(BIAS, d.slice(s![.., 1..]));
            }
            Fault::UnknownWeight => sink.push(7, &[1.0]),
            Fault::PushesNonTrainable => sink.push(STATE, &[1.0]),
            Fault::AssignsTrainable => sink.non_trainable(KERNEL).fill(1.0),
            Fault::CatchesAPanic => {
                sink.push_product(KERNEL, x, d);
                let outcome = catch_unwind(AssertUnwindSafe(|| sink.skip(BIAS, |_| panic!("the inner one"))));
                assert!(outcome.is_err());
            }
            Fault::PanicsInGradient if kernel.start == 0 => {
                sink.push(KERNEL, &[1.0; 3]);
                panic!("half-way in the gradient");
            }
            _ => {
                honest(sink);
                sink.non_trainable(STATE).iter_mut().for_each(|state| *state += 1.0);
            }
        }
    }
}

/// How a step uses gradients.
#[derive(Clone, Copy, Debug)]
enum Way {
    Fused,
    Clipped,
    Accumulated,
    Returned,
}

const WAYS: [Way; 4] = [Way::Fused, Way::Clipped, Way::Accumulated, Way::Returned];

/// Trains on every sample, twice; the digest of the weights.
fn train<V: SampleValue<f32>, O: Optimizer<f32>>(
    model: &mut Model,
    x: &Array2<V>,
    optimizer: O,
    way: Way,
    team: &Team,
) -> String {
    let classes = classes(x.nrows(), CLASSES);
    let samples = WithLabels::new(x.view(), &classes);
    train_on(model, &samples, optimizer, way, team)
}

fn train_on<S: Samples<f32>, O: Optimizer<f32>>(
    model: &mut Model,
    samples: &S,
    optimizer: O,
    way: Way,
    team: &Team,
) -> String {
    let loss = SparseCategoricalCrossentropy::default();
    let mut training = Training::new(model, optimizer, BATCH).unwrap();
    training = match way {
        Way::Clipped => training.clip(Clip::GlobalNorm(0.1)),
        Way::Accumulated => training.accumulation(2),
        Way::Fused | Way::Returned => training,
    };
    let order: Vec<u32> = (0..SAMPLES as u32).chain(0..SAMPLES as u32).collect();
    match way {
        Way::Returned => {
            for batch in order.chunks(BATCH) {
                let gradients = training.gradients(model, &loss, samples, batch, team.into()).unwrap();
                training.apply(model, &gradients).unwrap();
            }
        }
        _ => {
            assert_eq!(training.run(model, &loss, samples, &order, team.into()).unwrap().len(), 4);
        }
    }
    model.weights_sha256()
}

/// A model whose first layer takes pixels and shares out its outputs, or one whose second layer takes numbers.
fn model(fault: Fault, input: InputType) -> Model {
    let stack = Sequential::new([FEATURES]);
    let stack = match input {
        InputType::Pixels => stack.add(Faulty::new(fault)).dense(16, Activation::Relu),
        InputType::Real => stack.dense(64, Activation::Relu).add(Faulty::new(fault)),
    };
    stack.dense(CLASSES, Activation::Softmax).build(3).unwrap()
}

fn train_faulty(fault: Fault, input: InputType, way: Way, team: &Team) -> String {
    let mut model = model(fault, input);
    match input {
        InputType::Pixels => train(&mut model, &pixels(SAMPLES, FEATURES, 1), Adam::default(), way, team),
        InputType::Real => train(&mut model, &numbers(SAMPLES, FEATURES, 1), Adam::default(), way, team),
    }
}

/// Runs a case in each way, on each number of threads and for each type of input. After it the team trains a good model to the
/// weights that one thread finds.
fn each_case(fault: Fault, inputs: &[InputType], check: impl Fn(usize, Result<String, String>, &str)) {
    for &input in inputs {
        for way in WAYS {
            let honest = train_faulty(Fault::Nothing, input, way, &Team::new(1).unwrap());
            for threads in THREADS {
                let team = Arc::new(Team::new(threads).unwrap());
                let case = format!("{fault:?}, {input:?}, {way:?}, {threads} threads");
                let lent = Arc::clone(&team);
                let outcome = watched(move || train_faulty(fault, input, way, &lent));
                check(threads, outcome, &format!("{case}: {honest}"));
                let lent = Arc::clone(&team);
                let after = watched(move || train_faulty(Fault::Nothing, input, way, &lent));
                assert_eq!(after.as_ref(), Ok(&honest), "{case}");
            }
        }
    }
}

const BOTH: [InputType; 2] = [InputType::Pixels, InputType::Real];

/// A fault that ends in a panic of the layer's, whose message has `part`.
#[track_caller]
fn refused(fault: Fault, inputs: &[InputType], from_threads: usize, part: &str) {
    each_case(fault, inputs, |threads, outcome, case| match outcome {
        Err(message) => {
            assert!(message.starts_with("layer faulty: ") && message.contains(part), "{case}: {message}");
        }
        Ok(_) => assert!(threads < from_threads, "{case}: nobody has noticed"),
    });
}

#[test]
fn a_gradient_of_all_elements_is_refused() {
    // One thread owns all that there is.
    refused(Fault::IgnoresTheRange, &BOTH, 2, "elements of the gradient of ");
}

#[test]
fn one_element_too_many_is_refused() {
    refused(Fault::PushesOneTooMany, &BOTH, 1, "elements of the gradient of bias");
}

#[test]
fn missing_elements_are_refused() {
    refused(Fault::PushesNothing, &BOTH, 1, "of the gradient of kernel are missing");
    // A thread that shares out outputs has them all to itself.
    refused(Fault::PushesForTheFirstThread, &[InputType::Real], 2, "are missing");
    refused(Fault::PushesInOneThread, &BOTH, 2, "are missing");
}

#[test]
fn elements_pushed_twice_are_refused() {
    refused(Fault::PushesTwice, &BOTH, 1, "elements of the gradient of kernel");
}

#[test]
fn products_and_sums_of_other_shapes_are_refused() {
    refused(Fault::ProductOfOtherSamples, &BOTH, 1, "samples of both operands");
    refused(Fault::ProductOfFewerInputs, &BOTH, 1, "gradient: ");
    refused(Fault::ProductOfFewerOutputs, &BOTH, 1, "gradient: ");
    refused(Fault::SumsOfFewerOutputs, &BOTH, 1, "columns for elements");
}

#[test]
fn weights_taken_for_others_are_refused() {
    refused(Fault::UnknownWeight, &BOTH, 1, "gradient: ");
    refused(Fault::PushesNonTrainable, &BOTH, 1, "a gradient of state, which is not trainable");
    refused(Fault::AssignsTrainable, &BOTH, 1, "kernel is trainable");
    refused(Fault::CatchesAPanic, &BOTH, 1, "weights whose gradient is accounted for");
}

#[test]
fn panics_name_the_layer() {
    refused(Fault::PanicsForward, &BOTH, 1, "forward: half-way forward");
    refused(Fault::PanicsBackward, &BOTH, 1, "backward: half-way backward");
    refused(Fault::PanicsInGradient, &BOTH, 1, "gradient: half-way in the gradient");
    refused(Fault::PanicsWithoutText, &BOTH, 1, "forward: its message is no text");
}

#[test]
fn numbers_that_are_not_written_are_refused() {
    refused(Fault::LeavesOutputs, &BOTH, 1, "numbers were not written");
    // Below the first layer no gradients are needed.
    refused(Fault::LeavesInputGradients, &[InputType::Real], 1, "numbers were not written");
}

#[test]
fn memory_that_was_not_asked_for_is_refused() {
    refused(Fault::SavesMore, &BOTH, 1, "forward: ");
    refused(Fault::ScratchesMore, &BOTH, 1, "forward: ");
}

/// What a layer says of its needs is asked once, so that later answers are none.
#[test]
fn answers_that_change_change_nothing() {
    for fault in [Fault::OtherSaved, Fault::OtherScratch, Fault::OtherSharing] {
        each_case(fault, &BOTH, |_, outcome, case| {
            let digest = outcome.unwrap_or_else(|message| panic!("{case}: {message}"));
            assert!(case.ends_with(&digest), "{case}: {digest}");
        });
    }
}

/// A layer that shares out channels, of shapes that do not allow it.
#[derive(Debug)]
struct Channels {
    output_shape: Vec<usize>,
    weight_shape: Vec<usize>,
    sharing: Parallelism,
}

impl Layer<f32> for Channels {
    fn class_name(&self) -> &'static str {
        "Channels"
    }
    fn build(&mut self, _: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok(self.output_shape.clone())
    }
    fn weights(&self) -> Vec<WeightSpec> {
        vec![WeightSpec::new("factor", self.weight_shape.clone(), Initializer::Ones)]
    }
    fn parallelism(&self) -> Parallelism {
        self.parallelism
    }
    fn forward(
        &self,
        _: &mut Context<'_, f32>,
        _: Weights<'_, f32>,
        _: Input<'_, f32>,
        _: ArrayViewMut2<'_, f32>,
    ) {
    }
    fn backward(
        &self,
        _: &mut Context<'_, f32>,
        _: Weights<'_, f32>,
        _: Input<'_, f32>,
        _: ArrayView2<'_, f32>,
        _: ArrayViewMut2<'_, f32>,
        _: Option<ArrayViewMut2<'_, f32>>,
    ) {
    }
}

#[test]
fn shapes_that_cannot_be_shared_out_are_no_model() {
    use Parallelism::{Channels as ByChannels, Rows, RowsOrOutputs};
    for (sharing, output_shape, weight_shape, part) in [
        (ByChannels, vec![4, 3], vec![3], "shares out channels, but makes [4, 3] of [3, 4]"),
        (ByChannels, vec![12], vec![12], "expected one shape"),
        (ByChannels, vec![3, 4], vec![3], "factor has shape [3], expected [4]"),
        (ByChannels, vec![3, 4], vec![4, 1], "factor has shape [4, 1], expected [4]"),
        (ByChannels, vec![3, 4], vec![], "factor has shape [], expected [4]"),
        (ByChannels, vec![], vec![], "expected one shape"),
        (RowsOrOutputs, vec![5], vec![12, 4], "factor has shape [12, 4], expected 5 last"),
        (RowsOrOutputs, vec![5], vec![], "expected 5 last"),
        (Rows, vec![3, 0], vec![], "its output of shape [3, 0] is empty"),
        (Rows, vec![usize::MAX, 2], vec![], "is too large"),
    ] {
        let layer = Channels { output_shape, weight_shape, sharing };
        let stack = Sequential::new([3, 4]).add(layer).dense(1, Activation::Linear);
        let message = stack.build(0).map(|model| model.summary()).unwrap_err().to_string();
        assert!(message.starts_with("layer channels: ") && message.contains(part), "{message}");
    }
}

/// A layer that shares out channels and writes nothing, or panics in one of them, or gets more than its own.
#[derive(Debug, Default)]
struct Column {
    channels: usize,
    panics: bool,
    pushes: usize,
}

impl Layer<f32> for Column {
    fn class_name(&self) -> &'static str {
        "Column"
    }
    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.channels = *input_shape.last().unwrap();
        Ok(input_shape.to_vec())
    }
    fn weights(&self) -> Vec<WeightSpec> {
        vec![WeightSpec::new("shift", [self.channels], Initializer::Zeros)]
    }
    fn parallelism(&self) -> Parallelism {
        Parallelism::Channels
    }
    fn saved(&self) -> usize {
        2
    }
    fn forward(
        &self,
        context: &mut Context<'_, f32>,
        weights: Weights<'_, f32>,
        x: Input<'_, f32>,
        mut y: ArrayViewMut2<'_, f32>,
    ) {
        let channels = y.ncols();
        assert_eq!(weights.slice(0).len(), channels, "weights of the call's channels");
        assert_eq!((x.dim(), context.saved().len()), (y.dim(), 2 * channels), "input and saved numbers");
        context.saved().fill(channels as f32);
        y.assign(&x.to_real());
        y += &weights.vector(0);
    }
    fn backward(
        &self,
        context: &mut Context<'_, f32>,
        _: Weights<'_, f32>,
        _: Input<'_, f32>,
        y: ArrayView2<'_, f32>,
        d: ArrayViewMut2<'_, f32>,
        d_x: Option<ArrayViewMut2<'_, f32>>,
    ) {
        assert_eq!(context.saved(), vec![y.ncols() as f32; 2 * y.ncols()], "what forward has saved");
        assert!(!self.panics || y.ncols() == 0, "a channel that cannot be had");
        if let Some(mut d_x) = d_x {
            d_x.assign(&d);
        }
    }
    fn gradient(
        &self,
        _: Input<'_, f32>,
        d: ArrayView2<'_, f32>,
        saved: &[f32],
        sink: &mut GradientSink<'_, f32>,
    ) {
        let owned = sink.range(0);
        assert_eq!((d.ncols(), saved.len()), (owned.len(), 2 * owned.len()), "of the owned channels");
        let mut sums = d.sum_axis(ndarray::Axis(0)).to_vec();
        sums.resize(sums.len() + self.pushes, 0.0);
        sink.push(0, &sums);
    }
}

#[test]
fn channels_that_are_not_the_thread_s_are_refused() {
    let run = |panics, pushes, team: &Team| {
        let stack = Sequential::new([FEATURES]).dense(UNITS, Activation::Relu);
        let stack = stack.add(Column { panics, pushes, ..Column::default() });
        let mut model = stack.dense(CLASSES, Activation::Softmax).build(5).unwrap();
        train(&mut model, &pixels(SAMPLES, FEATURES, 2), Adam::default(), Way::Fused, team)
    };
    let honest = run(false, 0, &Team::new(1).unwrap());
    for threads in THREADS {
        let team = Arc::new(Team::new(threads).unwrap());
        for (panics, pushes, part) in [
            (true, 0, "backward: a channel that cannot be had"),
            (false, 1, "gradient: "),
            (false, UNITS, "gradient: "),
        ] {
            let lent = Arc::clone(&team);
            let message = watched(move || run(panics, pushes, &lent)).unwrap_err();
            assert!(message.starts_with("layer column: ") && message.contains(part), "{threads}: {message}");
        }
        let lent = Arc::clone(&team);
        assert_eq!(watched(move || run(false, 0, &lent)).as_ref(), Ok(&honest), "{threads} threads");
    }
}

/// Adam, with other slots than those that it has, from the second time on that it is asked.
#[derive(Clone, Debug)]
struct FaultyOptimizer {
    first: &'static [&'static str],
    later: &'static [&'static str],
    asked: Arc<AtomicUsize>,
    is_adam: bool,
}

const SLOTS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Adam's step, and whether it says that it is that.
#[derive(Clone, Copy, Debug)]
struct FaultyStep(update::Adam<f32>, bool);

impl Optimizer<f32> for FaultyOptimizer {
    type Step = FaultyStep;

    fn name(&self) -> &'static str {
        "faulty"
    }
    fn state_names(&self) -> &'static [&'static str] {
        if self.asked.fetch_add(1, Ordering::Relaxed) == 0 { self.first } else { self.later }
    }
    fn validate(&self) -> Result<(), SettingError> {
        Ok(())
    }
    fn learning_rate(&self) -> f64 {
        0.01
    }
    fn step(&self, iteration: u64, learning_rate: f64) -> FaultyStep {
        FaultyStep(Optimizer::<f32>::step(&Adam::default(), iteration, learning_rate), self.is_adam)
    }
    /// Writes all that it can reach.
    fn update(_: &FaultyStep, w: &mut [f32], slots: &mut [&mut [f32]], g: &[f32]) {
        assert!(slots.iter().all(|slot| slot.len() == w.len()) && g.len() == w.len());
        slots.iter_mut().for_each(|slot| slot.fill(1.0));
        w.iter_mut().zip(g).for_each(|(w, g)| *w -= 0.01 * g);
    }
    fn as_adam(step: &FaultyStep) -> Option<update::Adam<f32>> {
        step.1.then_some(step.0)
    }
}

#[test]
fn faulty_optimizers_reach_nothing_else() {
    let honest = train_faulty(Fault::Nothing, InputType::Pixels, Way::Fused, &Team::new(1).unwrap());
    for (first, later) in
        [(2, 2), (2, 0), (2, 1), (2, 3), (1, 2), (0, 2), (4, 4), (4, 5), (3, 6), (0, 0), (1, 1), (5, 5)]
    {
        for is_adam in [false, true] {
            let mut digests = Vec::new();
            for threads in THREADS {
                let team = Arc::new(Team::new(threads).unwrap());
                for way in WAYS {
                    let asked = Arc::new(AtomicUsize::new(0));
                    let (first, later) = (&SLOTS[..first], &SLOTS[..later]);
                    let optimizer = FaultyOptimizer { first, later, asked, is_adam };
                    let lent = Arc::clone(&team);
                    let outcome = watched(move || {
                        let mut model = model(Fault::Nothing, InputType::Pixels);
                        train(&mut model, &pixels(SAMPLES, FEATURES, 1), optimizer, way, &lent)
                    });
                    // More state than there is is refused. An Adam of other slots is none.
                    if first.len() > 4 || later.len() > first.len() {
                        assert!(outcome.is_err(), "{first:?}, then {later:?}, {threads} threads, {way:?}");
                    } else if !(is_adam && first.len() == 2) {
                        digests.push((format!("{way:?}"), outcome.unwrap()));
                    }
                }
                let lent = Arc::clone(&team);
                let after =
                    watched(move || train_faulty(Fault::Nothing, InputType::Pixels, Way::Fused, &lent));
                assert_eq!(after.as_ref(), Ok(&honest));
            }
            digests.sort();
            digests.dedup();
            assert!(digests.len() <= WAYS.len(), "the same bits on any number of threads: {digests:?}");
        }
    }
}

/// A number that becomes an input of another shape.
#[derive(Clone, Copy, Debug, Default)]
struct Odd<const KIND: usize>(#[allow(dead_code, reason = "no layer gets to see it")] f32);

static ZEROS: [f32; 1 << 14] = [0.0; 1 << 14];
static BYTES: [u8; 1 << 14] = [0; 1 << 14];

impl<const KIND: usize> SampleValue<f32> for Odd<KIND> {
    fn input(rows: ArrayView2<'_, Self>) -> Input<'_, f32> {
        let (samples, features) = rows.dim();
        let real = |rows: usize, columns: usize| {
            Input::Real(ArrayView2::from_shape((rows, columns), &ZEROS[..rows * columns]).unwrap())
        };
        match KIND {
            0 => real(samples + 1, features),
            1 => real(samples.saturating_sub(1), features),
            2 => real(samples, features - 1),
            3 => real(samples, features + 1),
            4 => real(features, samples),
            5 => real(0, 0),
            6 => Input::Pixels(
                ArrayView2::from_shape((samples, features + 1), &BYTES[..samples * (features + 1)]).unwrap(),
            ),
            // Of the right shape, but not in order.
            _ => Input::Real(
                ArrayView2::from_shape((samples, features).f(), &ZEROS[..samples * features]).unwrap(),
            ),
        }
    }
}

struct OddSamples<const KIND: usize>;

impl<const KIND: usize> Samples<f32> for OddSamples<KIND> {
    type Value = Odd<KIND>;
    fn len(&self) -> usize {
        SAMPLES
    }
    fn features(&self) -> usize {
        FEATURES
    }
    fn fill(&self, _: usize, _: Option<EpochSeed>, out: &mut [Odd<KIND>]) {
        out.fill(Odd(1.0));
    }
    fn target(&self, index: usize) -> Target<'_, f32> {
        Target::Class(index % CLASSES)
    }
}

/// The message of a training on samples of a kind, whose first layer is what `number` says.
fn odd<const KIND: usize>(number: usize, way: Way, team: &Team) -> String {
    let stack = Sequential::new([FEATURES]);
    let stack = match number {
        0 => stack.dense(UNITS, Activation::Relu),
        1 => stack.add(BatchNormalization::default()),
        2 => stack.add(Dropout::new(0.5)),
        _ => stack.add(Rescaling::new(0.5, 1.0)),
    };
    let mut model = stack.dense(CLASSES, Activation::Softmax).build(0).unwrap();
    train_on(&mut model, &OddSamples::<KIND>, Adam::default(), way, team)
}

#[test]
fn features_of_another_shape_are_refused() {
    type Case = fn(usize, Way, &Team) -> String;
    const CASES: [Case; 7] = [odd::<0>, odd::<1>, odd::<2>, odd::<3>, odd::<4>, odd::<5>, odd::<6>];
    const NAMES: [&str; 4] = ["dense", "batch_normalization", "dropout", "rescaling"];
    for threads in THREADS {
        let team = Arc::new(Team::new(threads).unwrap());
        for (number, name) in NAMES.iter().enumerate() {
            for (kind, case) in CASES.into_iter().enumerate() {
                for way in [Way::Fused, Way::Returned] {
                    let lent = Arc::clone(&team);
                    let message = watched(move || case(number, way, &lent)).unwrap_err();
                    let starts = format!("layer {name}: forward: ");
                    assert!(message.starts_with(&starts), "kind {kind}, {threads} threads: {message}");
                }
            }
            // What is not in order is refused by name or computed.
            let lent = Arc::clone(&team);
            if let Err(message) = watched(move || odd::<7>(number, Way::Fused, &lent)) {
                assert!(message.starts_with(&format!("layer {name}: ")), "{message}");
            }
        }
        let lent = Arc::clone(&team);
        let honest = train_faulty(Fault::Nothing, InputType::Real, Way::Fused, &Team::new(1).unwrap());
        let after = watched(move || train_faulty(Fault::Nothing, InputType::Real, Way::Fused, &lent));
        assert_eq!(after, Ok(honest));
    }
}

/// Samples that panic for one index, or say otherwise each time how long they are.
struct Inconsistent<'a> {
    x: &'a Array2<u8>,
    asked: AtomicUsize,
    panics_at: Option<usize>,
    other_features: usize,
}

impl Samples<f32> for Inconsistent<'_> {
    type Value = u8;
    fn len(&self) -> usize {
        self.x.nrows()
    }
    fn features(&self) -> usize {
        if self.asked.fetch_add(1, Ordering::Relaxed) == 0 { FEATURES } else { self.other_features }
    }
    fn fill(&self, index: usize, _: Option<EpochSeed>, out: &mut [u8]) {
        assert!(self.panics_at != Some(index), "sample {index} is gone");
        out.copy_from_slice(&self.x.row(index).to_slice().unwrap()[..out.len()]);
    }
    fn target(&self, index: usize) -> Target<'_, f32> {
        Target::Class(index % CLASSES)
    }
}

#[test]
fn samples_that_panic_or_change_hang_nothing() {
    for threads in THREADS {
        let team = Arc::new(Team::new(threads).unwrap());
        for panics_at in [0, BATCH - 1, BATCH, SAMPLES - 1] {
            let lent = Arc::clone(&team);
            let message = watched(move || {
                let x = pixels(SAMPLES, FEATURES, 1);
                let (asked, panics_at) = (AtomicUsize::new(0), Some(panics_at));
                let samples = Inconsistent { x: &x, asked, panics_at, other_features: FEATURES };
                let mut model = model(Fault::Nothing, InputType::Pixels);
                train_on(&mut model, &samples, Adam::default(), Way::Fused, &lent)
            });
            assert_eq!(message, Err(format!("sample {panics_at} is gone")), "{threads} threads");
        }
        for other_features in [0, 1, FEATURES - 1] {
            let lent = Arc::clone(&team);
            let outcome = watched(move || {
                let x = pixels(SAMPLES, FEATURES, 1);
                let samples =
                    Inconsistent { x: &x, asked: AtomicUsize::new(0), panics_at: None, other_features };
                let mut model = model(Fault::Nothing, InputType::Pixels);
                train_on(&mut model, &samples, Adam::default(), Way::Fused, &lent)
            });
            assert!(outcome.is_err(), "{other_features} features, {threads} threads");
        }
        let lent = Arc::clone(&team);
        let honest = train_faulty(Fault::Nothing, InputType::Pixels, Way::Fused, &Team::new(1).unwrap());
        let after = watched(move || train_faulty(Fault::Nothing, InputType::Pixels, Way::Fused, &lent));
        assert_eq!(after, Ok(honest));
    }
}

#[test]
fn no_batches_make_no_step() {
    for threads in THREADS {
        let outcome = watched(move || {
            let mut model = model(Fault::Nothing, InputType::Pixels);
            let before = model.weights_sha256();
            let (x, classes) = (pixels(SAMPLES, FEATURES, 1), classes(SAMPLES, CLASSES));
            let samples = WithLabels::new(x.view(), &classes);
            let mut training = Training::new(&model, Adam::default(), BATCH).unwrap();
            let (team, loss) = (Team::new(threads).unwrap(), SparseCategoricalCrossentropy::default());
            for _ in 0..100 {
                let results = training.run(&mut model, &loss, &samples, &[], (&team).into()).unwrap();
                assert!(results.is_empty());
            }
            assert_eq!((training.iteration(), training.batches()), (0, 0));
            assert_eq!(model.weights_sha256(), before);
        });
        assert_eq!(outcome, Ok(()), "{threads} threads");
    }
}

#[test]
fn another_model_is_an_error_and_changes_nothing() {
    let (x, classes) = (numbers(SAMPLES, FEATURES, 1), classes(SAMPLES, CLASSES));
    let samples = WithLabels::new(x.view(), &classes);
    let loss = SparseCategoricalCrossentropy::default();
    let stack = |units, seed| {
        let stack = Sequential::new([FEATURES]).dense(units, Activation::Relu);
        stack.dense(CLASSES, Activation::Softmax).build(seed).unwrap()
    };
    let order: Vec<u32> = (0..SAMPLES as u32).collect();
    for threads in THREADS {
        let team = Team::new(threads).unwrap();
        let mut ours = stack(UNITS, 1);
        // As many layers and weights, of the same names.
        let mut other = stack(UNITS + 1, 1);
        let before = other.weights_sha256();
        let mut training = Training::new(&ours, Adam::default(), BATCH).unwrap().ema(0.9).unwrap();
        let is_refused = |outcome: Result<(), StepError>| {
            assert_eq!(outcome, Err(StepError::Fit(FitError::OtherModel)), "{threads} threads");
        };
        is_refused(training.run(&mut other, &loss, &samples, &order, (&team).into()).map(|_| ()));
        is_refused(training.gradients(&mut other, &loss, &samples, &order[..5], (&team).into()).map(|_| ()));
        assert_eq!((training.iteration(), training.batches()), (0, 0));

        training.run(&mut ours, &loss, &samples, &order, (&team).into()).unwrap();
        let trained = ours.weights_sha256();
        is_refused(training.run(&mut other, &loss, &samples, &order, (&team).into()).map(|_| ()));
        is_refused(training.swap_average(&mut other).map_err(StepError::Fit));
        let of_ours = training.gradients(&mut ours, &loss, &samples, &order[..5], (&team).into()).unwrap();
        is_refused(training.apply(&mut other, &of_ours).map_err(StepError::Fit));
        let mut of_other = Training::new(&other, Adam::default(), BATCH).unwrap();
        let others: Gradients<f32> =
            of_other.gradients(&mut other, &loss, &samples, &order[..5], (&team).into()).unwrap();
        is_refused(training.apply(&mut ours, &others).map_err(StepError::Fit));
        assert_eq!(other.weights_sha256(), before);
        assert_eq!(ours.weights_sha256(), trained);
        assert_eq!(training.iteration(), 2);

        // A model with the same weights is as good as the first.
        let mut twin = stack(UNITS, 2);
        training.run(&mut twin, &loss, &samples, &order, (&team).into()).unwrap();
    }
}

#[test]
fn targets_that_do_not_fit_are_errors() {
    let x = numbers(SAMPLES, FEATURES, 1);
    let loss = SparseCategoricalCrossentropy::default();
    let order: Vec<u32> = (0..SAMPLES as u32).collect();
    for threads in THREADS {
        let team = Team::new(threads).unwrap();
        let budget = StepBudget::from(&team);
        for wrong in [0, 5, SAMPLES - 1] {
            let mut model = model(Fault::Nothing, InputType::Real);
            let before = model.weights_sha256();
            let mut classes = classes(SAMPLES, CLASSES);
            classes[wrong] = CLASSES;
            let samples = WithLabels::new(x.view(), &classes);
            let mut training = Training::new(&model, Adam::default(), SAMPLES).unwrap();
            let expected = FitError::Class { sample: wrong, class: CLASSES, classes: CLASSES };
            let error = training.run(&mut model, &loss, &samples, &order, budget).unwrap_err();
            assert_eq!(error, StepError::Fit(expected.clone()), "{threads} threads");
            let error = training.gradients(&mut model, &loss, &samples, &order, budget).unwrap_err();
            assert_eq!(error, StepError::Fit(expected.clone()));
            assert_eq!(model.evaluate_with(&loss, &samples), Err(expected));
            assert_eq!((model.weights_sha256(), training.iteration()), (before, 0));
        }
        for width in [1, CLASSES - 1, CLASSES + 1] {
            let mut model = model(Fault::Nothing, InputType::Real);
            let before = model.weights_sha256();
            let t = numbers(SAMPLES, width, 9);
            let samples = WithTargets::new(x.view(), t.view());
            let mut training = Training::new(&model, Adam::default(), BATCH).unwrap();
            let error = training.run(&mut model, &MeanSquaredError, &samples, &order, budget).unwrap_err();
            let is_expected = |error: &FitError| matches!(error, FitError::Targets { found, outputs, .. } if (*found, *outputs) == (width, CLASSES));
            assert!(matches!(&error, StepError::Fit(error) if is_expected(error)), "{error}");
            assert!(is_expected(&model.evaluate_with(&MeanSquaredError, &samples).unwrap_err()));
            assert_eq!(model.weights_sha256(), before);
        }
    }
}

/// All weights frozen, so that nothing but the result comes of a step.
#[test]
fn targets_that_do_not_fit_a_frozen_model_are_errors() {
    let x = numbers(SAMPLES, FEATURES, 1);
    let mut classes = classes(SAMPLES, CLASSES);
    classes[3] = 99;
    let samples = WithLabels::new(x.view(), &classes);
    let loss = SparseCategoricalCrossentropy::default();
    for threads in THREADS {
        let team = Team::new(threads).unwrap();
        let mut model = Sequential::new([FEATURES]).dense(CLASSES, Activation::Softmax).build(0).unwrap();
        model.set_trainable("dense", false).unwrap();
        let mut training = Training::new(&model, Adam::default(), BATCH).unwrap();
        let expected = FitError::Class { sample: 3, class: 99, classes: CLASSES };
        let order: Vec<u32> = (0..SAMPLES as u32).collect();
        let error = training.run(&mut model, &loss, &samples, &order, (&team).into()).unwrap_err();
        assert_eq!(error, StepError::Fit(expected.clone()));
        let error = training.gradients(&mut model, &loss, &samples, &order[..9], (&team).into()).unwrap_err();
        assert_eq!(error, StepError::Fit(expected));
        // A loss that is no number is an error for gradients, too.
        let nan = Array2::from_elem((4, FEATURES), f32::NAN);
        let samples = WithLabels::new(nan.view(), &[0, 1, 2, 3]);
        let outcome = training.gradients(&mut model, &loss, &samples, &[0, 1], (&team).into());
        assert!(matches!(outcome, Err(StepError::NotFinite(_))), "{threads} threads");
    }
}

#[test]
fn no_samples_cannot_be_evaluated() {
    let model = model(Fault::Nothing, InputType::Real);
    let nothing = Array2::<f32>::zeros((0, FEATURES));
    let samples = WithLabels::new(nothing.view(), &[0_usize; 0]);
    let loss = SparseCategoricalCrossentropy::default();
    assert_eq!(model.evaluate_with(&loss, &samples), Err(FitError::NoSamples));
    assert_eq!(model.predict(nothing.view()).dim(), (0, CLASSES));
}

#[test]
fn two_trainings_share_a_team() {
    let team = Arc::new(Team::new(4).unwrap());
    let expected: Vec<String> = WAYS
        .into_iter()
        .map(|way| train_faulty(Fault::Nothing, InputType::Pixels, way, &Team::new(1).unwrap()))
        .collect();
    let outcome = watched(move || {
        std::thread::scope(|scope| {
            let handles: Vec<_> = (0..4)
                .map(|number: usize| {
                    let (team, expected) = (&team, &expected);
                    scope.spawn(move || {
                        for turn in 0..6 {
                            let number = (number + turn) % WAYS.len();
                            let digest = train_faulty(Fault::Nothing, InputType::Pixels, WAYS[number], team);
                            assert_eq!(digest, expected[number]);
                        }
                    })
                })
                .collect();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
        });
    });
    assert_eq!(outcome, Ok(()));
}

/// A layer that says it computes nothing, in one mode, though it makes another shape.
#[test]
fn identities_of_another_shape_are_no_danger() {
    #[derive(Debug)]
    struct Void(Mode);
    impl Layer<f32> for Void {
        fn class_name(&self) -> &'static str {
            "Void"
        }
        fn build(&mut self, _: &[usize]) -> Result<Vec<usize>, LayerError> {
            Ok(vec![7])
        }
        fn is_identity(&self, mode: Mode, _: InputType) -> bool {
            mode == self.0
        }
        fn forward(
            &self,
            _: &mut Context<'_, f32>,
            _: Weights<'_, f32>,
            _: Input<'_, f32>,
            mut y: ArrayViewMut2<'_, f32>,
        ) {
            y.fill(1.0);
        }
        fn backward(
            &self,
            _: &mut Context<'_, f32>,
            _: Weights<'_, f32>,
            _: Input<'_, f32>,
            _: ArrayView2<'_, f32>,
            _: ArrayViewMut2<'_, f32>,
            d_x: Option<ArrayViewMut2<'_, f32>>,
        ) {
            if let Some(mut d_x) = d_x {
                d_x.fill(0.0);
            }
        }
    }
    for threads in THREADS {
        let team = Arc::new(Team::new(threads).unwrap());
        let lent = Arc::clone(&team);
        let message = watched(move || {
            let stack = Sequential::new([FEATURES]).dense(UNITS, Activation::Relu).add(Void(Mode::Training));
            let mut model = stack.dense(CLASSES, Activation::Softmax).build(0).unwrap();
            train(&mut model, &numbers(SAMPLES, FEATURES, 1), Adam::default(), Way::Fused, &lent)
        });
        // The next layer gets what it does not expect.
        assert!(message.unwrap_err().starts_with("layer dense_1: forward: "), "{threads} threads");
        let lent = Arc::clone(&team);
        let honest = train_faulty(Fault::Nothing, InputType::Real, Way::Fused, &Team::new(1).unwrap());
        let after = watched(move || train_faulty(Fault::Nothing, InputType::Real, Way::Fused, &lent));
        assert_eq!(after, Ok(honest));
    }
}
