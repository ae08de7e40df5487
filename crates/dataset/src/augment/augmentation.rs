//! Writes a data set with many distorted copies of each image.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;

use crate::catalog::{Content, Name, Split};
use crate::dataset::Dataset;
use crate::idx::{ElementType, IdxError, IdxWriter};
use crate::train_test::TrainTest;
use rayon::prelude::*;
use ziffer_tensor::random::{Purpose, Stream};

use super::distortion::{Distorter, Distortion};
use super::error::AugmentError;

/// The number of images that are distorted in parallel and then written: a few megabytes, and enough for many threads.
const CHUNK: usize = 4096;

/// Settings of an augmented data set.
///
/// The first copy of an image is the image itself. The training set has all first copies of the images before the split in the order
/// of the set, then all second copies, and so on. The copies of the images after the split follow in the same way. So a validation set
/// of that share has copies of other images than the training set. The test set stays as it is.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | times | copies of each image, including the image itself; at least 1 | - |
/// | seed | the random seed | 0 |
/// | validation_split | the share at the end whose copies stay together, 0 to below 1 | 0.1 |
/// | distortion | the bounds of the distortions | [`Distortion::default`] |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augmentation {
    /// Copies of each image, including the image itself.
    pub times: usize,
    /// The random seed.
    pub seed: u64,
    /// The share at the end whose copies stay together.
    pub validation_split: f64,
    /// The bounds of the distortions.
    pub distortion: Distortion,
}

/// Receives the numbers of written images and of all images, and returns whether to continue.
pub type AugmentProgress<'a> = dyn FnMut(u64, u64) -> bool + 'a;

impl Augmentation {
    /// This many copies, with default settings.
    pub fn new(times: usize) -> Self {
        Self { times, seed: 0, validation_split: 0.1, distortion: Distortion::default() }
    }

    /// Writes the augmented set to `folder`, which must exist, as four IDX files under MNIST's names: a custom set. It uses rayon's
    /// threads, and memory that does not grow with the number of copies. The files get their names once all are written.
    ///
    /// `progress` is called every few thousand images. If it returns false, writing stops.
    ///
    /// # Errors
    /// A setting out of range, images without two axes, more images than the format can hold, a file that cannot be written, or
    /// [`AugmentError::Interrupted`]. No files are left behind.
    pub fn write(
        &self,
        data: &TrainTest,
        folder: &Path,
        progress: &mut AugmentProgress<'_>,
    ) -> Result<(), AugmentError> {
        let setting = |setting, value: String, expected| AugmentError::Setting { setting, value, expected };
        if self.times == 0 {
            return Err(setting("times", self.times.to_string(), "at least 1"));
        }
        if !(0.0..1.0).contains(&self.validation_split) {
            let value = self.validation_split.to_string();
            return Err(setting("validation_split", value, "a number from 0 to below 1"));
        }
        let train = &data.train;
        let shape = match *train.image_shape() {
            [rows, columns] => [rows, columns],
            ref shape => {
                let path = train.images_path().to_owned();
                return Err(AugmentError::NotFlat { path, shape: shape.to_vec() });
            }
        };
        let distorter = Distorter::new(self.distortion, shape)?;

        let count = train.len().saturating_mul(self.times);
        let classes = train.classes();
        let mut images = images(folder, Split::Train, count, shape)?;
        let mut labels = labels(folder, Split::Train, count, classes)?;
        let split_at = (train.len() as f64 * (1.0 - self.validation_split)).floor() as usize;
        let all = count as u64;
        let mut done = 0;
        for range in [0..split_at, split_at..train.len()] {
            for copy in 0..self.times {
                for chunk in chunks(range.clone()) {
                    if !progress(done, all) {
                        return Err(AugmentError::Interrupted { done, all });
                    }
                    done += chunk.len() as u64;
                    images.write(&self.copies(train, &distorter, copy, chunk.clone()))?;
                    labels.write(&label_bytes(train, chunk))?;
                }
            }
        }
        train.check_unchanged()?;

        let test = &data.test;
        let mut test_images = self::images(folder, Split::Test, test.len(), shape)?;
        let mut test_labels = self::labels(folder, Split::Test, test.len(), classes)?;
        test_images.write(test.pixels())?;
        test_labels.write(&label_bytes(test, 0..test.len()))?;
        test.check_unchanged()?;
        progress(all, all);
        let files = [images, test_images, test_labels, labels];
        for file in &files {
            file.sync()?;
        }
        // A replaced set must never mix old and new files. Without labels it cannot be opened.
        clear(folder)?;
        for file in files {
            file.finish()?;
        }
        Ok(())
    }

    /// One copy of each image of a chunk.
    fn copies(&self, data: &Dataset, distorter: &Distorter, copy: usize, chunk: Range<usize>) -> Vec<u8> {
        let features = data.features();
        let of_set = &data.pixels()[chunk.start * features..chunk.end * features];
        if copy == 0 {
            return of_set.to_vec();
        }
        let mut pixels = vec![0; of_set.len()];
        let pairs = pixels.par_chunks_exact_mut(features).zip(of_set.par_chunks_exact(features));
        pairs.zip(chunk).for_each_init(
            || distorter.clone(),
            |distorter, ((out, image), number)| {
                let position = (copy as u64) << 32 | number as u64;
                distorter.distort(&mut Stream::new(self.seed, Purpose::Augment, position), image, out);
            },
        );
        pixels
    }
}

fn chunks(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(CHUNK).map(move |start| start..end.min(start + CHUNK))
}

/// Labels in the byte order of a file: bytes, or big-endian `i32` for more than 256 classes.
fn label_bytes(data: &Dataset, range: Range<usize>) -> Vec<u8> {
    let labels = range.map(|index| data.label(index));
    if data.classes() <= 256 {
        labels.map(|label| label as u8).collect()
    } else {
        labels.flat_map(|label| (label as i32).to_be_bytes()).collect()
    }
}

fn images(
    folder: &Path,
    split: Split,
    count: usize,
    [rows, columns]: [usize; 2],
) -> Result<IdxWriter, AugmentError> {
    let path = folder.join(name(split, Content::Images));
    Ok(IdxWriter::create(path, ElementType::U8, &[count, rows, columns])?)
}

fn labels(folder: &Path, split: Split, count: usize, classes: usize) -> Result<IdxWriter, AugmentError> {
    let element_type = if classes <= 256 { ElementType::U8 } else { ElementType::I32 };
    Ok(IdxWriter::create(folder.join(name(split, Content::Labels)), element_type, &[count])?)
}

/// Removes the labels and the gzip files of a set that is replaced.
fn clear(folder: &Path) -> Result<(), IdxError> {
    for file in Name::Custom.files() {
        let path = folder.join(file.name);
        let gzip = path.with_added_extension("gz");
        for path in [Some(gzip), (file.content == Content::Labels).then_some(path)].into_iter().flatten() {
            match std::fs::remove_file(&path) {
                Err(source) if source.kind() != ErrorKind::NotFound => {
                    return Err(IdxError::Io { action: "replace", path, source });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The name of a custom set's file.
fn name(split: Split, content: Content) -> &'static str {
    let files = Name::Custom.files();
    files.iter().find(|file| file.split == split && file.content == content).map_or("", |file| file.name)
}
