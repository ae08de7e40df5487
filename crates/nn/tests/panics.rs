//! The panic messages of threads that wait for a thread whose layer has panicked. The test is a separate program, since the panic
//! hook belongs to the whole process.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

#[path = "nn/common.rs"]
mod common;

use std::sync::Mutex;

use common::{classes, pixels, watched};
use ndarray::{ArrayView2, ArrayViewMut2};
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::{
    Activation, Adam, Context, Input, Layer, LayerError, Sequential, SparseCategoricalCrossentropy, Training,
    Weights, WithLabels,
};

/// An identity that panics for the first row.
#[derive(Debug)]
struct Fragile;

impl Layer<f32> for Fragile {
    fn class_name(&self) -> &'static str {
        "Fragile"
    }
    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok(input_shape.to_vec())
    }
    fn forward(
        &self,
        context: &mut Context<'_, f32>,
        _: Weights<'_, f32>,
        x: Input<'_, f32>,
        mut y: ArrayViewMut2<'_, f32>,
    ) {
        assert!(context.first_row() > 0, "no first row");
        y.assign(&x.to_real());
    }
    fn backward(
        &self,
        _: &mut Context<'_, f32>,
        _: Weights<'_, f32>,
        _: Input<'_, f32>,
        _: ArrayView2<'_, f32>,
        d: ArrayViewMut2<'_, f32>,
        d_x: Option<ArrayViewMut2<'_, f32>>,
    ) {
        if let Some(mut d_x) = d_x {
            d_x.assign(&d);
        }
    }
}

#[test]
fn the_panics_of_all_threads_contain_the_name_of_the_layer() {
    static MESSAGES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    std::panic::set_hook(Box::new(|info| {
        MESSAGES.lock().unwrap().push(info.payload_as_str().unwrap_or("no text").to_owned());
    }));
    for threads in [2, 3, 8] {
        MESSAGES.lock().unwrap().clear();
        let message = watched(move || {
            let (x, classes) = (pixels(24, 20, 1), classes(24, 3));
            let samples = WithLabels::new(x.view(), &classes);
            let stack = Sequential::new([20]).dense(130, Activation::Relu).add(Fragile);
            let mut model = stack.dense(3, Activation::Softmax).build(0).unwrap();
            let mut training = Training::new(&model, Adam::default(), 24).unwrap();
            let order: Vec<u32> = (0..24).collect();
            let (team, loss) = (ThreadTeam::new(threads).unwrap(), SparseCategoricalCrossentropy::default());
            training.run(&mut model, &loss, &samples, &order, (&team).into()).unwrap();
        });
        assert_eq!(message, Err("layer fragile: forward: no first row".to_owned()));
        let mut messages = MESSAGES.lock().unwrap().clone();
        messages.sort();
        let mut expected = vec![
            "another worker of the team has panicked: layer fragile: forward: no first row".to_owned();
            threads - 1
        ];
        expected.push("no first row".to_owned());
        assert_eq!(messages, expected, "{threads} threads");
    }
    let _ = std::panic::take_hook();
}
