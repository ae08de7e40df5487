//! The confusion matrix: how often each class was taken for which, and what that says of each class.

use std::collections::BTreeMap;

/// Counts of test samples by label and prediction.
///
/// Only what occurs is kept: 65,536 classes have four thousand million places and as many entries as there were mistakes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: BTreeMap<(usize, usize), usize>,
    /// Samples of each class by label, and by prediction.
    labelled: Vec<usize>,
    predicted: Vec<usize>,
}

/// What the matrix says of a class, by the usual definitions; each is 0 to 1, and `None` where it is 0 divided by 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassMetrics {
    /// Samples with this label.
    pub samples: usize,
    /// Of those predicted as this class, the share that are.
    pub precision: Option<f64>,
    /// Of those that are this class, the share predicted so.
    pub recall: Option<f64>,
    /// The harmonic mean of both: 2 tp / (samples + predicted).
    pub f1: Option<f64>,
}

impl Confusion {
    /// An empty matrix.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: BTreeMap::new(), labelled: vec![0; classes], predicted: vec![0; classes] }
    }

    /// Counts a sample.
    ///
    /// # Panics
    /// If either is no class.
    pub fn add(&mut self, label: usize, prediction: usize) {
        self.labelled[label] += 1;
        self.predicted[prediction] += 1;
        *self.counts.entry((label, prediction)).or_default() += 1;
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Samples of class `label` that were predicted as `prediction`.
    pub fn count(&self, label: usize, prediction: usize) -> usize {
        self.counts.get(&(label, prediction)).copied().unwrap_or(0)
    }

    /// All samples.
    pub fn samples(&self) -> usize {
        self.labelled.iter().sum()
    }

    /// Samples predicted as what they are.
    pub fn hits(&self) -> usize {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// The share of hits, 0 to 1; NaN without samples.
    pub fn accuracy(&self) -> f64 {
        self.hits() as f64 / self.samples() as f64
    }

    /// A class's metrics.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn metrics(&self, class: usize) -> ClassMetrics {
        let (hits, samples, predicted) =
            (self.count(class, class), self.labelled[class], self.predicted[class]);
        let share = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
        ClassMetrics {
            samples,
            precision: share(hits, predicted),
            recall: share(hits, samples),
            f1: share(2 * hits, samples + predicted),
        }
    }

    /// The mean of a metric over the classes that have it; `None` if none has.
    pub fn mean(&self, metric: impl Fn(&ClassMetrics) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = (0..self.classes).filter_map(|class| metric(&self.metrics(class))).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// Label, prediction and count of what was confused, the most frequent first, then by label and prediction.
    pub fn confused(&self) -> Vec<(usize, usize, usize)> {
        let mut confused: Vec<_> = self
            .counts
            .iter()
            .filter(|((label, prediction), _)| label != prediction)
            .map(|(&(label, prediction), &count)| (label, prediction, count))
            .collect();
        confused.sort_by_key(|&(label, prediction, count)| (std::cmp::Reverse(count), label, prediction));
        confused
    }

    /// The share of a class's samples in each place that is not empty: label, prediction, count, share from 0 to 1.
    pub(crate) fn shares(&self) -> impl Iterator<Item = (usize, usize, usize, f64)> {
        self.counts.iter().map(|(&(label, prediction), &count)| {
            (label, prediction, count, count as f64 / self.labelled[label] as f64)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_worked_by_hand() {
        // Labels down, predictions across:
        //        0  1  2   samples
        //   0    3  1  0   4
        //   1    2  4  0   6
        //   2    0  0  0   0
        let mut confusion = Confusion::new(3);
        for (label, prediction, times) in [(0, 0, 3), (0, 1, 1), (1, 0, 2), (1, 1, 4)] {
            (0..times).for_each(|_| confusion.add(label, prediction));
        }
        assert_eq!((confusion.samples(), confusion.hits(), confusion.accuracy()), (10, 7, 0.7));
        assert_eq!(confusion.count(1, 0), 2);
        assert_eq!(confusion.count(2, 1), 0);
        let zero = confusion.metrics(0);
        assert_eq!((zero.samples, zero.precision, zero.recall), (4, Some(0.6), Some(0.75)));
        // 2 * 0.6 * 0.75 / 1.35
        assert!((zero.f1.unwrap() - 2.0 / 3.0).abs() < 1e-15);
        let one = confusion.metrics(1);
        assert_eq!((one.precision, one.recall, one.f1), (Some(0.8), Some(4.0 / 6.0), Some(8.0 / 11.0)));
        let two = confusion.metrics(2);
        assert_eq!((two.samples, two.precision, two.recall, two.f1), (0, None, None, None));
        assert!((confusion.mean(|class| class.precision).unwrap() - 0.7).abs() < 1e-15);
        assert_eq!(confusion.confused(), [(1, 0, 2), (0, 1, 1)]);
        assert_eq!(
            confusion.shares().collect::<Vec<_>>(),
            [(0, 0, 3, 0.75), (0, 1, 1, 0.25), (1, 0, 2, 2.0 / 6.0), (1, 1, 4, 4.0 / 6.0)]
        );
    }

    #[test]
    fn a_class_that_is_only_ever_predicted_has_a_precision_of_0() {
        let mut confusion = Confusion::new(2);
        confusion.add(0, 1);
        let one = confusion.metrics(1);
        assert_eq!((one.precision, one.recall, one.f1), (Some(0.0), None, Some(0.0)));
        assert_eq!(confusion.mean(|class| class.recall), Some(0.0));
        assert_eq!(Confusion::new(2).mean(|class| class.recall), None);
    }
}
