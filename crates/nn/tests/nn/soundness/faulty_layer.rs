//! A dense layer with one fault.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{ArrayView2, ArrayViewMut2, s};
use ziffer_nn::layer::Parallelism;
use ziffer_nn::{
    Activation, Context, Dense, GradientSink, Initializer, Input, Layer, LayerError, WeightSpec, Weights,
};

/// The layer's units: enough for each of eight threads to own a cache line of the bias.
pub(crate) const UNITS: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    Nothing,
    /// Pushes the gradient of all elements, also of those that other threads own.
    IgnoresTheRange,
    PushesOneTooMany,
    PushesNothing,
    /// Pushes only if the range begins at 0.
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
    /// Passes on the sink of the weights after the first, and catches the panic of the callee.
    CatchesAPanic,
    PanicsForward,
    PanicsBackward,
    PanicsInGradient,
    /// Panics with a payload that is not a string.
    PanicsWithoutText,
    LeavesOutputs,
    LeavesInputGradients,
    /// Uses more memory than it requested.
    SavesMore,
    ScratchesMore,
    /// Returns another value on each call.
    OtherSaved,
    OtherScratch,
    OtherSharing,
}

/// A dense layer with an additional non-trainable weight and one fault.
#[derive(Debug)]
pub(crate) struct Faulty {
    dense: Dense,
    fault: Fault,
    calls: AtomicUsize,
}

impl Faulty {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { dense: Dense::new(UNITS, Activation::Relu), fault, calls: AtomicUsize::new(0) }
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
        // The first call returns the right value.
        let results = [Parallelism::RowsOrOutputs, Parallelism::Channels, Parallelism::Rows];
        results[self.calls.fetch_add(1, Ordering::Relaxed) % results.len()]
    }

    fn saved(&self) -> usize {
        if self.fault == Fault::OtherSaved { self.calls.fetch_add(1000, Ordering::Relaxed) } else { 0 }
    }

    fn scratch(&self) -> usize {
        if self.fault == Fault::OtherScratch { self.calls.fetch_add(1 << 20, Ordering::Relaxed) } else { 0 }
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
                panic!("half-gradient_use forward");
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
            panic!("half-gradient_use backward");
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
        let expected = |sink: &mut GradientSink<'_, f32>| {
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
            Fault::PushesForTheFirstThread if kernel.start == 0 => expected(sink),
            Fault::PushesForTheFirstThread => {}
            Fault::PushesInOneThread => {
                if std::thread::current().name() == Some("watched") {
                    expected(sink);
                }
            }
            Fault::PushesTwice => {
                expected(sink);
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
                panic!("half-gradient_use in the gradient");
            }
            _ => {
                expected(sink);
                sink.non_trainable(STATE).iter_mut().for_each(|state| *state += 1.0);
            }
        }
    }
}
