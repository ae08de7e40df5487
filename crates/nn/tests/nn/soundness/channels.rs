//! Layers that are parallel over channels or outputs, with wrong shapes or elements of other threads.

use std::sync::Arc;

use ndarray::{ArrayView2, ArrayViewMut2};
use ziffer_nn::layer::Parallelism;
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::{
    Activation, Adam, Context, GradientSink, Initializer, Input, Layer, LayerError, Sequential, WeightSpec,
    Weights,
};

use super::faulty_layer::UNITS;
use super::harness::{CLASSES, FEATURES, GradientUse, SAMPLES, THREADS, train};
use crate::common::{pixels, watched};

/// A layer with a parallelism that its shapes do not allow.
#[derive(Debug)]
struct Channels {
    output_shape: Vec<usize>,
    weight_shape: Vec<usize>,
    parallelism: Parallelism,
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
fn shapes_that_do_not_fit_the_parallelism_are_rejected() {
    use Parallelism::{Channels as ByChannels, Rows, RowsOrOutputs};
    for (parallelism, output_shape, weight_shape, part) in [
        (
            ByChannels,
            vec![4, 3],
            vec![3],
            "is parallel over channels, but its input has shape [3, 4] and its output [4, 3]",
        ),
        (ByChannels, vec![12], vec![12], "expected the same"),
        (ByChannels, vec![3, 4], vec![3], "factor has shape [3], expected [4]"),
        (ByChannels, vec![3, 4], vec![4, 1], "factor has shape [4, 1], expected [4]"),
        (ByChannels, vec![3, 4], vec![], "factor has shape [], expected [4]"),
        (ByChannels, vec![], vec![], "expected the same"),
        (RowsOrOutputs, vec![5], vec![12, 4], "factor has shape [12, 4], expected 5 last"),
        (RowsOrOutputs, vec![5], vec![], "expected 5 last"),
        (Rows, vec![3, 0], vec![], "its output of shape [3, 0] is empty"),
        (Rows, vec![usize::MAX, 2], vec![], "is too large"),
    ] {
        let layer = Channels { output_shape, weight_shape, parallelism };
        let stack = Sequential::new([3, 4]).add(layer).dense(1, Activation::Linear);
        let message = stack.build(0).map(|model| model.summary()).unwrap_err().to_string();
        assert!(message.starts_with("layer channels: ") && message.contains(part), "{message}");
    }
}

/// A layer that is parallel over channels, and panics or pushes elements of other channels.
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
        assert_eq!(context.saved(), vec![y.ncols() as f32; 2 * y.ncols()], "the numbers saved in forward");
        assert!(!self.panics || y.ncols() == 0, "a faulty channel");
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
fn channels_of_other_threads_are_rejected() {
    let run = |panics, pushes, team: &ThreadTeam| {
        let stack = Sequential::new([FEATURES]).dense(UNITS, Activation::Relu);
        let stack = stack.add(Column { panics, pushes, ..Column::default() });
        let mut model = stack.dense(CLASSES, Activation::Softmax).build(5).unwrap();
        train(&mut model, &pixels(SAMPLES, FEATURES, 2), Adam::default(), GradientUse::Fused, team)
    };
    let expected = run(false, 0, &ThreadTeam::new(1).unwrap());
    for threads in THREADS {
        let team = Arc::new(ThreadTeam::new(threads).unwrap());
        for (panics, pushes, part) in
            [(true, 0, "backward: a faulty channel"), (false, 1, "gradient: "), (false, UNITS, "gradient: ")]
        {
            let shared = Arc::clone(&team);
            let message = watched(move || run(panics, pushes, &shared)).unwrap_err();
            assert!(message.starts_with("layer column: ") && message.contains(part), "{threads}: {message}");
        }
        let shared = Arc::clone(&team);
        assert_eq!(watched(move || run(false, 0, &shared)).as_ref(), Ok(&expected), "{threads} threads");
    }
}
