//! Trainings without batches, with another model, and several trainings with one team.

use std::sync::Arc;

use ziffer_nn::layer::InputType;
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::training::{FitError, Gradients};
use ziffer_nn::{
    Activation, Adam, Sequential, SparseCategoricalCrossentropy, StepError, Training, WithLabels,
};

use super::faulty_layer::{Fault, UNITS};
use super::harness::{ALL_USES, BATCH, CLASSES, FEATURES, SAMPLES, THREADS, model, train_faulty};
use crate::common::{classes, numbers, pixels, watched};

#[test]
fn an_empty_order_makes_no_step() {
    for threads in THREADS {
        let outcome = watched(move || {
            let mut model = model(Fault::Nothing, InputType::Pixels);
            let before = model.weights_sha256();
            let (x, classes) = (pixels(SAMPLES, FEATURES, 1), classes(SAMPLES, CLASSES));
            let samples = WithLabels::new(x.view(), &classes);
            let mut training = Training::new(&model, Adam::default(), BATCH).unwrap();
            let (team, loss) = (ThreadTeam::new(threads).unwrap(), SparseCategoricalCrossentropy::default());
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
fn another_model_is_rejected_and_not_changed() {
    let (x, classes) = (numbers(SAMPLES, FEATURES, 1), classes(SAMPLES, CLASSES));
    let samples = WithLabels::new(x.view(), &classes);
    let loss = SparseCategoricalCrossentropy::default();
    let stack = |units, seed| {
        let stack = Sequential::new([FEATURES]).dense(units, Activation::Relu);
        stack.dense(CLASSES, Activation::Softmax).build(seed).unwrap()
    };
    let order: Vec<u32> = (0..SAMPLES as u32).collect();
    for threads in THREADS {
        let team = ThreadTeam::new(threads).unwrap();
        let mut ours = stack(UNITS, 1);
        // The layers and weights have the same names.
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

        // Another model with weights of the same names and shapes is accepted.
        let mut twin = stack(UNITS, 2);
        training.run(&mut twin, &loss, &samples, &order, (&team).into()).unwrap();
    }
}

#[test]
fn several_trainings_can_share_a_team() {
    let team = Arc::new(ThreadTeam::new(4).unwrap());
    let expected: Vec<String> = ALL_USES
        .into_iter()
        .map(|gradient_use| {
            train_faulty(Fault::Nothing, InputType::Pixels, gradient_use, &ThreadTeam::new(1).unwrap())
        })
        .collect();
    let outcome = watched(move || {
        std::thread::scope(|scope| {
            let handles: Vec<_> = (0..4)
                .map(|number: usize| {
                    let (team, expected) = (&team, &expected);
                    scope.spawn(move || {
                        for turn in 0..6 {
                            let number = (number + turn) % ALL_USES.len();
                            let digest =
                                train_faulty(Fault::Nothing, InputType::Pixels, ALL_USES[number], team);
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
