//! Samples that are distorted anew in each epoch.

use std::cell::RefCell;
use std::ops::Range;

use ziffer_dataset::augment::{Distorter, Distortion};
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::{Draw, Samples, SamplesError, Target};

use crate::TrainError;

/// Pictures that are distorted while a model trains on them, each in every epoch in another way.
///
/// In a training step, sample i of epoch e is what [`Distorter::distort`] makes of it with
/// `Stream::new(seed, Purpose::Augment, e << 32 | i)`, e and i from 0: it belongs to the seed, the epoch and the sample, not
/// to a thread. At an evaluation a sample is as it is.
///
/// ```
/// use ndarray::Array2;
/// use ziffer_dataset::augment::Distortion;
/// use ziffer_nn::{Draw, Samples, WithClasses};
/// use ziffer_trainer::Augmented;
///
/// let x = Array2::from_shape_fn((2, 64), |(_, pixel)| if pixel / 8 == 3 { 255_u8 } else { 0 });
/// let samples = WithClasses::new(x.view(), &[0, 1]);
/// let augmented = Augmented::new(&samples, [8, 8], Distortion::default())?;
/// let (mut plain, mut distorted) = ([0; 64], [0; 64]);
/// augmented.fill(1, None, &mut plain);
/// augmented.fill(1, Some(Draw { seed: 0, epoch: 0 }), &mut distorted);
/// assert_eq!(plain, x.row(1).as_slice().unwrap());
/// assert_ne!(distorted, plain);
/// # Ok::<(), ziffer_trainer::TrainError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Augmented<'a, S> {
    samples: &'a S,
    /// What each thread copies; `None` changes nothing.
    original: Option<Original>,
}

/// A distorter to be copied, and what it was made for.
#[derive(Clone, Debug)]
struct Original {
    distortion: Distortion,
    shape: [usize; 2],
    distorter: Distorter,
}

/// What a thread distorts pictures with.
struct Memory {
    copy: Original,
    picture: Vec<u8>,
}

/// Memories that a thread keeps: more than a training has sets of samples that are distorted in different ways.
const KEPT: usize = 4;

thread_local! {
    /// The calling thread's memories, the one that was used last at the end. A call takes the one that it needs out, so
    /// that the samples beneath may be augmented ones as well.
    static MEMORIES: RefCell<Vec<Memory>> = const { RefCell::new(Vec::new()) };
}

impl<'a, S: Samples<f32, Value = u8>> Augmented<'a, S> {
    /// `samples`, which are pictures of this many rows and columns, row by row.
    ///
    /// # Errors
    /// A setting of the distortion out of its range, or another number of pixels than rows * columns.
    pub fn new(samples: &'a S, shape: [usize; 2], distortion: Distortion) -> Result<Self, TrainError> {
        distortion.validate()?;
        let (found, [rows, columns]) = (samples.features(), shape);
        if rows.checked_mul(columns) != Some(found) || found == 0 {
            return Err(TrainError::Shape { found, shape });
        }
        let distorter = Distorter::new(distortion, shape)?;
        Ok(Self { samples, original: Some(Original { distortion, shape, distorter }) })
    }

    /// `samples` as they are.
    pub(crate) fn plain(samples: &'a S) -> Self {
        Self { samples, original: None }
    }
}

impl Memory {
    /// Takes the calling thread's memory out, or makes one.
    fn take(original: &Original) -> Self {
        let is_right =
            |Self { copy, .. }: &Self| (copy.distortion, copy.shape) == (original.distortion, original.shape);
        let kept = MEMORIES.with_borrow_mut(|memories| {
            memories.iter().rposition(is_right).map(|position| memories.remove(position))
        });
        kept.unwrap_or_else(|| {
            let [rows, columns] = original.shape;
            Self { copy: original.clone(), picture: vec![0; rows * columns] }
        })
    }

    /// Puts it back for the next call.
    fn put(self) {
        MEMORIES.with_borrow_mut(|memories| {
            if memories.len() == KEPT {
                memories.remove(0);
            }
            memories.push(self);
        });
    }
}

impl<S: Samples<f32, Value = u8>> Samples<f32> for Augmented<'_, S> {
    type Value = u8;

    fn len(&self) -> usize {
        self.samples.len()
    }

    fn features(&self) -> usize {
        self.samples.features()
    }

    fn fill(&self, index: usize, draw: Option<Draw>, out: &mut [u8]) {
        let (Some(original), Some(Draw { seed, epoch })) = (&self.original, draw) else {
            return self.samples.fill(index, draw, out);
        };
        let mut memory = Memory::take(original);
        self.samples.fill(index, draw, &mut memory.picture);
        let mut stream = Stream::new(seed, Purpose::Augment, epoch << 32 | index as u64);
        memory.copy.distorter.distort(&mut stream, &memory.picture, out);
        memory.put();
    }

    fn target(&self, index: usize) -> Target<'_, f32> {
        self.samples.target(index)
    }

    fn prefetch(&self, index: usize) {
        self.samples.prefetch(index);
    }

    fn will_need(&self, samples: Range<usize>) {
        self.samples.will_need(samples);
    }

    fn release(&self, samples: Range<usize>) {
        self.samples.release(samples);
    }

    fn check(&self) -> Result<(), SamplesError> {
        self.samples.check()
    }
}
