//! Calibration: whether predictions with a confidence of 90% are correct nine times out of ten.
//!
//! The reliability diagram and the expected calibration error are those of Guo, Pleiss, Sun and Weinberger, *On Calibration of
//! Modern Neural Networks*, ICML 2017, with 15 bins of equal width as in that paper: bin m of M has the confidences in
//! ((m - 1) / M, m / M].

/// The number of bins, M.
pub const BINS: usize = 15;

/// Predictions by their confidence, the probability of the class that was predicted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    bins: [Bin; BINS],
    /// Predictions whose confidence is NaN.
    without_confidence: usize,
}

/// The predictions with a confidence in one range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// The number of predictions.
    pub samples: usize,
    /// The number of correct predictions.
    pub correct: usize,
    confidences: f64,
}

impl Bin {
    /// The fraction of correct predictions, 0 to 1; `None` if the bin is empty.
    pub fn accuracy(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.correct as f64 / self.samples as f64)
    }

    /// The mean confidence; `None` if the bin is empty.
    pub fn confidence(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.confidences / self.samples as f64)
    }
}

impl Calibration {
    /// Counts a prediction with a confidence of 0 to 1.
    pub fn add(&mut self, confidence: f64, is_correct: bool) {
        if confidence.is_nan() {
            self.without_confidence += 1;
            return;
        }
        // The cast turns negative numbers into 0.
        let bin = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        let bin = &mut self.bins[bin];
        bin.samples += 1;
        bin.correct += usize::from(is_correct);
        bin.confidences += confidence;
    }

    /// The bins, from the lowest confidence to the highest.
    pub fn bins(&self) -> &[Bin; BINS] {
        &self.bins
    }

    /// The number of predictions whose confidence is NaN. They are in no bin.
    pub fn without_confidence(&self) -> usize {
        self.without_confidence
    }

    fn samples(&self) -> usize {
        self.bins.iter().map(|bin| bin.samples).sum()
    }

    /// The mean confidence; `None` without predictions.
    pub fn confidence(&self) -> Option<f64> {
        let sum: f64 = self.bins.iter().map(|bin| bin.confidences).sum();
        (self.samples() > 0).then(|| sum / self.samples() as f64)
    }

    /// The expected calibration error, the sum over the bins of |accuracy - confidence| samples / n; `None` without
    /// predictions.
    pub fn expected_error(&self) -> Option<f64> {
        // samples |correct / samples - confidences / samples| = |correct - confidences|
        let sum: f64 = self.bins.iter().map(|bin| (bin.correct as f64 - bin.confidences).abs()).sum();
        (self.samples() > 0).then(|| sum / self.samples() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_of_five_predictions_computed_by_hand() {
        let mut calibration = Calibration::default();
        for (confidence, is_correct) in [(0.5, false), (0.5, true), (0.95, true), (1.0, true), (1.0, false)] {
            calibration.add(confidence, is_correct);
        }
        // 0.5 is in (7/15, 8/15]; 0.95 and 1 are in (14/15, 1].
        let [half, sure] = [&calibration.bins()[7], &calibration.bins()[14]];
        assert_eq!((half.samples, half.accuracy(), half.confidence()), (2, Some(0.5), Some(0.5)));
        assert_eq!((sure.samples, sure.correct), (3, 2));
        assert!((sure.confidence().unwrap() - 2.95 / 3.0).abs() < 1e-15);
        // 2/5 * |0.5 - 0.5| + 3/5 * |2/3 - 2.95/3| = 0.95 / 5
        assert!((calibration.expected_error().unwrap() - 0.19).abs() < 1e-15);
        assert!((calibration.confidence().unwrap() - 3.95 / 5.0).abs() < 1e-15);
        assert_eq!(calibration.bins()[0].accuracy(), None);
    }

    #[test]
    fn an_edge_belongs_to_the_bin_below() {
        let mut calibration = Calibration::default();
        for confidence in [0.0, 1.0 / 15.0, 0.2, 0.2 + 1e-9, 1.0 + 1e-7] {
            calibration.add(confidence, true);
        }
        let filled: Vec<_> = (0..BINS).map(|bin| calibration.bins()[bin].samples).collect();
        assert_eq!(filled, [2, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_confidence_of_nan_is_in_no_bin() {
        let mut calibration = Calibration::default();
        assert_eq!(calibration.expected_error(), None);
        calibration.add(f64::NAN, false);
        assert_eq!((calibration.without_confidence(), calibration.confidence()), (1, None));
    }
}
