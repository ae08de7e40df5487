//! Where a training stands, and where it can.

use serde::{Deserialize, Serialize};
use ziffer_nn::training::StepResult;

use crate::History;

/// Where a training stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Epochs that are done, with their validation.
    pub(crate) epoch: usize,
    /// Steps that are done in the epoch after them.
    pub(crate) step: usize,
    /// The sums over these steps, and the seconds that they took.
    pub(crate) loss_sum: f64,
    pub(crate) hits: usize,
    pub(crate) samples: usize,
    pub(crate) seconds: f64,
    /// Whether a callback has ended the training.
    pub(crate) stopped: bool,
    /// Whether a callback has set the learning rate, so that a schedule no longer counts. Older files do not say it.
    #[serde(default)]
    pub(crate) rate_is_set: bool,
    pub(crate) history: History,
}

impl Standing {
    pub(crate) fn sum(&self) -> StepResult {
        StepResult { loss_sum: self.loss_sum, hits: self.hits, samples: self.samples }
    }

    pub(crate) fn set_sum(&mut self, sum: StepResult) {
        (self.loss_sum, self.hits, self.samples) = (sum.loss_sum, sum.hits, sum.samples);
    }
}

/// What a standing is held against: the steps of an epoch, its samples, whether it ends with a validation, and whether there is
/// an accuracy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    pub(crate) steps: usize,
    pub(crate) batch_size: usize,
    pub(crate) samples: usize,
    pub(crate) validates: bool,
    pub(crate) has_accuracy: bool,
}

impl Epoch {
    /// Whether a training can stand so.
    pub(super) fn admits(&self, standing: &Standing, batches: u64) -> bool {
        let Standing { epoch, step, samples, hits, ref history, .. } = *standing;
        let History { loss, accuracy, val_loss, val_accuracy, seconds, learning_rate } = history;
        let steps = epoch.checked_mul(self.steps).and_then(|steps| steps.checked_add(step));
        let len = |has: bool| if has { epoch } else { 0 };
        let lists = [
            (loss, true),
            (accuracy, self.has_accuracy),
            (seconds, true),
            (val_loss, self.validates),
            (val_accuracy, self.validates && self.has_accuracy),
        ];
        let is_share = |share: &f64| (0.0..=1.0).contains(share);
        step <= self.steps
            && steps.is_some_and(|steps| steps as u64 == batches)
            && samples == (step * self.batch_size).min(self.samples)
            && hits <= samples
            && lists.iter().all(|&(list, has)| list.len() == len(has))
            // Older files do not have it.
            && (learning_rate.is_empty() || learning_rate.len() == epoch)
            && accuracy.iter().chain(val_accuracy).all(is_share)
            && seconds.iter().chain([&standing.seconds]).all(|&seconds| seconds >= 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_that_no_training_can_have_is_not_admitted() {
        let history = History {
            loss: vec![0.5, 0.4],
            accuracy: vec![0.8, 1.0],
            val_loss: vec![0.6, 0.5],
            val_accuracy: vec![0.0, 0.7],
            seconds: vec![0.1, 0.1],
            learning_rate: vec![0.001, 0.001],
        };
        let good = Standing { epoch: 2, step: 1, hits: 3, samples: 4, history, ..Standing::default() };
        let epoch = Epoch { steps: 3, batch_size: 4, samples: 10, validates: true, has_accuracy: true };
        assert!(epoch.admits(&good, 7));
        assert!(!epoch.admits(&good, 8));
        let spoilt: [fn(&mut Standing); 12] = [
            |s| s.epoch = 1,
            |s| s.epoch = usize::MAX,
            |s| s.step = 4,
            |s| s.step = usize::MAX,
            |s| s.samples = 5,
            |s| s.hits = 5,
            |s| s.seconds = -1.0,
            |s| s.history.val_loss.clear(),
            |s| s.history.accuracy[0] = 1.5,
            |s| s.history.val_accuracy[1] = -0.5,
            |s| s.history.seconds.push(0.1),
            |s| s.history.learning_rate.truncate(1),
        ];
        for (index, spoil) in spoilt.into_iter().enumerate() {
            let mut standing = good.clone();
            spoil(&mut standing);
            assert!(!epoch.admits(&standing, 7), "{index}: {standing:?}");
        }
        assert!(!Epoch { validates: false, ..epoch }.admits(&good, 7));
        assert!(!Epoch { has_accuracy: false, ..epoch }.admits(&good, 7));
    }
}
