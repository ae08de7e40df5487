//! The progress of a training that the page shows while it runs.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;
use ziffer_nn::Model;

/// The progress of a training. The trainer's thread updates it, the page reads it. An update costs a lock, which another thread rarely
/// holds.
#[derive(Debug, Default)]
pub struct TrainingProgress {
    state: Mutex<State>,
    model: OnceLock<Model>,
}

/// The metrics of a finished epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EpochResult {
    /// Mean training loss.
    pub loss: f64,
    /// Training accuracy, 0 to 1.
    pub accuracy: f64,
    /// Mean validation loss, if there is a validation set.
    pub val_loss: Option<f64>,
    /// Validation accuracy, 0 to 1.
    pub val_accuracy: Option<f64>,
}

#[derive(Debug, Default)]
struct State {
    epochs: usize,
    steps: usize,
    /// Steps between two points of the curve.
    steps_per_point: usize,
    /// How many times the curve was thinned.
    generation: usize,
    points: Vec<Point>,
    finished: Vec<EpochResult>,
    now: Option<Now>,
    test_accuracy: Option<f64>,
}

/// Epochs with the fraction of the running one; loss and accuracy over that one so far.
type Point = (f64, f64, f64);

#[derive(Clone, Copy, Debug, Serialize)]
struct Now {
    epoch: usize,
    step: usize,
    loss: f64,
    accuracy: f64,
}

/// The largest number of points of an epoch, and of a curve. A screen cannot show more.
const POINTS_OF_EPOCH: usize = 50;
const POINTS: usize = 2000;

impl TrainingProgress {
    /// Records the start of a training of `epochs` epochs with `steps` steps each. A resumed training has recorded its earlier epochs
    /// with [`epoch`](Self::epoch).
    pub fn begin(&self, epochs: usize, steps: usize) {
        let mut state = self.state();
        (state.epochs, state.steps) = (epochs, steps);
        state.steps_per_point = (steps / POINTS_OF_EPOCH).max(1);
    }

    /// Records a finished step: the means over the epoch so far. Epochs and steps count from 0.
    pub fn step(&self, epoch: usize, step: usize, mean_loss: f64, mean_accuracy: f64) {
        let mut state = self.state();
        let done = step + 1;
        state.now = Some(Now { epoch, step: done, loss: mean_loss, accuracy: mean_accuracy });
        if !done.is_multiple_of(state.steps_per_point.max(1)) && done != state.steps {
            return;
        }
        if state.points.len() == POINTS {
            let mut index = 0;
            state.points.retain(|_| {
                index += 1;
                index % 2 == 0
            });
            state.steps_per_point *= 2;
            state.generation += 1;
        }
        let place = epoch as f64 + done as f64 / state.steps.max(1) as f64;
        state.points.push((place, mean_loss, mean_accuracy));
    }

    /// Records a finished epoch, after its validation.
    pub fn epoch(&self, result: EpochResult) {
        self.state().finished.push(result);
    }

    /// Records the end. From now on the page predicts with this model. `test_accuracy` is its accuracy on the test set.
    pub fn end(&self, model: Model, test_accuracy: f64) {
        self.state().test_accuracy = Some(test_accuracy);
        // An earlier model stays.
        let _ = self.model.set(model);
    }

    pub(crate) fn model(&self) -> Option<&Model> {
        self.model.get()
    }

    /// The progress since `cursor`.
    pub(crate) fn since(&self, cursor: ProgressCursor) -> ProgressUpdate {
        let state = self.state();
        let points_from =
            if cursor.generation == state.generation { cursor.points.min(state.points.len()) } else { 0 };
        let epochs_from = cursor.epochs.min(state.finished.len());
        ProgressUpdate {
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

/// How much of the progress a page already has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProgressCursor {
    pub(crate) generation: usize,
    pub(crate) points: usize,
    pub(crate) epochs: usize,
}

/// The progress that a page does not have yet.
#[derive(Debug, Serialize)]
pub(crate) struct ProgressUpdate {
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

    fn after(epochs: usize, steps: usize) -> TrainingProgress {
        let training = TrainingProgress::default();
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
    fn an_update_has_only_what_is_new() {
        let training = after(2, 100);
        let all = training.since(ProgressCursor::default());
        assert_eq!((all.points.len(), all.points_from, all.finished.len()), (100, 0, 2));
        assert_eq!(all.points[0], (0.02, 0.5, 0.5));
        assert_eq!(all.points.last().map(|point| point.0), Some(2.0));
        training.step(2, 1, 0.1, 0.9);
        let update = training.since(ProgressCursor { generation: 0, points: 100, epochs: 2 });
        assert_eq!(
            (update.points, update.points_from, update.finished.len()),
            (vec![(2.02, 0.1, 0.9)], 100, 0)
        );
        let update = training.since(ProgressCursor { generation: 7, points: 100, epochs: 9 });
        assert_eq!((update.points.len(), update.points_from, update.epochs_from), (101, 0, 2));
    }

    #[test]
    fn curves_of_long_trainings_are_thinned() {
        let training = after(500, 100);
        let all = training.since(ProgressCursor::default());
        assert!((POINTS / 2..=POINTS).contains(&all.points.len()), "{}", all.points.len());
        assert!(all.generation > 0 && all.finished.len() == 500);
        assert!(all.points.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(all.points.last().map(|point| point.0), Some(500.0));
    }
}
