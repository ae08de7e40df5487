//! What a model made of a test part, gathered sample by sample.

use crate::calibration::Calibration;
use crate::confusion::Confusion;
use crate::error::ReportError;
use crate::mistakes::{Mistake, Mistakes};
use crate::picture::sides;

/// The confusion matrix, the calibration and the worst mistakes of a test part. Its memory does not grow with the samples.
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
    confusion: Confusion,
    calibration: Calibration,
    mistakes: Mistakes,
}

impl Assessment {
    /// Nothing assessed yet, of so many classes and pictures of this shape.
    pub fn new(classes: usize, shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            confusion: Confusion::new(classes),
            calibration: Calibration::default(),
            mistakes: Mistakes::default(),
        }
    }

    /// Takes the next sample: its label, the model's probability of each class, its pixels. The prediction is the first of the
    /// most probable classes.
    ///
    /// # Errors
    /// If the label is no class, or there are not as many probabilities as classes or pixels as the shape has.
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
    pub fn confusion(&self) -> &Confusion {
        &self.confusion
    }

    /// The calibration.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// The worst mistakes, the worst first: those that gave the label the least probability.
    pub fn mistakes(&self) -> Vec<&Mistake> {
        self.mistakes.iter().map(|(mistake, _)| mistake).collect()
    }

    pub(crate) fn gallery(&self) -> &Mistakes {
        &self.mistakes
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Pixels of a picture.
    pub(crate) fn pixels(&self) -> usize {
        let (rows, columns) = sides(&self.shape);
        rows * columns
    }
}

/// The first of the largest; what is no number is never larger.
fn most_probable(probabilities: &[f32]) -> usize {
    (1..probabilities.len())
        .fold(0, |best, at| if probabilities[at] > probabilities[best] { at } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
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
    fn the_first_of_equals_is_the_prediction() {
        assert_eq!(most_probable(&[0.2, 0.4, 0.4]), 1);
        assert_eq!(most_probable(&[f32::NAN, 0.4]), 0);
        assert_eq!(most_probable(&[0.1, f32::NAN, 0.3]), 2);
    }
}
