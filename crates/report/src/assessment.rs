//! The predictions for a test set, added up sample by sample.

use crate::calibration::Calibration;
use crate::confusion::ConfusionMatrix;
use crate::error::ReportError;
use crate::mistakes::{Mistake, Mistakes};
use crate::thumbnail::rows_and_columns;

/// The confusion matrix, the calibration and the worst mistakes of a test set. Its memory does not grow with the number of samples.
///
/// ```
/// use ziffer_report::Assessment;
///
/// let mut assessment = Assessment::new(2, &[1, 1]);
/// assessment.add(0, &[0.9, 0.1], &[255])?;
/// assessment.add(1, &[0.8, 0.2], &[31])?;
/// assert_eq!(assessment.confusion().accuracy(), 0.5);
/// assert_eq!(assessment.mistakes()[0].sample, 1);
/// # Ok::<(), ziffer_report::ReportError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Assessment {
    shape: Vec<usize>,
    confusion: ConfusionMatrix,
    calibration: Calibration,
    mistakes: Mistakes,
}

impl Assessment {
    /// An assessment without samples, for images of this shape.
    pub fn new(classes: usize, shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            confusion: ConfusionMatrix::new(classes),
            calibration: Calibration::default(),
            mistakes: Mistakes::default(),
        }
    }

    /// Adds the next sample: its label, the probability of each class, its pixels. The prediction is the first of the most probable
    /// classes.
    ///
    /// # Errors
    /// If the label is not a class, or if the number of probabilities or of pixels is wrong.
    pub fn add(&mut self, label: usize, probabilities: &[f32], pixels: &[u8]) -> Result<(), ReportError> {
        let (sample, classes) = (self.confusion.samples(), self.confusion.classes());
        if label >= classes || probabilities.len() != classes {
            let probabilities = probabilities.len();
            return Err(ReportError::Sample { sample, label, probabilities, classes });
        }
        let expected = self.pixels();
        if pixels.len() != expected {
            return Err(ReportError::Pixels { sample, found: pixels.len(), expected });
        }
        let prediction = most_probable(probabilities);
        let confidence = probabilities[prediction];
        self.confusion.add(label, prediction);
        self.calibration.add(f64::from(confidence), label == prediction);
        if label != prediction {
            let mistake =
                Mistake { sample, label, prediction, confidence, label_probability: probabilities[label] };
            self.mistakes.add(mistake, &self.shape, pixels);
        }
        Ok(())
    }

    /// The confusion matrix.
    pub fn confusion(&self) -> &ConfusionMatrix {
        &self.confusion
    }

    /// The calibration.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// The worst mistakes, in ascending order of the label's probability.
    pub fn mistakes(&self) -> Vec<&Mistake> {
        self.mistakes.iter().map(|(mistake, _)| mistake).collect()
    }

    pub(crate) fn mistakes_with_images(&self) -> &Mistakes {
        &self.mistakes
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of pixels of an image.
    pub(crate) fn pixels(&self) -> usize {
        let (rows, columns) = rows_and_columns(&self.shape);
        rows * columns
    }
}

/// The index of the first of the largest probabilities. NaN is never larger.
fn most_probable(probabilities: &[f32]) -> usize {
    (1..probabilities.len())
        .fold(0, |best, at| if probabilities[at] > probabilities[best] { at } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_that_do_not_fit_are_refused() {
        let mut assessment = Assessment::new(3, &[2, 2]);
        let message = |outcome: Result<(), ReportError>| outcome.expect_err("it does not fit").to_string();
        assert_eq!(
            message(assessment.add(3, &[0.0; 3], &[0; 4])),
            "sample 0 has label 3 and 3 probabilities, expected 3 classes"
        );
        assert!(assessment.add(0, &[0.0; 2], &[0; 4]).is_err());
        assert_eq!(message(assessment.add(0, &[0.0; 3], &[0; 5])), "sample 0 has 5 pixels, expected 4");
        assert_eq!(assessment.confusion().samples(), 0);
    }

    #[test]
    fn the_prediction_is_the_first_of_equals() {
        assert_eq!(most_probable(&[0.2, 0.4, 0.4]), 1);
        assert_eq!(most_probable(&[f32::NAN, 0.4]), 0);
        assert_eq!(most_probable(&[0.1, f32::NAN, 0.3]), 2);
    }
}
