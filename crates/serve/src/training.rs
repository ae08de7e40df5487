//! A training that is watched while it runs.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;
use ziffer_nn::Model;

/// What the page shows of a training, told by whoever trains. Telling costs a lock that is hardly ever held by another thread.
#[derive(Debug, Default)]
pub struct Training {
    state: Mutex<State>,
    model: OnceLock<Model>,
}

/// What a finished epoch came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EpochResult {
    /// Mean training loss.
    pub loss: f64,
    /// Training accuracy, 0 to 1.
    pub accuracy: f64,
    /// Mean validation loss, if there is a validation part.
    pub val_loss: Option<f64>,
    /// Validation accuracy.
    pub val_accuracy: Option<f64>,
}

#[derive(Debug, Default)]
struct State {
    epochs: usize,
    steps: usize,
    /// Steps from one point of the curve to the next.
    every: usize,
    /// How often the curve was thinned out.
    generation: usize,
    points: Vec<Point>,
    finished: Vec<EpochResult>,
    now: Option<Now>,
    test_accuracy: Option<f64>,
}

/// Epochs, with the share of the one that runs; the loss and the accuracy over that one so far.
type Point = (f64, f64, f64);

#[derive(Clone, Copy, Debug, Serialize)]
struct Now {
    epoch: usize,
    step: usize,
    loss: f64,
    accuracy: f64,
}

/// Points of a curve in an epoch, and in all: more than that a screen does not show.
const POINTS_OF_EPOCH: usize = 50;
const POINTS: usize = 2000;

impl Training {
    /// Training begins, or goes on after the epochs that were told already: so many epochs of so many steps in all.
    pub fn begin(&self, epochs: usize, steps: usize) {
        let mut state = self.state();
        (state.epochs, state.steps) = (epochs, steps);
        state.every = (steps / POINTS_OF_EPOCH).max(1);
    }

    /// After step `step` of epoch `epoch`, both from 0: the means over the epoch so far.
    pub fn step(&self, epoch: usize, step: usize, mean_loss: f64, mean_accuracy: f64) {
        let mut state = self.state();
        let done = step + 1;
        state.now = Some(Now { epoch, step: done, loss: mean_loss, accuracy: mean_accuracy });
        if !done.is_multiple_of(state.every.max(1)) && done != state.steps {
            return;
        }
        if state.points.len() == POINTS {
            let mut index = 0;
            state.points.retain(|_| {
                index += 1;
                index % 2 == 0
            });
            state.every *= 2;
            state.generation += 1;
        }
        let place = epoch as f64 + done as f64 / state.steps.max(1) as f64;
        state.points.push((place, mean_loss, mean_accuracy));
    }

    /// After an epoch and its validation.
    pub fn epoch(&self, result: EpochResult) {
        self.state().finished.push(result);
    }

    /// After the last one: hands over the network, which predictions are made with from now on, and its accuracy on the test part.
    pub fn end(&self, model: Model, test_accuracy: f64) {
        self.state().test_accuracy = Some(test_accuracy);
        // One that was handed over before stays.
        let _ = self.model.set(model);
    }

    pub(crate) fn model(&self) -> Option<&Model> {
        self.model.get()
    }

    /// What is new to someone who knows so many points of a generation, and so many epochs.
    pub(crate) fn since(&self, known: Known) -> News {
        let state = self.state();
        let points_from =
            if known.generation == state.generation { known.points.min(state.points.len()) } else { 0 };
        let epochs_from = known.epochs.min(state.finished.len());
        News {
            phase: match (self.model.get(), state.now.is_some()) {
                (Some(_), _) => "ended",
                (None, true) => "training",
                (None, false) => "starting",
            },
            epochs: state.epochs,
            steps: state.steps,
            generation: state.generation,
            points_from,
            points: state.points[points_from..].to_vec(),
            epochs_from,
            finished: state.finished[epochs_from..].to_vec(),
            now: state.now,
            test_accuracy: state.test_accuracy,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a page knows already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    pub(crate) generation: usize,
    pub(crate) points: usize,
    pub(crate) epochs: usize,
}

/// What it does not know yet.
#[derive(Debug, Serialize)]
pub(crate) struct News {
    phase: &'static str,
    epochs: usize,
    steps: usize,
    generation: usize,
    points_from: usize,
    points: Vec<Point>,
    epochs_from: usize,
    finished: Vec<EpochResult>,
    now: Option<Now>,
    test_accuracy: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(epochs: usize, steps: usize) -> Training {
        let training = Training::default();
        training.begin(epochs, steps);
        for epoch in 0..epochs {
            for step in 0..steps {
                training.step(epoch, step, 1.0 / (epoch * steps + step + 1) as f64, 0.5);
            }
            training.epoch(EpochResult { loss: 1.0, accuracy: 0.5, val_loss: None, val_accuracy: None });
        }
        training
    }

    #[test]
    fn only_what_is_new() {
        let training = told(2, 100);
        let all = training.since(Known::default());
        assert_eq!((all.points.len(), all.points_from, all.finished.len()), (100, 0, 2));
        assert_eq!(all.points[0], (0.02, 0.5, 0.5));
        assert_eq!(all.points.last().map(|point| point.0), Some(2.0));
        training.step(2, 1, 0.1, 0.9);
        let news = training.since(Known { generation: 0, points: 100, epochs: 2 });
        assert_eq!((news.points, news.points_from, news.finished.len()), (vec![(2.02, 0.1, 0.9)], 100, 0));
        let news = training.since(Known { generation: 7, points: 100, epochs: 9 });
        assert_eq!((news.points.len(), news.points_from, news.epochs_from), (101, 0, 2));
    }

    #[test]
    fn long_trainings_are_thinned_out() {
        let training = told(500, 100);
        let all = training.since(Known::default());
        assert!((POINTS / 2..=POINTS).contains(&all.points.len()), "{}", all.points.len());
        assert!(all.generation > 0 && all.finished.len() == 500);
        assert!(all.points.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(all.points.last().map(|point| point.0), Some(500.0));
    }
}
