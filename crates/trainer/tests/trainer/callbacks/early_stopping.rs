//! Early stopping in resumed trainings.

use ziffer_trainer::callback::{EarlyStopping, Mode, Monitor};

use super::harness::{fit, network, resumes_to_the_same_result, trainer};

#[test]
fn early_stopping_restores_the_best_weights_after_a_kill() {
    for ema in [None, Some(0.9)] {
        let trainer = || {
            let trainer = trainer().epochs(60);
            if let Some(momentum) = ema { trainer.ema(momentum) } else { trainer }
        };
        let best = resumes_to_the_same_result(trainer, |_| {
            EarlyStopping::new(Monitor::ValLoss, 4).restore_best_weights(true).start_from_epoch(1)
        });
        let epochs = best.history.epochs();
        assert!((5..60).contains(&epochs), "{epochs} epochs");
        // The weights of the epoch that 4 epochs without an improvement follow.
        let mut model = network();
        fit(trainer().epochs(epochs - 4), &mut model).unwrap();
        assert_eq!(best.weights, model.weights_sha256());

        let last = resumes_to_the_same_result(trainer, |_| {
            EarlyStopping::new(Monitor::ValLoss, 4).start_from_epoch(1)
        });
        assert_eq!(last.history, best.history);
        assert_ne!(last.weights, best.weights);
    }
}

#[test]
fn early_stopping_restores_weights_after_the_last_epoch() {
    // The patience is not exhausted.
    let outcome = resumes_to_the_same_result(trainer, |_| {
        EarlyStopping::new(Monitor::Accuracy, 50).mode(Mode::Min).restore_best_weights(true).baseline(0.1)
    });
    assert_eq!(outcome.history.epochs(), 7);
    let mut model = network();
    fit(trainer().epochs(1), &mut model).unwrap();
    assert_eq!(outcome.weights, model.weights_sha256(), "the lowest accuracy is that of the first epoch");
}
