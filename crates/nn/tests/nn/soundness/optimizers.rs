//! Optimizers whose states change.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ziffer_nn::layer::InputType;
use ziffer_nn::optimizer::SettingError;
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::{Adam, Optimizer};
use ziffer_tensor::update;

use super::faulty_layer::Fault;
use super::harness::{ALL_USES, FEATURES, GradientUse, SAMPLES, THREADS, model, train, train_faulty};
use crate::common::{pixels, watched};

/// Adam with wrong states: `first` in the first call, `later` in the later ones.
#[derive(Clone, Debug)]
struct FaultyOptimizer {
    first: &'static [&'static str],
    later: &'static [&'static str],
    calls: Arc<AtomicUsize>,
    is_adam: bool,
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Adam's step, and whether `as_adam` returns it.
#[derive(Clone, Copy, Debug)]
struct FaultyStep(update::Adam<f32>, bool);

impl Optimizer<f32> for FaultyOptimizer {
    type Step = FaultyStep;

    fn name(&self) -> &'static str {
        "faulty"
    }
    fn state_names(&self) -> &'static [&'static str] {
        if self.calls.fetch_add(1, Ordering::Relaxed) == 0 { self.first } else { self.later }
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
    /// Writes all memory that it can access.
    fn update(_: &FaultyStep, w: &mut [f32], state: &mut [&mut [f32]], g: &[f32]) {
        assert!(state.iter().all(|state| state.len() == w.len()) && g.len() == w.len());
        state.iter_mut().for_each(|state| state.fill(1.0));
        w.iter_mut().zip(g).for_each(|(w, g)| *w -= 0.01 * g);
    }
    fn as_adam(step: &FaultyStep) -> Option<update::Adam<f32>> {
        step.1.then_some(step.0)
    }
}

#[test]
fn faulty_optimizers_access_only_their_own_memory() {
    let expected =
        train_faulty(Fault::Nothing, InputType::Pixels, GradientUse::Fused, &ThreadTeam::new(1).unwrap());
    for (first, later) in
        [(2, 2), (2, 0), (2, 1), (2, 3), (1, 2), (0, 2), (4, 4), (4, 5), (3, 6), (0, 0), (1, 1), (5, 5)]
    {
        for is_adam in [false, true] {
            let mut digests = Vec::new();
            for threads in THREADS {
                let team = Arc::new(ThreadTeam::new(threads).unwrap());
                for gradient_use in ALL_USES {
                    let calls = Arc::new(AtomicUsize::new(0));
                    let (first, later) = (&NAMES[..first], &NAMES[..later]);
                    let optimizer = FaultyOptimizer { first, later, calls, is_adam };
                    let shared = Arc::clone(&team);
                    let outcome = watched(move || {
                        let mut model = model(Fault::Nothing, InputType::Pixels);
                        train(&mut model, &pixels(SAMPLES, FEATURES, 1), optimizer, gradient_use, &shared)
                    });
                    // More states than in the first call are rejected. Adam needs two states.
                    if first.len() > 4 || later.len() > first.len() {
                        assert!(
                            outcome.is_err(),
                            "{first:?}, then {later:?}, {threads} threads, {gradient_use:?}"
                        );
                    } else if !(is_adam && first.len() == 2) {
                        digests.push((format!("{gradient_use:?}"), outcome.unwrap()));
                    }
                }
                let shared = Arc::clone(&team);
                let after = watched(move || {
                    train_faulty(Fault::Nothing, InputType::Pixels, GradientUse::Fused, &shared)
                });
                assert_eq!(after.as_ref(), Ok(&expected));
            }
            digests.sort();
            digests.dedup();
            assert!(digests.len() <= ALL_USES.len(), "the same bits on any number of threads: {digests:?}");
        }
    }
}
