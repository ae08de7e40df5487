//! The progress of a training, as a checkpoint stores it.

use serde::{Deserialize, Serialize};
use ziffer_nn::training::StepResult;

use crate::History;

/// The progress of a training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainState {
    /// The number of completed epochs, validation included.
    pub(crate) epoch: usize,
    /// The number of completed steps of the next epoch.
    pub(crate) step: usize,
    /// The sums over these steps, and their time in seconds.
    pub(crate) loss_sum: f64,
    #[serde(rename = "hits")]
    pub(crate) correct: usize,
    pub(crate) samples: usize,
    pub(crate) seconds: f64,
    /// Whether a callback has stopped the training.
    pub(crate) stopped: bool,
    /// Whether a callback has set the learning rate, so that the schedule is no longer used. Older files lack it.
    #[serde(default)]
    pub(crate) rate_is_set: bool,
    pub(crate) history: History,
}

impl TrainState {
    pub(crate) fn sum(&self) -> StepResult {
        StepResult { loss_sum: self.loss_sum, correct: self.correct, samples: self.samples }
    }

    pub(crate) fn set_sum(&mut self, sum: StepResult) {
        (self.loss_sum, self.correct, self.samples) = (sum.loss_sum, sum.correct, sum.samples);
    }
}

/// The layout of an epoch, against which the progress in a checkpoint is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EpochLayout {
    pub(crate) steps: usize,
    pub(crate) batch_size: usize,
    pub(crate) samples: usize,
    pub(crate) has_validation: bool,
    pub(crate) has_accuracy: bool,
}

impl EpochLayout {
    /// Whether a training with such epochs can have this progress.
    pub(super) fn allows(&self, state: &TrainState, batches: u64) -> bool {
        let TrainState { epoch, step, samples, correct, ref history, .. } = *state;
        let History { loss, accuracy, val_loss, val_accuracy, seconds, learning_rate } = history;
        let steps = epoch.checked_mul(self.steps).and_then(|steps| steps.checked_add(step));
        let len = |has: bool| if has { epoch } else { 0 };
        let lists = [
            (loss, true),
            (accuracy, self.has_accuracy),
            (seconds, true),
            (val_loss, self.has_validation),
            (val_accuracy, self.has_validation && self.has_accuracy),
        ];
        let is_fraction = |fraction: &f64| (0.0..=1.0).contains(fraction);
        step <= self.steps
            && steps.is_some_and(|steps| steps as u64 == batches)
            && samples == (step * self.batch_size).min(self.samples)
            && correct <= samples
            && lists.iter().all(|&(list, has)| list.len() == len(has))
            // Older files lack it.
            && (learning_rate.is_empty() || learning_rate.len() == epoch)
            && accuracy.iter().chain(val_accuracy).all(is_fraction)
            && seconds.iter().chain([&state.seconds]).all(|&seconds| seconds >= 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_progress_is_rejected() {
        let history = History {
            loss: vec![0.5, 0.4],
            accuracy: vec![0.8, 1.0],
            val_loss: vec![0.6, 0.5],
            val_accuracy: vec![0.0, 0.7],
            seconds: vec![0.1, 0.1],
            learning_rate: vec![0.001, 0.001],
        };
        let good = TrainState { epoch: 2, step: 1, correct: 3, samples: 4, history, ..TrainState::default() };
        let layout =
            EpochLayout { steps: 3, batch_size: 4, samples: 10, has_validation: true, has_accuracy: true };
        assert!(layout.allows(&good, 7));
        assert!(!layout.allows(&good, 8));
        let changes: [fn(&mut TrainState); 12] = [
            |s| s.epoch = 1,
            |s| s.epoch = usize::MAX,
            |s| s.step = 4,
            |s| s.step = usize::MAX,
            |s| s.samples = 5,
            |s| s.correct = 5,
            |s| s.seconds = -1.0,
            |s| s.history.val_loss.clear(),
            |s| s.history.accuracy[0] = 1.5,
            |s| s.history.val_accuracy[1] = -0.5,
            |s| s.history.seconds.push(0.1),
            |s| s.history.learning_rate.truncate(1),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut state = good.clone();
            change(&mut state);
            assert!(!layout.allows(&state, 7), "{index}: {state:?}");
        }
        assert!(!EpochLayout { has_validation: false, ..layout }.allows(&good, 7));
        assert!(!EpochLayout { has_accuracy: false, ..layout }.allows(&good, 7));
    }
}
