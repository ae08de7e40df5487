//! The confusion matrix, and precision, recall and F1 of each class.

use std::collections::BTreeMap;

/// Counts of test samples by label and prediction.
///
/// Only counts above 0 are stored: a matrix of 65,536 classes has 4,294,967,296 cells, few of which are ever counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    counts: BTreeMap<(usize, usize), usize>,
    /// The number of samples with each label.
    by_label: Vec<usize>,
    /// The number of samples with each prediction.
    by_prediction: Vec<usize>,
}

/// The metrics of a class. Each is 0 to 1, or `None` where it is 0 divided by 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassMetrics {
    /// Samples with this label.
    pub samples: usize,
    /// The fraction of the samples predicted as this class that have this label: tp / predicted.
    pub precision: Option<f64>,
    /// The fraction of the samples with this label that are predicted as this class: tp / samples.
    pub recall: Option<f64>,
    /// The harmonic mean of precision and recall: 2 tp / (samples + predicted).
    pub f1: Option<f64>,
}

impl ConfusionMatrix {
    /// An empty matrix.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: BTreeMap::new(), by_label: vec![0; classes], by_prediction: vec![0; classes] }
    }

    /// Counts a sample.
    ///
    /// # Panics
    /// If the label or the prediction is not below the number of classes.
    pub fn add(&mut self, label: usize, prediction: usize) {
        self.by_label[label] += 1;
        self.by_prediction[prediction] += 1;
        *self.counts.entry((label, prediction)).or_default() += 1;
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The number of samples with this label and this prediction.
    pub fn count(&self, label: usize, prediction: usize) -> usize {
        self.counts.get(&(label, prediction)).copied().unwrap_or(0)
    }

    /// The number of samples.
    pub fn samples(&self) -> usize {
        self.by_label.iter().sum()
    }

    /// The number of correct predictions.
    pub fn correct(&self) -> usize {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// The fraction of correct predictions, 0 to 1; NaN without samples.
    pub fn accuracy(&self) -> f64 {
        self.correct() as f64 / self.samples() as f64
    }

    /// The metrics of a class.
    ///
    /// # Panics
    /// If `class` is not below the number of classes.
    pub fn metrics(&self, class: usize) -> ClassMetrics {
        let (correct, samples, predicted) =
            (self.count(class, class), self.by_label[class], self.by_prediction[class]);
        let fraction = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
        ClassMetrics {
            samples,
            precision: fraction(correct, predicted),
            recall: fraction(correct, samples),
            f1: fraction(2 * correct, samples + predicted),
        }
    }

    /// The mean of a metric over the classes that have it; `None` if none has.
    pub fn mean(&self, metric: impl Fn(&ClassMetrics) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = (0..self.classes).filter_map(|class| metric(&self.metrics(class))).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// Label, prediction and count of each confusion, the most frequent first, then by label and prediction.
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

    /// The cells above 0: label, prediction, count, and the count's fraction of the label's samples, 0 to 1.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (usize, usize, usize, f64)> {
        self.counts.iter().map(|(&(label, prediction), &count)| {
            (label, prediction, count, count as f64 / self.by_label[label] as f64)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_a_matrix_computed_by_hand() {
        // Labels down, predictions across:
        //        0  1  2   samples
        //   0    3  1  0   4
        //   1    2  4  0   6
        //   2    0  0  0   0
        let mut confusion = ConfusionMatrix::new(3);
        for (label, prediction, times) in [(0, 0, 3), (0, 1, 1), (1, 0, 2), (1, 1, 4)] {
            (0..times).for_each(|_| confusion.add(label, prediction));
        }
        assert_eq!((confusion.samples(), confusion.correct(), confusion.accuracy()), (10, 7, 0.7));
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
            confusion.cells().collect::<Vec<_>>(),
            [(0, 0, 3, 0.75), (0, 1, 1, 0.25), (1, 0, 2, 2.0 / 6.0), (1, 1, 4, 4.0 / 6.0)]
        );
    }

    #[test]
    fn a_class_that_is_only_ever_predicted_has_a_precision_of_0() {
        let mut confusion = ConfusionMatrix::new(2);
        confusion.add(0, 1);
        let one = confusion.metrics(1);
        assert_eq!((one.precision, one.recall, one.f1), (Some(0.0), None, Some(0.0)));
        assert_eq!(confusion.mean(|class| class.recall), Some(0.0));
        assert_eq!(ConfusionMatrix::new(2).mean(|class| class.recall), None);
    }
}
