//! Layers that violate the contract of [`Layer`].

use std::sync::Arc;

use ndarray::{ArrayView2, ArrayViewMut2};
use ziffer_nn::layer::InputType;
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::{Activation, Adam, Context, Input, Layer, LayerError, Mode, Sequential, Weights};

use super::faulty_layer::{Fault, UNITS};
use super::harness::{
    BOTH, CLASSES, FEATURES, GradientUse, SAMPLES, THREADS, assert_rejected, each_case, train, train_faulty,
};
use crate::common::{numbers, watched};

#[test]
fn a_gradient_of_all_elements_is_rejected() {
    // One thread owns all elements.
    assert_rejected(Fault::IgnoresTheRange, &BOTH, 2, "elements of the gradient of ");
}

#[test]
fn one_element_too_many_is_rejected() {
    assert_rejected(Fault::PushesOneTooMany, &BOTH, 1, "elements of the gradient of bias");
}

#[test]
fn missing_elements_are_rejected() {
    assert_rejected(Fault::PushesNothing, &BOTH, 1, "of the gradient of kernel are missing");
    // With pixels each thread owns all elements of its outputs.
    assert_rejected(Fault::PushesForTheFirstThread, &[InputType::Real], 2, "are missing");
    assert_rejected(Fault::PushesInOneThread, &BOTH, 2, "are missing");
}

#[test]
fn elements_pushed_twice_are_rejected() {
    assert_rejected(Fault::PushesTwice, &BOTH, 1, "elements of the gradient of kernel");
}

#[test]
fn products_and_sums_of_other_shapes_are_rejected() {
    assert_rejected(Fault::ProductOfOtherSamples, &BOTH, 1, "samples of both operands");
    assert_rejected(Fault::ProductOfFewerInputs, &BOTH, 1, "gradient: ");
    assert_rejected(Fault::ProductOfFewerOutputs, &BOTH, 1, "gradient: ");
    assert_rejected(Fault::SumsOfFewerOutputs, &BOTH, 1, "columns for elements");
}

#[test]
fn wrong_weight_indices_are_rejected() {
    assert_rejected(Fault::UnknownWeight, &BOTH, 1, "gradient: ");
    assert_rejected(Fault::PushesNonTrainable, &BOTH, 1, "a gradient of state, which is not trainable");
    assert_rejected(Fault::AssignsTrainable, &BOTH, 1, "kernel is trainable");
    assert_rejected(Fault::CatchesAPanic, &BOTH, 1, "weights whose gradient is accounted for");
}

#[test]
fn panics_contain_the_name_of_the_layer() {
    assert_rejected(Fault::PanicsForward, &BOTH, 1, "forward: half-gradient_use forward");
    assert_rejected(Fault::PanicsBackward, &BOTH, 1, "backward: half-gradient_use backward");
    assert_rejected(Fault::PanicsInGradient, &BOTH, 1, "gradient: half-gradient_use in the gradient");
    assert_rejected(Fault::PanicsWithoutText, &BOTH, 1, "forward: its message is no text");
}

#[test]
fn unwritten_outputs_are_rejected() {
    assert_rejected(Fault::LeavesOutputs, &BOTH, 1, "numbers were not written");
    // The first layer needs no gradient with respect to its input.
    assert_rejected(Fault::LeavesInputGradients, &[InputType::Real], 1, "numbers were not written");
}

#[test]
fn access_beyond_the_requested_memory_is_rejected() {
    assert_rejected(Fault::SavesMore, &BOTH, 1, "forward: ");
    assert_rejected(Fault::ScratchesMore, &BOTH, 1, "forward: ");
}

/// The methods are called once, so that later results have no effect.
#[test]
fn changing_results_of_methods_have_no_effect() {
    for fault in [Fault::OtherSaved, Fault::OtherScratch, Fault::OtherSharing] {
        each_case(fault, &BOTH, |_, outcome, case| {
            let digest = outcome.unwrap_or_else(|message| panic!("{case}: {message}"));
            assert!(case.ends_with(&digest), "{case}: {digest}");
        });
    }
}

/// A layer that claims to be an identity in one mode, although its output has another shape.
#[test]
fn identities_of_another_shape_are_rejected() {
    #[derive(Debug)]
    struct FalseIdentity(Mode);
    impl Layer<f32> for FalseIdentity {
        fn class_name(&self) -> &'static str {
            "FalseIdentity"
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
        let team = Arc::new(ThreadTeam::new(threads).unwrap());
        let shared = Arc::clone(&team);
        let message = watched(move || {
            let stack =
                Sequential::new([FEATURES]).dense(UNITS, Activation::Relu).add(FalseIdentity(Mode::Training));
            let mut model = stack.dense(CLASSES, Activation::Softmax).build(0).unwrap();
            train(&mut model, &numbers(SAMPLES, FEATURES, 1), Adam::default(), GradientUse::Fused, &shared)
        });
        // The next layer gets an input of an unexpected shape.
        assert!(message.unwrap_err().starts_with("layer dense_1: forward: "), "{threads} threads");
        let shared = Arc::clone(&team);
        let expected =
            train_faulty(Fault::Nothing, InputType::Real, GradientUse::Fused, &ThreadTeam::new(1).unwrap());
        let after =
            watched(move || train_faulty(Fault::Nothing, InputType::Real, GradientUse::Fused, &shared));
        assert_eq!(after, Ok(expected));
    }
}
