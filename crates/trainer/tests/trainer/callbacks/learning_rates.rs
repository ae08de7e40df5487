//! Callbacks that set the learning rate, in resumed trainings.

use std::path::Path;

use ziffer_trainer::callback::{
    Callback, CallbackError, EpochBeginContext, LearningRateScheduler, Monitor, ReduceLROnPlateau,
};

use super::harness::{Inverse, fit, network, resumes_to_the_same_result, trainer};

#[test]
fn reduce_lr_on_plateau_continues_counting_after_a_kill() {
    let plateau = |_: &Path| {
        // No epoch improves by this much.
        let plateau = ReduceLROnPlateau::new(Monitor::ValAccuracy).min_delta(10.0).patience(2).factor(0.5);
        plateau.cooldown(1).min_lr(0.004)
    };
    let reduced = resumes_to_the_same_result(trainer, plateau);
    // 0.02 until two epochs without an improvement, 0.01 until two more after the cooldown, then 0.005.
    let mut model = network();
    let rates = [0.02, 0.02, 0.02, 0.01, 0.01, 0.005, 0.005];
    let scheduler = LearningRateScheduler::new(move |epoch, _| rates[epoch]);
    fit(trainer().callback(scheduler), &mut model).unwrap();
    assert_eq!(reduced.weights, model.weights_sha256());
    resumes_to_the_same_result(|| trainer().schedule(Inverse), plateau);
}

/// Reduces the rate by a tenth at the beginning of each epoch.
struct Decay;

impl Callback for Decay {
    fn name(&self) -> &'static str {
        "decay"
    }
    fn on_epoch_begin(&mut self, _: usize, context: &mut EpochBeginContext) -> Result<(), CallbackError> {
        context.set_learning_rate(0.9 * context.learning_rate());
        Ok(())
    }
}

#[test]
fn the_rate_of_an_epoch_is_set_once() {
    let scheduled = resumes_to_the_same_result(trainer, |_| LearningRateScheduler::new(|_, rate| 0.9 * rate));
    let decayed = resumes_to_the_same_result(trainer, |_| Decay);
    assert_eq!(scheduled.weights, decayed.weights);
    // Also the rate of the first epoch.
    let mut rate = 0.02;
    let rates = [(); 7].map(|()| {
        rate *= 0.9;
        rate
    });
    let by_epoch =
        resumes_to_the_same_result(trainer, |_| LearningRateScheduler::new(|epoch, _| rates[epoch]));
    assert_eq!(by_epoch.weights, scheduled.weights);
    let mut plain = network();
    fit(trainer(), &mut plain).unwrap();
    assert_ne!(plain.weights_sha256(), scheduled.weights);
    // It replaces a schedule, also if it returns the schedule's rate.
    let with_schedule = || trainer().schedule(Inverse);
    let constant = resumes_to_the_same_result(with_schedule, |_| LearningRateScheduler::new(|_, _| 0.02));
    assert_eq!(constant.weights, plain.weights_sha256());
    resumes_to_the_same_result(with_schedule, |_| LearningRateScheduler::new(|_, rate| 0.9 * rate));
}
