//! The worst mistakes, with their images.

use crate::thumbnail::Thumbnail;

/// The number of mistakes that are kept.
const KEPT: usize = 30;

/// The largest number of rows and columns of a kept image.
const SIDE: usize = 96;

/// A test sample with a wrong prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mistake {
    /// Its index in the test set.
    pub sample: usize,
    /// Its class.
    pub label: usize,
    /// The predicted class.
    pub prediction: usize,
    /// The probability of the predicted class, 0 to 1.
    pub confidence: f32,
    /// The probability of the label, 0 to 1.
    pub label_probability: f32,
}

/// The worst mistakes so far, the worst first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mistakes(Vec<(Mistake, Thumbnail)>);

impl Mistakes {
    /// Keeps a mistake if it is one of the worst: the lower the label's probability, the larger the sample's cross-entropy.
    pub(crate) fn add(&mut self, mistake: Mistake, shape: &[usize], pixels: &[u8]) {
        // NaN is worse than every number.
        let probability = |mistake: &Mistake| {
            if mistake.label_probability.is_nan() { -1.0 } else { mistake.label_probability }
        };
        let place = self.0.partition_point(|(other, _)| probability(other) <= probability(&mistake));
        if place < KEPT {
            self.0.truncate(KEPT - 1);
            let thumbnail = Thumbnail::shrunk(shape, SIDE, |pixel| f32::from(pixels[pixel]));
            self.0.insert(place, (mistake, thumbnail));
        }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &(Mistake, Thumbnail)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_are_kept_and_equals_stay_in_order() {
        let mut mistakes = Mistakes::default();
        for sample in 0..100 {
            let label_probability = if sample == 50 { f32::NAN } else { ((sample * 37) % 50) as f32 / 100.0 };
            let mistake = Mistake { sample, label: 1, prediction: 0, confidence: 0.5, label_probability };
            mistakes.add(mistake, &[1, 1], &[sample as u8]);
        }
        let samples: Vec<_> = mistakes.iter().map(|(mistake, _)| mistake.sample).collect();
        // 37 * 23 = 851 and 37 * 73 = 2701 leave 1.
        assert_eq!(samples.len(), KEPT);
        assert_eq!(samples[..4], [50, 0, 23, 73]);
        assert!(mistakes.iter().all(|(mistake, thumbnail)| thumbnail.bytes() == [mistake.sample as u8]));
    }
}
