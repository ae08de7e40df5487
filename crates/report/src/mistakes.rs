//! The worst mistakes, with their pictures.

use crate::picture::Picture;

/// Mistakes that are kept.
const KEPT: usize = 30;

/// Rows and columns that a kept picture has at most.
const SIDE: usize = 96;

/// A test sample that was predicted as another class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mistake {
    /// Its place in the test part, from 0.
    pub sample: usize,
    /// What it is.
    pub label: usize,
    /// What it was taken for.
    pub prediction: usize,
    /// The probability of what it was taken for, 0 to 1.
    pub confidence: f32,
    /// The probability of what it is.
    pub label_probability: f32,
}

/// The worst so far, the worst first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mistakes(Vec<(Mistake, Picture)>);

impl Mistakes {
    /// Keeps a mistake, if it is one of the worst: the cross-entropy of a sample is large where its label's probability is small.
    pub(crate) fn add(&mut self, mistake: Mistake, shape: &[usize], pixels: &[u8]) {
        // What is no number is the worst of all.
        let probability = |mistake: &Mistake| {
            if mistake.label_probability.is_nan() { -1.0 } else { mistake.label_probability }
        };
        let place = self.0.partition_point(|(other, _)| probability(other) <= probability(&mistake));
        if place < KEPT {
            self.0.truncate(KEPT - 1);
            let picture = Picture::shrunk(shape, SIDE, |pixel| f32::from(pixels[pixel]));
            self.0.insert(place, (mistake, picture));
        }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &(Mistake, Picture)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_are_kept_in_order_and_equals_in_theirs() {
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
        assert!(mistakes.iter().all(|(mistake, picture)| picture.bytes() == [mistake.sample as u8]));
    }
}
