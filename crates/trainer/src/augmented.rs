//! Samples that are distorted differently in each epoch.

use std::cell::RefCell;
use std::ops::Range;

use ziffer_dataset::augment::{Distorter, Distortion};
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::{EpochSeed, Samples, SamplesError, Target};

use crate::TrainError;

/// Images that are distorted in training, differently in each epoch.
///
/// In a training step, sample i of epoch e, both from 0, is distorted by [`Distorter::distort`] with
/// `Stream::new(seed, Purpose::Augment, e << 32 | i)`. So the result depends on the seed, the epoch and the sample, not on the
/// thread. In an evaluation the samples are not distorted.
///
/// ```
/// use ndarray::Array2;
/// use ziffer_dataset::augment::Distortion;
/// use ziffer_nn::{EpochSeed, Samples, WithLabels};
/// use ziffer_trainer::Augmented;
///
/// let x = Array2::from_shape_fn((2, 64), |(_, pixel)| if pixel / 8 == 3 { 255_u8 } else { 0 });
/// let samples = WithLabels::new(x.view(), &[0, 1]);
/// let augmented = Augmented::new(&samples, [8, 8], Distortion::default())?;
/// let (mut plain, mut distorted) = ([0; 64], [0; 64]);
/// augmented.fill(1, None, &mut plain);
/// augmented.fill(1, Some(EpochSeed { seed: 0, epoch: 0 }), &mut distorted);
/// assert_eq!(plain, x.row(1).as_slice().unwrap());
/// assert_ne!(distorted, plain);
/// # Ok::<(), ziffer_trainer::TrainError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Augmented<'a, S> {
    samples: &'a S,
    /// The distorter that each thread copies; `None` does not distort.
    template: Option<Template>,
}

/// A distorter to copy, with its settings.
#[derive(Clone, Debug)]
struct Template {
    distortion: Distortion,
    shape: [usize; 2],
    distorter: Distorter,
}

/// A thread's copy of a distorter, with memory for an image.
struct Workspace {
    copy: Template,
    image: Vec<u8>,
}

/// The number of workspaces that a thread keeps: more than a training has sets of samples with different distortions.
const MAX_WORKSPACES: usize = 4;

thread_local! {
    /// The calling thread's workspaces, the one used last at the end. A call takes its workspace out, since the inner samples
    /// may be augmented too.
    static WORKSPACES: RefCell<Vec<Workspace>> = const { RefCell::new(Vec::new()) };
}

impl<'a, S: Samples<f32, Value = u8>> Augmented<'a, S> {
    /// Augments `samples`, which must be images with these numbers of rows and columns, in C order.
    ///
    /// # Errors
    /// If a setting of the distortion is out of range, or the size of a sample is not rows * columns.
    pub fn new(samples: &'a S, shape: [usize; 2], distortion: Distortion) -> Result<Self, TrainError> {
        distortion.validate()?;
        let (found, [rows, columns]) = (samples.features(), shape);
        if rows.checked_mul(columns) != Some(found) || found == 0 {
            return Err(TrainError::SampleSize { found, shape });
        }
        let distorter = Distorter::new(distortion, shape)?;
        Ok(Self { samples, template: Some(Template { distortion, shape, distorter }) })
    }

    /// `samples` without distortion.
    pub(crate) fn plain(samples: &'a S) -> Self {
        Self { samples, template: None }
    }
}

impl Workspace {
    /// Takes the calling thread's workspace for `template`, or creates one.
    fn take(template: &Template) -> Self {
        let matches =
            |Self { copy, .. }: &Self| (copy.distortion, copy.shape) == (template.distortion, template.shape);
        let kept = WORKSPACES.with_borrow_mut(|workspaces| {
            workspaces.iter().rposition(matches).map(|position| workspaces.remove(position))
        });
        kept.unwrap_or_else(|| {
            let [rows, columns] = template.shape;
            Self { copy: template.clone(), image: vec![0; rows * columns] }
        })
    }

    /// Returns the workspace for the next call.
    fn put(self) {
        WORKSPACES.with_borrow_mut(|workspaces| {
            if workspaces.len() == MAX_WORKSPACES {
                workspaces.remove(0);
            }
            workspaces.push(self);
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

    fn fill(&self, index: usize, draw: Option<EpochSeed>, out: &mut [u8]) {
        let (Some(template), Some(EpochSeed { seed, epoch })) = (&self.template, draw) else {
            return self.samples.fill(index, draw, out);
        };
        let mut workspace = Workspace::take(template);
        self.samples.fill(index, draw, &mut workspace.image);
        let mut stream = Stream::new(seed, Purpose::Augment, epoch << 32 | index as u64);
        workspace.copy.distorter.distort(&mut stream, &workspace.image, out);
        workspace.put();
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
