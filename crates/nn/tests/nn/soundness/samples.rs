//! Sample values and samples of other shapes, or that panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{Array2, ArrayView2, ShapeBuilder};
use ziffer_nn::layer::InputType;
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::{
    Activation, Adam, BatchNormalization, Dropout, EpochSeed, Input, Rescaling, SampleValue, Samples,
    Sequential, Target,
};

use super::faulty_layer::{Fault, UNITS};
use super::harness::{
    BATCH, CLASSES, FEATURES, GradientUse, SAMPLES, THREADS, model, train_faulty, train_on,
};
use crate::common::{pixels, watched};

/// A sample value whose `input` has another shape.
#[derive(Clone, Copy, Debug, Default)]
struct Misshapen<const KIND: usize>(#[allow(dead_code, reason = "no layer reads it")] f32);

static ZEROS: [f32; 1 << 14] = [0.0; 1 << 14];
static BYTES: [u8; 1 << 14] = [0; 1 << 14];

impl<const KIND: usize> SampleValue<f32> for Misshapen<KIND> {
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
            // The right shape, but not in C order.
            _ => Input::Real(
                ArrayView2::from_shape((samples, features).f(), &ZEROS[..samples * features]).unwrap(),
            ),
        }
    }
}

struct MisshapenSamples<const KIND: usize>;

impl<const KIND: usize> Samples<f32> for MisshapenSamples<KIND> {
    type Value = Misshapen<KIND>;
    fn len(&self) -> usize {
        SAMPLES
    }
    fn features(&self) -> usize {
        FEATURES
    }
    fn fill(&self, _: usize, _: Option<EpochSeed>, out: &mut [Misshapen<KIND>]) {
        out.fill(Misshapen(1.0));
    }
    fn target(&self, index: usize) -> Target<'_, f32> {
        Target::Class(index % CLASSES)
    }
}

/// Trains on samples of a kind. `number` selects the first layer.
fn train_misshapen<const KIND: usize>(number: usize, gradient_use: GradientUse, team: &ThreadTeam) -> String {
    let stack = Sequential::new([FEATURES]);
    let stack = match number {
        0 => stack.dense(UNITS, Activation::Relu),
        1 => stack.add(BatchNormalization::default()),
        2 => stack.add(Dropout::new(0.5)),
        _ => stack.add(Rescaling::new(0.5, 1.0)),
    };
    let mut model = stack.dense(CLASSES, Activation::Softmax).build(0).unwrap();
    train_on(&mut model, &MisshapenSamples::<KIND>, Adam::default(), gradient_use, team)
}

#[test]
fn sample_values_of_another_shape_are_rejected() {
    type Case = fn(usize, GradientUse, &ThreadTeam) -> String;
    const CASES: [Case; 7] = [
        train_misshapen::<0>,
        train_misshapen::<1>,
        train_misshapen::<2>,
        train_misshapen::<3>,
        train_misshapen::<4>,
        train_misshapen::<5>,
        train_misshapen::<6>,
    ];
    const NAMES: [&str; 4] = ["dense", "batch_normalization", "dropout", "rescaling"];
    for threads in THREADS {
        let team = Arc::new(ThreadTeam::new(threads).unwrap());
        for (number, name) in NAMES.iter().enumerate() {
            for (kind, case) in CASES.into_iter().enumerate() {
                for gradient_use in [GradientUse::Fused, GradientUse::Returned] {
                    let shared = Arc::clone(&team);
                    let message = watched(move || case(number, gradient_use, &shared)).unwrap_err();
                    let starts = format!("layer {name}: forward: ");
                    assert!(message.starts_with(&starts), "kind {kind}, {threads} threads: {message}");
                }
            }
            // An input that is not in C order is rejected with the layer's name, or computed.
            let shared = Arc::clone(&team);
            if let Err(message) = watched(move || train_misshapen::<7>(number, GradientUse::Fused, &shared)) {
                assert!(message.starts_with(&format!("layer {name}: ")), "{message}");
            }
        }
        let shared = Arc::clone(&team);
        let expected =
            train_faulty(Fault::Nothing, InputType::Real, GradientUse::Fused, &ThreadTeam::new(1).unwrap());
        let after =
            watched(move || train_faulty(Fault::Nothing, InputType::Real, GradientUse::Fused, &shared));
        assert_eq!(after, Ok(expected));
    }
}

/// Samples that panic for one index, or return another number of features after the first call.
struct Inconsistent<'a> {
    x: &'a Array2<u8>,
    calls: AtomicUsize,
    panics_at: Option<usize>,
    other_features: usize,
}

impl Samples<f32> for Inconsistent<'_> {
    type Value = u8;
    fn len(&self) -> usize {
        self.x.nrows()
    }
    fn features(&self) -> usize {
        if self.calls.fetch_add(1, Ordering::Relaxed) == 0 { FEATURES } else { self.other_features }
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
fn samples_that_panic_or_change_do_not_hang_threads() {
    for threads in THREADS {
        let team = Arc::new(ThreadTeam::new(threads).unwrap());
        for panics_at in [0, BATCH - 1, BATCH, SAMPLES - 1] {
            let shared = Arc::clone(&team);
            let message = watched(move || {
                let x = pixels(SAMPLES, FEATURES, 1);
                let (calls, panics_at) = (AtomicUsize::new(0), Some(panics_at));
                let samples = Inconsistent { x: &x, calls, panics_at, other_features: FEATURES };
                let mut model = model(Fault::Nothing, InputType::Pixels);
                train_on(&mut model, &samples, Adam::default(), GradientUse::Fused, &shared)
            });
            assert_eq!(message, Err(format!("sample {panics_at} is gone")), "{threads} threads");
        }
        for other_features in [0, 1, FEATURES - 1] {
            let shared = Arc::clone(&team);
            let outcome = watched(move || {
                let x = pixels(SAMPLES, FEATURES, 1);
                let samples =
                    Inconsistent { x: &x, calls: AtomicUsize::new(0), panics_at: None, other_features };
                let mut model = model(Fault::Nothing, InputType::Pixels);
                train_on(&mut model, &samples, Adam::default(), GradientUse::Fused, &shared)
            });
            assert!(outcome.is_err(), "{other_features} features, {threads} threads");
        }
        let shared = Arc::clone(&team);
        let expected =
            train_faulty(Fault::Nothing, InputType::Pixels, GradientUse::Fused, &ThreadTeam::new(1).unwrap());
        let after =
            watched(move || train_faulty(Fault::Nothing, InputType::Pixels, GradientUse::Fused, &shared));
        assert_eq!(after, Ok(expected));
    }
}
